"""A daemon: the real core, and hands that carry out its effects one by one and may stop being there before any of them.

Owns: the order of a pass, the pipes that are full, the daemon's deaths and its next life. Must not know: what is right
(`judge` is told of everything and decides). Invariant: a pass is that of `daemon/loop.py`: late first, then what
arrived, then the tick; effects are carried out as `daemon/shell.py` and `daemon/lanes.py` do it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voicebus.bus.codec import decode_from_client, decode_from_worker
from voicebus.daemon.core.core import Core
from voicebus.daemon.core.personal import files_of
from voicebus.daemon.core.records import Found, Outcome
from voicebus.daemon.core.settings import Settings

from .disk import Disk
from .hands import Died, Hands
from .network import Network
from .store import Store

if TYPE_CHECKING:
    from .clock import Clock
    from .judge import Judge

LATE_S = 0.1
"""As in `daemon/loop.py`."""

DRAIN = 256
"""Messages of each socket in one pass, as in `daemon/loop.py`."""


class Daemon(Hands):
    """One daemon after the other. run: the how manieth; core: None while there is none. killed: told when one is."""

    def __init__(
        self,
        clock: Clock,
        network: Network,
        disk: Disk,
        store: Store,
        settings: Settings,
        judge: Judge,
        processes: Any,
    ) -> None:
        self.core: Core | None = None
        self.run = 0
        self.deaths = 0
        self.effects_done = 0
        self.leaving = False
        self.stalled_until = 0.0
        self._clock = clock
        self._network = network
        self._disk = disk
        self._store = store
        self._settings = settings
        self._judge = judge
        self._processes = processes
        self._clients: deque[tuple[bytes, bytes, bytes]] = deque()
        self._workers: deque[tuple[bytes, bytes, bytes]] = deque()
        self._others: deque[Callable[[], None]] = deque()
        self._lanes: dict[bytes, deque[tuple[bytes, bytes]]] = {}
        self._checking: deque[tuple[int, str]] = deque()
        self._passes = 0
        self._due = float("inf")
        self._last = self._wait = 0.0
        self._die_in: int | None = None
        self._die_before = ""
        self._power = False
        self.killed: Callable[..., None] = lambda *, power: None
        self._chance = clock.chance("loop")
        store.applied = self._applied
        self._do = self._table()

    # ------------------------------------------------------------------------------------------- life and death

    def start(self) -> None:
        """A daemon is started, and takes up what there is."""
        if self.core is not None:
            return
        self.run += 1
        self.leaving = False
        now = self._clock.now
        self._clock.trace(f"daemon {self.run} starts")
        tickets = (f"t{self.run}.{number}" for number in range(1 << 30))
        core = Core(
            self._settings,
            f"e{self.run}",
            self._clock.chance(f"core {self.run}"),
            lambda: next(tickets),
            {"version": "1", "pid": self.run},
        )
        self.core = core
        self._judge.born(core)
        self._store.open(
            lambda outcome: self._other(lambda: self._committed(outcome)),
            lambda found: self._other(lambda: self._found(found)),
        )
        core.restore(self._store.next_order, self._store.unfinished(), self._store.audio_bytes())
        heard = {f"logs/{found.saved.job.log}.input" for found in self._store.unfinished()}
        self._disk.inputs = {name: data for name, data in self._disk.inputs.items() if name in heard}
        self._disk.keep_only(self._store.logs())
        self._restore_voices(core, now)
        self._network.listen()
        self._last, self._wait = now, 0.0
        try:
            core.start(now)
            self._carry_out()
        except Died:
            return
        self._schedule()

    def _restore_voices(self, core: Core, now: float) -> None:
        """As `taking_up.take_up_voices` and `tidy` do it."""
        saved, found = list(self._store.voices.values()), self._disk.voices.found()
        owned = files_of(saved, found)
        core.restore_voices(saved, {key: found[key] for key in owned}, now)
        self._disk.voices.keep_only(owned)
        self._judge.voices.restored(core)

    def die(self, *, power: bool) -> None:
        """The process is gone; with `power`, the machine was, too."""
        if self.core is None:
            return
        self.core = None
        self.deaths += 1
        self._clock.trace(f"daemon {self.run} is gone" + (", power too" if power else ""))
        self._die_in, self._die_before = None, ""
        self._passes += 1
        self._due = float("inf")
        self._clients.clear()
        self._workers.clear()
        self._others.clear()
        self._lanes.clear()
        self._checking.clear()
        self._store.shut()
        self._network.daemon_gone()
        if power:
            self._disk.power_cut()
        self._processes.orphaned(at_once=power)
        self._judge.died()
        self._clock.after(self._chance.choice((0.05, 0.2, 1.0, 2.5)), self.start)

    def doom(self, number: int, before: str, *, power: bool) -> None:
        """It is going to die before one of its next effects: `number` effects after the next one of that kind."""
        self._die_in, self._die_before, self._power = number, before, power

    def boundary(self, kind: str) -> None:
        """Between two effects, or at another place where a process may die. Raises Died."""
        if self._die_in is None:
            return
        if self._die_before:
            if kind != self._die_before:
                return
            self._die_before = ""
        if self._die_in:
            self._die_in -= 1
            return
        self._die_in = None
        self.killed(power=self._power)
        self.die(power=self._power)
        raise Died

    def _applied(self) -> None:
        with contextlib.suppress(Died):
            self.boundary("applied")

    def stall(self, seconds: float) -> None:
        """The process does nothing for so long."""
        self.stalled_until = max(self.stalled_until, self._clock.now + seconds)
        if self.core is not None:
            self._want(self.stalled_until)

    def stop(self) -> bool:
        """TERM; whether there is a daemon that does not leave already."""
        if self.core is None or self.leaving:
            return False
        self.leaving = True
        self._other(lambda: self.core is not None and self.core.terminate(self._clock.now))
        return True

    def reload(self, settings: Settings) -> None:
        """The file is another now, and there is a HUP; who is not there finds it when he begins."""
        self._settings = settings
        if self.core is not None:
            self._other(lambda: self._reload(settings))

    def _reload(self, settings: Settings) -> None:
        if self.core is not None:
            self._judge.workers.reloaded()
            self.core.reload(settings, self._clock.now)

    @property
    def settings(self) -> Settings:
        """As the file has them."""
        return self._settings

    def expire(self) -> None:
        """The time has come to see what is past its time."""
        if self.core is not None:
            self.core.world.expire_at = self._clock.now

    # ----------------------------------------------------------------------------------------------------- passes

    def arrived(self, peer: bytes, header: bytes, body: bytes) -> None:
        """A message has come to one of the sockets."""
        (self._clients if peer[:1] == b"c" else self._workers).append((peer, header, body))
        self._want(self._clock.now + 0.0001 + 0.0005 * self._chance.random())

    def exited(self, name: str, code: int | None, signal: int | None) -> None:
        """A worker's process has ended."""
        self._other(lambda: self.core is not None and self.core.exited(name, code, signal, ["words"], self._clock.now))

    def _other(self, do: Callable[[], object]) -> None:
        self._others.append(do)
        self._want(self._clock.now + 0.0001)

    def _want(self, at: float) -> None:
        """Have a pass no later than that."""
        at = max(at, self.stalled_until)
        if at < self._due:
            self._due = at
            self._passes += 1
            self._clock.at(at, self._pass, self._passes)

    def _schedule(self) -> None:
        core, now = self.core, self._clock.now
        if core is None:
            return
        self._last = now
        if core.hungry or self._clients or self._workers or self._others:
            self._wait = 0.0
        else:
            deadline = core.next_deadline(now)
            self._wait = 3600.0 if deadline is None else max(0.0, deadline - now)
        self._want(now + max(self._wait, 0.0002))

    def _pass(self, number: int) -> None:
        if number != self._passes or self.core is None:
            return
        self._due = float("inf")
        now = self._clock.now
        if now < self.stalled_until:
            self._want(self.stalled_until)
            return
        try:
            self._turn(now)
        except Died:
            return
        self._judge.look()
        self._schedule()

    def _turn(self, now: float) -> None:
        core = self.core
        assert core is not None
        by = now - self._last - self._wait
        if by > LATE_S:
            self._clock.trace(f"late by {by:.3f}")
            core.late(by, now)
        while self._others:
            self._others.popleft()()
            self._carry_out()
        for _ in range(min(len(self._clients), DRAIN)):
            self._from_client(core, *self._clients.popleft(), now)
        for _ in range(min(len(self._workers), DRAIN)):
            self._from_worker(core, *self._workers.popleft(), now)
        core.tick(now)
        self._carry_out()

    def _from_client(self, core: Core, peer: bytes, header: bytes, body: bytes, now: float) -> None:
        message = decode_from_client(header)
        uid, pid = self._judge.who(peer)
        self._judge.from_client(peer, uid, message, body)
        self._clock.trace("<", header, peer, message)
        core.client_message(peer, uid, pid, message, body, now)
        if peer in self._lanes:
            self._retry(peer)
        self._carry_out()

    def _from_worker(self, core: Core, peer: bytes, header: bytes, body: bytes, now: float) -> None:
        message = decode_from_worker(header)
        self._judge.workers.from_worker(peer, message, body)
        self._clock.trace("<", header, peer, message)
        core.worker_message(peer, 0, 0, message, body, now)
        self._carry_out()

    def _committed(self, outcome: Outcome) -> None:
        if self.core is not None:
            self.core.committed(outcome, self._clock.now)

    def _found(self, found: Found) -> None:
        if self.core is not None:
            self.core.found(found, self._clock.now)

    def _carry_out(self) -> None:
        core = self.core
        if core is None:
            raise Died
        effects = core.effects
        for effect in effects:
            kind = type(effect)
            self.boundary(kind.__name__)
            self.effects_done += 1
            self._do[kind](effect)
        effects.clear()
