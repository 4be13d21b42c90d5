"""What workers say to the daemon.

Owns: the name, the fields and their order of these messages. Must not know: what the daemon does with them. Invariant:
fields are only ever added at the end, with a default; `Register` never changes shape at all.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from .fields import PROTOCOL, PROTOCOL_LOW, Count, Factor, Message, Name, Seconds


class Register(Message, tag="register"):
    """First message of a worker, repeated until answered. Never changes shape. ticket: what its standard
    input said."""

    low: Count = PROTOCOL_LOW
    high: Count = PROTOCOL
    ticket: Name = ""
    provider: Name = ""
    version: Name = ""
    pid: Count = 0


class Beat(Message, tag="beat"):
    """Alive. state: "loading", "ready" or "busy". percent: of the loading, -1 where unknown. rss, vram:
    bytes."""

    session: Name = ""
    state: Name = ""
    percent: Annotated[float, msgspec.Meta(ge=-1.0, le=1000.0)] = -1.0
    note: str = ""
    rss: Count = 0
    vram: Count = 0


class Ready(Message, tag="ready"):
    """Loaded, and the self-test made sound. The body is a MessagePack map:
    ``{"voices": [voice, ...], "capabilities": {...}, "device": {...}}``, as ``docs/protocol.md`` describes
    them.

    rate: native samples a second. slots: how many attempts it can run at once. load_s, first_audio_s:
    measured, the latter in the self-test. factor: seconds of work for a second of audio there.
    """

    session: Name = ""
    rate: Count = 0
    slots: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 1
    load_s: Seconds = 0.0
    first_audio_s: Seconds = 0.0
    factor: Factor = 0.0


class Begun(Message, tag="begun"):
    """The engine has started on this attempt: from here on a death is blamed on it."""

    session: Name = ""
    attempt: Name = ""


class Chunk(Message, tag="chunk"):
    """A run of PCM in the body, at the attempt's rate. seq: 0, 1, 2 ... in the attempt. offset: of its first
    sample."""

    session: str = ""
    attempt: str = ""
    seq: Count = 0
    offset: Count = 0


class TakeMarks(Message, tag="take_marks"):
    """Timings found so far: the body is a MessagePack array of mark rows, none given twice."""

    session: str = ""
    attempt: str = ""


class Heard(Message, tag="heard"):
    """Of an attempt to transcribe: a row of the transcript, in the body, a MessagePack array; or no body, which says
    only how far it has come.

    n: 0, 1, 2 ... counts the rows of the attempt; without a body the number of the next. at_s: seconds of the recording
    that are dealt with.
    """

    session: str = ""
    attempt: str = ""
    n: Count = 0
    at_s: Seconds = 0.0


class Done(Message, tag="done"):
    """The attempt is whole: so many samples, the largest absolute sample, the root mean square, seconds of
    work."""

    session: str = ""
    attempt: str = ""
    samples: Count = 0
    peak: Count = 0
    rms: Factor = 0.0
    work_s: Seconds = 0.0


class Failed(Message, tag="failed"):
    """The attempt cannot be completed. code: a failure class (see `errors.FAILURES`). retry_after: seconds,
    for `rate_limited`."""

    session: str = ""
    attempt: str = ""
    code: Name = ""
    message: str = ""
    retry_after: Seconds = 0.0


class Prompt(Message, tag="prompt"):
    """A run of bytes of the voice prompt that an attempt of kind "prompt" was to make, in the body. offset: of its
    first byte. size: of the whole, in the format that `docs/voices.md` describes. DONE follows behind the last."""

    session: Name = ""
    attempt: Name = ""
    offset: Count = 0
    size: Count = 0


class Stopped(Message, tag="stopped"):
    """The attempt that was to be stopped has ended and its slot is free."""

    session: str = ""
    attempt: str = ""


class Need(Message, tag="need"):
    """Send bytes `offset` up to `up_to` of what `key` names. Asking again does no harm: the same comes again.

    key: "input:ATTEMPT" for the recording that an attempt is to transcribe, "sample:SHA256" for a voice's recording,
    "prompt:KEY" for a voice prompt. up_to: bytes may come up to here; at most 262 144 come for one NEED. offset: of the
    first byte that is wanted.
    """

    session: Name = ""
    key: Name = ""
    up_to: Count = 0
    offset: Count = 0
