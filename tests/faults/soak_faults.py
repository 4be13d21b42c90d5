"""The faults of a soak: which there are, and how each is done to a running service and its clients.

Owns: the list, and what has to be undone later. Must not know: jobs, audio. Invariant: whatever is stopped is let go
again, whatever is killed and should be there is started again, so that all that remains of a fault is what the product
makes of it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import zmq

from voicebus.bus.codec import decode_to_client, encode
from voicebus.bus.messages import Hello, Welcome
from voicebus.daemon import journal

from .service import CLIENT_SOCKET, Service
from .soak_crowd import Crowd

FAULTS = {
    "worker killed": 30,
    "worker stopped for a moment": 10,
    "worker stopped until it is replaced": 1,
    "client killed": 12,
    "client stopped for a moment": 8,
    "garbage for a socket": 16,
    "daemon killed": 5,
    "daemon killed while it starts": 1,
    "daemon told to leave": 2,
    "daemon killed while it leaves": 1,
    "daemon stopped for a moment": 4,
    "configuration changed": 4,
    "power cut": 1,
    "disk full for a moment": 2,
}
"""What can happen, and how often each is taken."""

MOMENT_S = 0.6
LONG_S = 8.0
"""How long something is stopped: well within a deadline, and well beyond it."""


class Faults:
    """Does one fault after the other. configure: gives another configuration. disk: a small file system that the
    service's data are on, None where there is none."""

    def __init__(
        self,
        service: Service,
        crowd: Crowd,
        chance: random.Random,
        configure: Callable[[random.Random], str],
        disk: Path | None,
    ) -> None:
        self.service, self.crowd, self.chance, self.configure, self.disk = service, crowd, chance, configure, disk
        self.counts: Counter[str] = Counter()
        self.starts = 1
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._doings: dict[str, Callable[[], object]] = {
            "worker killed": lambda: self._to_worker(signal.SIGKILL),
            "worker stopped for a moment": lambda: self._to_worker(signal.SIGSTOP, MOMENT_S),
            "worker stopped until it is replaced": lambda: self._to_worker(signal.SIGSTOP, LONG_S),
            "client killed": lambda: self.crowd.kill(chance),
            "client stopped for a moment": self._stop_client,
            "garbage for a socket": self._garbage,
            "daemon killed": self._kill_daemon,
            "daemon killed while it starts": self._kill_starting,
            "daemon told to leave": self._terminate,
            "daemon killed while it leaves": self._kill_leaving,
            "daemon stopped for a moment": self._stop_daemon,
            "configuration changed": self._reload,
            "power cut": self._power_cut,
            "disk full for a moment": self._fill_disk,
        }
        self._kinds = {kind: often for kind, often in FAULTS.items() if disk or kind != "disk full for a moment"}

    def one(self) -> str:
        """Do something; returns what."""
        (kind,) = self.chance.choices(list(self._kinds), list(self._kinds.values()))
        if self._doings[kind]() is not False:
            self.counts[kind] += 1
        return kind

    def due(self, *, all_of_them: bool = False) -> None:
        """Undo what is to be undone by now."""
        now = time.monotonic()
        due = [entry for entry in self._later if all_of_them or entry[0] <= now]
        self._later = [entry for entry in self._later if entry not in due]
        for _, undo in due:
            undo()

    def close(self) -> None:
        """Undo everything."""
        self.due(all_of_them=True)
        self._context.destroy(linger=0)

    def _undo_in(self, seconds: float, undo: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, undo))

    def _some(self, most: float) -> float:
        return self.chance.uniform(0.05, most)

    # ----------------------------------------------------------------------------------------------- processes

    def workers(self) -> list[int]:
        """The daemon's children."""
        pid = self.service.process.pid
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def _to_worker(self, number: int, seconds: float = 0.0) -> bool:
        pids = self.workers()
        if not pids:
            return False
        pid = self.chance.choice(pids)
        # By a descriptor, not by its number, which may be somebody else's when it is let go.
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        _signal(handle, number)
        if seconds:
            pause = seconds if seconds >= LONG_S else self._some(seconds)
            self._undo_in(pause, lambda: (_signal(handle, signal.SIGCONT), os.close(handle)))
        else:
            os.close(handle)
        return True

    def _stop_client(self) -> None:
        handle = os.pidfd_open(self.crowd.any(self.chance).pid)
        _signal(handle, signal.SIGSTOP)
        self._undo_in(self._some(3 * MOMENT_S), lambda: (_signal(handle, signal.SIGCONT), os.close(handle)))

    def _stop_daemon(self) -> None:
        handle = os.pidfd_open(self.service.process.pid)
        _signal(handle, signal.SIGSTOP)
        threading.Event().wait(self._some(2 * MOMENT_S))
        _signal(handle, signal.SIGCONT)
        os.close(handle)

    # ----------------------------------------------------------------------------------------------- the daemon

    def _start(self) -> None:
        self.service.start_again()
        self.starts += 1

    def _kill_daemon(self) -> None:
        self.service.kill()
        self._start()

    def _kill_starting(self) -> None:
        self.service.kill()
        for _ in range(self.chance.randint(1, 3)):
            ready = self.service.launch()
            threading.Event().wait(self._some(0.8))
            self.service.kill()
            os.close(ready)
        self._start()

    def _terminate(self) -> None:
        self.service.signal(signal.SIGTERM)
        assert self.service.process.wait(30) == 0, f"code {self.service.process.returncode} after TERM"
        self._start()

    def _kill_leaving(self) -> None:
        self.service.signal(signal.SIGTERM)
        threading.Event().wait(self._some(MOMENT_S))
        self.service.kill()
        self._start()

    def _reload(self) -> None:
        self.service.write(self.configure(self.chance))
        self.service.signal(signal.SIGHUP)

    def _power_cut(self) -> None:
        """Everything dies, and of what was not synced a part is gone: the journals of jobs that are not over."""
        self.service.kill()
        self.crowd.kill_all()
        database = self.service.state / "voicebus.db"
        with contextlib.closing(sqlite3.connect(database)) as connection:
            names = {name for (name,) in connection.execute("SELECT log FROM jobs WHERE state IS NULL")}
        paths = journal.Journals(self.service.state / "logs")
        for path in map(paths.path, sorted(names)):
            if path.exists() and path.stat().st_size and self.chance.random() < 0.8:
                os.truncate(path, self.chance.randrange(path.stat().st_size))
        self._start()
        self.crowd.start_missing()

    # ------------------------------------------------------------------------------------------------ the disk

    def _fill_disk(self) -> bool:
        assert self.disk is not None
        filler = self.disk / "filler"
        if filler.exists():
            return False
        room = os.statvfs(self.disk)
        left = self.chance.choice([0, 4096, 65_536, 300_000])
        with contextlib.suppress(OSError):
            filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - left)))
        self._undo_in(self._some(1.5), lambda: filler.unlink(missing_ok=True))
        return True

    # ------------------------------------------------------------------------------------------------- garbage

    def _garbage(self) -> bool:
        """Bytes that are no message, at one of the two sockets, by ZeroMQ's rules or against them."""
        name = self.chance.choice([CLIENT_SOCKET, "workers.sock"])
        path = self.service.run / name
        if self.chance.random() < 0.3:
            return self._raw_garbage(path)
        with self._context.socket(zmq.DEALER) as peer:
            peer.setsockopt(zmq.LINGER, 0)
            peer.connect(f"ipc://{path}")
            epoch = self._greeted(peer) if name == CLIENT_SOCKET else ""
            for _ in range(self.chance.randint(1, 20)):
                parts = [self._nonsense(epoch), *([self.chance.randbytes(64)] * self.chance.randint(0, 2))]
                with contextlib.suppress(zmq.ZMQError):
                    peer.send_multipart(parts, zmq.NOBLOCK)
        return True

    def _greeted(self, peer: zmq.Socket[bytes]) -> str:
        peer.send(encode(Hello(name="nonsense", version="0", pid=1)))
        if not peer.poll(300):
            return ""
        answer = decode_to_client(peer.recv_multipart()[0])
        return answer.epoch if isinstance(answer, Welcome) else ""

    def _nonsense(self, epoch: str) -> bytes:
        kind = self.chance.choice(["attach", "credit", "submit", "append", "query", "chunk", "done", "ready", "?"])
        odd = [None, -1, 2**63, "", "x" * 300, "live", [], {}, 0.5, b"\xff", "c0-1"]
        message = encode([kind, 1, epoch, *(self.chance.choice(odd) for _ in range(self.chance.randint(0, 6)))])
        data = bytearray(message)
        if self.chance.random() < 0.5:
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        return bytes(data)

    def _raw_garbage(self, path: Path) -> bool:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(0.5)
            with contextlib.suppress(OSError):
                peer.connect(str(path))
                peer.send(self.chance.randbytes(self.chance.randint(1, 400)))
        return True


def _signal(handle: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)
