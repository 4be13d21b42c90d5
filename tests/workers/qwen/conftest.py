"""The engine on tiny random checkpoints. Needs an environment with torch and qwen-tts: `make test-torch`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MISSING = [name for name in ("torch", "qwen_tts") if importlib.util.find_spec(name) is None]


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.torch)
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(120))  # Importing torch alone takes seconds on a busy machine.
            if MISSING:
                reason = f"{' and '.join(MISSING)} not installed here; `make test-torch` has an environment with them"
                item.add_marker(pytest.mark.skip(reason=reason))


CPU = {"device": "cpu", "dtype": "float32", "threads": 1}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A tiny checkpoint: `checkpoint("base", odds={...})`. Made once for the same arguments."""
    made = {}

    def get(kind="custom_voice", **options):
        key = repr((kind, options))
        if key not in made:
            from .tiny import build

            made[key] = build(tmp_path_factory.mktemp("model") / kind, kind, **options)
        return made[key]

    return get


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """A file with two seconds of a hum."""
    import numpy as np
    import soundfile

    path = tmp_path_factory.mktemp("sample") / "hum.wav"
    soundfile.write(path, (0.3 * np.sin(np.arange(2 * 16000) / 16000 * 2 * np.pi * 180)).astype("float32"), 16000)
    return path


@pytest.fixture(scope="session")
def settings(checkpoint, recording):
    """What to load an engine with: `settings("base")`."""

    def get(kind="custom_voice", options=None, **more):
        found = {**CPU, "model": str(checkpoint(kind, **(options or {}))), **more}
        if kind == "base":
            found.setdefault("voices", {"hum": {"sample": str(recording), "text": "hello world"}})
        return found

    return get


@pytest.fixture(scope="session")
def engine(settings, engine_class):
    """A loaded engine: `engine("base", packet_frames=4)`. Loaded once for the same arguments."""
    made = {}

    def get(kind="custom_voice", options=None, **more):
        key = repr((kind, options, more))
        if key not in made:
            made[key] = engine_class()
            made[key].load(settings(kind, options, **more), lambda _percent, _note: None)
        return made[key]

    return get


@pytest.fixture(scope="session")
def engine_class():
    """The engine's class."""
    from voicebus.workers.qwen_torch import QwenEngine

    return QwenEngine


@pytest.fixture(scope="session")
def soon():
    """The odds of the end in a checkpoint that finds it after a second or a few."""
    return 3.0
