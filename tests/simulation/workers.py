"""Workers: processes with the real session of a worker and a performer that makes the oracle's audio.

Owns: the processes, their engines' pace, and what can go wrong with them. Must not know: the core. Invariant: a worker
without a fault keeps the protocol to the letter, since `workers/session.py` says it; `sick` says why one has no right
to live.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicebus.bus import codec
from voicebus.bus import messages as m
from voicebus.daemon.core.settings import Provider
from voicebus.workers.session import Allow as More
from voicebus.workers.session import Begin, Exit, Fed, Halt, Identity, Load, Say, Session

from .clock import Clock
from .network import Network, Plug
from .oracle import RATE, Made, Oracle, passages
from .plan import UNSAYABLE

if TYPE_CHECKING:
    from collections.abc import Callable

READY_BODY = codec.encode(
    {
        "voices": [{"name": "en", "languages": ["en"], "gender": "", "description": "", "variants": []}],
        "capabilities": {
            "transcribe": True, "models": ["m"],
            "streams": True, "marks": ["word"], "ssml": False, "rate": True, "pitch": True, "volume": True,
            "punctuation": True, "seed": False, "instruct": False, "own_end": True, "options": [],
            "default_voices": {"": "en"},
        },
        "device": {},
        "engine": {"name": "oracle", "version": "1"},
    }
)  # fmt: skip

PATIENCE_S = 1.0
"""A worker that stood still for less than this is not to be killed for it: shorter than every deadline of a worker."""


@dataclass(slots=True)
class Run:
    """An attempt in hand. credit: up to which sample audio may be sent. data: of a recording, as far as it has come."""

    work: m.Work
    made: Made
    credit: int
    data: bytes = b""
    seq: int = 0
    sent: int = 0
    waits: bool = False
    stopped: bool = False


class Process:
    """One worker's process. sick: what is wrong with it, "" while nothing is."""

    def __init__(self, owner: Processes, name: str, provider: str, ticket: str, pid: int) -> None:
        self.name = name
        self.alive = True
        self.sick = ""
        self.frozen_until = 0.0
        self.pipe_full = False
        self.hangs = False
        self.next_end: tuple[str, str] | None = None
        self.runs: dict[str, Run] = {}
        self._away_until = self._choked_at = 0.0
        self._cut_off = False
        self._held: deque[tuple[bytes, bytes]] = deque()
        self._owner = owner
        self._clock = owner.clock
        self._chance = owner.clock.chance(f"worker {pid}")
        self._pause = self._chance.choice((0.002, 0.02, 0.1, 0.4))
        # However slow, at least twice as fast as it sounds: else a run is over before a book is.
        self._chunk = self._chance.choice((97, 250, 800) if self._pause < 0.05 else (250, 800))
        if self._pause == 0.4:
            self._chunk = 1200
        self._slow_load, self._dies_loading = owner.next_load, owner.next_load_dies
        owner.next_load, owner.next_load_dies = 0.0, False
        self.session = Session(Identity(ticket, provider, "1", pid), self._clock.now)
        self.plug = Plug(owner.network, self._arrived, "w")
        owner.by_plug[self.plug] = self
        self._timers = 0
        self._wake(0.0)

    # -------------------------------------------------------------------------------------------------- its threads

    def _later(self, delay: float, do: Callable[..., None], *args: Any) -> None:
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
        self._later(delay, self._tick, self._timers)

    def _tick(self, number: int) -> None:
        if number == self._timers:
            self._do(self.session.tick(self._clock.now, 10_000_000))
            if self.alive:
                self._wake(max(self.session.next_at - self._clock.now, 0.001))

    def _arrived(self) -> None:
        self._later(0.0, self._read)

    def _read(self) -> None:
        while self._held and self.plug.send(*self._held[0]):
            self._held.popleft()
        while self.alive and (parts := self.plug.receive()) is not None:
            before = self.session.next_at
            self._do(self.session.receive(codec.decode_to_worker(parts[0]), parts[1], self._clock.now))
            if self.alive and self.session.next_at < before:
                self._wake(max(self.session.next_at - self._clock.now, 0.0))

    def _do(self, actions: list[Any]) -> None:
        for action in actions:
            match action:
                case Say():
                    self.say(action.message, action.body)
                case Begin():
                    self._begin(action.work, action.text)
                case Fed():
                    self._fed(action.message, action.body)
                case More():
                    self._allow(action.attempt, action.up_to)
                case Halt():
                    if action.attempt in self.runs:
                        self.runs[action.attempt].stopped = True
                        self._later(self._chance.choice((0.0, 0.001, 0.05)), self._halt, action.attempt)
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

    def _said(self, message: Any, body: bytes = b"") -> None:
        """What an attempt says goes nowhere once its session is over."""
        if self.session.current(message):
            self.say(message, body)

    def _of(self, run: Run, kind: type, *values: Any) -> Any:
        return kind(m.PROTOCOL, run.work.epoch, run.work.session, run.work.attempt, *values)

    # -------------------------------------------------------------------------------------------------- the engine

    def _load(self) -> None:
        if self._dies_loading:
            self.sick = "dies loading"
            self._later(self._chance.uniform(0.0, 0.3), self.exit, 1, None)
            return
        if self._slow_load:
            self.sick = "loads slowly"
        self._later(self._slow_load + self._chance.choice((0.01, 0.1, 0.8)), self._loaded)

    def _loaded(self) -> None:
        ready = m.Ready(rate=RATE, slots=self._owner.slots, load_s=0.1, first_audio_s=0.01, factor=0.05)
        self._clock.after(PATIENCE_S, self._well_again, "loads slowly")
        self._do(self.session.loaded(ready, READY_BODY, 10_000_000))

    def _begin(self, work: m.Work, text: bytes) -> None:
        run = Run(work, self._owner.oracle.begin(work.attempt, text.decode()), work.credit)
        self.runs[work.attempt] = run
        if work.kind == "transcribe":
            self._need(run)
            return
        self._later(self._pause * self._chance.random() * 2, self._make, run)

    def _need(self, run: Run) -> None:
        """Ask for some more of the recording, a little at a time."""
        at, work = len(run.data), run.work
        key = f"input:{work.attempt}"
        self._said(m.Need(m.PROTOCOL, work.epoch, work.session, key, at + self._chance.choice((70, 10**6)), at))

    def _fed(self, message: m.Feed, body: bytes) -> None:
        run = self.runs.get(message.key.partition(":")[2])
        if run is None or run.stopped or self.hangs or message.offset != len(run.data):
            return
        if message.missing:
            self._finished(run, self._of(run, m.Failed, "invalid_input", message.missing, 0.0))
            return
        run.data += body
        if len(run.data) < message.size:
            self._need(run)
        else:
            self._later(self._pause, self._hear, run)

    def _hear(self, run: Run) -> None:
        """The next row: about the recording, then a second of it each time, from where nobody has heard it."""
        if run.stopped or self.hangs or self.runs.get(run.work.attempt) is not run:
            return
        said, begin = passages(run.data), round(run.work.from_s)
        if UNSAYABLE.encode() in run.data:
            self._finished(run, self._of(run, m.Failed, "invalid_input", "not that word", 0.0))
            return
        number = begin + run.sent - 1
        if self.next_end is not None and run.sent > len(said) // 3:
            self._end_badly(run, *self.next_end)
            return
        if number >= len(said):
            self._done(run)
            return
        name = run.work.attempt
        row = m.HeardRow("passage", float(number), number + 1.0, f"{name} {said[number]}")
        if not run.sent:
            row = m.HeardRow("about", end=float(len(said)), language=name)
        self._said(self._of(run, m.Heard, run.sent), codec.encode(row))
        run.sent += 1
        self._later(self._pause * (0.5 + self._chance.random()), self._hear, run)

    def _allow(self, attempt: str, up_to: int) -> None:
        run = self.runs.get(attempt)
        if run is not None:
            run.credit = max(run.credit, up_to)
            if run.waits:
                run.waits = False
                self._later(self._pause, self._make, run)

    def _make(self, run: Run) -> None:
        if run.stopped or self.hangs or self.runs.get(run.work.attempt) is not run:
            return
        total = len(run.made.pcm) >> 1
        if UNSAYABLE in run.made.text:
            self._finished(run, self._of(run, m.Failed, "invalid_input", "not that word", 0.0))
            return
        if self.next_end is not None and run.sent >= total // 3:
            self._end_badly(run, *self.next_end)
            return
        count = min(self._chunk, total - run.sent, run.credit - run.sent)
        if run.sent >= total:
            self._done(run)
            return
        if count <= 0:
            run.waits = True
            return
        pcm = run.made.pcm[2 * run.sent : 2 * (run.sent + count)]
        self._said(self._of(run, m.Chunk, run.seq, run.sent), pcm)
        if run.seq == 0:
            rows = [m.MarkRow("word", 0, 0, min(3, len(run.made.text)))]
            self._said(self._of(run, m.TakeMarks), codec.encode(rows))
        run.seq += 1
        run.sent += count
        self._later(self._pause * (0.5 + self._chance.random()), self._make, run)

    def _done(self, run: Run) -> None:
        self._finished(run, self._of(run, m.Done, run.sent, 9000, 900.0, 0.01))

    def _end_badly(self, run: Run, how: str, code: str) -> None:
        self.next_end = None
        if how == "engine lies":
            self._finished(run, self._of(run, m.Done, run.sent + 100, 9000, 900.0, 0.01))
        elif how == "engine is silent" and run.work.kind == "speak":  # who leaves out speech nobody can find out
            self._finished(run, self._of(run, m.Done, run.sent, 0, 0.0, 0.01))
        elif how == "engine breaks the protocol":
            self.sick = "broke the protocol"
            if run.work.kind == "transcribe":
                self._said(self._of(run, m.Heard, run.sent + 1), b"")
                return
            self._said(self._of(run, m.Chunk, run.seq + 1, run.sent + 7), b"\1\0")
        else:
            self._finished(run, self._of(run, m.Failed, code, "no", 1.0))

    def _finished(self, run: Run, message: Any) -> None:
        self._said(message)
        current = self.session.current(message)
        self.runs.pop(run.work.attempt, None)
        if current:
            self._do(self.session.ended(message))

    def _halt(self, attempt: str) -> None:
        run = self.runs.get(attempt)
        if run is not None and not self.hangs:
            self._finished(run, self._of(run, m.Stopped))

    # -------------------------------------------------------------------------------------------- what goes wrong

    def hang(self) -> None:
        """The engine makes nothing any more; beats go on."""
        self.hangs = True
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
        self._cut_off = True

    @property
    def idle(self) -> bool:
        """Whether it has nothing in hand that its daemon may count on: what it had before it was cut off is void."""
        return self._cut_off or not self.runs

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
