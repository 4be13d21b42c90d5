"""What the core wants done in the world.

Owns: the vocabulary from the core to the shell. Must not know: how any of it is done. Invariant: effects are carried
out in the order in which they are listed; whatever comes of one comes back as an event of the core
(`Core.take_written`, `Core.exited`, ...), never as a return value, so that a test can let anything happen between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .records import Record, Retention, Wanted
from .settings import Provider


@dataclass(slots=True)
class Stored:
    """A range of bytes of a journal, read by the shell at the moment of sending."""

    log: str
    at: int
    length: int


@dataclass(slots=True)
class Filed:
    """A range of bytes of a file beside the voices (a recording, a voice prompt), read at the moment of sending. name:
    made by the core, never by anybody outside."""

    uid: int
    name: str
    at: int
    length: int


Body = bytes | memoryview | Stored | Filed | None


@dataclass(slots=True)
class ToClient:
    """Send to a client. A full pipe keeps the message, and all after it, in order; the core hears `client_full`, and
    `client_drained` when all has gone. An unreachable one comes back as `client_gone`."""

    peer: bytes
    header: bytes
    body: Body = None


@dataclass(slots=True)
class ToWorker:
    """Send to a worker. An unreachable one, or a full pipe, comes back as `worker_gone`."""

    peer: bytes
    header: bytes
    body: Body = None


@dataclass(slots=True)
class FeedWorker:
    """Send a worker a range of a file, read at the moment of sending. file: its name below the state directory.
    missing: the header to send instead, without a body, where it cannot be read. Otherwise as `ToWorker`."""

    peer: bytes
    header: bytes
    missing: bytes
    file: str
    at: int
    length: int


@dataclass(slots=True)
class Spawn:
    """Start a worker's process; the ticket goes down its standard input. Comes back as `spawned` or `spawn_failed`,
    and in the end as `exited`."""

    worker: str
    provider: Provider
    ticket: str


@dataclass(slots=True)
class Kill:
    """SIGKILL to a worker's process group. Nothing happens if it is gone."""

    worker: str


@dataclass(slots=True)
class WriteTake:
    """Write a whole take at the end of a journal, as one record in one write, creating the journal if need be.

    Comes back as `take_written` with the places of the PCM and of the marks in the file, or as `take_lost`.
    """

    log: str
    take: str
    meta: dict[str, Any]
    marks: bytes
    pcm: list[bytes]


@dataclass(slots=True)
class WriteNote:
    """Write down in a journal what a later daemon has to know of a segment besides its takes (`notes`). Nothing comes
    back: a note that is lost costs an attempt, no audio."""

    log: str
    meta: dict[str, Any]


@dataclass(slots=True)
class SyncLog:
    """Bring what was written to a journal to the disk, without keeping anybody waiting. Comes back as `synced`."""

    log: str


@dataclass(slots=True)
class DropLog:
    """Remove a log from the disk, journal and packed file, and end whatever works on it."""

    log: str


@dataclass(slots=True)
class DropInput:
    """Remove the recording that a job was to transcribe."""

    log: str


@dataclass(slots=True)
class DropFile:
    """Remove the packed file of a log, or its journal; the other stays."""

    log: str
    packed: bool


@dataclass(slots=True)
class Pack:
    """Make a packed file of a journal, beside it. Comes back as `packed` when that is on the disk."""

    log: str


@dataclass(slots=True)
class Unpack:
    """Make the journal of a packed log anew, beside it. Comes back as `unpacked`."""

    log: str


@dataclass(slots=True)
class Commit:
    """Make a record durable; None where nothing is to be kept. Comes back as `committed` with the same ticket; what
    waits for that waits in the core."""

    ticket: int
    record: Record | None


@dataclass(slots=True)
class Ask:
    """Ask the store. Comes back as `found` with the same ticket."""

    ticket: int
    wanted: Wanted


@dataclass(slots=True)
class Expire:
    """Have the store remove what is past its time. Comes back as `found` with the same ticket, with rows of order, uid,
    id, log and disk."""

    ticket: int
    policy: Retention


@dataclass(slots=True)
class WriteSample:
    """Put a piece of a recording to what is there of it, if it begins where that ends. Comes back as `sample_written`
    with how much is there."""

    uid: int
    sample: str
    offset: int
    data: bytes


@dataclass(slots=True)
class CheckSample:
    """Have a helper look at a recording that is whole. Comes back as `sample_checked`; one that is good is a file of
    its own from then on."""

    uid: int
    sample: str


@dataclass(slots=True)
class StorePrompt:
    """Keep a voice prompt. Comes back as `prompt_stored`."""

    uid: int
    name: str
    data: bytes


@dataclass(slots=True)
class DropVoiceFiles:
    """Remove files beside the voices, and what there is of recordings under way. Comes back as `voice_files_dropped`
    with the same ticket, unless that is 0."""

    uid: int
    names: tuple[str, ...]
    ticket: int = 0


@dataclass(slots=True)
class Report:
    """A line for the log. level: "debug", "info", "warning" or "error"."""

    level: str
    text: str


@dataclass(slots=True)
class Leave:
    """All is done: close everything and exit with this code."""

    code: int = 0


Effect = (
    ToClient
    | ToWorker
    | FeedWorker
    | Spawn
    | Kill
    | WriteTake
    | SyncLog
    | WriteNote
    | DropLog
    | DropInput
    | DropFile
    | Pack
    | Unpack
    | Commit
    | Ask
    | Expire
    | WriteSample
    | CheckSample
    | StorePrompt
    | DropVoiceFiles
    | Report
    | Leave
)
