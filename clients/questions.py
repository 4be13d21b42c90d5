"""Questions to the daemon, and what answers them.

Owns: which messages are questions about a job, which message answers which, and when one is said again. Must not know:
sockets, sessions. Invariant: a question has one answer or one error, and then it is over.
"""

from __future__ import annotations

from typing import Any

from ..bus.errors import VoicebusError
from ..bus.messages import (
    Cancel,
    CancelAll,
    Delete,
    Deleted,
    Deposit,
    Deposited,
    Error,
    Fetch,
    Import,
    Imported,
    Message,
    Pin,
    Pinned,
    Query,
    Sample,
    Terminal,
    Voice,
)
from .requests import REPEAT_S

OF_READING = frozenset({"not_reading", "out_of_order", "gone", "ended", "conflict"})
"""Errors about a job that are no answer to what was asked about it."""

Named = Query | CancelAll | Sample | Voice | Fetch
"""Questions that carry a name of their own, which their answer repeats."""

OfJob = Cancel | Delete | Pin | Import | Deposit
"""Questions about a job: they have no name of their own, so one of them at a time is asked about the same job."""

QUESTIONS = frozenset(str(kind.__struct_config__.tag) for kind in (Cancel, Delete, Pin, Import, Deposit))
"""Their types as errors name them."""

OfJobAnswer = Terminal | Deleted | Pinned | Deposited | Imported

ANSWERS: dict[type, tuple[type, ...]] = {
    Cancel: (Terminal,),
    Delete: (Deleted,),
    Pin: (Pinned,),
    Import: (Deposited, Imported),
    Deposit: (Deposited, Imported),
}


OF_IMPORT = frozenset({"import", "deposit"})
"""What an error ends an import by, whichever of its pieces is on its way."""


def refuses(message: Error, asked: Message) -> bool:
    """Whether an error answers that question about its job. One that does not say what it answers does, unless it is
    what only a reading is told."""
    kind = str(asked.__struct_config__.tag)
    theirs = message.answers in ("", kind) or {message.answers, kind} <= OF_IMPORT
    return theirs and message.code not in OF_READING


def of_question(message: Error) -> bool:
    """Whether an error says that it answers a question, so that no reading need hear of it."""
    return message.answers in QUESTIONS


def answers(message: OfJobAnswer, asked: Message) -> bool:
    """Whether a message answers that question, and not one before it that was said twice."""
    if isinstance(message, Deposited):
        return message.n == (asked.n + 1 if isinstance(asked, Deposit) else 0)
    return type(message) in ANSWERS[type(asked)]


class Asked:
    """One question: its message and body, and in the end `answer` or `error`."""

    def __init__(self, message: Message, body: bytes, now: float) -> None:
        self.message = message
        self.body = body
        self.answer: Any = None
        self.error: VoicebusError | None = None
        self.repeat_at = now
        self.pause = REPEAT_S

    @property
    def over(self) -> bool:
        """Whether there is an answer or an error."""
        return self.answer is not None or self.error is not None
