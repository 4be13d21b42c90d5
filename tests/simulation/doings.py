"""What people do with voices of their own: asked for, step by step, over all the lives of a program.

Owns: asking until there is an answer. Must not know: the daemon. Invariant: each step is a question through the real
session; a program that begins anew begins its steps anew, which the daemon answers the same again.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from voicebus.bus.errors import Disconnected
from voicebus.bus.messages import Sample, Voice
from voicebus.clients.questions import Asked
from voicebus.clients.session import Session

from .oracle import Wrong
from .plan import Act
from .voice_plan import recording, sample_name, spec_of

PASSING = frozenset({"storage", "queue_full", "unavailable"})
AS_IT_MAY_BE = frozenset({"conflict", "not_found"})
"""Others of the same user have done something with a voice of that name."""

AGAIN_S = 1.0
PIECE_BYTES = 90

Steps = Generator[tuple[Any, bytes], Any, None]


def steps(uid: int, act: Act) -> Steps:
    """What is asked: recordings first, as much of each as is not there yet."""
    spec = spec_of(uid, act)
    if act.kind in ("add", "change"):
        for number in act.samples:
            data = recording(uid, number)
            sample = sample_name(data)
            held, _ = yield Sample(sample=sample, size=len(data)), b""
            while not held.ready:
                piece = data[held.have : held.have + PIECE_BYTES]
                held, _ = yield Sample(sample=sample, size=len(data), offset=held.have), piece
        yield Voice(action=act.kind, name=act.name, spec=spec), b""
    else:
        yield Voice(action=act.kind, name=act.name, to=act.to if act.kind == "rename" else ""), b""


@dataclass
class Doing:
    """An act on its way. answer: what became of it, "" until there is one."""

    act: Act
    steps: Steps | None = None
    asked: Asked | None = None
    answer: str = ""
    not_before: float = 0.0


@dataclass
class Doings:
    """All that one person does with voices."""

    number: int
    uid: int
    all: list[Doing] = field(default_factory=list)

    def forget(self) -> None:
        """The program is gone; the next one begins anew."""
        for doing in self.all:
            doing.asked = doing.steps = None

    def put(self, session: Session, now: float) -> float:
        """Ask what is to be asked, and take answers in; until when to wait before the next look, at most."""
        until = float("inf")
        for doing in self.all:
            if doing.asked is not None and doing.asked.over:
                self._answered(session, doing, now)
            if not doing.answer and doing.asked is None:
                if now >= doing.not_before:
                    doing.steps = steps(self.uid, doing.act)
                    self._ask(session, doing, None, now)
                else:
                    until = min(until, doing.not_before)
        return until

    def _ask(self, session: Session, doing: Doing, answer: Any, now: float) -> None:
        assert doing.steps is not None
        try:
            message, body = doing.steps.send(answer)
        except StopIteration:
            doing.answer, doing.asked = "done", None
        else:
            doing.asked = session.ask(message, now, body)

    def _answered(self, session: Session, doing: Doing, now: float) -> None:
        assert doing.asked is not None
        error = doing.asked.error
        if error is None:
            self._ask(session, doing, doing.asked.answer, now)
            return
        doing.asked = doing.steps = None
        code = getattr(error, "code", "")
        if code in PASSING or isinstance(error, Disconnected) or (code == "not_found" and doing.act.kind == "add"):
            doing.not_before = now + AGAIN_S  # of an addition: another voice took its recording with it
        elif code in AS_IT_MAY_BE:
            doing.answer = code
        else:
            raise Wrong(f"client {self.number} could not {doing.act.kind} {doing.act.name}: {error!r} ({code})")

    @property
    def over(self) -> bool:
        """Whether all are answered."""
        return all(doing.answer for doing in self.all)
