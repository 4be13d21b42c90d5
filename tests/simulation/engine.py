"""What an engine does in the simulated world: audio of the oracle, rows of a recording, and ends that are none.

Owns: the attempts in hand and their pace. Must not know: processes, connections (`Host` says what it needs of them).
Invariant: what an engine that is well says of an attempt is whole and in order; whoever was told to stop says nothing
more of it but that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from voicebus.bus import codec
from voicebus.bus import messages as m
from voicebus.workers.session import Session

from .cloning import Clone, Clones
from .oracle import Made, Oracle, passages
from .plan import UNSAYABLE


class Host(Protocol):
    """The process around an engine. sick: what is wrong with it."""

    session: Session
    sick: str

    def later(self, delay: float, do: Callable[..., None], *args: Any) -> None:
        """Do something soon."""

    def said(self, message: Any, body: bytes = b"") -> None:
        """Say something of an attempt."""

    def do(self, actions: list[Any]) -> None:
        """Do what the session wants done."""


@dataclass(slots=True, eq=False)
class Run:
    """An attempt in hand. credit: up to which sample audio may be sent. key, data: what it waits for, as far as it has
    come; then: what follows when it is whole. clone: what comes of an attempt to make a voice prompt."""

    work: m.Work
    made: Made
    credit: int
    key: str = ""
    data: bytes = b""
    then: Callable[[Run], None] | None = None
    clone: Clone | None = None
    seq: int = 0
    sent: int = 0
    waits: bool = False
    stopped: bool = False


class Engine:
    """runs: by attempt. hangs: it makes nothing any more. next_end: how an attempt is going to end badly."""

    def __init__(self, host: Host, oracle: Oracle, chance: Random) -> None:
        self.hangs = False
        self.next_end: tuple[str, str] | None = None
        self.runs: dict[str, Run] = {}
        self._fetching: deque[Run] = deque()
        self.clones = Clones(self, host, chance)
        self._host = host
        self._oracle = oracle
        self._chance = chance
        self._pause = chance.choice((0.002, 0.02, 0.1, 0.4))
        # However slow, at least twice as fast as it sounds: else a run is over before a book is.
        self._chunk = chance.choice((97, 250, 800) if self._pause < 0.05 else (250, 800))
        if self._pause == 0.4:
            self._chunk = 1200

    def stop(self, attempt: str) -> None:
        """An attempt is to end as soon as the engine looks up."""
        if attempt in self.runs:
            self.runs[attempt].stopped = True
            self._host.later(self._chance.choice((0.0, 0.001, 0.05)), self._halt, attempt)

    def of(self, run: Run, kind: type, *values: Any) -> Any:
        """A message of an attempt."""
        return kind(m.PROTOCOL, run.work.epoch, run.work.session, run.work.attempt, *values)

    def begin(self, work: m.Work, text: bytes) -> None:
        """An attempt begins."""
        run = Run(work, self._oracle.begin(work.attempt, "" if work.kind == "prompt" else text.decode()), work.credit)
        self.runs[work.attempt] = run
        if work.kind == "transcribe":
            self.fetch(run, f"input:{work.attempt}", lambda run: self._host.later(self._pause, self._hear, run))
        elif work.kind == "prompt":
            self.clones.make(run, text)
        elif work.prompt and not self.clones.has(run):
            self.fetch(run, f"prompt:{work.prompt}", self._cloned)
        else:
            self._begin(run)

    def _begin(self, run: Run) -> None:
        self._host.later(self._pause * self._chance.random() * 2, self._make, run)

    def _cloned(self, run: Run) -> None:
        """The prompt is here."""
        if why := self.clones.take(run):
            self.finished(run, self.of(run, m.Failed, "unavailable", why, 0.0))
        else:
            self._begin(run)

    def fetch(self, run: Run, key: str, then: Callable[[Run], None]) -> None:
        """Have all that a key means, a little at a time; then go on."""
        run.key, run.data, run.then = key, b"", then
        self._fetching.append(run)
        if len(self._fetching) == 1:
            self._need(run)

    def _fetched(self, run: Run) -> None:
        """An attempt waits for nothing any more: one thread fetches for all of them, one after the other."""
        if run in self._fetching:
            first = self._fetching[0] is run
            self._fetching.remove(run)
            run.then = None
            if first and self._fetching:
                self._need(self._fetching[0])

    def _need(self, run: Run) -> None:
        at, work = len(run.data), run.work
        up_to = at + self._chance.choice((70, 10**6))
        self._host.said(m.Need(m.PROTOCOL, work.epoch, work.session, run.key, up_to, at))

    def fed(self, message: m.Feed, body: bytes) -> None:
        """Some of what is waited for has come, or the word that there is none."""
        run = self._fetching[0] if self._fetching else None
        if run is not None and run.key == message.key and self.goes_on(run) and message.offset == len(run.data):
            self._fed(run, message, body)

    def _fed(self, run: Run, message: m.Feed, body: bytes) -> None:
        if message.missing:
            code = "invalid_input" if run.work.kind == "transcribe" else "unavailable"
            self.finished(run, self.of(run, m.Failed, code, message.missing, 0.0))
            return
        run.data += body
        if len(run.data) < message.size:
            self._need(run)
            return
        then = run.then
        self._fetched(run)
        assert then is not None
        then(run)

    def goes_on(self, run: Run) -> bool:
        """Whether an attempt is still to be worked at."""
        return not (run.stopped or self.hangs) and self.runs.get(run.work.attempt) is run

    def later(self, do: Callable[[Run], None], run: Run) -> None:
        """Go on with an attempt, after as long as this engine takes for a step."""
        self._host.later(self._pause * (0.5 + self._chance.random()), do, run)

    def _hear(self, run: Run) -> None:
        """The next row: about the recording, then a second of it each time, from where nobody has heard it."""
        if not self.goes_on(run):
            return
        said, begin = passages(run.data), round(run.work.from_s)
        if UNSAYABLE.encode() in run.data:
            self.finished(run, self.of(run, m.Failed, "invalid_input", "not that word", 0.0))
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
        self._host.said(self.of(run, m.Heard, run.sent), codec.encode(row))
        run.sent += 1
        self.later(self._hear, run)

    def allow(self, attempt: str, up_to: int) -> None:
        """Audio may be sent up to there."""
        run = self.runs.get(attempt)
        if run is not None:
            run.credit = max(run.credit, up_to)
            if run.waits:
                run.waits = False
                self._host.later(self._pause, self._make, run)

    def _make(self, run: Run) -> None:
        if not self.goes_on(run):
            return
        total = len(run.made.pcm) >> 1
        if UNSAYABLE in run.made.text:
            self.finished(run, self.of(run, m.Failed, "invalid_input", "not that word", 0.0))
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
        self._host.said(self.of(run, m.Chunk, run.seq, run.sent), pcm)
        if run.seq == 0:
            rows = [m.MarkRow("word", 0, 0, min(3, len(run.made.text)))]
            self._host.said(self.of(run, m.TakeMarks), codec.encode(rows))
        run.seq += 1
        run.sent += count
        self.later(self._make, run)

    def _done(self, run: Run) -> None:
        self.finished(run, self.of(run, m.Done, run.sent, 9000, 900.0, 0.01))

    def _end_badly(self, run: Run, how: str, code: str) -> None:
        self.next_end = None
        if how == "engine lies":
            self.finished(run, self.of(run, m.Done, run.sent + 100, 9000, 900.0, 0.01))
        elif how == "engine is silent" and run.work.kind == "speak":  # who leaves out speech nobody can find out
            self.finished(run, self.of(run, m.Done, run.sent, 0, 0.0, 0.01))
        elif how == "engine breaks the protocol":
            self._host.sick = "broke the protocol"
            if run.work.kind == "transcribe":
                self._host.said(self.of(run, m.Heard, run.sent + 1), b"")
                return
            self._host.said(self.of(run, m.Chunk, run.seq + 1, run.sent + 7), b"\1\0")
        else:
            self.finished(run, self.of(run, m.Failed, code, "no", 1.0))

    def finished(self, run: Run, message: Any) -> None:
        """An attempt has ended like this."""
        self._host.said(message)
        current = self._host.session.current(message)
        self.runs.pop(run.work.attempt, None)
        self._fetched(run)
        if current:
            self._host.do(self._host.session.ended(message))

    def _halt(self, attempt: str) -> None:
        run = self.runs.get(attempt)
        if run is not None and not self.hangs:
            self.finished(run, self.of(run, m.Stopped))
