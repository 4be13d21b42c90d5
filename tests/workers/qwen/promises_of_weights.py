"""What only true weights can show: that a model says its text, in words. Each engine's tests import these.

`VOICEBUS_WEIGHTS` names a folder with a model in it, or with models, each in a folder of its own; without it they are
skipped. They take the device that is there, so on a processor they are slow: minutes for each model.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from voicebus.workers.conformance import check
from voicebus.workers.engine import Request

from ...faults.soak_words import right, understood

WEIGHTS = os.environ.get("VOICEBUS_WEIGHTS", "")
TEXT = "Hello world. Water, coffee, weather today. Red, green, blue, computer, speech."
SAMPLE = "Monday morning. Coffee and water. The computer is blue, the evening is green, hello tomorrow."
AT_LEAST = 0.6
"""Of the words: of espeak's three English voices eight to eleven of eleven are understood, of another text three, of
the same backwards one, of noise none."""


def models(folder):
    """The folders of the models in a folder, which may be one itself."""
    if not folder:
        return []
    all_folders = [Path(folder), *sorted(path for path in Path(folder).iterdir() if path.is_dir())]
    return [path for path in all_folders if (path / "config.json").is_file() and (path / "speech_tokenizer").is_dir()]


def wanted(folder):
    """A parameter for each model, or one that is skipped."""
    missing = pytest.mark.skip(reason="VOICEBUS_WEIGHTS names no folder with a model in it")
    return [pytest.param(path, id=path.name) for path in models(folder)] or [
        pytest.param(None, marks=missing, id="none")
    ]


pytestmark = [pytest.mark.weights, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module", params=wanted(WEIGHTS))
def true(request, engine_class, tmp_path_factory):
    """An engine with true weights, its settings, and the name of a voice."""
    kind = json.loads((request.param / "config.json").read_text())["tts_model_type"]
    settings = {"model": str(request.param), "designs": {"calm": "A calm adult man, clear and even."}}
    if kind == "base":
        sample = spoken_by_espeak(tmp_path_factory.mktemp("sample") / "sample.wav")
        settings["voices"] = {"clone": {"sample": str(sample), "text": SAMPLE}}
    one = engine_class()
    one.load(settings, lambda _percent, _note: None)
    yield one, settings, one.voices()[0].name
    one.close()


def spoken_by_espeak(path):
    """A recording of somebody."""
    import wave

    from voicebus.workers.espeak import EspeakEngine

    one = EspeakEngine()
    one.load({}, lambda _percent, _note: None)
    pcm = b"".join(item.pcm for item in one.synthesize(Request(SAMPLE, "en-gb")) if hasattr(item, "pcm"))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(one.sample_rate)
        file.writeframes(pcm)
    one.close()
    return path


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_text_is_said_in_words(true, seed):
    """Most of the text's words are understood by a recogniser, in their order, in a time that a reader may take."""
    pytest.importorskip("pocketsphinx")
    one, _, voice = true
    pcm = b"".join(chunk.pcm for chunk in one.synthesize(Request(TEXT, voice, "en", seed=seed)))
    seconds = len(pcm) / 2 / one.sample_rate
    assert 0.03 < seconds / len(TEXT) < 0.2
    count, of = right(TEXT.replace(",", ""), understood(pcm, one.sample_rate))
    assert count >= AT_LEAST * of, f"{count} of {of} words"


def test_true_weights_honour_a_seed(true):
    """The same seed says the same, sample for sample."""
    one, _, voice = true
    first, second = (b"".join(c.pcm for c in one.synthesize(Request("Hello.", voice, "en", seed=5))) for _ in range(2))
    assert first == second != b""


def test_true_weights_conform(true, engine_class):
    """They pass the suite that every engine passes."""
    report = check(engine_class, true[1])
    assert report.passed, str(report)
