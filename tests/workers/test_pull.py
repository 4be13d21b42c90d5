"""From an engine that calls back to an iterator."""

from __future__ import annotations

import threading

import pytest

from voicebus.workers.engine import Chunk
from voicebus.workers.pull import pull


def test_items_come_in_order():
    """What is pushed comes out, all of it, in order."""

    def push(emit):
        for at in range(100):
            assert emit(Chunk(bytes([at])))

    assert [item.pcm[0] for item in pull(push)] == list(range(100))


def test_the_engine_waits_for_the_consumer():
    """No more than one item is made ahead of what is taken."""
    made = []

    def push(emit):
        for at in range(10):
            made.append(at)
            emit(Chunk(b""))

    for taken, _ in enumerate(pull(push)):
        assert len(made) <= taken + 3


def test_closing_stops_the_engine():
    """After closing, emit says no, and the engine has returned when close does."""
    answers = []
    over = threading.Event()

    def push(emit):
        while True:
            answers.append(emit(Chunk(b"")))
            if not answers[-1]:
                break
        over.set()

    items = pull(push)
    next(items)
    items.close()
    assert over.is_set()
    assert answers[-1] is False


def test_what_the_engine_raises_is_raised():
    """An exception comes out where the iteration is, behind the items before it."""

    def push(emit):
        emit(Chunk(b"x"))
        raise ValueError("no more")

    items = pull(push)
    assert next(items).pcm == b"x"
    with pytest.raises(ValueError, match="no more"):
        next(items)
