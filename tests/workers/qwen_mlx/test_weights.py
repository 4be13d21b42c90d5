"""The engine on true weights, where `VOICEBUS_WEIGHTS` names some."""

from __future__ import annotations

from ..qwen.promises_of_weights import *  # noqa: F403 - tests to be collected here
