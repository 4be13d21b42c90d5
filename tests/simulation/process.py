"""One worker's process: the real session of a worker, threads that can stand still, and what can go wrong with it.

Owns: what a process hears and says, and when; loading; `sick`. Must not know: the core, what is made (`engine`).
Invariant: a process without a fault keeps the protocol to the letter, since `workers/session.py` says it; `sick` says
why one has no right to live.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from voicebus.bus import codec
from voicebus.bus import messages as m
from voicebus.workers.session import Allow as More
from voicebus.workers.session import Begin, Exit, Fed, Halt, Identity, Load, Say, Session

from .engine import Engine
from .network import Plug
from .oracle import RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .workers import Processes


def ready_body(provider: str) -> bytes:
    """What an engine of a provider can do."""
    return codec.encode(
        {
            "voices": [{"name": "en", "languages": ["en"], "gender": "", "description": "", "variants": []}],
            "capabilities": {
                "transcribe": True, "cloning": True, "models": ["m"],
                "streams": True, "marks": ["word"], "ssml": False, "rate": True, "pitch": True, "volume": True,
                "punctuation": True, "seed": False, "instruct": False, "own_end": True, "options": [],
                "default_voices": {"": "en"},
            },
            "device": {},
            "prompts": {"model": f"m{provider}", "revision": "1", "mode": "x"},
            "engine": {"name": "oracle", "version": "1"},
        }
    )  # fmt: skip


PATIENCE_S = 1.0
"""A worker that stood still for less than this is not to be killed for it: shorter than every deadline of a worker."""


class Process:
    """One worker's process. sick: what is wrong with it, "" while nothing is."""

    def __init__(self, owner: Processes, name: str, provider: str, ticket: str, pid: int) -> None:
        self.name = name
        self._provider = provider
        self.alive = True
        self.sick = ""
        self.frozen_until = 0.0
        self.pipe_full = False
        self._away_until = self._choked_at = 0.0
        self._cut_off = False
        self._held: deque[tuple[bytes, bytes]] = deque()
        self._owner = owner
        self._clock = owner.clock
        self._chance = owner.clock.chance(f"worker {pid}")
        self.engine = Engine(self, owner.oracle, self._chance)
        self._slow_load, self._dies_loading = owner.next_load, owner.next_load_dies
        owner.next_load, owner.next_load_dies = 0.0, False
        self.session = Session(Identity(ticket, provider, "1", pid), self._clock.now)
        self.plug = Plug(owner.network, self._arrived, "w")
        owner.by_plug[self.plug] = self
        self._timers = 0
        self._wake(0.0)

    # -------------------------------------------------------------------------------------------------- its threads

    def later(self, delay: float, do: Callable[..., None], *args: Any) -> None:
        """Do something soon, unless the process is gone by then; when it stands still, once it moves again."""
        self._clock.after(delay, self._now, do, args)

    def _now(self, do: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.alive:
            return
        if self._clock.now < self.frozen_until:
            self._clock.at(self.frozen_until, self._now, do, args)
        else:
            do(*args)

    def _wake(self, delay: float) -> None:
        self._timers += 1
        self.later(delay, self._tick, self._timers)

    def _tick(self, number: int) -> None:
        if number == self._timers:
            self.do(self.session.tick(self._clock.now, 10_000_000))
            if self.alive:
                self._wake(max(self.session.next_at - self._clock.now, 0.001))

    def _arrived(self) -> None:
        self.later(0.0, self._read)

    def _read(self) -> None:
        while self._held and self.plug.send(*self._held[0]):
            self._held.popleft()
        while self.alive and (parts := self.plug.receive()) is not None:
            before = self.session.next_at
            self.do(self.session.receive(codec.decode_to_worker(parts[0]), parts[1], self._clock.now))
            if self.alive and self.session.next_at < before:
                self._wake(max(self.session.next_at - self._clock.now, 0.0))

    def do(self, actions: list[Any]) -> None:
        """Do what the session wants done."""
        for action in actions:
            match action:
                case Say():
                    self.say(action.message, action.body)
                case Begin():
                    self.engine.begin(action.work, action.text)
                case Fed():
                    self.engine.fed(action.message, action.body)
                case More():
                    self.engine.allow(action.attempt, action.up_to)
                case Halt():
                    self.engine.stop(action.attempt)
                case Load():
                    self._load()
                case Exit():
                    self.exit(action.code, None)
                    return

    def say(self, message: Any, body: bytes = b"") -> None:
        """Send, as soon as anybody is there; a beat that would tell of the past is left out."""
        self._cut_off = self._cut_off and not isinstance(message, m.Register)
        if self._held or not self.plug.send(codec.encode(message), body):
            if isinstance(message, m.Register):
                self._held.clear()
            if not self._held or not isinstance(message, m.Beat):
                self._held.append((codec.encode(message), body))

    def said(self, message: Any, body: bytes = b"") -> None:
        """What an attempt says goes nowhere once its session is over."""
        if self.session.current(message):
            self.say(message, body)

    def _load(self) -> None:
        if self._dies_loading:
            self.sick = "dies loading"
            self.later(self._chance.uniform(0.0, 0.3), self.exit, 1, None)
            return
        if self._slow_load:
            self.sick = "loads slowly"
        self.later(self._slow_load + self._chance.choice((0.01, 0.1, 0.8)), self._loaded)

    def _loaded(self) -> None:
        ready = m.Ready(rate=RATE, slots=self._owner.slots, load_s=0.1, first_audio_s=0.01, factor=0.05)
        self._clock.after(PATIENCE_S, self._well_again, "loads slowly")
        self.do(self.session.loaded(ready, ready_body(self._provider), 10_000_000))

    # -------------------------------------------------------------------------------------------- what goes wrong

    def hang(self) -> None:
        """The engine makes nothing any more; beats go on."""
        self.engine.hangs = True
        self.sick = "hangs"

    def freeze(self, seconds: float) -> None:
        """All threads stand still, and then go on where they were."""
        self.frozen_until = max(self.frozen_until, self._clock.now + seconds)
        if seconds >= PATIENCE_S:
            self.sick = self.sick or "stood still"
            self._clock.after(seconds + PATIENCE_S, self._well_again, "stood still")

    def lose(self, seconds: float) -> int:
        """The connection is gone for so long. How many messages are lost."""
        now = self._clock.now
        away_again = now < self._away_until + PATIENCE_S
        self._away_until = max(self._away_until, now + seconds)
        self._cut_off = True
        if seconds >= PATIENCE_S or away_again:
            self.sick = self.sick or "was away"
        self._clock.at(self._away_until + PATIENCE_S, self._well_again, "was away")
        return self.plug.lose(seconds)

    def choke(self) -> None:
        """Its pipe has taken nothing: what was to be said to it is lost, were it the word that it is to register."""
        self.pipe_full = False
        self._choked_at = self._clock.now
        if self._cut_off:  # for the second time, before it could register again
            self.sick = self.sick or "was away"
            self._clock.at(self._choked_at + PATIENCE_S, self._well_again, "was away")
        self._cut_off = True

    @property
    def idle(self) -> bool:
        """Whether it has nothing in hand that its daemon may count on: what it had before it was cut off is void."""
        return self._cut_off or not self.engine.runs

    def _well_again(self, what: str) -> None:
        """From when it was undisturbed for a while: until then nobody may have got through to it."""
        if not self.alive or self.sick != what:
            return
        well_at = max(self.frozen_until, self._away_until, self._choked_at) + PATIENCE_S
        if self.session._ready is None:  # what was lost of the time to load stays lost
            well_at = self._clock.now + PATIENCE_S
        if self._clock.now >= well_at:
            self.sick = ""
        else:
            self._clock.at(well_at, self._well_again, what)

    def exit(self, code: int | None, signal: int | None) -> None:
        """The process ends."""
        if self.alive:
            self.alive = False
            self.plug.close()
            self._owner.gone(self, code, signal)
