"""Headers and bodies to bytes and back, within limits."""

from __future__ import annotations

import math
from typing import get_type_hints

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.bus import codec, messages
from voicebus.bus.errors import BadMessage
from voicebus.bus.messages import (
    UNLIMITED,
    Append,
    Attach,
    Audio,
    Cancel,
    Chunk,
    Credit,
    Error,
    Hello,
    MarkRow,
    Query,
    Ready,
    Refused,
    Register,
    Submit,
    Work,
)

from .shapes import DIRECTIONS, EVERY, made


def tag(cls: type) -> str:
    return cls.__struct_config__.tag


def header(*elements: object) -> bytes:
    return msgpack.packb(elements)


@pytest.mark.parametrize(("cls", "decode"), EVERY, ids=lambda value: getattr(value, "__name__", ""))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_message_comes_back_as_it_was_sent(cls, decode, data) -> None:
    """Whatever a message's fields hold, decoding what was encoded gives an equal message."""
    message = data.draw(made(cls))
    assert decode(codec.encode_checked(message)) == message


@pytest.mark.parametrize(("cls", "decode"), EVERY, ids=lambda value: getattr(value, "__name__", ""))
def test_another_library_reads_the_same_array(cls, decode) -> None:
    """To an independent MessagePack library a header is one array: type, version, epoch, fields in order."""
    elements = msgpack.unpackb(codec.encode(cls(epoch="e1")))
    assert elements[:3] == [tag(cls), 1, "e1"]
    assert len(elements) == 1 + len(cls.__struct_fields__)


@pytest.mark.parametrize(("cls", "decode"), EVERY, ids=lambda value: getattr(value, "__name__", ""))
def test_what_a_newer_version_adds_is_ignored(cls, decode) -> None:
    """Elements behind the last one that is known change nothing."""
    known = msgpack.unpackb(codec.encode(cls(epoch="e1")))
    assert decode(header(*known, "new", {"a": [1, None]}, 2.5)) == cls(epoch="e1")


@pytest.mark.parametrize(("cls", "decode"), EVERY, ids=lambda value: getattr(value, "__name__", ""))
def test_what_an_older_version_lacks_has_its_default(cls, decode) -> None:
    """A header may end after any element; the rest is as the defaults say."""
    whole = msgpack.unpackb(codec.encode(cls()))
    for length in range(1, len(whole)):
        assert decode(header(*whole[:length])) == cls()


def test_new_keys_in_nested_maps_are_ignored() -> None:
    """A chain's entry or a style with a key from a later version is read without it."""
    elements = msgpack.unpackb(codec.encode(Submit(job="j")))
    elements[5] = [{"provider": "espeak", "mood": "gay"}]
    elements[10] = {"rate": 2, "whisper": True}
    found = codec.decode_from_client(header(*elements))
    assert found.chain == [messages.Choice("espeak")]
    assert found.style == messages.Style(rate=2.0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_message_of_another_direction_is_none(direction) -> None:
    """A message that goes the other way, or over the other socket, is not understood."""
    union, decode = DIRECTIONS[direction]
    for cls, _ in EVERY:
        if cls not in union.__args__:
            with pytest.raises(BadMessage):
                decode(codec.encode(cls()))


# Written out by hand: what stands here may never change, in any version of the protocol.
FROZEN = [
    (
        Hello(low=1, high=2, name="n", version="0.1", pid=7),
        codec.decode_from_client,
        b"\x98\xa5hello\x01\xa0\x01\x02\xa1n\xa30.1\x07",
    ),
    (
        Register(low=1, high=2, ticket="t", provider="p", version="0.1", pid=7),
        codec.decode_from_worker,
        b"\x99\xa8register\x01\xa0\x01\x02\xa1t\xa1p\xa30.1\x07",
    ),
    (
        Refused(epoch="e", code="version", message="m", low=1, high=2, version="0.1"),
        codec.decode_to_client,
        b"\x98\xa7refused\x01\xa1e\xa7version\xa1m\x01\x02\xa30.1",
    ),
]


@pytest.mark.parametrize(("message", "decode", "literal"), FROZEN, ids=["hello", "register", "refused"])
def test_the_frozen_messages_have_their_bytes(message, decode, literal) -> None:
    """HELLO, REGISTER and REFUSED are, byte for byte, what they have always been."""
    assert codec.encode(message) == literal
    assert decode(literal) == message


def test_hello_of_a_far_future_can_be_read() -> None:
    """A HELLO in a version that nobody knows yet is understood, so that it can be refused in words."""
    found = codec.decode_from_client(header("hello", 900, "", 899, 901, "n", "99.0", 1))
    assert (found.v, found.low, found.high) == (900, 899, 901)


def sized(size: int) -> bytes:
    """A header of just this many bytes."""
    bare = len(codec.encode(Query(cursor="x" * 40_000)))
    return codec.encode(Query(cursor="x" * (40_000 + size - bare)))


def test_a_header_may_be_so_long_and_no_longer() -> None:
    """A header at the limit is read; one byte more is refused before it is looked at."""
    assert codec.decode_from_client(sized(codec.HEADER_BYTES))
    with pytest.raises(BadMessage, match="over the limit of 65536"):
        codec.decode_from_client(sized(codec.HEADER_BYTES + 1))


def test_senders_learn_of_a_limit_before_sending() -> None:
    """A message that ZeroMQ would cut off is refused while it is made, with the limit in the words."""
    assert codec.encode_checked(Audio(job="j"), bytes(codec.BODY_BYTES))
    with pytest.raises(BadMessage, match="body of 1048577 bytes is over the limit of 1048576"):
        codec.encode_checked(Audio(job="j"), bytes(codec.BODY_BYTES + 1))
    with pytest.raises(BadMessage, match=r"header of .* bytes is over the limit of 65536"):
        codec.encode_checked(Query(cursor="x" * 70_000))


BAD = {
    "nothing": b"",
    "an empty array": header(),
    "no array": msgpack.packb({"type": "hello"}),
    "a type that is none": header("hallo"),
    "a type in capitals": header("HELLO"),
    "a type that is a number": header(5),
    "a word where a number belongs": header("credit", 1, "", "j", "9"),
    "bytes where a word belongs": header("cancel", 1, "", b"j"),
    "nil where a word belongs": header("cancel", 1, "", None),
    "a fraction where a number belongs": header("credit", 1, "", "j", 1.5),
    "a negative offset": header("attach", 1, "", "j", "live", -1),
    "a negative credit": header("credit", 1, "", "j", -1),
    "a number beyond 2^53": header("credit", 1, "", "j", 2**53),
    "the largest number there is": header("credit", 1, "", "j", 2**64 - 1),
    "NaN": header("submit", 1, "", "j", "speak", [], "", True, False, 0, {"rate": math.nan}),
    "infinity": header("submit", 1, "", "j", "speak", [], "", True, False, 0, {"pitch": math.inf}),
    "endless patience": header(
        "submit", 1, "", "j", "speak", [], "", True, False, 0, {}, "text", "listen", "job", math.inf
    ),
    "a chain without end": header("submit", 1, "", "j", "speak", [{}] * 65),
    "an option that is a map": header("submit", 1, "", "j", "speak", [], "", True, False, 0, {"options": {"a": {}}}),
    "a priority that is none": header("submit", 1, "", "j", "speak", [], "", True, False, 0, {}, "urgent"),
    "a job's name of 257 letters": header("cancel", 1, "", "j" * 257),
    "half a character": b"\x94\xa6cancel\x01\xa0\xa2\xff\xfe",
    "a message and a half": header("bye", 1, "") + b"\x00",
    "half a message": header("submit", 1, "", "j")[:-1],
    "an array with a lying length": b"\xdd\xff\xff\xff\xff\xa3bye",
    "a chain with a lying length": b"\x96\xa6submit\x01\xa0\xa1j\xa5speak\xdd\xff\xff\xff\xff",
    "a map with a lying length": b"\x98\xa5query\x01\xa0\xa1r\xa1w\xa0\x01\xdf\xff\xff\xff\xff",
    "a word with a lying length": b"\x91\xdb\xff\xff\xff\xffhello",
    "nesting without end": b"\x91" * 60_000,
    "nesting in what is to be ignored": b"\x98\xa6cancel\x01\xa0\xa1j" + b"\x91" * 60_000,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_message_is_refused_by_name(data) -> None:
    """Each kind of nonsense raises BadMessage with a short text, and nothing else."""
    with pytest.raises(BadMessage) as caught:
        codec.decode_from_client(data)
    assert caught.value.code == "bad_message"
    assert len(caught.value.message) < 300


def test_a_refusal_does_not_repeat_a_long_message() -> None:
    """The text of a refusal stays short, however long the nonsense was that it quotes."""
    with pytest.raises(BadMessage) as caught:
        codec.decode_from_client(header("x" * 60_000))
    assert len(caught.value.message) < 300


def test_a_key_given_twice_counts_once() -> None:
    """Of a key that stands twice in a map the last one counts, and nothing breaks."""
    data = b"\x98\xa5query\x01\xa0\xa1r\xa4jobs\xa0\x01\x82\xa5state\xa1a\xa5state\xa1b"
    assert codec.decode_from_client(data).where == {"state": "b"}


@pytest.mark.parametrize(
    ("cls", "field"),
    [
        (Credit, "up_to"),
        (Attach, "offset"),
        (Append, "n"),
        (Chunk, "offset"),
        (Chunk, "seq"),
        (Audio, "offset"),
        (Ready, "rate"),
        (Work, "credit"),
    ],
)
def test_positions_have_a_range(cls, field) -> None:
    """A position or count goes from 0 to the largest integer that every library carries exactly."""
    decode = dict(EVERY)[cls]
    for good in (0, UNLIMITED):
        assert getattr(decode(codec.encode(cls(**{field: good}))), field) == good
    for bad in (-1, UNLIMITED + 1):
        with pytest.raises(BadMessage):
            decode(codec.encode(cls(**{field: bad})))


def test_every_number_of_a_peer_is_bounded() -> None:
    """No integer or float that a client or a worker sends is without a range."""
    free = [
        f"{cls.__name__}.{name}"
        for cls, decode in EVERY
        if decode in {codec.decode_from_client, codec.decode_from_worker}
        for name, hint in get_type_hints(cls, include_extras=True).items()
        if hint in {int, float}
    ]
    assert free == []


def test_whole_numbers_stand_for_floats() -> None:
    """A float may be sent as an integer, as many libraries do by themselves."""
    assert codec.decode_to_client(header("error", 1, "", "", "", "x", "m", "daemon", 3)).retry_after == 3.0


def test_mark_rows_are_arrays() -> None:
    """A body of timings is an array of arrays, of which trailing elements may be missing or unknown."""
    body = msgpack.packb([["word", 5], ["mark", 6, 1, 2, "here", 0.5, "estimate", "new"]])
    assert codec.decode_marks(body) == [MarkRow("word", 5), MarkRow("mark", 6, 1, 2, "here", 0.5, "estimate")]
    assert msgpack.unpackb(codec.encode([MarkRow("word", 5)])) == [["word", 5, 0, 0, "", 1.0, ""]]


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc0", msgpack.packb([["word"]]), msgpack.packb([["word", -1]]), msgpack.packb([["word", 1]] * 16_385)],
    ids=["nothing", "nil", "half a row", "a negative sample", "too many"],
)
def test_what_is_no_list_of_marks_is_refused(body) -> None:
    """A body of timings that is malformed or too long raises BadMessage."""
    with pytest.raises(BadMessage):
        codec.decode_marks(body)


def test_pages_are_bounded() -> None:
    """A page of a list has at most a thousand rows, each of them a map."""
    assert len(codec.decode_rows(msgpack.packb([{}] * 1000))) == 1000
    for body in (msgpack.packb([{}] * 1001), msgpack.packb([[]]), bytes(codec.BODY_BYTES + 1)):
        with pytest.raises(BadMessage):
            codec.decode_rows(body)


def test_a_map_is_a_map() -> None:
    """The body of READY is one map with names as keys."""
    assert codec.decode_map(msgpack.packb({"voices": [], "x": None})) == {"voices": [], "x": None}
    for body in (b"\x90", msgpack.packb({1: 2}), b"\x81\xa1a" + b"\x91" * 60_000, bytes(codec.BODY_BYTES + 1)):
        with pytest.raises(BadMessage):
            codec.decode_map(body)


def test_bodies_are_read_without_a_copy() -> None:
    """A body may be any buffer, such as a memoryview of a received frame."""
    assert codec.decode_map(memoryview(msgpack.packb({"a": 1}))) == {"a": 1}


def test_job_names() -> None:
    """A job's name has 1 to 64 letters, digits, underscores, dots and hyphens, and no newline at its end."""
    for name in ("a", "A-z_0.9", "x" * 64):
        assert codec.JOB_NAME.match(name)
    for name in ("", "x" * 65, "a b", "a/b", "ä", "a\n"):
        assert not codec.JOB_NAME.match(name)


def test_messages_are_not_tracked_by_the_collector() -> None:
    """No message takes part in garbage collection: thousands a second would make it run all the time."""
    assert [cls for cls, _ in EVERY if cls.__struct_config__.gc is not False] == []


def test_an_error_knows_its_default_blame() -> None:
    """An ERROR without more is the caller's to mend."""
    assert msgspec.to_builtins(Error())[7] == "caller"
    assert Cancel().v == messages.PROTOCOL
