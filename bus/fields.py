"""What the messages of the bus are made of: numbers and words within bounds, and the values that are nested in them.

Owns: the protocol's versions, the bounds of a field, the base of every message, the parts that several messages share.
Must not know: which messages there are. Invariant: a value outside its bounds is refused while it is decoded, so no
message that was decoded holds one; fields are only ever added at the end, with a default.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

PROTOCOL = 1
"""The protocol version that this code speaks."""

PROTOCOL_LOW = 1
"""The oldest protocol version that this code still understands."""

UNLIMITED = 2**53 - 1
"""A credit that never runs out: the largest integer that every MessagePack library carries exactly."""

# What is refused while decoding is only what no honest peer sends: it is answered without the name of the
# job. What a person may get wrong (a factor of 10, a job name of 70 letters) the daemon checks itself, and
# names the job.
Count = Annotated[int, msgspec.Meta(ge=0, le=UNLIMITED)]
"""Samples, bytes, numbers of things: never negative, never more than every library can carry."""

Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e9)]
"""A duration; the bounds keep out NaN and the infinities."""

Factor = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]
"""A proportion; the bounds keep out NaN and the infinities."""

Name = Annotated[str, msgspec.Meta(max_length=256)]
"""A short string that names something."""

Priority = Literal["important", "message", "text", "notification", "progress"]
PRIORITIES: tuple[Priority, ...] = ("important", "message", "text", "notification", "progress")

Pace = Literal["listen", "render"]
Keep = Literal["", "nothing", "job", "history"]
Read = Literal["none", "live", "whole"]
JobState = Literal["queued", "running", "waiting", "finished", "failed", "cancelled"]
Blame = Literal["caller", "worker", "daemon"]

TERMINAL_STATES: frozenset[str] = frozenset({"finished", "failed", "cancelled"})


class Message(msgspec.Struct, array_like=True, gc=False, kw_only=False):
    """What every header begins with, after its type.

    v: the protocol version in which the rest is written. epoch: which run of the daemon this belongs to;
    empty before a WELCOME has named it, and always empty in HELLO and REGISTER.
    """

    v: Count = PROTOCOL
    epoch: Name = ""


class Choice(msgspec.Struct, omit_defaults=True, frozen=True):
    """One entry of a chain. An empty provider stands for the default chain, an empty voice for the language's
    own."""

    provider: Name = ""
    voice: Name = ""


class Style(msgspec.Struct, omit_defaults=True, frozen=True):
    """How to say it. The three factors multiply the voice's normal value: 1.0 changes nothing.

    rate: 0.25 to 6. pitch: 0.5 to 2. volume: 0 to 2. punctuation: what of it is read aloud. instruct: a
    description in words, for engines that take one. options: whatever one provider alone understands.
    """

    rate: Factor = 1.0
    pitch: Factor = 1.0
    volume: Factor = 1.0
    punctuation: Literal["", "none", "some", "all"] = ""
    instruct: str = ""
    options: Annotated[dict[Name, str | int | float | bool], msgspec.Meta(max_length=64)] = {}


class Origin(msgspec.Struct, omit_defaults=True, frozen=True):
    """Of a recording that is nobody's voice: how it was made. provider, version: of whom; the version names the model.
    seed: with which it was made. description: of which words. All empty for a recording of somebody."""

    provider: Name = ""
    version: Name = ""
    seed: Count = 0
    description: str = ""


class SampleSpec(msgspec.Struct, omit_defaults=True, frozen=True):
    """A recording in a voice. sample: SHA-256 of its file, 64 hexadecimal digits. text: what is said in it, "" where
    nobody knows. heard: what a recogniser made of it, "" where none was asked. origin: of one that was made from
    words."""

    sample: Name = ""
    text: str = ""
    heard: str = ""
    origin: Origin = Origin()


class Consent(msgspec.Struct, omit_defaults=True, frozen=True):
    """That a voice may be cloned. who: says so. statement: in which words. at: seconds since 1970, 0 for now."""

    who: Name = ""
    statement: str = ""
    at: Annotated[float, msgspec.Meta(ge=0.0, le=1e12)] = 0.0


class VoiceSpec(msgspec.Struct, omit_defaults=True, frozen=True):
    """A voice of a user's own. kind: made from recordings, or from a description. description: how it sounds, in words;
    of a designed one what it is made from. samples: the recordings. consent: that it may be cloned, needed where there
    are recordings of somebody. languages: BCP 47, best first, none
    for any. chain: who speaks it, best first, an entry without a voice meaning this one; empty for whoever can."""

    kind: Literal["cloned", "designed"] = "cloned"
    description: str = ""
    languages: Annotated[list[Name], msgspec.Meta(max_length=32)] = []
    chain: Annotated[list[Choice], msgspec.Meta(max_length=32)] = []
    samples: Annotated[list[SampleSpec], msgspec.Meta(max_length=16)] = []
    consent: Consent = Consent()


class Hearing(msgspec.Struct, omit_defaults=True, frozen=True):
    """How to transcribe. words: time each word. translate: into English. vad: leave out what is no speech before
    listening to it. prompt: words that are likely to occur, or the style to write in.
    """

    words: bool = False
    translate: bool = False
    vad: bool = True
    prompt: Annotated[str, msgspec.Meta(max_length=4000)] = ""


class WordRow(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One word of a passage. start, end: seconds from the recording's beginning. confidence: 0 to 1."""

    start: Seconds
    end: Seconds
    text: str
    confidence: Factor = 0.0


class HeardRow(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One row of a transcript, as it stands in the body of HEARD and TRANSCRIPT.

    kind: "about" (the first row: of the recording as a whole) or "passage". start, end: seconds from the recording's
    beginning; of "about" 0 and its length. text: what was said. language: BCP 47, of the passage or, as far as it was
    found out, the recording. confidence: 0 to 1; of "about" that of the language. words: timings of words, where they
    were asked for. speech_s: of "about": seconds in which somebody speaks, -1 where nobody looked.
    """

    kind: Literal["about", "passage"]
    start: Seconds = 0.0
    end: Seconds = 0.0
    text: str = ""
    language: Name = ""
    confidence: Factor = 0.0
    words: Annotated[list[WordRow], msgspec.Meta(max_length=4096)] = []
    speech_s: Annotated[float, msgspec.Meta(ge=-1.0, le=1e9)] = -1.0


class MarkRow(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One timing inside a take, as it stands in the body of MARKS.

    kind: "word", "sentence" or "mark" (a mark named in SSML). sample: offset in the take. start, length: the
    range of text, in code points from the segment's start. name: the name of an SSML mark. confidence: 1.0
    where the engine itself said so, less where the time is an estimate. method: "" where the engine said so,
    "estimate" where it was worked out from the text and the length of its audio.
    """

    kind: str
    sample: Count
    start: Count = 0
    length: Count = 0
    name: str = ""
    confidence: Factor = 1.0
    method: Name = ""
