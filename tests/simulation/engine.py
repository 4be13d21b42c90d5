"""What an engine does in the simulated world: audio of the oracle, rows of a recording, and ends that are none.

Owns: the attempts in hand and their pace. Must not know: processes, connections (`Host` says what it needs of them).
Invariant: what an engine that is well says of an attempt is whole and in order; whoever was told to stop says nothing
more of it but that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from voicebus.bus import codec
from voicebus.bus import messages as m
from voicebus.workers.session import Session

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


class Engine:
    """runs: by attempt. hangs: it makes nothing any more. next_end: how an attempt is going to end badly."""

    def __init__(self, host: Host, oracle: Oracle, chance: Random) -> None:
        self.hangs = False
        self.next_end: tuple[str, str] | None = None
        self.runs: dict[str, Run] = {}
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

    def _of(self, run: Run, kind: type, *values: Any) -> Any:
        return kind(m.PROTOCOL, run.work.epoch, run.work.session, run.work.attempt, *values)

    def begin(self, work: m.Work, text: bytes) -> None:
        """An attempt begins."""
        run = Run(work, self._oracle.begin(work.attempt, text.decode()), work.credit)
        self.runs[work.attempt] = run
        if work.kind == "transcribe":
            self._need(run)
            return
        self._host.later(self._pause * self._chance.random() * 2, self._make, run)

    def _need(self, run: Run) -> None:
        """Ask for some more of the recording, a little at a time."""
        at, work = len(run.data), run.work
        key = f"input:{work.attempt}"
        self._host.said(m.Need(m.PROTOCOL, work.epoch, work.session, key, at + self._chance.choice((70, 10**6)), at))

    def fed(self, message: m.Feed, body: bytes) -> None:
        """Some of a recording has come, or the word that there is none."""
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
            self._host.later(self._pause, self._hear, run)

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
        self._host.said(self._of(run, m.Heard, run.sent), codec.encode(row))
        run.sent += 1
        self._host.later(self._pause * (0.5 + self._chance.random()), self._hear, run)

    def allow(self, attempt: str, up_to: int) -> None:
        """Audio may be sent up to there."""
        run = self.runs.get(attempt)
        if run is not None:
            run.credit = max(run.credit, up_to)
            if run.waits:
                run.waits = False
                self._host.later(self._pause, self._make, run)

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
        self._host.said(self._of(run, m.Chunk, run.seq, run.sent), pcm)
        if run.seq == 0:
            rows = [m.MarkRow("word", 0, 0, min(3, len(run.made.text)))]
            self._host.said(self._of(run, m.TakeMarks), codec.encode(rows))
        run.seq += 1
        run.sent += count
        self._host.later(self._pause * (0.5 + self._chance.random()), self._make, run)

    def _done(self, run: Run) -> None:
        self._finished(run, self._of(run, m.Done, run.sent, 9000, 900.0, 0.01))

    def _end_badly(self, run: Run, how: str, code: str) -> None:
        self.next_end = None
        if how == "engine lies":
            self._finished(run, self._of(run, m.Done, run.sent + 100, 9000, 900.0, 0.01))
        elif how == "engine is silent" and run.work.kind == "speak":  # who leaves out speech nobody can find out
            self._finished(run, self._of(run, m.Done, run.sent, 0, 0.0, 0.01))
        elif how == "engine breaks the protocol":
            self._host.sick = "broke the protocol"
            if run.work.kind == "transcribe":
                self._host.said(self._of(run, m.Heard, run.sent + 1), b"")
                return
            self._host.said(self._of(run, m.Chunk, run.seq + 1, run.sent + 7), b"\1\0")
        else:
            self._finished(run, self._of(run, m.Failed, code, "no", 1.0))

    def _finished(self, run: Run, message: Any) -> None:
        self._host.said(message)
        current = self._host.session.current(message)
        self.runs.pop(run.work.attempt, None)
        if current:
            self._host.do(self._host.session.ended(message))

    def _halt(self, attempt: str) -> None:
        run = self.runs.get(attempt)
        if run is not None and not self.hangs:
            self._finished(run, self._of(run, m.Stopped))
