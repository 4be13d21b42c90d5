"""The messages of protocol v1, as types.

Owns: the name, the fields and their order of every message on the bus, in both directions on both sockets.
Must not know: sockets, bytes (that is `codec`), or what anybody does with a message. Invariant: fields are
only ever added at the end, with a default; `Hello`, `Register` and `Refused` never change shape at all.

On the wire a header is one MessagePack array, ``[type, v, epoch, field, ...]``, with the fields in the order
in which their classes list them. A receiver ignores elements past those it knows and fills in defaults
for those that are missing, which is how a version grows. Nested values (`Choice`, `Style`) are maps. The
meaning of every field, with who repeats what when the other side dies, is in ``docs/protocol.md``.

Units: audio positions and lengths are counted in samples of the job's rate, text positions in Unicode code
points, durations in seconds.
"""

from __future__ import annotations

from typing import Any

from .fields import (
    PRIORITIES,
    PROTOCOL,
    PROTOCOL_LOW,
    TERMINAL_STATES,
    UNLIMITED,
    Blame,
    Choice,
    Consent,
    Count,
    Factor,
    HeardRow,
    Hearing,
    JobState,
    Keep,
    MarkRow,
    Message,
    Name,
    Origin,
    Pace,
    Priority,
    Read,
    SampleSpec,
    Seconds,
    Style,
    VoiceSpec,
    WordRow,
)
from .from_clients import (
    Append,
    Attach,
    Bye,
    Cancel,
    CancelAll,
    Credit,
    Delete,
    Deposit,
    Detach,
    End,
    Fetch,
    Hello,
    Import,
    Pin,
    Query,
    Sample,
    Submit,
    Voice,
)
from .from_workers import Beat, Begun, Chunk, Done, Failed, Heard, Need, Prompt, Ready, Register, Stopped, TakeMarks
from .to_clients import (
    Accepted,
    Appended,
    Attached,
    Audio,
    CancelledAll,
    Deleted,
    Deposited,
    Error,
    Fetched,
    Imported,
    Marks,
    Notice,
    Page,
    Pinned,
    Rewind,
    SampleHeld,
    Terminal,
    Transcript,
    VoiceDone,
)
from .to_workers import Feed, Forget, Grant, Quit, Stop, Work

__all__ = [
    "PRIORITIES",
    "PROTOCOL",
    "PROTOCOL_LOW",
    "TERMINAL_STATES",
    "UNLIMITED",
    "Accepted",
    "Append",
    "Appended",
    "Attach",
    "Attached",
    "Audio",
    "Beat",
    "Begun",
    "Blame",
    "Bye",
    "Cancel",
    "CancelAll",
    "CancelledAll",
    "Choice",
    "Chunk",
    "ClientMessage",
    "Consent",
    "Count",
    "Credit",
    "Delete",
    "Deleted",
    "Deposit",
    "Deposited",
    "Detach",
    "Done",
    "End",
    "Error",
    "Factor",
    "Failed",
    "Feed",
    "Fetch",
    "Fetched",
    "Forget",
    "Grant",
    "Greet",
    "Heard",
    "HeardRow",
    "Hearing",
    "Hello",
    "Import",
    "Imported",
    "JobState",
    "Keep",
    "MarkRow",
    "Marks",
    "Message",
    "Name",
    "Need",
    "Notice",
    "Origin",
    "Pace",
    "Page",
    "Pin",
    "Pinned",
    "Priority",
    "Prompt",
    "Query",
    "Quit",
    "Read",
    "Ready",
    "Refused",
    "Register",
    "Rewind",
    "Sample",
    "SampleHeld",
    "SampleSpec",
    "Seconds",
    "Stop",
    "Stopped",
    "Style",
    "Submit",
    "TakeMarks",
    "Terminal",
    "ToClient",
    "ToWorker",
    "Transcript",
    "Voice",
    "VoiceDone",
    "VoiceSpec",
    "Welcome",
    "WordRow",
    "Work",
    "WorkerMessage",
]


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
ToWorker = Welcome | Refused | Greet | Work | Grant | Stop | Feed | Forget | Quit
