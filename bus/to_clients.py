"""What the daemon says to clients.

Owns: the name, the fields and their order of these messages. Must not know: when any of them is sent. Invariant: fields
are only ever added at the end, with a default.
"""

from __future__ import annotations

from typing import Any

from .fields import Blame, Count, JobState, Keep, Message, Name, Seconds


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
