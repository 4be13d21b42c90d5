"""What may be asked of a Qwen3-TTS model, whichever library runs it.

Owns: the options and their bounds, what of a text is said, the self-test. Must not know: torch, MLX, the bus.
Invariant: a value out of its bounds is refused by name, never brought back into them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..bus.prompts import VoicePrompt
from .engine import EngineError, Request

OPTIONS: dict[str, tuple[Callable[[Any], float], float, float]] = {
    "temperature": (float, 0.05, 2.0),
    "top_p": (float, 0.05, 1.0),
    "top_k": (int, 1, 2048),
}
"""Names in a request's options, with their types and bounds."""

_TEST, _TEST_FRAMES = "self-test", 25
"""The self-test stops after two seconds, end or no end: on a processor each of them takes five, and a model that misses
the end of a sentence once in 200 is in order. No capability names the option, so no client can ask for it."""


def options(told: Mapping[str, str | int | float | bool]) -> dict[str, float]:
    """How to draw, checked. Raises EngineError("invalid_input")."""
    found = {}
    for name, value in told.items():
        if name not in OPTIONS:
            continue
        kind, least, most = OPTIONS[name]
        try:
            number = kind(value)
        except (TypeError, ValueError):
            number = most + 1
        if not least <= number <= most:
            raise EngineError("invalid_input", f"the option {name} is {value!r}; it goes from {least:g} to {most:g}")
        found[name] = number
    return found


def sayable(text: str) -> bool:
    """Whether there is anything to say: a model that is asked to say nothing says anything."""
    return any(char.isalnum() for char in text)


def readable(text: str) -> str:
    """The text as it can be made into tokens: an unpaired surrogate has none."""
    return text.encode("utf-8", "replace").decode()


def self_test(voice: str, prompt: VoicePrompt | None = None) -> Request:
    """What every model says to show that it can, in a voice of its own or in one that it was given."""
    return Request("one two three four", voice, options={_TEST: True}, prompt=prompt)


def most_frames(request: Request) -> int:
    """After how many frames to stop, end or no end; 0 where only the guards say."""
    return _TEST_FRAMES if request.options.get(_TEST) else 0
