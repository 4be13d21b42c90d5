"""The engine on tiny checkpoints: what it promises beyond what every engine of this kind does (`promises`)."""

from __future__ import annotations

from voicebus.workers.engine import Request

from .promises import *  # noqa: F403 - tests to be collected here
from .promises import NEVER, TEXT, chunks
from .tiny import CODES, END

SOON = {"odds": {END: 3.0}}


def counted_steps(engine, monkeypatch):
    """A list that grows with each frame of the model."""
    talker = engine._models.default.rows.talker
    steps, frame = [], talker.frame

    def counting(*args):
        steps.append(1)
        return frame(*args)

    monkeypatch.setattr(talker, "frame", counting)
    return steps


def test_closing_stops_within_one_step(engine, monkeypatch):
    """After the iterator is closed the model makes no step more, wherever in a packet it is."""
    one = engine(options=NEVER, first_frames=1, packet_frames=8)
    for at in (1, 2, 5):
        steps = counted_steps(one, monkeypatch)
        items = one.synthesize(Request(TEXT, "ryan", "en", seed=1))
        for _ in range(at):
            next(items)
        before = len(steps)
        items.close()
        assert (before, len(steps)) == (at, at)


def test_emit_stops_within_one_step(engine, monkeypatch):
    """`speak` makes no step after `emit` has said no, and asks it once a step, also in the middle of a packet."""
    one = engine(options=NEVER, first_frames=1, packet_frames=8)
    steps = counted_steps(one, monkeypatch)
    calls = []

    def emit(item):
        calls.append(len(item.pcm))
        return len(calls) < 4

    one.speak(Request(TEXT, "ryan", "en", seed=1), emit)
    assert (len(calls), len(steps)) == (4, 4)


def test_two_at_once_do_not_mix(engine):
    """Two utterances, each asked for a frame in turn, say what each says alone: they share nothing but the weights."""
    one = engine(options=SOON, slots=2)
    requests = [Request(TEXT, "ryan", "en", seed=1), Request("Hello.", "vivian", "de", seed=3)]
    alone = [b"".join(chunks(one, request)) for request in requests]
    under_way = [one.synthesize(request) for request in requests]
    together = [b"", b""]
    for turn in range(2000):
        if (chunk := next(under_way[turn % 2], None)) is not None:
            together[turn % 2] += chunk.pcm
    assert together == alone


def test_the_device_is_told(engine):
    """What it runs on goes with READY: device, number type, attention, threads, memory and what of it is free."""
    told = engine().device()
    assert (told["kind"], told["id"], told["dtype"], told["attention"]) == ("cpu", "cpu", "float32", "sdpa")
    assert 0 < told["free"] <= told["memory"]
    assert told["size"] == "1b7"


def test_frames_are_of_the_book(engine):
    """Every code is one of the codec's; what is none of them is never drawn."""
    utterance = engine()._models.default.utterance(Request(TEXT, "ryan", "en", seed=6), 10)
    for _ in range(10):
        assert 0 <= int(utterance.frame().max()) < CODES
    utterance.close()
