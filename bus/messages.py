"""The messages of protocol v1, as types.

Owns: the name, the fields and their order of every message on the bus, in both directions on both sockets.
Must not know: sockets, bytes (that is `codec`), or what anybody does with a message. Invariant: fields are
only ever added at the end, with a default; `Hello`, `Register` and `Refused` never change shape at all.

On the wire a header is one MessagePack array, ``[type, v, epoch, field, ...]``, with the fields in the order
in which the classes below list them. A receiver ignores elements past those it knows and fills in defaults
for those that are missing, which is how a version grows. Nested values (`Choice`, `Style`) are maps. The
meaning of every field, with who repeats what when the other side dies, is in ``docs/protocol.md``.

Units: audio positions and lengths are counted in samples of the job's rate, text positions in Unicode code
points, durations in seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

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


# ------------------------------------------------------------------------------------------ parts of messages


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


class SampleSpec(msgspec.Struct, omit_defaults=True, frozen=True):
    """A recording in a voice. sample: SHA-256 of its file, 64 hexadecimal digits. text: what is said in it, "" where
    nobody knows. heard: what a recogniser made of it, "" where none was asked."""

    sample: Name = ""
    text: str = ""
    heard: str = ""


class Consent(msgspec.Struct, omit_defaults=True, frozen=True):
    """That a voice may be cloned. who: says so. statement: in which words. at: seconds since 1970, 0 for now."""

    who: Name = ""
    statement: str = ""
    at: Annotated[float, msgspec.Meta(ge=0.0, le=1e12)] = 0.0


class VoiceSpec(msgspec.Struct, omit_defaults=True, frozen=True):
    """A voice of a user's own. kind: made from recordings, or from a description. description: how it sounds, in words;
    of a designed one what it is made from. samples: the recordings. consent: that it may be cloned, needed where there
    are recordings. languages: BCP 47, best first, none
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


# ----------------------------------------------------------------------------------------------- both sockets


class Welcome(Message, tag="welcome"):
    """You are in. Answers HELLO and REGISTER.

    version: of the daemon. protocol: the version to speak from here on. session: a worker's session, empty
    for a client. beat_s: how often a worker beats, and how often a quiet client should greet. started_by:
    "hand", "client" or "service". settings: for a worker, its engine's settings and secrets.
    """

    version: str = ""
    protocol: Count = PROTOCOL
    session: str = ""
    beat_s: Seconds = 1.0
    started_by: str = ""
    settings: dict[str, Any] = {}


class Refused(Message, tag="refused"):
    """You are not let in. Never changes shape.

    code: `version`, `ticket`, `unknown_provider`, `stranger` or `full`. low, high: the protocol range of the
    daemon.
    """

    code: str = ""
    message: str = ""
    low: Count = PROTOCOL_LOW
    high: Count = PROTOCOL
    version: str = ""


class Greet(Message, tag="greet"):
    """I do not know you (I am new, or your connection is): send HELLO or REGISTER again."""


# ------------------------------------------------------------------------------------------- client to daemon


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


# ------------------------------------------------------------------------------------------- daemon to client


class Accepted(Message, tag="accepted"):
    """The job is there (`existing`: and was before). rate: its samples a second; 0 while nobody knows it, and
    ATTACHED tells it then. pieces: how many pieces of its text have come. keep: what will stay of it."""

    job: str = ""
    existing: bool = False
    state: JobState = "queued"
    rate: Count = 0
    pieces: Count = 0
    keep: Keep = ""


class Appended(Message, tag="appended"):
    """Piece `n` is kept. ended: and the text is complete."""

    job: str = ""
    n: Count = 0
    ended: bool = False


class Attached(Message, tag="attached"):
    """Audio comes from `offset` on. Also sent unasked, once, when a job's rate becomes known after ACCEPTED
    said 0."""

    job: str = ""
    offset: Count = 0
    rate: Count = 0
    state: JobState = "queued"


class Audio(Message, tag="audio"):
    """A run of PCM in the body, signed 16-bit little-endian mono. offset: of its first sample in the job."""

    job: str = ""
    segment: Count = 0
    take: str = ""
    offset: Count = 0


class Marks(Message, tag="marks"):
    """Timings of a take: the body is a MessagePack array of mark rows.

    The first one for a take comes before its first AUDIO, perhaps with no rows. offset: where the segment
    begins in the job. start, length: the segment's range of the job's text, in code points. provider, voice:
    who speaks.
    """

    job: str = ""
    segment: Count = 0
    take: str = ""
    offset: Count = 0
    start: Count = 0
    length: Count = 0
    provider: str = ""
    voice: str = ""


class Transcript(Message, tag="transcript"):
    """Row `n` of a transcript, the body, a MessagePack array. It is final, but for a power cut: see REWIND.

    n: 0 is the row "about", of the recording as a whole. take: a name of this row. provider, model: who heard it.
    """

    job: str = ""
    n: Count = 0
    take: str = ""
    provider: str = ""
    model: str = ""


class Rewind(Message, tag="rewind"):
    """Forget all audio from `offset` on: that segment is made anew (`reason`; `take` is the one that is
    gone).

    As the answer to ATTACH it means that the log does not hold what the reader named: attach again from
    `offset`, naming the take of the sample before it.
    """

    job: str = ""
    segment: Count = 0
    offset: Count = 0
    take: str = ""
    reason: str = ""


class Notice(Message, tag="notice"):
    """What is going on: "queued", "loading", "started", "moved", "again", "waiting" or "skipped", with
    particulars."""

    job: str = ""
    kind: str = ""
    segment: int = -1
    data: dict[str, Any] = {}


class Terminal(Message, tag="terminal"):
    """The job is over. Comes behind the last frame of a reader, but a cancellation overtakes audio.

    code: "" when finished, else the name of the reason. samples: length of the audio. segments: how many
    there are.
    skipped: how many of them were left out. speakers: who said how many, as [{provider, version, voice,
    segments}].
    """

    job: str = ""
    state: JobState = "finished"
    code: str = ""
    message: str = ""
    samples: Count = 0
    segments: Count = 0
    skipped: Count = 0
    speakers: list[dict[str, Any]] = []


class Error(Message, tag="error"):
    """A request cannot be done. blame: who has to change something. retry_after: seconds, 0 where retrying is
    no use. answers: the type of the request about `job` that this answers, such as "pin"; "" where nothing was asked,
    where `request` names it, and from a daemon that does not say it yet."""

    job: str = ""
    request: str = ""
    code: str = ""
    message: str = ""
    blame: Blame = "caller"
    retry_after: Seconds = 0.0
    answers: Name = ""


class Deleted(Message, tag="deleted"):
    """Answers DELETE: nothing is left of the job but its name."""

    job: str = ""


class Pinned(Message, tag="pinned"):
    """Answers PIN."""

    job: str = ""
    pinned: bool = True


class SampleHeld(Message, tag="sample_held"):
    """Answers SAMPLE: so much of it is there. Send on from `have`.

    sample: SHA-256 of the file. have: bytes from its begin. ready: it is whole, was looked at and can be used; the body
    is a MessagePack map, as `docs/protocol.md` describes it.
    """

    request: str = ""
    sample: str = ""
    size: Count = 0
    have: Count = 0
    ready: bool = False


class VoiceDone(Message, tag="voice_done"):
    """Answers VOICE. name: of the voice, as it is now. found: false where a voice that was to be removed was not
    there."""

    request: str = ""
    action: str = ""
    name: str = ""
    found: bool = True


class Fetched(Message, tag="fetched"):
    """Answers FETCH: bytes of a recording in the body, as many as fit. sample: SHA-256 of the file. size: of the whole
    file. offset: of the body's first byte."""

    request: str = ""
    sample: str = ""
    size: Count = 0
    offset: Count = 0


class Deposited(Message, tag="deposited"):
    """Answers IMPORT and DEPOSIT. n: how many pieces of the job have come, so which is the next."""

    job: str = ""
    n: Count = 0


class Imported(Message, tag="imported"):
    """The job is in the history. outcome: "imported"; or, where it was not brought, "exists" (there is one of that
    name) or "deleted" (there was one, and its name is not free yet)."""

    job: str = ""
    outcome: str = "imported"


class CancelledAll(Message, tag="cancelled_all"):
    """Answers CANCEL_ALL: how many jobs it ended."""

    request: str = ""
    count: Count = 0


class Page(Message, tag="page"):
    """Answers QUERY: the body is a MessagePack array of maps. next: the cursor of the page after, "" at the
    end."""

    request: str = ""
    what: str = ""
    next: str = ""


# ------------------------------------------------------------------------------------------- worker to daemon


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


# ------------------------------------------------------------------------------------------- daemon to worker


class Work(Message, tag="work"):
    """Make this attempt. The body is the text; of kind "transcribe" the end of what was heard before `from_s`; of kind
    "prompt" a MessagePack map, as `docs/protocol.md` describes it.

    credit: audio may be sent up to this offset of the attempt. rate: samples a second to be delivered. voice: a name
    from READY, or a model. language: BCP 47. hearing: how to transcribe. from_s: seconds of the recording that are
    dealt with; nothing that ends before is to be heard again. size: bytes of the recording, to be had by NEED. prompt:
    the key of the voice prompt to speak with, to be had by NEED, "" for none. seeded: the caller chose the
    seed: with it the same must be heard again.
    """

    session: str = ""
    attempt: str = ""
    kind: Literal["speak", "probe", "transcribe", "prompt"] = "speak"
    voice: str = ""
    language: str = ""
    rate: Count = 0
    ssml: bool = False
    style: Style = Style()
    seed: Count = 0
    credit: Count = 0
    hearing: Hearing = Hearing()
    from_s: Seconds = 0.0
    size: Count = 0
    prompt: str = ""
    seeded: bool = False


class Grant(Message, tag="grant"):
    """Audio of this attempt may be sent up to offset `up_to`. Absolute."""

    session: str = ""
    attempt: str = ""
    up_to: Count = 0


class Stop(Message, tag="stop"):
    """Stop this attempt and say STOPPED. To an attempt that it does not have, a worker answers STOPPED as
    well."""

    session: str = ""
    attempt: str = ""


class Feed(Message, tag="feed"):
    """A run of bytes of `key`, in the body. offset: of its first byte. size: of the whole, 0 while nobody knows it; the
    last run ends there. missing: why none will come, "" where they do."""

    session: str = ""
    key: str = ""
    offset: Count = 0
    size: Count = 0
    missing: str = ""


class Quit(Message, tag="quit"):
    """Take no more work, finish what is running, and exit with code 0."""

    session: str = ""


ClientMessage = (
    Hello
    | Submit
    | Append
    | End
    | Attach
    | Detach
    | Credit
    | Cancel
    | CancelAll
    | Delete
    | Pin
    | Sample
    | Voice
    | Fetch
    | Import
    | Deposit
    | Query
    | Bye
)
ToClient = (
    Welcome
    | Refused
    | Greet
    | Accepted
    | Appended
    | Attached
    | Audio
    | Marks
    | Transcript
    | Rewind
    | Notice
    | Terminal
    | Error
    | CancelledAll
    | Deleted
    | Pinned
    | SampleHeld
    | VoiceDone
    | Fetched
    | Deposited
    | Imported
    | Page
)
WorkerMessage = Register | Beat | Ready | Begun | Chunk | TakeMarks | Heard | Prompt | Done | Failed | Stopped | Need
ToWorker = Welcome | Refused | Greet | Work | Grant | Stop | Feed | Quit
