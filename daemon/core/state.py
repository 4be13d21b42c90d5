"""What the core holds: clients, jobs, segments, takes, readers, workers, attempts, providers.

Owns: the shape of the state. Must not know: what happens when (the modules beside it). Invariant: plain data only; a
timer is never stored, only the moments from which one can be derived.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ...bus.messages import Attach, JobState, MarkRow, Submit, Terminal
from .breaker import Breaker
from .catalogue import Catalogue
from .contents import Recording, Text
from .pronunciations import Respelled
from .records import VoiceSaved
from .restart import RestartPolicy
from .segmentation import Splitter
from .settings import Provider
from .share import Share

JobKey = tuple[int, str]
"""A job's real name: the uid of its owner and the id that the owner chose."""

ClientKey = tuple[int, int]
"""Whom fair share counts as one: uid and pid."""


@dataclass(slots=True)
class Take:
    """The audio of one attempt; or one row of a transcript, which counts as one sample. chunks, starts: the PCM in
    memory and each chunk's first sample; empty once the take is in a journal, at pcm_at and marks_at there.
    first_audio_s, made_s: from WORK to the first sound, and to DONE; work_s: of the engine's own work. origin: of what
    the user's own voice is made that it is spoken with, "" for none and where nobody knows."""

    name: str
    provider: str
    version: str
    voice: str
    samples: int = 0
    chunks: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    marks: list[MarkRow] = field(default_factory=list)
    whole: bool = False
    stored: bool = False
    pcm_at: int = 0
    marks_at: int = 0
    marks_bytes: int = 0
    seed: int = 0
    peak: int = 0
    rms: float = 0.0
    first_audio_s: float = 0.0
    work_s: float = 0.0
    made_s: float = 0.0
    origin: str = ""


@dataclass(slots=True)
class Segment:
    """A sentence-sized piece of a job's text. state: see `lifecycle.SEGMENT`. offset: of its audio in the job, -1
    until all before it is in place."""

    number: int
    start: int
    end: int
    state: str = "waiting"
    take: Take | None = None
    attempt: str = ""
    offset: int = -1
    tries: int = 0
    tries_here: int = 0
    deaths: int = 0
    stops: int = 0
    fences: int = 0
    reseeds: int = 0
    trail: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """One entry of a job's chain. voice: what was asked for; resolved: the provider's own name for it, "" until its
    catalogue is known. refusal: why this entry is out for this job, "" while it is not. own: the user's own voice that
    it is, as it was when the job came; prompt: the key of the voice prompt that the provider needs for it. chosen:
    somebody named this provider, rather than that it can."""

    provider: str
    voice: str
    resolved: str = ""
    refusal: str = ""
    code: str = ""
    own: VoiceSaved | None = None
    prompt: str = ""
    chosen: bool = True

    @property
    def spoken(self) -> str:
        """The voice that is heard, as people are told."""
        return self.own.name if self.own is not None else self.resolved


@dataclass(slots=True)
class Reader:
    """One client's reading of one log. segment, at: where it is (samples within the segment). take: the one it was
    sent some of in this segment, "" if none. marks: how many marks of it. credit, heard: offsets in the job."""

    peer: bytes
    mode: str
    credit: int
    segment: int = 0
    at: int = 0
    take: str = ""
    marks: int = 0
    heard: int = 0


@dataclass(slots=True)
class Audio:
    """In which form a job's audio is on the disk. state: see `lifecycle.AUDIO`. copy: bytes of the journal beside a
    packed file. read_at: when that was last seen to be of use."""

    state: str = "plain"
    copy: int = 0
    read_at: float = 0.0


@dataclass(slots=True)
class Job:
    """One request.

    placed: how many segments are final and in place; length: their samples. made: samples in all its takes, placed or
    not. uncut: pieces of text of which there are no segments yet, the first one from uncut_from on; cut: all segments
    are known. torn: a piece of its text could not be written down. fresh: the first segment that nobody has made yet.
    recording: of a job that transcribes, None of one that speaks. verdict: how it ends, once decided; its state says so
    only when that is committed. openers: who waits until its audio is unpacked. bereft: who read it or waited for it
    when its deletion began. expired: the store does not have it any more, but somebody reads it.
    """

    key: JobKey
    client: ClientKey
    submit: Submit
    order: int
    language: str
    chain: list[Entry]
    splitter: Splitter
    log: str
    in_memory: bool
    rate: int
    accepted_at: float
    state: str = "queued"
    text: Text = field(default_factory=Text)
    complete: bool = False
    committed: bool = False
    committed_chars: int = 0
    position: int = 0
    segments: list[Segment] = field(default_factory=list)
    fresh: int = 0
    uncut: deque[str] = field(default_factory=deque)
    uncut_from: int = 0
    cut: bool = False
    torn: bool = False
    again: list[int] = field(default_factory=list)
    placed: int = 0
    length: int = 0
    made: int = 0
    memory: int = 0
    disk: int = 0
    readers: dict[bytes, Reader] = field(default_factory=dict)
    heard: int = 0
    attempts: dict[str, Attempt] = field(default_factory=dict)
    verdict: Terminal | None = None
    terminal: Terminal | None = None
    queued_at_provider: str = ""
    starved_since: float | None = None
    failing_since: float | None = None
    alone_since: float | None = None
    text_at: float = 0.0
    author: ClientKey = (-1, 0)  # whose text is waited for; nobody's, where it is complete or its author is not known
    spoken: tuple[str, str] = ("", "")
    noticed: str = ""
    trail: list[str] = field(default_factory=list)
    not_before: float = 0.0
    stops: int = 0
    tries: int = 0
    has_audio_log: bool = False
    writing: dict[str, Segment] = field(default_factory=dict)
    released: int = 0
    missing: bool = False
    deleters: list[bytes] = field(default_factory=list)
    bereft: list[bytes] = field(default_factory=list)
    audio: Audio = field(default_factory=Audio)
    openers: dict[bytes, Attach] = field(default_factory=dict)
    expired: bool = False
    recording: Recording | None = None

    @property
    def id(self) -> str:
        """The name its owner gave it."""
        return self.key[1]

    @property
    def pieces(self) -> int:
        """How many pieces of its text, or of its recording, have come."""
        return self.text.pieces if self.recording is None else len(self.recording.sums)

    def is_piece(self, number: int, body: bytes) -> bool:
        """Whether piece `number` of its text, or of its recording, has these bytes."""
        return (self.text if self.recording is None else self.recording).is_piece(number, body)

    @property
    def over(self) -> bool:
        """Whether its end is decided."""
        return self.verdict is not None

    @property
    def told(self) -> JobState:
        """Its state as others may know it: that it has ended is not told before that is committed."""
        return "running" if self.state == "ended" else self.state  # type: ignore[return-value]

    @property
    def entry(self) -> Entry:
        """The entry of the chain that it is at."""
        return self.chain[self.position]


@dataclass(slots=True)
class Client:
    """A client's session; its name is the routing id that ZeroMQ gave it. full: its pipe takes nothing now."""

    peer: bytes
    uid: int
    pid: int
    name: str
    version: str
    heard_at: float
    full: bool = False
    jobs: set[JobKey] = field(default_factory=set)


@dataclass(slots=True)
class Attempt:
    """One run of one segment on one worker; it holds its slot until DONE, FAILED or STOPPED.

    job: None for a probe, and where a voice prompt is made; making: which. granted: up to which sample its audio may
    come. said: the text as it was sent, with words respelled. rows: how many rows of a transcript it has brought;
    asked: bytes of the recording that its worker has asked for; fed: up to where it was sent any. shared: it is its
    class's share, which nothing stops. stopping: when STOP was sent, None before; why: what for.
    """

    name: str
    worker: str
    job: Job | None
    segment: Segment | None
    take: Take
    rate: int
    sent_at: float
    progress_at: float
    granted: int
    expected: int
    said: Respelled
    shared: bool = False
    seq: int = 0
    begun: bool = False
    first_at: float | None = None
    rows: int = 0
    asked: int = -1
    fed: int = 0
    stopping: float | None = None
    why: str = ""
    making: JobKey | None = None


@dataclass(slots=True)
class Need:
    """Bytes that a worker has asked for and was not sent yet: from `at` up to `up_to` of what `key` names."""

    key: str
    at: int
    up_to: int


@dataclass(slots=True)
class Worker:
    """A place for a worker's process, and the process that is in it now. state: see `lifecycle.WORKER`. wanted: what
    it should become: "up", "restart", "sleep", "recycle" (finish what it has, then make room for a fresh one), "down".
    ours: we killed the process, and why. gap_s: usual pause between chunks. idle_since: when it was last seen at work.
    replaces: the worker whose place it takes once it is ready, "" for none. recycled: how often that happened.
    jobs_before: of `jobs_done`, those of earlier processes. rss_ready, vram_ready: memory at the first beat after it
    was ready. spared_until: not replaced before, since that went wrong. refusal: why its program cannot be a worker.
    told: of its device, as it says it: number type, attention, free memory. prompts: files of the voice prompts that it
    has made or asked for in this session, with their users."""

    id: str
    provider: str
    settings: Provider
    restart: RestartPolicy
    external: bool = False
    state: str = "down"
    wanted: str = "up"
    reason: str = ""
    pid: int = 0
    ticket: str = ""
    peer: bytes = b""
    session: str = ""
    version: str = ""
    slots: int = 1
    leases: dict[str, Attempt] = field(default_factory=dict)
    needs: deque[Need] = field(default_factory=deque)
    prompts: set[JobKey] = field(default_factory=set)
    spawned_at: float = 0.0
    heard_at: float = 0.0
    ready_at: float | None = None
    lost_at: float | None = None
    retry_at: float = 0.0
    quit_at: float | None = None
    ours: str = ""
    restarts: int = 0
    recycled: int = 0
    replaces: str = ""
    spared_until: float = 0.0
    idle_since: float = 0.0
    jobs_done: int = 0
    jobs_before: int = 0
    last_failure: str = ""
    stderr: list[str] = field(default_factory=list)
    rss: int = 0
    vram: int = 0
    rss_ready: int = 0
    vram_ready: int = 0
    device: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    percent: float = -1.0
    note: str = ""
    refusal: str = ""
    load_s: float = 0.0
    first_audio_s: float = 0.0
    factor: float = 0.0
    gap_s: float = 0.0

    @property
    def free(self) -> int:
        """How many slots can be given out now."""
        return self.slots - len(self.leases) if self.state == "ready" and self.wanted == "up" else 0


@dataclass(slots=True)
class Queue:
    """Jobs that have a segment to be made, of one class at one provider. since: from when it has waited in vain.
    users: what each uid had of it; inside: the same for the clients of each."""

    clients: dict[ClientKey, dict[JobKey, Job]] = field(default_factory=dict)
    users: Share = field(default_factory=Share)
    inside: dict[int, Share] = field(default_factory=dict)
    since: float | None = None

    def turn(self, client: ClientKey) -> tuple[float, float]:
        """What decides whose turn it is: the lowest is next."""
        inside = self.inside.get(client[0])
        return self.users.of(client[0]), inside.of(client) if inside is not None else 0.0

    def charge(self, client: ClientKey, seconds: float) -> None:
        """A client has had so much audio."""
        self.users.charge(client[0], seconds)
        self.inside.setdefault(client[0], Share()).charge(client, seconds)

    def forget(self) -> None:
        """Nobody waits: what was spent so far counts no more."""
        self.users.spent.clear()
        self.inside.clear()


@dataclass(slots=True)
class ProviderState:
    """A provider: its workers, what it can say, and how it has been doing. char_s: seconds of audio for a character,
    as measured; usual when nothing is known: 0.065, which is 15 characters a second."""

    name: str
    settings: Provider
    breaker: Breaker
    workers: list[str] = field(default_factory=list)
    catalogue: Catalogue | None = None
    version: str = ""
    rate: int = 0
    device: dict[str, Any] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    char_s: float = 0.065
    takes: int = 0
    reason: str = ""
    probe: str = ""
