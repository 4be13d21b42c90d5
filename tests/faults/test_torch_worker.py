"""A PyTorch worker that is killed in the middle of a sentence, with espeak behind it in the chain."""

from __future__ import annotations

import importlib.util

import pytest

from .neural import *  # noqa: F403 - tests to be collected here
from .neural import Neural

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


@pytest.fixture
def neural():
    """The engine, on the processor."""
    from voicebus.workers.qwen_torch import QwenEngine

    from ..workers.qwen.tiny import END, build

    return Neural(
        "pytorch-cpu",
        "voicebus.workers.qwen_torch",
        QwenEngine,
        lambda folder, end: build(folder, odds={END: end}),
        {"device": "cpu", "dtype": "float32", "threads": 1, "packet_frames": 2},
    )
