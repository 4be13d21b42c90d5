"""Whatever comes in, decoding ends soon, with a message or with BadMessage."""

from __future__ import annotations

import contextlib
import random
import time
import tracemalloc

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.bus import codec
from voicebus.bus.errors import BadMessage

from .shapes import DIRECTIONS, EVERY, PLAIN, made

DECODERS = [decode for _, decode in DIRECTIONS.values()]
ALL = [*DECODERS, codec.decode_marks, codec.decode_rows, codec.decode_map]


def try_all(data: bytes) -> None:
    for decode in ALL:
        with contextlib.suppress(BadMessage):
            decode(data)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_do_no_harm(data) -> None:
    """Bytes without any sense are a message or BadMessage."""
    try_all(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([cls.__struct_config__.tag for cls, _ in EVERY]), st.lists(PLAIN, max_size=18))
def test_the_wrong_fields_do_no_harm(tag, fields) -> None:
    """A known type with anything at all behind it is a message or BadMessage."""
    try_all(msgpack.packb([tag, *fields]))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_messages_do_no_harm(data) -> None:
    """A proper message with some bytes changed, cut out or put in is a message or BadMessage."""
    cls, _ = data.draw(st.sampled_from(EVERY))
    header = bytearray(codec.encode(data.draw(made(cls))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(header)))
        header[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try_all(bytes(header))


def test_many_damaged_messages_do_no_harm() -> None:
    """Twenty thousand damaged messages, always the same ones, end as messages or as BadMessage."""
    chance = random.Random(20_260_101)
    good = [codec.encode(cls(epoch="e1")) for cls, _ in EVERY]
    for _ in range(20_000):
        header = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 5)):
            header[chance.randrange(len(header))] = chance.choice((0x80, 0x90, 0xC0, 0xC1, 0xC7, 0xDD, 0xDF, 0xFF, 0))
        try_all(bytes(header))


GREEDY = {
    "empty maps": b"\xdc\xff\xff" + b"\x80" * 65_000,
    "a chain of empty maps": b"\x96\xa6submit\x01\xa0\xa1j\xa5speak\xdc\xff\xff" + b"\x80" * 65_000,
    "a map of little entries": b"\x98\xa5query\x01\xa0\xa1r\xa1w\xa0\x01\xde\x5d\xc0"
    + b"".join(b"\xa3" + f"{n:03x}".encode()[-3:] + b"\xa0" for n in range(13_000)),
    "what is to be ignored": b"\xdc\xff\xf0\xa3bye\x01\xa0" + b"\x80" * 65_000,
    "lengths that lie": b"\x98\xa5query\x01\xa0\xa1r\xa1w\xa0\x01" + b"\xdf\xff\xff\xff\xff" * 1000,
    "nesting": b"\x91" * 65_000,
    "nested maps": b"\x81\xa0" * 32_000,
}


@pytest.mark.parametrize("data", GREEDY.values(), ids=GREEDY)
def test_a_header_cannot_make_much_of_little(data) -> None:
    """Headers made to grow while decoding take at most 4 MB and half a second in any direction."""
    data = data[: codec.HEADER_BYTES]
    tracemalloc.start()
    try:
        begun = time.perf_counter()
        for decode in DECODERS:
            with contextlib.suppress(BadMessage):
                decode(data)
        took = time.perf_counter() - begun
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    assert took < 0.5


def test_a_body_cannot_make_much_of_little() -> None:
    """A map at the limit of a body, made to grow while decoding, stays under 128 MB."""
    body = b"\x81\xa1a\xdd" + (1_040_000).to_bytes(4, "big") + b"\x80" * 1_040_000
    tracemalloc.start()
    try:
        codec.decode_map(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 128 * 1024 * 1024
