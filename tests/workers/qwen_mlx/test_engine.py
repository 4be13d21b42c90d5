"""The engine on tiny checkpoints: what it promises beyond what every engine of this kind does (`promises`)."""

from __future__ import annotations

from ..qwen.promises import *  # noqa: F403 - tests to be collected here
