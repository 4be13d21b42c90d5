"""Voice prompts as bytes: what was packed comes back, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebus.bus.prompts import PROMPT_BYTES, WIDTHS, Array, BadPrompt, VoicePrompt, check, pack, unpack

PROMPT = VoicePrompt(
    {
        "codes": Array("I16", (2, 3), bytes(range(12))),
        "speaker": Array("F32", (2,), b"\0" * 8),
        "none": Array("I16", (0, 4), b""),
    },
    {"text": "Good morning."},
    "key",
    "model",
    "revision",
    "mode",
)


def changed(data: bytes, **fields: object) -> bytes:
    """The same prompt with another header, put together by hand."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name, value in fields.items():
        if value is None:
            del header[name]
        else:
            header[name] = value
    made = json.dumps(header).encode()
    return len(made).to_bytes(8, "little") + made + data[8 + length :]


def test_what_was_packed_comes_back():
    """Arrays, words and what it was made for are the same, also of an array without numbers."""
    assert unpack(pack(PROMPT)) == PROMPT
    assert check(pack(PROMPT)) == "key"


def test_the_file_is_what_safetensors_writes():
    """Header length, JSON and arrays stand where other programs look for them."""
    data = pack(PROMPT)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    assert header["codes"] == {"dtype": "I16", "shape": [2, 3], "data_offsets": [0, 12]}
    assert header["__metadata__"]["format"] == "voicebus voice prompt 1"
    assert data[8 + length :] == bytes(range(12)) + b"\0" * 8


@given(st.binary(max_size=300))
def test_any_bytes_are_a_prompt_or_are_refused(data):
    """Whatever comes in, nothing but BadPrompt comes of it."""
    with pytest.raises(BadPrompt):
        unpack(data)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_prompt_is_refused(at, by):
    """A byte that is another is found, wherever it is, unless it means the same."""
    data = bytearray(pack(PROMPT))
    data[at % len(data)] ^= by
    try:
        found = unpack(bytes(data))
    except BadPrompt:
        return
    assert found == PROMPT


@pytest.mark.parametrize(
    "header",
    [
        {"codes": {"dtype": "I16", "shape": [2, 3], "data_offsets": [0, 11]}},
        {"codes": {"dtype": "I16", "shape": [2, 300], "data_offsets": [0, 12]}},
        {"codes": {"dtype": "I16", "shape": [-2, -3], "data_offsets": [0, 12]}},
        {"codes": {"dtype": "pickle", "shape": [2, 3], "data_offsets": [0, 12]}},
        {"codes": {"dtype": "I16", "shape": [2**40, 2**40], "data_offsets": [0, 12]}},
        {"codes": None},
        {"speaker": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}},
        {"speaker": [1, 2]},
        {"__metadata__": None},
        {"__metadata__": {"format": "voicebus voice prompt 2"}},
        {"__metadata__": 5},
    ],
)
def test_a_header_that_lies_is_refused(header):
    """Arrays lie within the bytes, one behind the other, and are as long as their type and shape say."""
    with pytest.raises(BadPrompt):
        unpack(changed(pack(PROMPT), **header))


def test_there_are_limits():
    """Nothing larger than the limit is packed or looked at, and no array that is not what it says."""
    with pytest.raises(BadPrompt, match="over the limit"):
        pack(VoicePrompt({"x": Array("U8", (PROMPT_BYTES,), bytes(PROMPT_BYTES))}))
    with pytest.raises(BadPrompt, match="over the limit"):
        pack(VoicePrompt({f"x{n}": Array("U8", (1,), b"x") for n in range(65)}))
    with pytest.raises(BadPrompt, match="no voice prompt"):
        unpack(bytes(PROMPT_BYTES + 1))
    with pytest.raises(BadPrompt, match="longer than it may be"):
        unpack((1 << 20).to_bytes(8, "little") + bytes(1 << 21))
    with pytest.raises(BadPrompt, match="has 3 bytes"):
        pack(VoicePrompt({"x": Array("F32", (1,), b"abc")}))
    assert WIDTHS["BF16"] == 2
