"""Frames that a device records: tried with a recorder that plays by doing the work again, as no GPU is at hand here."""

from __future__ import annotations

import pytest

from voicebus.workers.engine import EngineError, Request

from .test_together import NEVER, TEXTS, alone, requests, together


class Recorder:
    """Records as CUDA does: the work is done a few times first, and of what is played only the tensors matter."""

    def __init__(self, warm_ups=3, lie=None):
        self.recorded = self.played = 0
        self._warm_ups = warm_ups
        self._lie = lie

    def __call__(self, work):
        for _ in range(self._warm_ups):
            work()
        self.recorded += 1

        def play():
            self.played += 1
            work()
            if self._lie:
                self._lie()

        return play


@pytest.fixture
def recorded_by(settings, engine, monkeypatch):
    """Loads an engine on a device that records with this: `recorded_by(recorder, slots=2)`."""
    engine(options=NEVER)  # What it is compared with is loaded on a device that does not.

    def load(recorder, **more):
        from voicebus.workers import _qwen_graphs
        from voicebus.workers.qwen_torch import QwenEngine

        monkeypatch.setattr(_qwen_graphs, "recorder", lambda _device: recorder)
        one = QwenEngine()
        one.load(settings(options=NEVER, **more), lambda _percent, _note: None)
        return one

    return load


def test_what_is_played_is_what_would_be_made(engine, recorded_by):
    """An engine that plays its frames says what one says that makes each; what was recorded at the start serves
    all frames of a sentence, and the frames that are made to record count in no utterance."""
    recorder = Recorder()
    one = recorded_by(recorder, slots=2)
    recorded = recorder.recorded
    assert recorded == 3
    assert "graphs" not in one.device()
    asked = requests()[:2]
    assert together(one, asked, 40) == [alone(engine(options=NEVER), request, 40) for request in asked]
    assert recorder.recorded == recorded
    assert recorder.played > 40


def test_a_recording_that_is_not_the_same_is_dropped(engine, recorded_by, monkeypatch):
    """Where what is played differs in a single code, nothing is played, READY says why, and the engine speaks."""
    talkers = []

    def lie():
        talkers[0].codes[0, 3] += 1

    from voicebus.workers import _qwen_proofs

    proof = _qwen_proofs.recorded

    def watched(talker, record):
        talkers.append(talker)
        return proof(talker, record)

    monkeypatch.setattr(_qwen_proofs, "recorded", watched)
    one = recorded_by(Recorder(lie=lie))
    assert one.device()["graphs"] == "the frames that it plays are others"
    request = Request(TEXTS[0], "ryan", "en", seed=2)
    assert alone(one, request, 10) == alone(engine(options=NEVER), request, 10)


def test_what_cannot_be_recorded_is_made(engine, recorded_by):
    """A device that refuses to record is no reason not to speak; its words are in READY."""

    def refuse(_work):
        raise RuntimeError("operation not permitted when stream is capturing\nmore words")

    one = recorded_by(refuse)
    assert one.device()["graphs"] == "operation not permitted when stream is capturing"
    request = Request(TEXTS[0], "ryan", "en", seed=2)
    assert alone(one, request, 10) == alone(engine(options=NEVER), request, 10)


def test_recording_can_be_switched_off(recorded_by):
    """`graphs = false` records nothing."""
    recorder = Recorder()
    one = recorded_by(recorder, graphs=False)
    assert recorder.recorded == 0
    assert one.device()["graphs"] == "none on this device"


def test_manners_are_recorded_apart(engine, recorded_by):
    """What a draw depends on beyond its tensors (a bound by probability) is part of what a recording is for."""
    recorder = Recorder()
    one = recorded_by(recorder)
    before = recorder.recorded
    for options in ({}, {"top_p": 0.8}, {"top_k": 7}):
        request = Request(TEXTS[0], "ryan", "en", seed=2, options=options)
        assert alone(one, request, 10) == alone(engine(options=NEVER), request, 10)
    assert recorder.recorded >= before + 2


def test_only_cuda_records():
    """A processor has nothing to record."""
    from voicebus.workers import _qwen_graphs

    assert _qwen_graphs.recorder("cpu") is None
    assert _qwen_graphs.recorder("mps") is None


def test_a_recorded_model_has_room_for_so_much(recorded_by):
    """What was recorded cannot grow: a text that is too long for the room is refused with the numbers, and the next one
    is spoken."""
    one = recorded_by(Recorder(), max_frames=100)
    with pytest.raises(EngineError) as caught:
        next(one.synthesize(Request("So. " * 800, "ryan", "en", seed=1)))
    assert caught.value.code == "invalid_input"
    assert "than the 1636 that there is room for" in caught.value.message
    assert len(alone(one, Request(TEXTS[0], "ryan", "en", seed=2), 10)) == 10
