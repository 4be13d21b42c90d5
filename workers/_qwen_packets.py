"""In which packets audio leaves, and what ends an utterance that has gone wrong.

Owns: the sizes of packets, the guards around a model's frames, samples to PCM. Must not know:
torch, MLX, the bus, how frames are made or decoded. Invariant: between two frames there is a place to stop at; audio
that a guard ends is never called whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ._qwen_guards import Length, Loop, Silence
from .engine import Chunk

FIRST_FRAMES, MOST_FRAMES, CONTEXT_FRAMES = 1, 2048, 25


class Window(Protocol):
    """Frames on their way to samples."""

    @property
    def waiting(self) -> int:
        """Frames that are not decoded yet."""
        ...

    def add(self, frame: Any) -> None:
        """One more."""
        ...

    def decode(self) -> Any:
        """The samples of all that wait: a numpy array, float32, -1 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Packets:
    """In frames: the first packet, the others, what is decoded again as context before each, the longest utterance."""

    first: int
    packet: int
    context: int
    most: int

    @classmethod
    def told(cls, settings: Mapping[str, Any], usual: int) -> Packets:
        """As the settings say. usual: the size of a packet where they say nothing."""
        return cls(
            max(1, int(settings.get("first_frames", FIRST_FRAMES))),
            max(1, int(settings.get("packet_frames", usual))),
            max(0, int(settings.get("context_frames", CONTEXT_FRAMES))),
            max(1, int(settings.get("max_frames", MOST_FRAMES))),
        )


class Packing:
    """An utterance's frames on their way to packets, with the guards around them. stop_after: frames after which it is
    over, end or no end; 0 for none."""

    def __init__(self, text: str, window: Window, packets: Packets, rate: int, stop_after: int = 0) -> None:
        self._length, self._loop, self._silence = Length(text, packets.most), Loop(), Silence(rate)
        self._window = window
        self._packets = packets
        self._wanted = packets.first
        self._stop_after = stop_after

    def wants(self) -> bool:
        """Whether another frame is to be made. Raises EngineError("truncated") where there have been enough."""
        if self._stop_after and self._length.made >= self._stop_after:
            return False
        self._length.add()
        return True

    def took(self, codes: Any) -> list[Chunk]:
        """The audio that a frame completes. codes: of which the first is the first book's. Raises EngineError."""
        self._loop.add(int(codes[0]))
        self._window.add(codes)
        if self._window.waiting < self._wanted:
            return []
        self._wanted = self._packets.packet
        return [self._decoded()]

    def rest(self) -> list[Chunk]:
        """The audio of what has not been decoded yet, at the end. Raises EngineError."""
        return [self._decoded()] if self._window.waiting else []

    def _decoded(self) -> Chunk:
        samples = self._window.decode()
        self._silence.add(len(samples), float(np.abs(samples).max()))
        return Chunk(pcm(samples))


def packed(frame: Callable[[], Any], packing: Packing) -> Generator[Chunk, None, None]:
    """An utterance's audio. frame: makes the next frame's codes, None at the end. Raises EngineError as the guards do.

    Between two frames there is a chunk, perhaps an empty one: a place to be stopped at, since the device is not to go
    on for a whole packet."""
    while packing.wants():
        codes = frame()
        if codes is None:
            break
        yield from packing.took(codes) or [Chunk(b"")]
    yield from packing.rest()


def frames_at_most(text: str, packets: Packets) -> int:
    """How many frames a text can take: one more is `truncated`."""
    return Length(text, packets.most).frames


def pcm(samples: Any) -> bytes:
    """Samples of -1 to 1 as signed 16-bit little-endian PCM."""
    made = (np.clip(samples, -1.0, 1.0) * np.float32(32767.0)).round().astype("<i2")
    return bytes(made.tobytes())
