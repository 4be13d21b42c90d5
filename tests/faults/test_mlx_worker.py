"""An MLX worker that is killed in the middle of a sentence, with espeak behind it in the chain."""

from __future__ import annotations

import importlib
import importlib.util

import pytest

from .neural import *  # noqa: F403 - tests to be collected here
from .neural import Neural

MISSING = [name for name in ("mlx", "mlx_audio") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.mlx,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{' and '.join(MISSING)} not installed here; `make test-mlx` has an environment with them",
    ),
]
if not MISSING:
    # pytest imports the root package under the name of the clone's directory, which may be `mlx`.
    importlib.import_module("mlx.core")


@pytest.fixture
def neural():
    """The engine, on the processor."""
    from voicebus.workers.qwen_mlx import QwenMlxEngine

    from ..workers.qwen_mlx.tiny import END, build

    return Neural(
        "mlx",
        "voicebus.workers.qwen_mlx",
        QwenMlxEngine,
        lambda folder, end: build(folder, odds={END: end}),
        {"device": "cpu", "packet_frames": 2},
    )
