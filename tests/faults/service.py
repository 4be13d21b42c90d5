"""A whole service for one test: a real daemon with real workers in directories of its own, and what it left behind.

Owns: the daemon's process and the questions that only the operating system can answer: who lives, what is open.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from voicebus.clients.sync import Client

from .leaks import Gate, left_in_order, processes_of, until

DAEMON = [sys.executable, "-W", "error", "-m", "voicebus.daemon", "run"]
CLIENT_SOCKET = "bus.sock"
START_S = 15.0


def until_dead(pids: Iterable[int], within: float = 10.0) -> None:
    """Wait for the end of processes, whoever's children they are."""
    end = time.monotonic() + within
    for pid in pids:
        try:
            watch = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([watch], [], [], max(0.0, end - time.monotonic()))
        finally:
            os.close(watch)
        assert ready, f"process {pid} still lives after {within:g} s"


class Service:
    """A daemon, its workers and a client of it.

    wrapper: put before the daemon's command line. state: where its data go instead of below its own folder.
    """

    def __init__(self, config: str, *, wrapper: Iterable[str] = (), state: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="vb-"))  # short: a socket's path has 107 bytes
        self.run, self.state, self.config = self.root / "r", state or self.root / "s", self.root / "voicebus.toml"
        self.once = self.root / "once"
        self.once.mkdir()
        self._gate = Gate(self.root)
        self._killed = False
        self._clients: list[Client] = []
        self.write(config)
        self._start(list(wrapper))

    def write(self, config: str) -> None:
        """Put another text into the configuration file; ``@ONCE@`` in it is a folder for tone's `once_dir`."""
        self.config.write_text(config.replace("@ONCE@", str(self.once)).replace("@ROOT@", str(self.root)))

    def start_again(self, wrapper: Iterable[str] = ()) -> None:
        """Another daemon on the same data, after the one before has ended."""
        assert self.process.wait(15) is not None
        self._start(list(wrapper))

    def _start(self, wrapper: list[str]) -> None:
        with os.fdopen(self.launch(wrapper), "rb") as ready:
            assert ready.read() == b"ready\n", self.output()[-4000:]

    def launch(self, wrapper: Iterable[str] = ()) -> int:
        """Start a daemon without waiting for it; returns a pipe that says "ready" once it is."""
        reading, writing = os.pipe()
        environ = {
            "VOICEBUS_RUNTIME_DIR": str(self.run),
            "VOICEBUS_STATE_DIR": str(self.state),
            "VOICEBUS_CONFIG": str(self.config),
        }
        with (self.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [*wrapper, *DAEMON, "--ready-fd", str(writing)],
                env=os.environ | environ,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
            )
        os.close(writing)
        return reading

    # ------------------------------------------------------------------------------------------------- asking it

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"ipc://{self.run / CLIENT_SOCKET}"

    def client(self, **options: Any) -> Client:
        """Another client; it is closed in the end."""
        made = Client(endpoint=self.endpoint, start=False, **options)
        self._clients.append(made)
        return made

    def output(self) -> str:
        """What the daemon said on standard error: its log."""
        return (self.root / "output").read_text(errors="replace")

    def says(self, words: str, within: float = 15.0) -> None:
        """Wait until the daemon's log has these words."""
        until(lambda: words in self.output(), f"{words!r} in the log", within)

    def signal(self, number: int) -> None:
        """Send the daemon a signal."""
        self.process.send_signal(number)

    def ready(self, client: Client, provider: str, count: int = 1, *, within: float = 15.0) -> list[dict[str, Any]]:
        """Wait until so many workers of a provider have nothing to do; returns their rows."""

        def idle() -> list[dict[str, Any]]:
            rows = [row for row in client.workers() if row["provider"] == provider and row["state"] == "ready"]
            return rows if len(rows) >= count else []

        return until(idle, f"{count} idle workers of {provider}", within)

    def busy(self, client: Client, provider: str) -> list[int]:
        """The processes that are speaking for a provider now."""
        return [row["pid"] for row in client.workers() if row["provider"] == provider and row["state"] == "busy"]

    def processes(self) -> set[int]:
        """All processes that belong to this service, whoever their parents are: its folder is in what they were
        started with."""
        return processes_of(self.root)

    # ---------------------------------------------------------------------------------------------------- the end

    def kill(self) -> None:
        """End the daemon as a power cut would: nothing is finished."""
        self._killed = True
        self.process.kill()
        self.process.wait(10)

    def close_clients(self) -> None:
        """Close all clients that were made here."""
        while self._clients:
            self._clients.pop().close()

    def stop(self) -> None:
        """Ask it to leave, if it still runs, and check that nothing is left: no process, no socket, no descriptor or
        thread of a client, nothing half made, and no error of the daemon's own in its log."""
        killed = self.process.poll() is not None
        try:
            if not killed:
                self._all_jobs_are_over()
            self.close_clients()
            if not killed:
                self.signal(signal.SIGTERM)
                assert self.process.wait(15) == 0, self.output()[-2000:]
                left_in_order(self.run, self.state, never_killed=not self._killed)
            self._gate.shut()
            # A worker's has the worker's name before it.
            own = [line for line in self.output().splitlines() if line.startswith("Traceback")]
            assert not own, self.output()[-4000:]
        finally:
            self.give_up()

    def _all_jobs_are_over(self) -> None:
        with Client(endpoint=self.endpoint, start=False) as client:
            counts = client.status()["jobs"]
            assert not any(counts[state] for state in ("queued", "running", "waiting")), client.jobs()

    def give_up(self) -> None:
        """Remove what there is, without a question."""
        self.close_clients()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)
