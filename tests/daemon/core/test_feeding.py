"""Bytes that workers ask for by key: what is sent, how much at a time, and what is not there."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import Feed, Need
from voicebus.daemon.core import feeding
from voicebus.daemon.core.effects import FeedWorker
from voicebus.daemon.core.feeding import NEEDS, PIECE_BYTES, PIECES, WINDOW_BYTES, Source

from .world_of_one import Stage, settings

DATA = bytes(range(256)) * 1600  # a window and a half


@pytest.fixture
def stage(monkeypatch):
    """A stage with one file that keys of the kind "sample" name."""
    made = Stage(settings())
    made.files["voices/x.wav"] = bytearray(DATA)

    def find(world, worker, rest, offset, now):
        kinds = {
            "x": Source(len(DATA), "voices/x.wav"),
            "gone": Source(10, "voices/gone.wav"),
            "empty": Source(0, "voices/empty.wav"),
            "memory": Source(len(DATA), read=lambda at, end: DATA[at:end]),
        }
        return kinds.get(rest, "It was removed.")

    monkeypatch.setitem(feeding.SOURCES, "sample", find)
    return made


def fed(worker):
    return [(message, body) for message, body in worker.inbox if type(message) is Feed]


@pytest.mark.parametrize("key", ["sample:x", "sample:memory"])
def test_a_range_is_sent_whole(stage, key):
    """A worker gets the bytes that it asked for, in order, each run with its offset and the size of the whole."""
    worker = stage.worker()
    worker.say(Need(key=key, up_to=100_000))
    worker.say(Need(key=key, up_to=150_000, offset=100_000))
    assert b"".join(body for _, body in fed(worker)) == DATA[:150_000]
    at = 0
    for message, body in fed(worker):
        assert (message.key, message.offset, message.size, message.missing) == (key, at, len(DATA), "")
        assert len(body) <= PIECE_BYTES
        at += len(body)


def test_no_more_than_a_window_for_one_need(stage):
    """However much a worker asks for, one NEED brings a window of it, and the end of the bytes is the end."""
    worker = stage.worker()
    worker.say(Need(key="sample:x", up_to=2**53 - 1))
    assert sum(len(body) for _, body in fed(worker)) == WINDOW_BYTES
    worker.say(Need(key="sample:x", up_to=2**53 - 1, offset=WINDOW_BYTES))
    assert b"".join(body for _, body in fed(worker)) == DATA


def test_a_few_pieces_in_a_pass(stage):
    """In one pass of the loop a worker is sent a few pieces, so that others' audio goes out in between."""
    worker = stage.worker()
    core = stage.core
    core.worker_message(worker.peer, 0, 0, Need(1, "e1", worker.session, "sample:x", 10**6), b"", stage.now)
    assert not core.effects
    assert core.hungry
    core.tick(stage.now)
    assert [type(effect) for effect in core.effects] == [FeedWorker] * PIECES
    stage.run()
    assert not core.hungry


def test_the_end_is_reached_by_asking_for_nothing_more(stage):
    """Asking from the end on brings nothing; from beyond it, why not."""
    worker = stage.worker()
    worker.say(Need(key="sample:x", up_to=10**6, offset=len(DATA)))
    assert not fed(worker)
    worker.say(Need(key="sample:x", up_to=10**6, offset=len(DATA) + 1))
    assert "bytes of it" in fed(worker)[0][0].missing


def test_what_is_empty_has_one_feed(stage):
    """Of something empty one FEED comes, without a body, whose offset is its size."""
    worker = stage.worker()
    worker.say(Need(key="sample:empty", up_to=10))
    [(message, body)] = fed(worker)
    assert (message.offset, message.size, message.missing, body) == (0, 0, "", b"")


@pytest.mark.parametrize("key", ["sample:y", "song:x", "", "sample:gone"])
def test_what_is_not_there_is_said(stage, key):
    """A key that means nothing, or whose file cannot be read, is answered with why, and the worker lives on."""
    worker = stage.worker()
    worker.say(Need(key=key, up_to=10))
    [(message, body)] = fed(worker)
    assert message.key == key
    assert message.missing
    assert not body
    assert stage.core.world.workers["a/0"].state == "ready"


def test_what_disappears_meanwhile_is_said(stage, monkeypatch):
    """Bytes that are gone when their turn comes are answered with why."""
    worker = stage.worker()
    core = stage.core
    core.worker_message(worker.peer, 0, 0, Need(1, "e1", worker.session, "sample:x", 10**6), b"", stage.now)
    monkeypatch.setitem(feeding.SOURCES, "sample", lambda *_: "It was removed.")
    stage.run()
    [(message, _)] = fed(worker)
    assert message.missing == "It was removed."
    assert not core.hungry


def test_a_flood_of_needs_is_a_breach(stage):
    """A worker that asks for more at once than anybody needs is replaced."""
    worker = stage.worker()
    core = stage.core
    for _ in range(NEEDS + 1):
        core.worker_message(worker.peer, 0, 0, Need(1, "e1", worker.session, "sample:x", 10**6), b"", stage.now)
    stage.run()
    assert stage.killed == ["a/0"]


def test_a_worker_that_leaves_is_forgotten(stage):
    """Whoever registers anew gets nothing of what its former self asked for; and who is gone keeps nobody busy."""
    worker = stage.worker()
    core = stage.core
    core.worker_message(worker.peer, 0, 0, Need(1, "e1", worker.session, "sample:x", 10**6), b"", stage.now)
    worker.register()
    stage.run()
    assert not fed(worker)
    assert not core.hungry
    core.world.feeding["nobody/0"] = None
    core.tick(stage.now)
    assert not core.hungry
