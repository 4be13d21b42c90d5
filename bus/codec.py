"""Headers to bytes and back, within limits.

Owns: the limits of a message and the one place where bytes become types. Must not know: sockets. Invariant:
whatever bytes come in, `decode_*` returns a message of the right direction or raises `BadMessage`, in bounded
time and memory: the header's length is checked before it is looked at, and it is decoded straight into typed
fields (decoding to generic objects first costs twenty times as much, and lets a 1 MB header of empty maps
grow to 73 MB).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

from .archived import ArchivedJob, ArchivedSegment
from .errors import BadMessage
from .messages import ClientMessage, HeardRow, MarkRow, Message, ToClient, ToWorker, WorkerMessage

HEADER_BYTES = 64 * 1024
"""Longest header."""

BODY_BYTES = 1024 * 1024
"""Longest body: text, PCM, or a page of a list."""

MESSAGE_BYTES = BODY_BYTES
"""What ZeroMQ is told as `MAXMSGSIZE`: longer parts cut the connection without a word, so senders check
first."""

MARKS = 16 * 1024
"""Most timings in one body."""

ROW_BYTES = 256 * 1024
"""Longest row of a transcript."""

PAGE_ROWS = 1000
"""Most rows in one page of a list, whatever was asked for."""

JOB_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
"""What a job's name may look like."""

VOICE_NAME = re.compile(r"[^\W_][\w.\-]{0,63}\Z")
"""What the name of a user's own voice may look like: letters and digits of any script, with _ . - between them. Slashes
and colons part a provider from its voice, spaces and plus signs mean something elsewhere."""

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
encode: Callable[[Any], bytes] = _encoder.encode
"""A message, or plain data for a body, to MessagePack."""

_from_client: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_to_client: msgspec.msgpack.Decoder[ToClient] = msgspec.msgpack.Decoder(ToClient)
_from_worker: msgspec.msgpack.Decoder[WorkerMessage] = msgspec.msgpack.Decoder(WorkerMessage)
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_heard = msgspec.msgpack.Decoder(HeardRow)
_mark_rows = msgspec.msgpack.Decoder(Annotated[list[MarkRow], msgspec.Meta(max_length=MARKS)])
_rows = msgspec.msgpack.Decoder(Annotated[list[dict[str, Any]], msgspec.Meta(max_length=PAGE_ROWS)])
_map = msgspec.msgpack.Decoder(dict[str, Any])
_job = msgspec.msgpack.Decoder(ArchivedJob)
_segment = msgspec.msgpack.Decoder(ArchivedSegment)


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes | memoryview, limit: int, what: str) -> T:
    if len(data) > limit:
        raise BadMessage(f"{what} of {len(data)} bytes is over the limit of {limit}")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        # Cut short: the text quotes what was sent, and goes into an answer and the log.
        raise BadMessage(f"{what} not understood: {str(error)[:200]}") from None


def decode_from_client(header: bytes) -> ClientMessage:
    """What a client sent. Raises BadMessage."""
    return _decode(_from_client, header, HEADER_BYTES, "header")


def decode_to_client(header: bytes) -> ToClient:
    """What the daemon sent to a client. Raises BadMessage."""
    return _decode(_to_client, header, HEADER_BYTES, "header")


def decode_from_worker(header: bytes) -> WorkerMessage:
    """What a worker sent. Raises BadMessage."""
    return _decode(_from_worker, header, HEADER_BYTES, "header")


def decode_to_worker(header: bytes) -> ToWorker:
    """What the daemon sent to a worker. Raises BadMessage."""
    return _decode(_to_worker, header, HEADER_BYTES, "header")


def decode_marks(body: bytes | memoryview) -> list[MarkRow]:
    """The body of MARKS or TAKE_MARKS. Raises BadMessage."""
    return _decode(_mark_rows, body, BODY_BYTES, "list of marks")


def decode_heard(body: bytes | memoryview) -> HeardRow:
    """The body of HEARD or TRANSCRIPT. Raises BadMessage."""
    return _decode(_heard, body, ROW_BYTES, "row of a transcript")


def decode_rows(body: bytes | memoryview) -> list[dict[str, Any]]:
    """The body of PAGE. Raises BadMessage."""
    return _decode(_rows, body, BODY_BYTES, "page")


def decode_map(body: bytes | memoryview) -> dict[str, Any]:
    """The body of READY. Raises BadMessage."""
    return _decode(_map, body, BODY_BYTES, "map")


def decode_archived_job(body: bytes | memoryview) -> ArchivedJob:
    """The body of IMPORT. Raises BadMessage."""
    return _decode(_job, body, BODY_BYTES, "job")


def decode_archived_segment(body: bytes | memoryview) -> ArchivedSegment:
    """The body of DEPOSIT `segment`. Raises BadMessage."""
    return _decode(_segment, body, BODY_BYTES, "segment")


def encode_checked(message: Message, body: bytes | memoryview = b"") -> bytes:
    """A message's header, after checking that header and body are within the limits, since ZeroMQ would cut
    the connection without telling why. Raises BadMessage."""
    header = encode(message)
    if len(header) > HEADER_BYTES:
        raise BadMessage(f"header of {len(header)} bytes is over the limit of {HEADER_BYTES}")
    if len(body) > BODY_BYTES:
        raise BadMessage(f"body of {len(body)} bytes is over the limit of {BODY_BYTES}")
    return header
