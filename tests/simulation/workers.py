"""Workers: which processes there are, whoever has started them.

Owns: the processes, by name and by connection; when their daemon hears that one is gone. Must not know: the core, what
a process does (`process`). Invariant: of each name there is one process at most, and of each that ends its daemon hears
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebus.daemon.core.settings import Provider

from .clock import Clock
from .network import Network, Plug
from .oracle import Oracle
from .process import Process

if TYPE_CHECKING:
    from collections.abc import Callable


class Processes:
    """All workers. exited: tells the daemon that a process is gone. slots: of each worker."""

    def __init__(self, clock: Clock, network: Network, oracle: Oracle, slots: int) -> None:
        self.clock = clock
        self.network = network
        self.oracle = oracle
        self.slots = slots
        self.next_load = 0.0
        self.next_load_dies = False
        self.by_name: dict[str, Process] = {}
        self.by_plug: dict[Plug, Process] = {}
        self.outsiders: list[Process] = []
        self.exited: Callable[[str, int | None, int | None], None] = lambda name, code, signal: None
        self._pids = 0
        self._chance = clock.chance("processes")

    def spawn(self, name: str, provider: Provider, ticket: str) -> int:
        """Start a process."""
        self._pids += 1
        self.by_name[name] = Process(self, name, provider.name, ticket, self._pids)
        return self._pids

    def outsider(self, provider: str, key: str) -> None:
        """Somebody else starts a worker, which lives as long as it likes."""
        self._pids += 1
        self.outsiders.append(Process(self, f"outsider {self._pids}", provider, key, self._pids))

    def outsider_goes(self, number: int) -> bool:
        """Somebody ends one, without a word; whether there was any."""
        living = [process for process in self.outsiders if process.alive]
        if living:
            living[number % len(living)].exit(None, 9)
        return bool(living)

    def kill(self, name: str, signal: int = 9) -> None:
        """End a process from outside."""
        process = self.by_name.get(name)
        if process is not None:
            process.exit(None, signal)

    def gone(self, process: Process, code: int | None, signal: int | None) -> None:
        """A process has ended; its daemon hears of it sooner or later."""
        self.by_plug.pop(process.plug, None)
        self.clock.trace(f"{process.name} is gone ({code}, {signal})")
        self.clock.after(self._chance.choice((0.0, 0.001, 0.02, 0.15)), self._tell, process, code, signal)

    def _tell(self, process: Process, code: int | None, signal: int | None) -> None:
        if self.by_name.get(process.name) is process:
            del self.by_name[process.name]
            self.exited(process.name, code, signal)

    def orphaned(self, *, at_once: bool) -> None:
        """Their daemon is gone: the lifeline ends them."""
        orphans = list(self.by_name.values())
        self.by_name.clear()
        for process in orphans:
            if process.alive:
                process.alive = not at_once
                self.clock.after(0.0 if at_once else self._chance.uniform(0.0, 0.03), process.exit, None, 9)

    def living(self) -> list[Process]:
        """Those that are there, by name."""
        return [self.by_name[name] for name in sorted(self.by_name) if self.by_name[name].alive]

    def pipe_full(self, peer: bytes) -> bool:
        """Whether a worker's pipe takes nothing at this moment; it does again at the next."""
        wire = self.network.wires.get(peer)
        process = self.by_plug.get(wire.end) if wire is not None else None
        if process is None or not process.pipe_full:
            return False
        process.choke()
        return True
