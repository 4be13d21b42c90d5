"""What a fault does to whom.

Owns: how each kind of fault is carried out, and which of them happened. Must not know: when, what is right. Invariant:
what changes nothing, since it is so already, is no fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from .clients import Person
from .clock import Clock
from .configuration import KEY, changed
from .disk import Disk
from .judge import Judge
from .plan import Fault
from .shell import Daemon
from .store import Store
from .workers import Processes

DEATHS = frozenset({"daemon dies", "power cut"})
"""These are planned for the next boundary of a kind, which may never come."""


class Faults:
    """A part of a simulation. faults: those that happened."""

    faults: Counter[str]
    clock: Clock
    daemon: Daemon
    disk: Disk
    judge: Judge
    people: list[Person]
    processes: Processes
    store: Store

    def befall(self, fault: Fault) -> None:
        """What changes nothing, since it is so already, is no fault; deaths of the daemon count when it dies."""
        if BEFALL[fault.kind](self, fault):
            self.faults[fault.kind] += fault.kind not in DEATHS
            self.judge.befell[fault.kind] += 1
            self.clock.trace(f"!! {fault.kind} ({fault.target}, {fault.length:.2f} s)")

    def _daemon_dies(self, fault: Fault) -> bool:
        if self.daemon.core is not None:
            self.daemon.doom(fault.number, fault.before, power=fault.kind == "power cut")
        return self.daemon.core is not None

    def died(self, *, power: bool) -> None:
        self.faults["power cut" if power else "daemon dies"] += 1

    def _daemon_stalls(self, fault: Fault) -> bool:
        self.daemon.stall(fault.length)
        if fault.target % 3 == 0:  # the machine slept, and everybody with it
            for process in self.processes.living():
                process.frozen_until = max(process.frozen_until, self.clock.now + fault.length)
            for person in self.people:
                person.stall(fault.length)
        return self.daemon.core is not None

    def _daemon_stops(self, fault: Fault) -> bool:
        return self.daemon.stop()

    def _worker(self, fault: Fault) -> bool:
        living = self.processes.living()
        if not living:
            return False
        process = living[fault.target % len(living)]
        match fault.kind:
            case "worker is killed":
                process.exit(None, 9)
            case "worker loses its connection" if not process.plug.up:
                return False
            case "worker loses its connection":
                process.lose(min(fault.length, 0.5) if fault.number % 2 else fault.length)
                self.judge.befell["a worker is away"] += bool(process.sick)
            case "worker stalls":
                process.freeze(fault.length)
            case "worker's pipe is full":
                full, process.pipe_full = process.pipe_full, True
                return not full
            case "engine crashes":
                process.exit(*((1, None) if fault.number % 2 else (None, 11)))
            case "engine hangs" if not process.engine.hangs:
                process.hang()
            case "engine hangs":
                return False
            case _ if process.engine.next_end is not None:
                return False
            case _:
                code = ("unavailable", "out_of_memory", "invalid_input", "rate_limited")[fault.target % 4]
                process.engine.next_end = (fault.kind, code)
        return True

    def _load(self, fault: Fault) -> bool:
        if fault.kind == "worker dies loading":
            before, self.processes.next_load_dies = self.processes.next_load_dies, True
        else:
            before, self.processes.next_load = self.processes.next_load > 0, 2.0 + 2.0 * fault.length
        return not before

    def _client(self, fault: Fault) -> bool:
        person = self.people[fault.target % len(self.people)]
        if person.session is None or person.plug is None:
            return False
        match fault.kind:
            case "client loses its connection" | "client is cut off" if not person.plug.up:
                return False
            case "client vanishes":
                person.vanish()
                self.clock.after(fault.length, person.begin)
            case "client stalls":
                person.stall(fault.length)
            case "client loses its connection":
                person.plug.lose(0.0005)
            case "client is cut off":
                person.plug.lose(fault.length)
            case _:
                person.pause(fault.length)
        return True

    def _disk_full(self, fault: Fault) -> bool:
        if self.disk.full:
            return False
        self.disk.full, self.disk.ends = True, fault.target % 2 == 0

        def room() -> None:
            self.disk.full = False

        self.clock.after(min(fault.length, 5.0), room)
        return True

    def _commits(self, fault: Fault) -> bool:
        until = self.clock.now + min(fault.length, 6.0)
        if fault.kind == "commits fail":
            before, self.store.failing_until = self.store.failing_until, until
        else:
            before, self.store.slow_until = self.store.slow_until, until
        return before <= self.clock.now

    def _reload(self, fault: Fault) -> bool:
        self.daemon.reload(changed(self.daemon.settings, fault.target, fault.number))
        return True

    def _outsider(self, fault: Fault) -> bool:
        if fault.kind == "an outsider goes":
            return self.processes.outsider_goes(fault.target)
        self.processes.outsider("ab"[fault.target % 2], KEY)
        return True

    def _retention(self, fault: Fault) -> bool:
        self.daemon.expire()
        return self.daemon.core is not None

    def _jump(self, fault: Fault) -> bool:
        self.store.wall += (fault.length - 3.0) * 1e6
        return True


BEFALL: dict[str, Callable[[Faults, Fault], bool]] = {
    "daemon dies": Faults._daemon_dies,
    "power cut": Faults._daemon_dies,
    "daemon stalls": Faults._daemon_stalls,
    "daemon is stopped": Faults._daemon_stops,
    "worker is killed": Faults._worker,
    "worker loses its connection": Faults._worker,
    "worker stalls": Faults._worker,
    "worker's pipe is full": Faults._worker,
    "engine crashes": Faults._worker,
    "engine hangs": Faults._worker,
    "engine is silent": Faults._worker,
    "engine lies": Faults._worker,
    "engine fails": Faults._worker,
    "engine breaks the protocol": Faults._worker,
    "worker loads slowly": Faults._load,
    "worker dies loading": Faults._load,
    "client vanishes": Faults._client,
    "client stalls": Faults._client,
    "client loses its connection": Faults._client,
    "client is cut off": Faults._client,
    "client pauses": Faults._client,
    "disk is full": Faults._disk_full,
    "commits fail": Faults._commits,
    "commits are slow": Faults._commits,
    "wall clock jumps": Faults._jump,
    "configuration is read again": Faults._reload,
    "an outsider comes": Faults._outsider,
    "an outsider goes": Faults._outsider,
    "retention is due": Faults._retention,
}
