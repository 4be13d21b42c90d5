"""What clients say to the daemon.

Owns: the name, the fields and their order of these messages. Must not know: what the daemon does with them. Invariant:
fields are only ever added at the end, with a default; `Hello` never changes shape at all.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .fields import (
    PROTOCOL,
    PROTOCOL_LOW,
    Choice,
    Count,
    Hearing,
    Keep,
    Message,
    Name,
    Pace,
    Priority,
    Read,
    Seconds,
    Style,
    VoiceSpec,
)


class Hello(Message, tag="hello"):
    """First message of a client, repeated until answered and now and then as a sign of life. Never changes
    shape."""

    low: Count = PROTOCOL_LOW
    high: Count = PROTOCOL
    name: Name = ""
    version: Name = ""
    pid: Count = 0


class Submit(Message, tag="submit"):
    """Start a job. The body is the text, or its first piece (number 0, which may be empty) when `complete` is
    false; of a job of kind "transcribe" it is the recording, a file in any common format.

    job: the client's own name for it, 1 to 64 characters of ``A-Z a-z 0-9 _ . -``. chain: whom to ask, best
    first; empty for the daemon's own. language: BCP 47, "" for the daemon's default, "auto" to be found out.
    rate: samples a second, 0 for the native rate of the chain's first provider. patience_s: how long to wait
    for a better entry of the chain. read, credit: as in ATTACH, so that audio needs no second round trip.
    keep: what stays of the job, "" for what is configured. skip_bad: leave out a segment that nobody can say instead of
    failing. hearing: how to transcribe. first: what the daemon notes of a recording's first piece, for itself.
    """

    job: Name = ""
    kind: Literal["speak", "transcribe"] = "speak"
    chain: Annotated[list[Choice], msgspec.Meta(max_length=64)] = []
    language: Name = ""
    complete: bool = True
    ssml: bool = False
    rate: Count = 0
    style: Style = Style()
    priority: Priority = "text"
    pace: Pace = "listen"
    keep: Keep = "job"
    patience_s: Seconds = 20.0
    seed: Count | None = None
    read: Read = "live"
    credit: Count = 0
    skip_bad: bool = False
    hearing: Hearing = Hearing()
    first: Name = ""


class Append(Message, tag="append"):
    """Piece `n` of a job's text, or of its recording, in the body. Piece 0 came with SUBMIT."""

    job: Name = ""
    n: Count = 0


class End(Message, tag="end"):
    """There are `n` pieces of text and no more."""

    job: Name = ""
    n: Count = 0


class Attach(Message, tag="attach"):
    """Read a job's audio from `offset`, of which the sample before came from `take` ("" where that does not
    matter)."""

    job: Name = ""
    read: Read = "live"
    offset: Count = 0
    take: Name = ""
    credit: Count = 0


class Detach(Message, tag="detach"):
    """Stop reading; the job goes on."""

    job: Name = ""


class Credit(Message, tag="credit"):
    """Audio may come up to offset `up_to`; up to `heard` it has been heard. Absolute, so repeating it does no
    harm."""

    job: Name = ""
    up_to: Count = 0
    heard: Count = 0


class Cancel(Message, tag="cancel"):
    """End a job. Answered by its TERMINAL, which overtakes audio."""

    job: Name = ""


class Delete(Message, tag="delete"):
    """Remove a job with its text, its audio and its history; one that is not over is cancelled first. Answered by
    DELETED once it is gone; the bare name stays for a week, so that a late SUBMIT of it is not spoken again."""

    job: Name = ""


class Pin(Message, tag="pin"):
    """Keep a job whatever the retention says, or not any more. Answered by PINNED."""

    job: Name = ""
    pinned: bool = True


class Import(Message, tag="import"):
    """Bring a job that is over back from an archive, as one of the sender's own. The body is a map *ArchivedJob*.
    Answered by DEPOSITED 0, or by IMPORTED where there is nothing to be brought. A client has one import at a time: the
    next one takes the place of one that has not come to its end.
    """

    job: Name = ""


class Deposit(Message, tag="deposit"):
    """Piece `n` of the job that is being imported: "text" (UTF-8 in the body), a "segment" (a map *ArchivedSegment*),
    or "audio" (PCM of the segment before, as much of it as fits). All text comes first, then each segment with its
    audio behind it. Answered by DEPOSITED. last: and that is all; answered by IMPORTED.
    """

    job: Name = ""
    n: Count = 0
    kind: Literal["text", "segment", "audio"] = "text"
    last: bool = False


class CancelAll(Message, tag="cancel_all"):
    """End all jobs of the caller's uid that are not over."""

    request: Name = ""


class Sample(Message, tag="sample"):
    """A piece of a recording for a voice: the bytes of its file from `offset` on, in the body. Answered by SAMPLE_HELD,
    the last piece once the recording has been looked at. An empty body asks how much is there.

    sample: SHA-256 of the file, 64 hexadecimal digits. size: of the file. offset: of the body's first byte.
    """

    request: Name = ""
    sample: Name = ""
    size: Count = 0
    offset: Count = 0


class Voice(Message, tag="voice"):
    """Do something with a voice of the caller's own. Answered by VOICE_DONE, of a removal when nothing is left of it.

    name: of the voice. action: what to do; "change" puts `spec` in place of all that the voice was. to: the new name,
    for "rename". spec: all of the voice, for "add" and "change".
    """

    request: Name = ""
    action: Literal["add", "change", "rename", "remove"] = "add"
    name: Name = ""
    to: Name = ""
    spec: VoiceSpec = VoiceSpec()


class Fetch(Message, tag="fetch"):
    """Ask for a run of bytes of a recording of the caller's own, from `offset` on. Answered by FETCHED.

    sample: SHA-256 of the file. offset: of the first byte wanted.
    """

    request: Name = ""
    sample: Name = ""
    offset: Count = 0


class Query(Message, tag="query"):
    """Ask for a list: "status", "workers", "providers", "voices", "jobs", "segments", "history" or "text".

    cursor: "" for the first page, then the `next` of the page before. where: what to look for, by field (``job`` for
    segments and text, ``provider``, ``language``, ``kind`` and ``voice`` for voices, ``state`` for jobs; ``text``,
    ``voice``, ``provider``, ``state``, ``since``, ``until``, ``pinned``, ``keep`` and ``job`` for the history).
    """

    request: Name = ""
    what: Name = ""
    cursor: str = ""
    limit: Count = 100
    where: Annotated[dict[Name, Name], msgspec.Meta(max_length=16)] = {}


class Bye(Message, tag="bye"):
    """The client leaves: forget its readings at once. Its jobs go on."""
