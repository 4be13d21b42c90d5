"""Engines in this process, without a bus: what they can do when nobody is in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from voicebus.workers.engine import Chunk, Engine, Mark, Request


def loaded(engine: Engine, settings: dict[str, Any] | None = None) -> Engine:
    """An engine, ready to speak."""

    def progress(_percent: float, _note: str) -> None:
        pass

    engine.load(settings or {}, progress)
    return engine


def english(engine: Engine, text: str) -> Request:
    """What to ask an engine to have a text said in English."""
    voice = engine.capabilities().default_voices.get("en", engine.voices()[0].name)
    return Request(text=text, voice=voice, language="en")


def first_chunk_s(engine: Engine, text: str) -> Callable[[], float]:
    """Measures the time to an engine's first chunk, letting it finish the text as a worker does."""
    request = english(engine, text)

    def measure() -> float:
        first = 0.0
        begin = time.perf_counter()

        def emit(item: Chunk | Mark) -> bool:
            nonlocal first
            if not first and isinstance(item, Chunk):
                first = time.perf_counter() - begin
            return True

        engine.speak(request, emit)
        return first

    return measure


def whole(engine: Engine, text: str) -> bytes:
    """All audio of a text."""
    parts: list[bytes] = []

    def emit(item: Chunk | Mark) -> bool:
        if isinstance(item, Chunk):
            parts.append(bytes(item.pcm))
        return True

    engine.speak(english(engine, text), emit)
    return b"".join(parts)
