"""The one thread: sockets, child exits, signals and timers in, effects out.

Owns: the order of a pass, how long to wait for the next one, and how late it was. Must not know: what events
mean or effects do. Invariant: nothing is judged by a clock that stood still: a pass that comes late first
tells the core by how much, so that every deadline moves, then delivers what has arrived, and only then looks
at deadlines.
"""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Callable

import zmq

from .core.records import SampleFacts
from .core.settings import Settings
from .doors import Doors
from .inbox import Inbox
from .lanes import Lanes
from .logs import log
from .notify import Notifier
from .processes import Processes
from .shell import Core, Shell

LATE_S = 0.1
"""So much more than was asked of `poll`, and the pass counts as late: scheduling on a busy machine is below
it."""

BUSY_CHECK_S = 1.0
IDLE_CHECK_S = 10.0
"""How often to see whether the sockets' files are still there, with and without workers or slow clients."""

_POLLIN = int(zmq.POLLIN)


class Loop:
    """A running daemon. `run` returns its exit code.

    others: everything that is no ZeroMQ socket; its data are functions to call. reload: reads the
    configuration again, or returns None having said why not.
    """

    def __init__(
        self,
        core: Core,
        shell: Shell,
        doors: Doors,
        inboxes: tuple[Inbox, Inbox],
        lanes: Lanes,
        others: selectors.DefaultSelector,
        processes: Processes,
        notifier: Notifier,
        reload: Callable[[], Settings | None],
    ) -> None:
        self.ready: Callable[[], None] = lambda: None
        self._core = core
        self._shell = shell
        self._doors = doors
        self._inboxes = inboxes
        self._lanes = lanes
        self._others = others
        self._processes = processes
        self._notifier = notifier
        self._reload = reload
        self._now = 0.0
        self._terminations = 0
        self._check_at = 0.0
        self._unreachable = False
        self._watchdog_at: float | None = None
        self._poller = zmq.Poller()
        for readable in (doors.clients.socket, doors.workers.socket, others.fileno()):
            self._poller.register(readable, zmq.POLLIN)
        for door in (doors.clients, doors.workers):
            others.register(door.watched, selectors.EVENT_READ, self._watch_doors)

    # ------------------------------------------------------------------------------------------- events

    def exited(self, worker: str, code: int | None, signal: int | None, stderr: list[str]) -> None:
        """A worker's process has ended (from `Processes`)."""
        self._core.exited(worker, code, signal, stderr, self._now)
        self._shell.carry_out(self._now)

    def helped(self, log: str, size: int, reason: str, *, packed: bool) -> None:
        """A helper has packed or unpacked a log (from `Packer`)."""
        self._shell.helped(log, size, reason, self._now, packed=packed)
        self._shell.carry_out(self._now)

    def checked(self, uid: int, sample: str, facts: SampleFacts | None, reason: str) -> None:
        """A helper has looked at a recording (from `VoiceChecker`)."""
        self._core.sample_checked(uid, sample, facts, reason, self._now)
        self._shell.carry_out(self._now)

    def collect(self) -> None:
        """The store has done or found something."""
        self._shell.collect(self._now)
        self._shell.carry_out(self._now)

    def synced(self) -> None:
        """A journal has reached the disk."""
        self._shell.synced(self._now)
        self._shell.carry_out(self._now)

    def terminate(self) -> None:
        """TERM or INT: once, leave in order; again, at once; a third time, without asking the core."""
        self._terminations += 1
        self._notifier.stopping()
        if self._terminations > 2:
            self._shell.leaving = 0
        self._core.terminate(self._now)
        self._shell.carry_out(self._now)

    def reload(self) -> None:
        """HUP: the configuration again, all of it or none."""
        settings = self._reload()
        if settings is not None:
            self._core.reload(settings, self._now)
            self._shell.carry_out(self._now)

    # ------------------------------------------------------------------------------------------- passes

    def run(self) -> int:
        """Turn until the core says leave."""
        now = self._now = time.monotonic()
        self._check_at = now + IDLE_CHECK_S
        self._core.start(now)
        self._shell.carry_out(now)
        more = self._pass({}, now, late=False)
        self.ready()
        if self._notifier.watchdog_s is not None:
            self._watchdog_at = now
        while self._shell.leaving is None:
            wait = 0.0 if more else self._wait(time.monotonic())
            came = dict(self._poller.poll(math.ceil(wait * 1000)))
            before, now = now, time.monotonic()
            by = now - before - wait
            if by > LATE_S:
                log.debug("late by %.3f s", by)
                self._core.late(by, now)
            more = self._pass(came, now, late=by > LATE_S)
        # An error, so that a service manager starts the next one.
        return self._shell.leaving or int(self._unreachable)

    def _wait(self, now: float) -> float:
        """Seconds until something has to be done even if nothing comes."""
        if self._core.hungry:
            return 0.0
        times = (self._core.next_deadline(now), self._lanes.retry_at, self._watchdog_at, self._check_at)
        return max(0.0, min(at for at in times if at is not None) - now)

    def _pass(self, came: dict[object, int], now: float, *, late: bool) -> bool:
        """Deliver what came, then tick; True if there may be more to receive."""
        self._now = now
        doors, (clients, workers) = self._doors, self._inboxes
        more = False
        if doors.clients.socket in came:
            more = clients.drain(now)
        others = self._others.fileno() in came
        # Before exits: what a worker said before it left counts, or its last sentence is heard twice.
        if doors.workers.socket in came or others:
            more = workers.drain(now) or more
        if others:
            for key, _ in self._others.select(0):
                key.data()
        if self._lanes.retry_at is not None and now >= self._lanes.retry_at:
            self._lanes.retry_all(now)
        self._core.tick(now)
        self._shell.carry_out(now)
        if now >= self._check_at:
            self._check(now)
        if not late and self._watchdog_at is not None and now >= self._watchdog_at:
            assert self._notifier.watchdog_s is not None
            self._notifier.watchdog()
            self._watchdog_at = now + self._notifier.watchdog_s
        return more

    def _watch_doors(self) -> None:
        for moved in self._doors.watch():
            log.warning("%s", moved)
            # Nobody tells when there is room again.
            self._check_at = min(self._check_at, self._now + BUSY_CHECK_S)

    def _check(self, now: float) -> None:
        """Now and then: doors open or shut, and whether their files are still there."""
        self._watch_doors()
        busy = self._doors.any_shut or len(self._lanes.waiting) or len(self._processes)
        self._check_at = now + (BUSY_CHECK_S if busy else IDLE_CHECK_S)
        if not self._doors.in_place() and not self._terminations:
            log.error("the sockets in %s are gone, so nobody can reach this daemon", self._doors.clients.path)
            self._unreachable = True
            self.terminate()
