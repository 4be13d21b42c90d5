"""The check of the batched form: several utterances in one step.

Owns: how they are made together, and what must then be true of each. Must not know: which engine. Invariant: each is
compared with itself alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._conformance_checks import TEXT, Broken, Subject
from .engine import Chunk, EngineError, Request, Spoken

MOST = 4
"""Utterances at once, however many slots there are."""


def makes_together(subject: Subject) -> str | None:
    """Utterances made together say what each says alone: one joins at each step, one waits for a while, one is closed
    in the middle; what is refused costs the others nothing."""
    engine = subject.engine
    if engine.slots == 1 or not engine.batches:
        return "it makes one at a time"
    voice = engine.voices()[0].name
    texts = [TEXT, TEXT.split(". ", maxsplit=1)[0], TEXT * 2, TEXT]
    requests = [Request(text, voice, seed=11 + number, seeded=True) for number, text in enumerate(texts)]
    requests = requests[: min(MOST, engine.slots)]
    alone = [_alone(subject, request) for request in requests]
    made = _together(subject, requests)
    for number, (one, two) in enumerate(zip(made, alone, strict=True)):
        if number == 1:
            continue  # It was closed.
        if engine.capabilities().seed and one != two:
            raise Broken(f"utterance {number} is not what it is alone: {_told(one)}, and {_told(two)}")
        if isinstance(one, bytes) != isinstance(two, bytes):
            raise Broken(f"utterance {number} ended with {_told(one)}, alone with {_told(two)}")
    return None


def _told(made: bytes | str) -> str:
    return made if isinstance(made, str) else f"{len(made)} bytes"


def _alone(subject: Subject, request: Request) -> bytes | str:
    """What is made of a request, or the class of its failure."""
    try:
        return subject.make(request).pcm
    except EngineError as error:
        return error.code


def _together(subject: Subject, requests: Sequence[Request]) -> list[bytes | str]:
    engine, step = subject.engine, 0
    made: list[bytes | str] = [b""] * len(requests)
    open_: dict[int, Spoken] = {}
    waiting = list(range(len(requests)))
    while open_ or waiting:
        if waiting:
            number = waiting.pop(0)
            _refused(subject)
            open_[number] = engine.open(requests[number])
        asked = [number for number in open_ if number or step % 3 or len(open_) == 1]
        for number, items in zip(asked, engine.advance([open_[number] for number in asked]), strict=True):
            made[number] = _joined(made[number], items)
            if items is None or isinstance(items, EngineError) or (number == 1 and step == 4):
                open_.pop(number).close()
        step += 1
    return made


def _joined(before: bytes | str, items: Any) -> bytes | str:
    if isinstance(items, EngineError):
        return items.code
    assert isinstance(before, bytes)
    return before + b"".join(item.pcm for item in items or () if isinstance(item, Chunk))


def _refused(subject: Subject) -> None:
    try:
        spoken = subject.engine.open(subject.request(voice="no such voice"))
        made = subject.engine.advance([spoken])[0]
        spoken.close()
    except EngineError as error:
        made = error
    if not isinstance(made, EngineError) or made.code != "invalid_input":
        raise Broken("open and advance took a voice that there is not")
