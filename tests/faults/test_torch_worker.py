"""A neural worker that is killed in the middle of a sentence, with espeak behind it in the chain."""

from __future__ import annotations

import importlib.util

import pytest

from .listening import Heard, killing, placed

MISSING = [name for name in ("torch", "qwen_tts") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{' and '.join(MISSING)} not installed here; `make test-torch` has an environment with them",
    ),
]

RATE = 24000
CONFIG = """
[providers.pytorch-cpu]
module = "voicebus.workers.qwen_torch"
rate = 24000
load_s = 120
first_chunk_s = 60
chunk_s = 30
settings = {{ model = "{model}", device = "cpu", dtype = "float32", threads = 1, packet_frames = 2 }}
[providers.espeak]
workers = 1
"""
TEXT = (
    "This sentence is long enough for its worker to be killed in the middle of it. And this one is said by the other."
)
CHAIN = ["pytorch-cpu:vivian", "espeak:en-gb"]
LOADING_S = 120


@pytest.fixture
def serving(launch, tmp_path):
    """A service with a tiny checkpoint that finds the end of a text sooner or later, or never: its client, when both
    engines are ready, and the model's folder."""

    def start(end):
        from ..workers.qwen.tiny import END, build

        model = build(tmp_path / "model", odds={END: end})
        service = launch(CONFIG.format(model=model))
        client = service.client()
        service.ready(client, "pytorch-cpu", within=LOADING_S)
        service.ready(client, "espeak")
        return service, client, model

    return start


def test_the_sentence_comes_whole_from_espeak(serving):
    """A torch worker is killed while its audio is being heard, and the job does not wait for it to load again. Within
    the same job, at the job's rate, espeak says that sentence from its start and all that follows; what was heard of
    it is taken back, and the result says who spoke."""
    service, client, _ = serving(-100.0)
    speech = client.speak(TEXT, chain=CHAIN, patience=0)
    heard = Heard(speech)
    on_event, killed = killing(heard, lambda: service.busy(client, "pytorch-cpu"))
    heard.listen(on_event)
    assert len(killed) == 1
    said = placed(client, speech.job, heard.pcm, TEXT)
    assert {(row["provider"], row["voice"]) for row, _ in said} == {("espeak", "en-gb")}
    assert (speech.rate, speech.result.rate, speech.result.complete) == (RATE, RATE, True)
    for row, sound in said:
        assert 0.03 < len(sound) / 2 / RATE / row["length"] < 0.16, row
    assert [(rewind.segment, rewind.offset) for rewind in heard.rewinds] == [(0, 0)]
    assert "killed" in heard.rewinds[0].reason
    assert "moved" in heard.kinds()


def test_a_model_that_misses_the_end_twice_is_left(serving):
    """A sentence that the model does not bring to an end is tried once more with another seed, and then said by
    espeak; the reason is told by its name."""
    _, client, _ = serving(-100.0)
    heard = Heard(client.speak("Hello.", chain=CHAIN)).listen()
    ((row, _),) = placed(client, heard.speech.job, heard.pcm, "Hello.")
    assert (row["provider"], row["tries"]) == ("espeak", 3)
    assert "truncated" in heard.notices[-1].data["reason"]


def test_the_bus_brings_what_the_engine_makes(serving):
    """What a client hears of a torch worker is, sample by sample, what the same engine says in this process with the
    seed that the segment's record names."""
    from voicebus.workers.engine import EngineError, Request
    from voicebus.workers.qwen_torch import QwenEngine

    _, client, model = serving(3.0)
    engine = QwenEngine()
    options = {"model": str(model), "device": "cpu", "dtype": "float32", "threads": 1, "packet_frames": 2}
    engine.load(options, lambda _percent, _note: None)

    def alone(seed):
        try:
            return b"".join(chunk.pcm for chunk in engine.synthesize(Request("Hello.", "vivian", "en", seed=seed)))
        except EngineError:
            return b""

    seed = next(seed for seed in range(50) if len(alone(seed)) > RATE)
    heard = Heard(client.speak("Hello.", chain=CHAIN, language="en", seed=seed)).listen()
    ((row, sound),) = placed(client, heard.speech.job, heard.pcm, "Hello.")
    assert (row["provider"], row["voice"], row["seed"]) == ("pytorch-cpu", "vivian", seed)
    assert sound == alone(seed)
    assert not heard.rewinds
