"""The checks of the conformance suite for engines that transcribe.

Owns: what is asked of an engine that hears. Must not know: which engine. Invariant: as in `_conformance_checks`; none
needs speech: what cannot be told without a model that understands is not asked. They are made of engines that claim to
transcribe.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..bus.errors import FAILURES
from ._conformance_checks import GROWTH, REPEATS, STOP_S, Broken, Subject
from .engine import About, EngineError, Passage, Reached, hum

SECONDS = 3.0

NO_RECORDINGS = {
    "nothing": b"",
    "a head without a body": b"RIFF\xff\xff\xff\xffWAVEfmt ",
    "zeros": bytes(50_000),
    "words": b"NOT AUDIO, but a text. " * 200,
    "a path": b"/etc/passwd",
    "a playlist": b"#EXTM3U\nfile:///etc/passwd\nhttp://127.0.0.1:1/x.wav\n",
}


@dataclass(slots=True)
class Listened:
    """What an engine heard."""

    about: About
    passages: list[Passage]
    reached: list[Reached]


def listen(subject: Subject, data: bytes, **fields: Any) -> Listened:
    """Everything that an engine hears. Raises Broken for what is out of order."""
    recording = replace(subject.engine.trial(), audio=io.BytesIO(data), **fields)
    items: list[Any] = list(subject.engine.transcribe(recording))
    if not items or not isinstance(items[0], About):
        raise Broken("the first item is not About")
    about = items[0]
    passages = [item for item in items if isinstance(item, Passage)]
    reached = [item for item in items if isinstance(item, Reached)]
    if len(passages) + len(reached) != len(items) - 1:
        raise Broken("it yielded something that is neither a Passage nor Reached, or About twice")
    _in_order(about, passages, recording.from_s)
    return Listened(about, passages, reached)


def _in_order(about: About, passages: list[Passage], end: float) -> None:
    for passage in passages:
        if not end - 1e-3 <= passage.start_s <= passage.end_s <= max(about.duration_s, end) + 1e-3:
            raise Broken(
                f"{passage} does not follow {end:.3f} s, or is beyond the {about.duration_s:.3f} s of the recording"
            )
        if not passage.text or not 0.0 <= passage.confidence <= 1.0:
            raise Broken(f"{passage} has no text, or a confidence that is none")
        end = passage.end_s


def hears(subject: Subject) -> str | None:
    """A recording is heard: what it is comes first, with its length, then passages in order, within it."""
    found = listen(subject, hum(SECONDS))
    if not math.isclose(found.about.duration_s, SECONDS, abs_tol=0.1):
        raise Broken(f"a recording of {SECONDS} s is {found.about.duration_s:.2f} s long")
    if not subject.engine.capabilities().models:
        raise Broken("no model is named")
    return None


def makes_nothing_up(subject: Subject) -> str | None:
    """Where nobody speaks, nothing is said, and that is no failure."""
    found = listen(subject, hum(SECONDS), vad=True, options={})
    if found.passages:
        raise Broken(f"in a hum it heard {found.passages[0].text!r}")
    return None


def goes_on(subject: Subject) -> str | None:
    """Asked to go on from a place, also from the end, nothing before it comes."""
    for place in (0.5, SECONDS, SECONDS + 60.0):
        listen(subject, hum(SECONDS), from_s=place)
    return None


def refuses_garbage(subject: Subject) -> str | None:
    """What is no recording is refused as invalid_input, no file or address in it is opened, and the engine goes on."""
    for what, data in NO_RECORDINGS.items():
        try:
            listen(subject, data)
        except EngineError as error:
            if error.code not in FAILURES or error.code != "invalid_input":
                raise Broken(f"{what} was refused as {error.code!r}: {error.message}") from None
        else:
            raise Broken(f"{what} was heard")
    return hears(subject)


def hearing_can_be_stopped(subject: Subject) -> str | None:
    """Closing the iterator after its first item returns within the grace, and so does one whose request was stopped."""
    items = subject.engine.transcribe(replace(subject.engine.trial(), audio=io.BytesIO(hum(SECONDS))))
    next(items)
    began = subject.clock()
    items.close()
    stopped = replace(subject.engine.trial(), audio=io.BytesIO(hum(SECONDS)), stopped=lambda: True)
    list(subject.engine.transcribe(stopped))
    took = subject.clock() - began
    if took > STOP_S:
        raise Broken(f"closing took {took:.1f} s, and {STOP_S} s are given")
    subject.engine.transcribe(subject.engine.trial()).close()
    return hears(subject)


def hearing_keeps_its_size(subject: Subject) -> str | None:
    """The same recording again and again takes no more memory."""
    from .runtime import rss

    data = hum(SECONDS)
    for _ in range(3):
        listen(subject, data)
    before = rss()
    for _ in range(REPEATS):
        listen(subject, data)
    if rss() - before > GROWTH:
        raise Broken(f"{REPEATS} recordings took {(rss() - before) / 1e6:.0f} MB")
    return None


def refuses_unknown_model(subject: Subject) -> str | None:
    """A model that it does not have is refused as invalid_input; no other stands in for it."""
    try:
        listen(subject, hum(SECONDS), model="no such model")
    except EngineError as error:
        if error.code != "invalid_input":
            raise Broken(f"it was refused as {error.code!r}") from None
        return None
    raise Broken("it was heard all the same")


HEARING: dict[str, Callable[[Subject], str | None]] = {
    "hearing": hears,
    "hearing-silence": makes_nothing_up,
    "hearing-on": goes_on,
    "hearing-garbage": refuses_garbage,
    "hearing-model": refuses_unknown_model,
    "hearing-closing": hearing_can_be_stopped,
    "hearing-memory": hearing_keeps_its_size,
}
