"""Recordings for tests: what a microphone might bring, and what it should not."""

from __future__ import annotations

import io
import math
import random
import wave


def wav(
    seconds: float = 4.0,
    *,
    rate: int = 24000,
    channels: int = 1,
    height: float = 0.3,
    noise: float = 0.0005,
    lead: float = 0.3,
    tail: float = 0.4,
    clip: float = 1.0,
    pitch: float = 150.0,
    seed: int = 1,
) -> bytes:
    """A wav file with bursts of a tone in it, as syllables are, and pauses between. height, noise, clip: parts of full
    scale; what is above `clip` is cut off there. lead, tail: seconds of silence at the ends."""
    chance = random.Random(seed)
    frames = bytearray()
    for index in range(int(seconds * rate)):
        at = index / rate
        loud = height * max(0.0, math.sin(2 * math.pi * 2.0 * (at - lead))) if lead <= at < seconds - tail else 0.0
        value = loud * math.sin(2 * math.pi * pitch * at) + noise * (chance.random() - 0.5)
        sample = round(32767 * max(-clip, min(clip, value)))
        frames += sample.to_bytes(2, "little", signed=True) * channels
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(bytes(frames))
    return file.getvalue()
