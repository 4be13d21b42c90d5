"""The engine on tiny random checkpoints. Needs an environment with mlx-audio: `make test-mlx`."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MISSING = [name for name in ("mlx", "mlx_audio") if importlib.util.find_spec(name) is None]

if not MISSING:
    # pytest imports the root package under the name of the clone's directory, which may be `mlx`.
    importlib.import_module("mlx.core")


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.mlx)
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(120))  # Convolutions are slow on MLX's processor back end.
            if MISSING:
                reason = f"{' and '.join(MISSING)} not installed here; `make test-mlx` has an environment with them"
                item.add_marker(pytest.mark.skip(reason=reason))


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
        found = {"device": "cpu", "model": str(checkpoint(kind, **(options or {}))), **more}
        if kind == "base":
            found.setdefault("voices", {"hum": {"sample": str(recording), "text": "hello world"}})
        return found

    return get


@pytest.fixture(scope="session")
def engine_class():
    """The engine's class."""
    from voicebus.workers.qwen_mlx import QwenMlxEngine

    return QwenMlxEngine


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
def soon():
    """The odds of the end in a checkpoint that finds it after a second or a few."""
    return 3.0
