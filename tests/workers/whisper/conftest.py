"""Whisper on a tiny random model. Needs an environment with faster-whisper: `make test-whisper`."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MISSING = importlib.util.find_spec("faster_whisper") is None


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.whisper)
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(120))
            if MISSING:
                reason = "faster_whisper not installed here; `make test-whisper` has an environment with it"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a tiny model."""
    from .tiny import build

    return build(tmp_path_factory.mktemp("whisper") / "tiny-random")


@pytest.fixture(scope="session")
def settings(model):
    """What to load an engine with: `settings(beam_size=2)`. One try at each window, and short ones."""

    def get(**more):
        return {"model": str(model), "device": "cpu", "threads": 1, "temperature": 0.0, "max_new_tokens": 24,
                "condition_on_previous_text": False, **more}  # fmt: skip

    return get


@pytest.fixture(scope="session")
def engine(settings):
    """A loaded engine."""
    from voicebus.workers.whisper import WhisperEngine

    made = WhisperEngine()
    made.load(settings(), lambda percent, note: None)
    yield made
    made.close()


def said(text: str, rate: int = 16000):
    """What espeak makes of a text: samples as 16-bit integers, at 22050 a second."""
    import numpy as np

    from voicebus.workers.engine import Chunk, Request
    from voicebus.workers.espeak import EspeakEngine

    speaker = EspeakEngine()
    speaker.load({}, lambda percent, note: None)
    items = speaker.synthesize(Request(text, "en-gb"))
    pcm = b"".join(item.pcm for item in items if isinstance(item, Chunk))
    speaker.close()
    return np.frombuffer(pcm, "<i2"), speaker.sample_rate


@pytest.fixture(scope="session")
def speech():
    """Two sentences with a pause of three seconds between them, as (samples, rate)."""
    import numpy as np

    one, rate = said("The first sentence is about the harbour, and about the gulls above it.")
    two, _ = said("The second one comes after a long pause, and is about nothing at all.")
    return np.concatenate([one, np.zeros(3 * rate, np.int16), two]), rate


@pytest.fixture(scope="session")
def recording(speech):
    """The two sentences as a file, in a format: `recording("ogg")`."""
    import soundfile

    def get(form="wav"):
        file = io.BytesIO()
        soundfile.write(file, speech[0], speech[1], format=form)
        return file.getvalue()

    return get
