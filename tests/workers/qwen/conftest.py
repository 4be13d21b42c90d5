"""The engine on tiny random checkpoints. Needs an environment with torch and qwen-tts: `make test-torch`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from .fixtures import checkpoint, engine, recording, settings

__all__ = ["checkpoint", "engine", "recording", "settings"]

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


@pytest.fixture(scope="session")
def plain():
    """Settings that are the same for every engine here."""
    return {"device": "cpu", "dtype": "float32", "threads": 1}


@pytest.fixture(scope="session")
def build():
    """What makes a checkpoint."""
    from .tiny import build

    return build


@pytest.fixture(scope="session")
def engine_class():
    """The engine's class."""
    from voicebus.workers.qwen_torch import QwenEngine

    return QwenEngine


@pytest.fixture(scope="session")
def soon():
    """The odds of the end in a checkpoint that finds it after a second or a few."""
    return 3.0
