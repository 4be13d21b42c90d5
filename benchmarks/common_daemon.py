"""A daemon of one's own: in a process and directories that nothing else uses, gone without a trace afterwards.

Also what the system says about a process: CPU time, memory, the moment of its end.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

from common import until
from common_peers import RawClient

from voicebus.bus import endpoints

TICKS = os.sysconf("SC_CLK_TCK")


def toml(value: Any) -> str:
    """A value as it stands in a TOML file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def section(name: str, **values: Any) -> str:
    """A table of a configuration."""
    return f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items())


def spawned(name: str, workers: int, **values: Any) -> str:
    """A provider whose workers the daemon starts, from the same tree as this program: workers inherit no PYTHONPATH."""
    path = os.environ.get("PYTHONPATH")
    return section(f"providers.{name}", workers=workers, **values, **({"env": {"PYTHONPATH": path}} if path else {}))


def espeak(workers: int = 1, **values: Any) -> str:
    return spawned("espeak", workers, **values)


def tone(workers: int = 1, settings: dict[str, Any] | None = None, **values: Any) -> str:
    """The scripted engine, which is there for tests: nothing starts it unless asked to."""
    more = {"settings": settings} if settings else {}
    return spawned("tone", workers, module="voicebus.workers.tone", **values, **more)


def keyed(name: str, rate: int = 24000, **values: Any) -> str:
    """A provider whose workers come by themselves, with the key `key_of(name)`."""
    return section(f"providers.{name}", key=key_of(name), workers=0, rate=rate, **values)


def key_of(name: str) -> str:
    return f"the-key-of-{name}-for-a-benchmark"


class Daemon:
    """A private daemon. `with Daemon(espeak(2), tone()) as daemon:` waits until all its workers are ready."""

    def __init__(self, *config: str, workers: int | None = None) -> None:
        # espeak is always there unless told otherwise, and would share the machine with what is measured.
        unwanted = [] if any("providers.espeak" in part for part in config) else [espeak(0)]
        text = "\n".join([*config, *unwanted])
        self.wanted = (
            workers
            if workers is not None
            else sum(int(line.split("=")[1]) for line in text.splitlines() if line.startswith("workers ="))
        )
        self.folder = tempfile.TemporaryDirectory(prefix="vb-bench-")
        self.root = Path(self.folder.name)
        self.runtime = self.root / "r"
        (self.root / "voicebus.toml").write_text(text, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are to find this daemon."""
        return os.environ | {
            "VOICEBUS_STATE_DIR": str(self.root / "s"),
            "VOICEBUS_RUNTIME_DIR": str(self.runtime),
            "VOICEBUS_CONFIG": str(self.root / "voicebus.toml"),
        }

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def __enter__(self) -> Self:
        self.start()
        try:
            with RawClient(self.runtime) as client:
                until(lambda: self.serving(client), 30, "ready workers")
        except BaseException:
            sys.stderr.write(self.output()[-4000:])
            self.stop()
            raise
        return self

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "voicebus.daemon", "run"],
                env=self.environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            until(self.listening, 30, "a daemon that listens", pause_s=0.002)
        except BaseException:
            sys.stderr.write(self.output()[-4000:])
            self.stop()
            raise

    def listening(self) -> bool:
        """Whether somebody listens where it should. Raises RuntimeError when it has ended."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError("the daemon ended")
        return endpoints.probe(self.runtime / endpoints.CLIENT_SOCKET) == "alive"

    def serving(self, client: RawClient) -> bool:
        """Whether all workers that were asked for are ready."""
        return sum(row["state"] == "ready" for row in client.rows("workers")) >= self.wanted

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def state(self) -> Path:
        """Where its data are."""
        return self.root / "s"

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it, and what it left."""
        self.end()
        self.folder.cleanup()

    def end(self) -> None:
        """Ask it to leave, and see that it does; its data stay."""
        process = self.process
        if process is not None and process.poll() is None:
            for wait_s in (2, 8):
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(wait_s)
                    break
            else:
                process.kill()
                process.wait()

    def output(self) -> str:
        """What it said."""
        return (self.root / "output").read_text("utf-8", "replace")


# ------------------------------------------------------------------------------------------ what the system knows


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, in whole ticks (1/100 s)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> tuple[float, float]:
    """What a process holds in memory, and what of it nobody shares, in MB of 10^6 bytes."""
    sums = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sums[name] = int(rest.split()[0]) * 1024 / 1e6
    return sums["Rss"], sums["Private_Clean"] + sums["Private_Dirty"]


class Killed:
    """SIGKILL to a process that need not be a child: when it was sent, and when the system said that it has ended."""

    def __init__(self, pid: int) -> None:
        self._watch = os.pidfd_open(pid)
        self.ended = 0.0
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()
        self.sent = time.perf_counter()
        os.kill(pid, signal.SIGKILL)

    def _wait(self) -> None:
        select.select([self._watch], [], [], 60)
        self.ended = time.perf_counter()
        os.close(self._watch)

    def word_s(self) -> float:
        """Seconds until the system said so; waits for it."""
        self._thread.join()
        return self.ended - self.sent
