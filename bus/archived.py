"""A job of the history as an archive holds it, on its way back to a daemon.

Owns: the bodies of IMPORT and DEPOSIT that are maps, as types. Must not know: sockets, zip files, what anybody does
with them. Invariant: what `codec` decodes into these is within bounds that no honest archive exceeds; keys that are not
known are ignored, so the rows that QUERY gives of a job and of its segments fit as they are.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .messages import Choice, Count, MarkRow, Name, Pace, Priority, Seconds, Style

Line = Annotated[str, msgspec.Meta(max_length=8192)]
"""A sentence for people."""

Lines = Annotated[list[Line], msgspec.Meta(max_length=100)]

Moment = Annotated[float, msgspec.Meta(ge=0.0, le=1e11)]
"""Seconds since 1970."""

Level = Annotated[float, msgspec.Meta(ge=0.0, le=32_768.0)]

MARKS = 16 * 1024
"""Most timings of a segment."""


class ArchivedRequest(msgspec.Struct):
    """What SUBMIT asked for.

    kind: jobs that transcribe cannot come back. chain: whom it asked, best first. rate: samples a second that it
    asked for, 0 for none. patience_s: how long it would wait for a better entry of the chain. seed: that it asked
    for, nil for none. skip_bad: whether a segment that nobody could say was to be left out.
    """

    kind: Literal["speak"] = "speak"
    chain: Annotated[list[Choice], msgspec.Meta(max_length=64)] = []
    ssml: bool = False
    rate: Count = 0
    style: Style = Style()
    priority: Priority = "text"
    pace: Pace = "listen"
    patience_s: Seconds = 20.0
    seed: Count | None = None
    skip_bad: bool = False


class ArchivedJob(msgspec.Struct):
    """A row of the history, with what it has when it is asked for by name.

    state: how it ended. created, finished: when it was asked for, and was over, seconds since 1970; what is in the
    future is taken for now. samples: of all its segments together. segments: how many there will be. skipped: how
    many of them were left out. keep: as what it is kept. trail: what went wrong on the way. seed: that was used.
    audio: "missing" where none will come. request: what SUBMIT said.
    """

    state: Literal["finished", "failed", "cancelled"]
    created: Moment
    finished: Moment
    code: Name = ""
    message: Line = ""
    samples: Count = 0
    rate: Annotated[int, msgspec.Meta(ge=0, le=192_000)] = 0
    segments: Count = 0
    skipped: Count = 0
    language: Name = ""
    keep: Literal["job", "history"] = "history"
    pinned: bool = False
    trail: Lines = []
    seed: Count = 0
    audio: Name = "kept"
    request: ArchivedRequest = msgspec.field(default_factory=ArchivedRequest)


class ArchivedSegment(msgspec.Struct):
    """A row of `segments` with its timings.

    segment: its number; they come in order. start, length: the range of text, in code points. state: "whole" and
    "skipped" ones come before all others. version: of the provider. attempt: the name of its take, "" where there is
    none. seed: of the take. samples: of its audio. peak, rms: its level. first_audio_s, work_s, made_s: as in the list.
    tries, stops, deaths: how often it was begun, stopped, and brought down a worker. trail: what failed before. marks:
    its timings, as rows of MARKS.
    """

    segment: Count
    start: Count
    length: Count
    state: Literal["whole", "skipped", "quarantined", "unmade"]
    provider: Name = ""
    version: Name = ""
    voice: Name = ""
    attempt: Name = ""
    seed: Count = 0
    samples: Count = 0
    peak: Annotated[int, msgspec.Meta(ge=0, le=32_768)] = 0
    rms: Level = 0.0
    first_audio_s: Seconds = 0.0
    work_s: Seconds = 0.0
    made_s: Seconds = 0.0
    tries: Count = 0
    stops: Count = 0
    deaths: Count = 0
    trail: Lines = []
    marks: Annotated[list[MarkRow], msgspec.Meta(max_length=MARKS)] = []
