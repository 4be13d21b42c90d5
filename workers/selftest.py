"""READY means loaded *and* heard: the test that every engine passes before it gets work.

Owns: the self-test and what is measured in it, and the listing that goes with READY. Must not know: the bus's
sockets, sessions. Invariant: an engine that is silent in its own test, or lists no voices, never becomes ready.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from ..bus import messages as m
from ..bus.codec import BODY_BYTES, encode
from .engine import About, Chunk, Engine, EngineError, Mark, Request, Voice
from .level import Level

WINDOW_S = 30.0
"""Seconds that Whisper listens to at once."""

AUDIBLE = 64
"""Least peak of audible speech, of 32768: 54 dB below full scale."""


@dataclass(frozen=True, slots=True)
class Tested:
    """A loaded engine that works. ready: READY without its session. body: what goes with it. request: its test, None of
    one that does not speak."""

    ready: m.Ready
    body: bytes
    request: Request | None


def measure(engine: Engine, started: float, clock: Callable[[], float]) -> Tested:
    """Let a loaded engine speak its test, and hear one. started: when its loading began. Raises EngineError where it is
    no good."""
    if engine.sample_rate <= 0 or engine.slots < 1:
        raise EngineError("load_failed", "the engine names no sample rate, or no slots")
    able = engine.capabilities()
    if not (able.speak or able.transcribe):
        raise EngineError("load_failed", "the engine neither speaks nor transcribes")
    load_s = clock() - started
    heard_s = _hear(engine, clock) if able.transcribe else 0.0
    if not able.speak:
        ready = m.Ready(rate=engine.sample_rate, slots=engine.slots, load_s=load_s, factor=heard_s / WINDOW_S)
        return Tested(ready, listing(engine, []), None)
    return _spoken(engine, load_s, clock)


def _hear(engine: Engine, clock: Callable[[], float]) -> float:
    """Seconds that the engine takes to hear something short, for which a model takes as long as for a window."""
    began = clock()
    if not any(isinstance(item, About) for item in engine.transcribe(engine.trial())):
        raise EngineError("load_failed", "the engine said nothing about the recording of its self-test")
    return clock() - began


def tried(engine: Engine) -> Generator[Chunk, None, None]:
    """A trial of an engine that only hears, which makes no sound. Raises EngineError where it is no good."""
    for _ in engine.transcribe(engine.trial()):
        yield Chunk(b"")


def _spoken(engine: Engine, load_s: float, clock: Callable[[], float]) -> Tested:
    voices = engine.voices()
    if not voices and not engine.capabilities().cloning:
        raise EngineError("load_failed", "the engine has no voices")
    request = engine.self_test()
    samples, first_audio_s, work_s, peak = _speak(engine, request, clock)
    if peak < AUDIBLE:
        raise EngineError("load_failed", f"the self-test made no sound ({samples} samples, peak {peak})")
    factor = work_s / (samples / engine.sample_rate)
    ready = m.Ready(
        rate=engine.sample_rate, slots=engine.slots, load_s=load_s, first_audio_s=first_audio_s, factor=factor
    )
    return Tested(ready, listing(engine, voices), request)


def _speak(engine: Engine, request: Request, clock: Callable[[], float]) -> tuple[int, float, float, int]:
    level = Level()
    samples = 0
    first_audio_s = 0.0
    began = clock()

    def emit(item: Chunk | Mark) -> bool:
        nonlocal samples, first_audio_s
        if isinstance(item, Chunk) and item.pcm:
            first_audio_s = first_audio_s or clock() - began
            samples += len(item.pcm) // 2
            level.add(item.pcm)
        return True

    engine.speak(request, emit)
    return samples, first_audio_s, clock() - began, level.peak


def resamples() -> bool:
    """Whether this environment can make another rate than the engine's own (`take.resampler`)."""
    return all(find_spec(name) is not None for name in ("numpy", "soxr"))


def listing(engine: Engine, voices: list[Voice]) -> bytes:
    """The body of READY. Where it would be too long, variants go first, then descriptions."""
    for shown in (
        voices,
        [replace(voice, variants=()) for voice in voices],
        [replace(voice, variants=(), description="") for voice in voices],
    ):
        content: dict[str, Any] = {
            "voices": [asdict(voice) for voice in shown],
            "capabilities": {**asdict(engine.capabilities()), "resamples": resamples()},
            "device": engine.device(),
            "prompts": dict(zip(("model", "revision", "mode"), engine.prompts_for(), strict=True)),
            "engine": {"name": engine.name, "version": engine.version},
        }
        body = encode(content)
        if len(body) <= BODY_BYTES:
            return body
    raise EngineError("load_failed", f"{len(voices)} voices are more than one message can list")
