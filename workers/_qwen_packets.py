"""In which packets audio leaves, and what ends an utterance that has gone wrong.

Owns: the sizes of packets, the loop over a model's frames with the guards around it, samples to PCM. Must not know:
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


def frames_at_most(text: str, packets: Packets) -> int:
    """How many frames a text can take: one more is `truncated`."""
    return Length(text, packets.most).frames


def packed(
    frame: Callable[[], Any], window: Window, text: str, packets: Packets, rate: int, stop_after: int = 0
) -> Generator[Chunk, None, None]:
    """An utterance's audio. frame: makes the next frame's codes, of which the first is the first book's; None at the
    end. stop_after: frames after which it is over in any case. Raises EngineError as the guards do."""
    length, loop, silence = Length(text, packets.most), Loop(), Silence(rate)
    wanted = packets.first
    while not stop_after or length.made < stop_after:
        length.add()
        codes = frame()
        if codes is None:
            break
        loop.add(int(codes[0]))
        window.add(codes)
        if window.waiting < wanted:
            yield Chunk(b"")  # A place to be stopped at: the device is not to go on for a whole packet.
            continue
        yield _decoded(window, silence)
        wanted = packets.packet
    if window.waiting:
        yield _decoded(window, silence)


def _decoded(window: Window, silence: Silence) -> Chunk:
    samples = window.decode()
    silence.add(len(samples), float(np.abs(samples).max()))
    return Chunk(pcm(samples))


def pcm(samples: Any) -> bytes:
    """Samples of -1 to 1 as signed 16-bit little-endian PCM."""
    made = (np.clip(samples, -1.0, 1.0) * np.float32(32767.0)).round().astype("<i2")
    return bytes(made.tobytes())
