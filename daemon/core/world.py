"""The state as a whole, and the few things that every rule needs: saying something, counting, committing.

Owns: the containers of the state and the list of effects. Must not know: any rule. Invariant: whatever must wait for a
commit waits in `commits`, as plain data, so that a crash between the two is a state like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...bus.archived import ArchivedJob
from ...bus.codec import encode
from ...bus.errors import CALLER_CODES
from ...bus.messages import Error, Message, Notice
from .effects import Ask, Body, Commit, Effect, Report, ToClient, ToWorker
from .personal import Making, Upload
from .pronunciations import Pronunciations
from .records import Record, VoiceSaved, Wanted
from .settings import Settings
from .state import Client, Job, JobKey, ProviderState, Segment, Worker

TEXT_CHARS = 4000
"""Longest text for people in one message. With four bytes a character it leaves three quarters of a header free."""


class Chance(Protocol):
    """Where randomness comes from."""

    def random(self) -> float:
        """A number from 0 up to 1."""


@dataclass(slots=True)
class Pending:
    """What waits for a commit: messages to send then, and what becomes true. kind: "job", "text", "end", "delete",
    "pin", "packed", "import" or "voice" (of which nothing but the user is a job's). voice, old, said, askers: of a
    voice, what it becomes, under which key it was, and who asked for it in which words. order: the job's number, since
    another job may have its name by then. since: when it was asked for. tell: whom to tell that it was in vain.
    effects: done first of all; afterwards: behind all that follows from it."""

    kind: str
    job: JobKey
    order: int
    since: float
    record: Record | None
    chars: int = 0
    tell: bytes = b""
    voice: VoiceSaved | None = None
    old: JobKey = (0, "")
    said: Any = None
    askers: dict[tuple[bytes, str], None] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    afterwards: list[Effect] = field(default_factory=list)


@dataclass(slots=True)
class Question:
    """What waits for an answer of the store. kind: "job" (to go on with `waiting`), "list" (a page for a client). peer,
    request, what: of the client's QUERY. waiting: messages about the job, with who said them, in order."""

    kind: str
    job: JobKey
    peer: bytes = b""
    request: str = ""
    what: str = ""
    waiting: list[tuple[bytes, Any, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Packing:
    """The log that is being packed. disk: bytes of its journal. size: of what it was packed into, 0 until that is
    there."""

    log: str
    key: JobKey
    order: int
    disk: int
    size: int = 0


@dataclass(slots=True)
class Importing:
    """A job on its way in from an archive. job: as it will be; nobody knows it yet. told: its record. ticket: of the
    question whether there is such a job, 0 once that is answered. n: pieces that have come. current: the segment whose
    audio is coming, and the bytes of that that came. takes: the names of its takes. held: the
    answer waits for the disk. closing: the last piece has come.
    arriving: its record is being written down."""

    job: Job
    told: ArchivedJob
    ticket: int
    heard_at: float
    n: int = 0
    current: Segment | None = None
    came: int = 0
    takes: set[str] = field(default_factory=set)
    held: bool = False
    closing: bool = False
    arriving: bool = False


@dataclass
class World:
    """All that the core knows. epoch: the name of this run. tickets: makes unguessable names. durable: the store keeps
    what is committed; text_chars: of all texts in memory."""

    settings: Settings
    epoch: str
    chance: Chance
    tickets: Callable[[], str]
    info: dict[str, Any]
    effects: list[Effect] = field(default_factory=list)
    clients: dict[bytes, Client] = field(default_factory=dict)
    jobs: dict[JobKey, Job] = field(default_factory=dict)
    logs: dict[str, Job] = field(default_factory=dict)
    unfinished: dict[JobKey, Job] = field(default_factory=dict)
    finished: dict[JobKey, Job] = field(default_factory=dict)
    providers: dict[str, ProviderState] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    by_peer: dict[bytes, Worker] = field(default_factory=dict)
    commits: dict[int, Pending] = field(default_factory=dict)
    again: list[tuple[float, Pending]] = field(default_factory=list)
    questions: dict[int, Question] = field(default_factory=dict)
    lookups: dict[JobKey, Question] = field(default_factory=dict)
    late_commits: list[Commit] = field(default_factory=list)
    unsettled: set[str] = field(default_factory=set)
    tended: set[str] = field(default_factory=set)
    reroute: set[str] = field(default_factory=set)
    hungry: dict[tuple[bytes, JobKey], None] = field(default_factory=dict)
    feeding: dict[str, None] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    pronunciations: Pronunciations = field(default_factory=lambda: Pronunciations({}))
    text_chars: int = 0
    memory: int = 0
    disk: int = 0
    unsynced: Counter[str] = field(default_factory=Counter)
    unsynced_bytes: int = 0
    syncing: tuple[str, int] | None = None
    durable: bool = False
    disk_of: Counter[int] = field(default_factory=Counter)
    packing: Packing | None = None
    pack_at: float = 0.0
    pack_due: float = 0.0
    pack_from: int = 0
    pack_misses: int = 0
    unpackable: set[int] = field(default_factory=set)
    opened: set[JobKey] = field(default_factory=set)
    expire_at: float = 0.0
    press_at: float = 0.0
    leaving: dict[JobKey, Job] = field(default_factory=dict)
    imports: dict[bytes, Importing] = field(default_factory=dict)
    arriving: dict[int, Job] = field(default_factory=dict)
    crowded: dict[int | None, float] = field(default_factory=dict)
    voices: dict[JobKey, VoiceSaved] = field(default_factory=dict)
    uploads: dict[JobKey, Upload] = field(default_factory=dict)
    prompts: dict[JobKey, int] = field(default_factory=dict)
    makings: dict[JobKey, Making] = field(default_factory=dict)
    changing: dict[JobKey, Pending] = field(default_factory=dict)
    removing: dict[int, Pending] = field(default_factory=dict)
    removed: dict[JobKey, None] = field(default_factory=dict)
    order: int = 0
    names: int = 0
    ticket: int = 0
    started_at: float = 0.0
    swept_at: float = 0.0
    idle_since: float = 0.0
    draining: str = ""
    drain_since: float = 0.0
    left: bool = False
    externals: int = 0

    # ------------------------------------------------------------------ saying something

    def to_client(self, peer: bytes, message: Message, body: Body = None) -> None:
        """Send to a client."""
        message.epoch = self.epoch
        self.effects.append(ToClient(peer, encode(message), body))

    def to_worker(self, peer: bytes, message: Message, body: Body = None) -> None:
        """Send to a worker."""
        message.epoch = self.epoch
        self.effects.append(ToWorker(peer, encode(message), body))

    def error(
        self,
        peer: bytes,
        code: str,
        message: str,
        *,
        job: str = "",
        request: str = "",
        retry_after: float = 0.0,
        answers: Message | type[Message] | None = None,
    ) -> None:
        """Tell a client that something cannot be done. answers: what was asked about `job`, None where nothing was."""
        blame: Any = "caller" if code in CALLER_CODES else "daemon"
        self.to_client(
            peer,
            Error(
                job=job,
                request=request,
                code=code,
                message=message[:TEXT_CHARS],
                blame=blame,
                retry_after=retry_after,
                answers=str(answers.__struct_config__.tag) if answers is not None and not request else "",
            ),
        )

    def notice(self, job: Job, kind: str, segment: int = -1, **data: Any) -> None:
        """Tell all readers of a job what is going on."""
        for peer in job.readers:
            self.tell(job, peer, Notice(job=job.id, kind=kind, segment=segment, data=data))

    def tell(self, job: Job, peer: bytes, message: Message) -> None:
        """Tell a client something about a job: at once, but not before the job is durable."""
        if job.committed:
            self.to_client(peer, message)
        else:
            self.behind("text", job, peer, message)

    def report(self, level: str, text: str) -> None:
        """A line for the log. Texts of jobs never come into it."""
        self.effects.append(Report(level, text))

    def count(self, what: str, text: str = "") -> None:
        """Count something odd; the first of its kind is reported."""
        self.counters[what] += 1
        if self.counters[what] == 1:
            self.report("warning", f"{what}: {text} (further ones are only counted)" if text else what)

    def charge_disk(self, job: Job, size: int) -> None:
        """A job's audio takes so many bytes of disk more (or less)."""
        job.disk += size
        self.charge(job.key[0], size)

    def charge(self, uid: int, size: int) -> None:
        """A user's audio takes so many bytes of disk more (or less)."""
        self.disk += size
        self.disk_of[uid] += size
        if not self.disk_of[uid]:
            del self.disk_of[uid]

    # ------------------------------------------------------------------ committing

    def commit(self, pending: Pending) -> None:
        """Make its record durable; what is pending happens when it is."""
        self.ticket += 1
        self.commits[self.ticket] = pending
        self.late_commits.append(Commit(self.ticket, pending.record))

    def ask(self, question: Question, wanted: Wanted) -> None:
        """Ask the store; the answer comes as `Core.found`."""
        self.ticket += 1
        self.questions[self.ticket] = question
        self.effects.append(Ask(self.ticket, wanted))

    def after(self, pending: Pending, peer: bytes, message: Message, *, at_last: bool = False) -> None:
        """Send this to a client when the commit is done; at_last: and all that follows from it."""
        message.epoch = self.epoch
        (pending.afterwards if at_last else pending.effects).append(ToClient(peer, encode(message)))

    def behind(self, kind: str, job: Job, peer: bytes, message: Message) -> None:
        """Send this to a client behind the newest commit of that kind that this job waits for, or now if for none."""
        kinds = ("job", "text") if kind == "text" else (kind,)
        # One that could not be written yet, and is about to be tried again, is waited for as well.
        for pending in (*reversed(self.commits.values()), *(pending for _, pending in self.again)):
            if pending.kind in kinds and pending.order == job.order:
                self.after(pending, peer, message)
                return
        self.to_client(peer, message)

    def flush_commits(self) -> None:
        """Commits go out last in a batch: work is under way before anything waits for a disk."""
        if self.late_commits:
            self.effects.extend(self.late_commits)
            self.late_commits.clear()

    # ------------------------------------------------------------------ names

    def attempt_name(self) -> str:
        """A name for an attempt, never used again, also not by a later run: it begins with the epoch."""
        self.names += 1
        return f"{self.epoch}.{self.names}"
