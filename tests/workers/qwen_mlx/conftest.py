"""The engine on tiny random checkpoints. Needs an environment with mlx-audio: `make test-mlx`."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

from ..qwen.fixtures import checkpoint, engine, recording, settings

__all__ = ["checkpoint", "engine", "recording", "settings"]

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
def plain():
    """Settings that are the same for every engine here."""
    return {"device": "cpu"}


@pytest.fixture(scope="session")
def build():
    """What makes a checkpoint."""
    from .tiny import build

    return build


@pytest.fixture(scope="session")
def engine_class():
    """The engine's class."""
    from voicebus.workers.qwen_mlx import QwenMlxEngine

    return QwenMlxEngine


@pytest.fixture(scope="session")
def soon():
    """The odds of the end in a checkpoint that finds it after a second or a few."""
    return 3.0
