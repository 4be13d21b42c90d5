"""Bytes fetched by key: a real condition, a thread that waits, and what the daemon may do meanwhile."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from voicebus.bus import messages as m
from voicebus.workers.engine import EngineError
from voicebus.workers.fetching import STEP_BYTES, Fetches

WORK = m.Work(1, "e1", "s1", "a1")
DATA = bytes(range(251)) * 5000


class Daemon:
    """Answers NEEDs when it is told to. asked: those that have come."""

    def __init__(self):
        self.changed = threading.Condition()
        self.fetches = Fetches(self.changed, self.post)
        self.asked = deque()
        self.came = threading.Semaphore(0)
        self.got = bytearray()
        self.stop = False
        self.result = None

    def post(self, message, body):
        self.asked.append(message)
        self.came.release()

    def next(self):
        assert self.came.acquire(timeout=10)
        return self.asked.popleft()

    def begin(self, key="sample:x"):
        def run():
            try:
                self.result = self.fetches.fetch(WORK, key, self.got.extend, lambda: self.stop)
            except EngineError as error:
                self.result = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.result

    def feed(self, need, data=DATA, piece=32768, size=None):
        for at in range(need.offset, min(need.up_to, len(data)), piece):
            run = data[at : min(at + piece, need.up_to, len(data))]
            self.fetches.fed(m.Feed(1, "e1", "s1", need.key, at, len(data) if size is None else size), run)


def test_all_bytes_come_in_order():
    """A whole is fetched step by step, asked for ahead of what has come, and handed on in order."""
    daemon = Daemon()
    daemon.begin()
    asked = []
    while sum(need.up_to - need.offset for need in asked) < len(DATA):
        asked.append(daemon.next())
        daemon.feed(asked[-1])
    assert daemon.join() is True
    assert daemon.got == DATA
    assert [(need.session, need.key, need.offset) for need in asked] == [
        ("s1", "sample:x", at) for at in range(0, len(DATA), STEP_BYTES)
    ]
    assert not daemon.asked


def test_what_comes_again_or_for_nobody_is_thrown_away():
    """Bytes that came before, that leave a gap, or of another key change nothing."""
    daemon = Daemon()
    daemon.begin()
    need = daemon.next()
    daemon.fetches.fed(m.Feed(1, "e1", "s1", "sample:y", 0, 4), b"abcd")
    daemon.fetches.fed(m.Feed(1, "e1", "s1", need.key, 2, 4), b"cd")
    daemon.fetches.fed(m.Feed(1, "e1", "s1", need.key, 0, 4), b"ab")
    daemon.fetches.fed(m.Feed(1, "e1", "s1", need.key, 0, 4), b"ab")
    daemon.fetches.fed(m.Feed(1, "e1", "s1", need.key, 2, 4), b"cd")
    assert daemon.join() is True
    assert daemon.got == b"abcd"


def test_nothing_is_something():
    """A whole of no bytes is fetched by one empty FEED."""
    daemon = Daemon()
    daemon.begin()
    daemon.fetches.fed(m.Feed(1, "e1", "s1", daemon.next().key, 0, 0), b"")
    assert daemon.join() is True
    assert daemon.got == b""


def test_a_size_may_be_told_later():
    """While nobody knows the size, more is asked for; the run that names it ends the whole."""
    daemon = Daemon()
    daemon.begin()
    need = daemon.next()
    daemon.fetches.fed(m.Feed(1, "e1", "s1", need.key, 0, 0), b"ab")
    daemon.fetches.fed(m.Feed(1, "e1", "s1", need.key, 2, 3), b"c")
    assert daemon.join() is True
    assert daemon.got == b"abc"


def test_what_is_missing_is_a_failure():
    """Where the daemon does not have the bytes, the attempt fails with its reason."""
    daemon = Daemon()
    daemon.begin()
    daemon.fetches.fed(m.Feed(1, "e1", "s1", daemon.next().key, missing="It was removed."), b"")
    error = daemon.join()
    assert (error.code, error.message) == ("unavailable", "sample cannot be had: It was removed.")


def test_a_stop_ends_the_waiting():
    """An attempt that is stopped while its bytes are on their way does not wait for them."""
    daemon = Daemon()
    daemon.begin()
    daemon.next()
    with daemon.changed:
        daemon.stop = True
        daemon.changed.notify()
    assert daemon.join() is False


def test_what_cannot_be_written_is_raised():
    """What the receiver raises comes out of `fetch`, and the next fetch of that key begins anew."""
    daemon = Daemon()

    def write(run):
        raise EngineError("invalid_input", "no room")

    def fetch():
        with pytest.raises(EngineError, match="no room"):
            daemon.fetches.fetch(WORK, "sample:x", write, lambda: False)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    daemon.feed(daemon.next(), b"abc")
    thread.join(10)
    assert not thread.is_alive()
    daemon.begin()
    daemon.feed(daemon.next(), b"abc")
    assert daemon.join() is True
    assert daemon.got == b"abc"


@pytest.mark.parametrize("size", [1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 2 * STEP_BYTES])
def test_no_byte_beyond_the_end_is_asked_for_once_it_is_known(size):
    """What was asked for is enough for any size, and asking ends with the whole."""
    daemon = Daemon()
    data = bytes(size)
    daemon.begin()
    done = 0
    while done < size:
        need = daemon.next()
        done = min(need.up_to, size)
        daemon.feed(need, data)
    assert daemon.join() is True
    assert len(daemon.got) == size
