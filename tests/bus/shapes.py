"""Strategies that make any message of the protocol, from its types."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from voicebus.bus import codec, messages

TEXT = st.text(max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)

DIRECTIONS = {
    "from_client": (messages.ClientMessage, codec.decode_from_client),
    "to_client": (messages.ToClient, codec.decode_to_client),
    "from_worker": (messages.WorkerMessage, codec.decode_from_worker),
    "to_worker": (messages.ToWorker, codec.decode_to_worker),
}

EVERY = [(cls, decode) for union, decode in DIRECTIONS.values() for cls in get_args(union)]
"""Every message with the decoder of its direction; a few go both ways."""


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type may hold."""
    if get_origin(hint) is Annotated:
        inner, meta = get_args(hint)
        if inner is int:
            return st.integers(meta.ge, meta.le if meta.le is not None else 2**53 - 1)
        if inner is float:
            return st.floats(meta.ge, meta.le)
        return values(inner)
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) in {Union, types.UnionType}:
        return st.one_of(*map(values, get_args(hint)))
    if get_origin(hint) is list:
        return st.lists(values(get_args(hint)[0]), max_size=4)
    if get_origin(hint) is dict:
        return st.dictionaries(*map(values, get_args(hint)), max_size=4)
    if hint is Any:
        return PLAIN
    simple = {
        int: st.integers(-(2**63), 2**64 - 1),
        float: st.floats(allow_nan=False),
        str: TEXT,
        bool: st.booleans(),
        types.NoneType: st.none(),
    }
    return simple[hint] if hint in simple else made(hint)


def made(cls: type) -> st.SearchStrategy[Any]:
    """Any message of this class."""
    hints = get_type_hints(cls, include_extras=True)
    return st.builds(cls, **{name: values(hints[name]) for name in cls.__struct_fields__})
