"""One utterance from its request to its packets of audio.

Owns: when a packet is decoded, and the guards around an utterance. Must not know: how frames are made and with whom,
requests, the bus. Invariant: audio leaves as it is made; what goes wrong ends this utterance under its own name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ._qwen_decoder import Window
from ._qwen_errors import translated
from ._qwen_guards import Length, Loop, Silence
from ._qwen_packets import Packets, pcm
from ._qwen_utterance import Utterance
from .engine import Chunk, Mark

if TYPE_CHECKING:
    from ._qwen_model import Model


class Nothing:
    """An utterance of a text that has nothing to say."""

    model = None

    def next(self) -> None:
        """It is over."""

    def close(self) -> None:
        """There is nothing to free."""


class Speaking:
    """An utterance under way. most: frames after which it is over, end or no end; 0 for none. freed: called when it is
    closed."""

    def __init__(
        self,
        model: Model,
        utterance: Utterance,
        window: Window,
        length: Length,
        packets: Packets,
        most: int,
        freed: Callable[[], None],
    ) -> None:
        self.model = model
        self.utterance = utterance
        self._window = window
        self._length, self._loop, self._silence = length, Loop(), Silence(model.rate)
        self._packets = packets
        self._wanted = packets.first
        self._most = most
        self._freed = freed
        self._over = False

    def next(self) -> bool | list[Chunk | Mark] | None:
        """True where a frame is to be made; else what there is without one, None at the end. Raises EngineError."""
        if self._over:
            return None
        if self._most and self._length.made >= self._most:
            return self._rest()
        self._length.add()
        with translated():
            self.utterance.begin()
        return True

    def took(self, codes: Any) -> list[Chunk | Mark]:
        """The audio that a frame's codes complete; None for the end of the text. Raises EngineError."""
        if codes is None:
            return self._rest()
        self._loop.add(int(codes[0]))
        self._window.add(codes)
        if self._window.waiting < self._wanted:
            return []
        self._wanted = self._packets.packet
        return [self._decoded()]

    def close(self) -> None:
        """Its row and its memory are free again."""
        self._over = True
        self.utterance.close()
        del self._window
        self._freed()

    def _rest(self) -> list[Chunk | Mark]:
        """What has not been decoded yet, at the end."""
        self._over = True
        return [self._decoded()] if self._window.waiting else []

    def _decoded(self) -> Chunk:
        with translated():
            samples = self._window.decode()
        self._silence.add(len(samples), float(np.abs(samples).max()))
        return Chunk(pcm(samples))
