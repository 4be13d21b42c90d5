"""Work with the daemon that takes several questions, written once for both clients.

Owns: carrying such steps out. Must not know: what is asked, sockets. Invariant: an error that the daemon answers with
comes out where the question was asked, so that the steps may do something about it; they are always closed.

Steps are a generator: it gives questions with their bodies, takes answers, and returns what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from ..bus.errors import VoicebusError

T = TypeVar("T")

Question = tuple[Any, bytes]
Steps = Generator[Question, Any, T]


@dataclass(frozen=True, slots=True)
class _At:
    """Where the steps are: at a question, or at their end with what came of them."""

    question: Question | None
    outcome: Any = None


def _advance(steps: Steps[Any], answer: Any, error: Exception | None) -> _At:
    try:
        return _At(steps.throw(error) if error is not None else steps.send(answer))
    except StopIteration as end:
        return _At(None, end.value)


def run(steps: Steps[T], ask: Callable[..., Any]) -> T:
    """Carry steps out with a client's `ask`. Raises what they raise."""
    with contextlib.closing(steps):
        at = _advance(steps, None, None)
        while at.question is not None:
            answer, error = None, None
            try:
                answer = ask(*at.question)
            except VoicebusError as failed:
                error = failed
            at = _advance(steps, answer, error)
    outcome: T = at.outcome
    return outcome


async def run_async(steps: Steps[T], ask: Callable[..., Awaitable[Any]], *, in_threads: bool = False) -> T:
    """The same in a task. in_threads: what the steps do between questions (reading a large file) is done in others."""

    async def advance(answer: Any, error: Exception | None) -> _At:
        if in_threads:
            return await asyncio.to_thread(_advance, steps, answer, error)
        return _advance(steps, answer, error)

    try:
        at = await advance(None, None)
        while at.question is not None:
            answer, error = None, None
            try:
                answer = await ask(*at.question)
            except VoicebusError as failed:
                error = failed
            at = await advance(answer, error)
    finally:
        with contextlib.suppress(ValueError):  # cancelled in the midst of a step: closed when that lets go of it
            steps.close()
    outcome: T = at.outcome
    return outcome
