"""Voices that the engine clones, on tiny checkpoints."""

from __future__ import annotations

from ..qwen.promises_of_cloning import *  # noqa: F403 - tests to be collected here
