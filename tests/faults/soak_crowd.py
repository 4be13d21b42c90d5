"""The clients of a soak, as processes: started, killed, started again.

Owns: their processes and what they print. Must not know: faults of the service, audio. Invariant: each name has at most
one process at a time.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("soak_client.py")


class Crowd:
    """So many clients. folder: where their ledgers are, and where a file "stop" tells them to leave."""

    def __init__(self, endpoint: str, seed: int, count: int, folder: Path) -> None:
        self.folder = folder
        self._arguments = (endpoint, str(seed))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.names = [f"c{number}" for number in range(count)]
        self.start_missing()

    def start_missing(self) -> None:
        """Start those that are not there."""
        for name in self.names:
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                with (self.folder / f"{name}.output").open("ab") as output:
                    self._processes[name] = subprocess.Popen(
                        [sys.executable, "-W", "error", PROGRAM, *self._arguments, name, self.folder],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )

    def any(self, chance: random.Random) -> subprocess.Popen[bytes]:
        """One of them."""
        return self._processes[chance.choice(self.names)]

    def kill(self, chance: random.Random) -> None:
        """Kill one, and start it again."""
        _end(self.any(chance))
        self.start_missing()

    def kill_all(self) -> None:
        """Kill them all."""
        for process in self._processes.values():
            _end(process)

    def dead(self) -> list[str]:
        """The names of those that have ended by themselves."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def finish(self, within: float) -> list[str]:
        """Tell all to leave once their jobs are over; returns the names of those who did not, or did it badly."""
        (self.folder / "stop").touch()
        late = []
        for name, process in self._processes.items():
            try:
                if process.wait(within) != 0:
                    late.append(name)
            except subprocess.TimeoutExpired:
                late.append(name)
        return late

    def output(self) -> str:
        """All that they printed."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.output")))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(10)
