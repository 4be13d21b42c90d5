"""Voice prompts on the disk and on the bus: what an engine made of a voice's recordings, in a neutral form.

Owns: the format, its limits, and the check of what was read. Must not know: engines, what the arrays mean. Invariant:
whatever bytes come in, `unpack` returns arrays that lie within them, with a checksum that is right, or raises
BadPrompt; nothing in a prompt is ever run, imported or unpickled.

The format is that of safetensors, so other programs can read it: the length of the header as eight bytes (little), the
header as JSON, then the arrays, one behind the other. Each entry of the header names an array's `dtype`, `shape` and
`data_offsets`; ``__metadata__`` maps words to words. Ours has `format` ("voicebus voice prompt 1"), `sha256` (of the
header as ``json.dumps(header, sort_keys=True)`` writes it with "" for this, and then the arrays), and `model`,
`revision`, `mode` and `key`, for which it was made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PROMPT_BYTES = 16 * 1024 * 1024
"""Longest voice prompt. One of Qwen's has 20 KB."""

ARRAYS = 64
_HEADER_BYTES = 64 * 1024
_FORMAT = "voicebus voice prompt 1"
_LENGTH = 8

WIDTHS = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one number, by the format's name for its type; little-endian all."""


class BadPrompt(Exception):
    """Bytes that are no voice prompt; the message says why."""


@dataclass(frozen=True, slots=True)
class Array:
    """Numbers: dtype as in `WIDTHS`, shape, and the bytes, in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class VoicePrompt:
    """What an engine needs to speak with a voice. arrays: by name. words: besides, such as what is said in the
    recordings. key, model, revision, mode: set by whoever asks an engine for it."""

    arrays: Mapping[str, Array]
    words: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    model: str = ""
    revision: str = ""
    mode: str = ""


class _Entry(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


_OWN = ("format", "sha256", "key", "model", "revision", "mode")


def pack(prompt: VoicePrompt) -> bytes:
    """A prompt as bytes. Raises BadPrompt for one that is none, or over a limit."""
    data, entries = bytearray(), dict[str, Any]()
    for name, array in prompt.arrays.items():
        if name == "__metadata__" or _size(array.dtype, array.shape) != len(array.data):
            raise BadPrompt(f"the array {name!r} has {len(array.data)} bytes, not what its type and shape say")
        begin = len(data)
        data += array.data
        entries[name] = {"dtype": array.dtype, "shape": list(array.shape), "data_offsets": [begin, len(data)]}
    told = {
        **{f"word:{name}": value for name, value in prompt.words.items()},
        "format": _FORMAT,
        "sha256": "",
        "key": prompt.key,
        "model": prompt.model,
        "revision": prompt.revision,
        "mode": prompt.mode,
    }
    told["sha256"] = _digest({"__metadata__": told, **entries}, data)
    header = json.dumps({"__metadata__": told, **entries}, sort_keys=True).encode()
    header += b" " * (-len(header) % _LENGTH)
    if len(header) > _HEADER_BYTES or len(entries) > ARRAYS or len(header) + len(data) + _LENGTH > PROMPT_BYTES:
        raise BadPrompt(f"a voice prompt of {len(entries)} arrays and {len(data)} bytes is over the limit")
    return len(header).to_bytes(_LENGTH, "little") + header + bytes(data)


def unpack(data: bytes) -> VoicePrompt:
    """The other way round. Raises BadPrompt."""
    told, entries, body = _opened(data)
    arrays, at = {}, 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        begin, end = entry.begin, entry.end
        if begin != at or end - begin != _size(entry.dtype, entry.shape) or end > len(body):
            raise BadPrompt(f"the array {name[:40]!r} is not where and as long as it says")
        arrays[name], at = Array(entry.dtype, entry.shape, bytes(body[begin:end])), end
    if at != len(body):
        raise BadPrompt("there are bytes that belong to no array")
    words = {name.removeprefix("word:"): value for name, value in told.items() if name.startswith("word:")}
    return VoicePrompt(arrays, words, told["key"], told["model"], told["revision"], told["mode"])


def check(data: bytes) -> str:
    """Whether bytes are a voice prompt: its key. Raises BadPrompt."""
    return unpack(data).key


def _opened(data: bytes) -> tuple[dict[str, str], dict[str, _Entry], memoryview]:
    if len(data) > PROMPT_BYTES or len(data) < _LENGTH:
        raise BadPrompt(f"{len(data)} bytes are no voice prompt")
    length = int.from_bytes(data[:_LENGTH], "little")
    if length > min(_HEADER_BYTES, len(data) - _LENGTH):
        raise BadPrompt("its header is longer than it may be")
    try:
        header = json.loads(data[_LENGTH : _LENGTH + length])
        told = {str(name): str(value) for name, value in header.pop("__metadata__", {}).items()}
        entries = {str(name): _entry(value) for name, value in header.items()}
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise BadPrompt(f"its header is not understood: {str(error)[:100]}") from None
    body = memoryview(data)[_LENGTH + length :]
    if told.get("format") != _FORMAT or any(name not in told for name in _OWN):
        raise BadPrompt("it is a file of another kind, or of a newer voicebus")
    if _digest({**header, "__metadata__": {**told, "sha256": ""}}, body) != told["sha256"]:
        raise BadPrompt("its checksum is wrong: it is damaged")
    if len(entries) > ARRAYS:
        raise BadPrompt(f"it has {len(entries)} arrays; at most {ARRAYS}")
    return told, entries, body


def _digest(header: dict[str, Any], data: bytes | bytearray | memoryview) -> str:
    """SHA-256 of a header, with no checksum in it yet, and of the arrays."""
    import hashlib  # late: the daemon reads this module too, and seldom a prompt

    made = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    made.update(data)
    return made.hexdigest()


def _entry(told: Any) -> _Entry:
    begin, end = (int(place) for place in told["data_offsets"])
    return _Entry(str(told["dtype"]), tuple(int(side) for side in told["shape"]), begin, end)


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of an array. Raises BadPrompt."""
    if dtype not in WIDTHS or len(shape) > 8 or any(not 0 <= side <= PROMPT_BYTES for side in shape):
        raise BadPrompt(f"an array of type {dtype[:20]!r} and shape {shape[:8]} is none")
    return WIDTHS[dtype] * math.prod(shape)
