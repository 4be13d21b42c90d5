"""What people want done with jobs besides hearing them: that one is gone, or that it stays.

Owns: asking until there is an answer, over all the lives of a program. Must not know: the daemon. Invariant: a wish is
put as a program does it, through the real session, and is over when it is answered; a refusal for the moment is no
answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voicebus.bus.errors import Disconnected
from voicebus.bus.messages import Delete, Pin
from voicebus.clients.questions import Asked
from voicebus.clients.session import Session

from .oracle import Wrong
from .plan import Wish

PASSING = frozenset({"storage", "queue_full", "unavailable"})
NOTHING_THERE = frozenset({"not_found", "deleted", "unsupported"})
AGAIN_S = 1.0


@dataclass
class Wished:
    """A wish on its way. asked: as it was put last; answer: what became of it, "" until there is one."""

    wish: Wish
    asked: Asked | None = None
    answer: str = ""
    not_before: float = 0.0


@dataclass
class Wishes:
    """All that one person wants."""

    number: int
    all: list[Wished] = field(default_factory=list)

    def forget(self) -> None:
        """The program is gone; the next one asks again."""
        for wished in self.all:
            wished.asked = None

    def put(self, session: Session, now: float) -> float:
        """Put what is not on its way, and take answers in; until when to wait before the next look, at most."""
        until = float("inf")
        for wished in self.all:
            if wished.answer:
                continue
            if wished.asked is not None and wished.asked.over:
                self._answered(wished, wished.asked, now)
            if not wished.answer and wished.asked is None:
                if now >= wished.not_before:
                    job = wished.wish.order
                    message = Delete(job=job) if wished.wish.kind == "delete" else Pin(job=job)
                    wished.asked = session.ask(message, now)
                else:
                    until = min(until, wished.not_before)
        return until

    def _answered(self, wished: Wished, asked: Asked, now: float) -> None:
        error = asked.error
        wished.asked = None
        code = getattr(error, "code", "")
        if error is None:
            wished.answer = "done"
        elif code in NOTHING_THERE:
            wished.answer = code
        elif code in PASSING or isinstance(error, Disconnected):
            wished.not_before = now + AGAIN_S
        else:
            raise Wrong(f"client {self.number} could not {wished.wish.kind} {wished.wish.order}: {error!r} ({code})")

    @property
    def over(self) -> bool:
        """Whether all are answered."""
        return all(wished.answer for wished in self.all)
