"""What is made durable, and what is found again: the vocabulary between the core and the store.

Owns: the shape of every record. Must not know: databases, files, clocks (the store puts the date to what it keeps).
Invariant: a record says all that a later daemon needs to go on without asking anybody; a job's number (`order`) is
never used twice, by no daemon on the same state directory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...bus.messages import Consent, Submit, VoiceSpec


@dataclass(frozen=True, slots=True)
class JobSaved:
    """A job was accepted. text: its first piece, in UTF-8. language: what "auto" or "" came to. rate: 0 while unknown.
    log: the name of its journal. created: seconds since 1970 for one that comes from an archive, 0 for now. recorded:
    the first piece of a recording, to be written to the job's input log before this; its `text` is a note of it."""

    order: int
    uid: int
    id: str
    log: str
    language: str
    rate: int
    submit: Submit
    text: bytes
    created: float = 0.0
    recorded: bytes | None = None


@dataclass(frozen=True, slots=True)
class TextAdded:
    """Piece `n` of a job's text, in UTF-8; piece 0 came with the job. recorded: of a recording, the piece itself, to be
    written to the input log of `log` from byte `at` on before this; its `text` is a note of it."""

    order: int
    n: int
    text: bytes
    log: str = ""
    at: int = 0
    recorded: bytes | None = None


@dataclass(frozen=True, slots=True)
class TextClosed:
    """There are `n` pieces of a job's text and no more."""

    order: int
    n: int


@dataclass(frozen=True, slots=True)
class SegmentSaved:
    """A segment of a job that is over. state: "whole", "skipped", "quarantined", or "unmade" where the job ended before
    it; of all but the first, what tells of a take is empty.

    start, end: its range of the text, in code points. take: the attempt's name. pcm_at, marks_at, marks_bytes: where
    its audio and its marks stand in the journal, in bytes. peak, rms: its level. first_audio_s, work_s, made_s: from
    WORK to the first sound, of the engine's own work, from WORK to DONE. trail: what failed before.
    """

    number: int
    start: int
    end: int
    state: str
    take: str = ""
    provider: str = ""
    version: str = ""
    voice: str = ""
    seed: int = 0
    samples: int = 0
    pcm_at: int = 0
    marks_at: int = 0
    marks_bytes: int = 0
    peak: int = 0
    rms: float = 0.0
    first_audio_s: float = 0.0
    work_s: float = 0.0
    made_s: float = 0.0
    tries: int = 0
    stops: int = 0
    deaths: int = 0
    trail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job is over; its journal has been synced before this is durable. disk: bytes of the journal. finished: seconds
    since 1970 for one that comes from an archive, 0 for now. heard: what a recording says, in UTF-8, which takes the
    place of the notes on its pieces; None of a job that speaks."""

    order: int
    log: str
    state: str
    code: str
    message: str
    rate: int
    samples: int
    skipped: int
    disk: int
    speakers: tuple[dict[str, Any], ...] = ()
    segments: tuple[SegmentSaved, ...] = ()
    trail: tuple[str, ...] = ()
    finished: float = 0.0
    heard: bytes | None = None


@dataclass(frozen=True, slots=True)
class JobDeleted:
    """A job's text, audio and history are to be gone for good; the bare name stays for a while, so that a late retry
    is not spoken again."""

    uid: int
    id: str


@dataclass(frozen=True, slots=True)
class JobPinned:
    """A job is exempt from retention, or not any more."""

    uid: int
    id: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class JobPacked:
    """The audio of a job that is over is in a packed file of so many bytes, which is on the disk; the journal is not
    needed any more."""

    order: int
    log: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """What was measured of a recording; levels in dB below full scale, so 0 at most.

    seconds, rate, channels: as it was uploaded; form: of the file, such as "WAV". peak: the largest sample. level: of
    the speech. floor: of what lies between. clipped: the part of all samples that stand at full scale in runs. lead,
    tail: seconds of silence before and behind. mixed: what mixing the channels costs, dB.
    """

    seconds: float
    rate: int
    channels: int
    form: str = ""
    peak: float = 0.0
    level: float = 0.0
    floor: float = -90.0
    clipped: float = 0.0
    lead: float = 0.0
    tail: float = 0.0
    mixed: float = 0.0


@dataclass(frozen=True, slots=True)
class SampleSaved:
    """A recording that a voice has. sample: SHA-256 of its file, which has so many bytes."""

    sample: str
    bytes: int
    facts: SampleFacts


@dataclass(frozen=True, slots=True)
class VoiceSaved:
    """A voice of a user's own is this from now on; whatever it was before is gone for good. samples: of each recording
    in `spec`. was: the name that it had before it was renamed. created: seconds since 1970, 0 for now."""

    uid: int
    name: str
    spec: VoiceSpec
    samples: tuple[SampleSaved, ...] = ()
    was: str = ""
    created: float = 0.0

    def is_same(self, other: VoiceSaved) -> bool:
        """Whether this is a voice as that one is, cloned from the same, whatever it is called and said to be."""
        return self._origin() == other._origin()

    def _origin(self) -> tuple[object, ...]:
        cloned_from = [(each.sample, each.text) for each in self.spec.samples]
        return self.uid, self.created, self.spec.kind, cloned_from

    def dated(self, now: float) -> VoiceSaved:
        """The same with the date put to what happens now."""
        consent = self.spec.consent
        if consent.statement and not consent.at:
            consent = Consent(consent.who, consent.statement, now)
        spec = VoiceSpec(
            self.spec.kind,
            self.spec.description,
            self.spec.languages,
            self.spec.chain,
            self.spec.samples,
            consent,
        )
        return VoiceSaved(self.uid, self.name, spec, self.samples, self.was, self.created or now)


@dataclass(frozen=True, slots=True)
class VoiceRenamed:
    """A voice has another name from now on, under which all else is kept."""

    old: str
    voice: VoiceSaved


@dataclass(frozen=True, slots=True)
class VoiceRemoved:
    """A voice is to be gone for good."""

    uid: int
    name: str


@dataclass(frozen=True, slots=True)
class JobImported:
    """A job that is over came from an archive, all of it at once: it is there with this record, or not at all. Its
    journal has been synced before this is durable. job: as it was accepted; what stands in its `text` is the first of
    `texts`, its pieces. audio: "kept", or "missing" where the archive had none."""

    job: JobSaved
    texts: tuple[bytes, ...]
    ended: JobEnded
    pinned: bool
    audio: str = "kept"


Record = (
    JobSaved
    | TextAdded
    | TextClosed
    | JobEnded
    | JobDeleted
    | JobPinned
    | JobPacked
    | JobImported
    | VoiceSaved
    | VoiceRenamed
    | VoiceRemoved
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a commit. state: "done"; "exists": a job of that name is there already (JobSaved, JobImported),
    and nothing was changed; "deleted": there was one, and its name is not free yet (these, JobDeleted); "missing":
    there is no such job; "failed": nothing was changed, and why is in `reason`. at: when,
    seconds since 1970."""

    ticket: int
    state: str = "done"
    reason: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class SavedJob:
    """A job as the store has it. texts: its pieces. complete: there are no more. ended: how it ended, None while it
    has not. created, finished: seconds since 1970, 0 for not yet. audio: "kept", "packed" or "missing"."""

    job: JobSaved
    texts: tuple[bytes, ...]
    complete: bool
    ended: JobEnded | None = None
    pinned: bool = False
    created: float = 0.0
    finished: float = 0.0
    audio: str = "kept"


@dataclass(frozen=True, slots=True)
class TakeFound:
    """A whole take in a journal that an earlier daemon left: its metadata as written, and where it stands."""

    meta: dict[str, Any]
    pcm_at: int
    marks_at: int
    marks_bytes: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job that an earlier daemon did not end, with what its journal holds, in the order of writing."""

    saved: SavedJob
    records: tuple[TakeFound, ...] = ()
    disk: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question put to the store. rows: maps for a list, as they go to a client. following: the cursor
    of the next page, "" at the end. saved: the job that was looked up, None where there is none; deleted: because it
    was deleted. reason: why there is no answer, "" if there is one; code: the name of that reason."""

    ticket: int
    rows: tuple[dict[str, Any], ...] = ()
    following: str = ""
    saved: SavedJob | None = None
    deleted: bool = False
    reason: str = ""
    code: str = "storage"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for the store. what: "job" (look up `id`, with its text and segments), "history" (a list),
    "text" (the pieces of `id`, a page of them), "plain" (jobs of anybody that have been over for `age_s` and whose
    audio is not packed; rows of order, uid, id, log, disk). where: as in QUERY. limit: most rows."""

    what: str
    uid: int
    id: str = ""
    where: dict[str, str] = field(default_factory=dict)
    cursor: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is over is kept, in seconds since it ended, and how many bytes of audio in all. 0: without end.
    free_bytes: so much of the oldest audio goes in any case, the jobs before the history; free_of: the same for single
    users, as (uid, bytes). spared: the numbers of jobs that must stay; what is pinned stays too."""

    job_keep_s: float = 3600.0
    history_age_s: float = 0.0
    history_bytes: int = 0
    free_bytes: int = 0
    free_of: tuple[tuple[int, int], ...] = ()
    spared: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreCondition:
    """How the store is. mode: "disk", or "memory" where nothing outlives the daemon. reason: what is wrong and what to
    do, for people, "" if nothing is."""

    mode: str = "disk"
    reason: str = ""
