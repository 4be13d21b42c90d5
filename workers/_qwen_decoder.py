"""From codes to samples, a few frames at a time.

Owns: the window over the frames that the codec's decoder sees. Must not know: where codes come from, the bus.
Invariant: joined together, what comes out is what the package's own chunked decode makes of the same frames with the
same chunks and context, sample for sample.

The decoder is causal but remembers nothing between two calls, so each call is given the frames before as context and
their samples are cut off. 25 frames are what the package itself uses.
"""

from __future__ import annotations

from typing import Any

import torch

CONTEXT = 25
"""Frames of context, as upstream."""


class Window:
    """The decoding of one utterance. decoder: the codec's. reference: codes (frames, books) that come before, of the
    voice that is cloned: without them it starts cold, and the voice is wrong at first."""

    def __init__(self, decoder: Any, context: int = CONTEXT, reference: Any = None) -> None:
        self._decoder = decoder
        self._context = context
        self._samples = int(decoder.total_upsample)
        self._seen: list[Any] = list(reference[-context:]) if reference is not None and context else []
        self._new: list[Any] = []

    def add(self, frame: Any) -> None:
        """One more frame's codes (books,)."""
        self._new.append(frame)

    @property
    def waiting(self) -> int:
        """Frames that are not decoded yet."""
        return len(self._new)

    def decode(self) -> Any:
        """The samples of all frames that wait: a numpy array, float32, -1 to 1."""
        frames = self._seen + self._new
        skip = len(self._seen) * self._samples
        with torch.inference_mode():
            made = self._decoder(torch.stack(frames, dim=-1).unsqueeze(0))
            samples = made[0, 0, skip:].to(torch.float32).cpu().numpy()
        self._seen = frames[-self._context :] if self._context else []
        self._new = []
        return samples
