"""One utterance of several that are made together, from its frames to its packets of audio.

Owns: what it wants next, and its end. Must not know: how frames are made and with whom, requests, the bus. Invariant:
what goes wrong ends this utterance under its own name; a row is given back once, at the end or in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._qwen_errors import translated
from ._qwen_packets import Packing
from .engine import Chunk

if TYPE_CHECKING:
    from ._qwen_model import Model
    from ._qwen_utterance import Utterance


class Nothing:
    """An utterance of a text that has nothing to say."""

    model = None

    def next(self) -> None:
        """It is over."""

    def close(self) -> None:
        """There is nothing to free."""


class Speaking:
    """An utterance under way. freed: called when it is closed."""

    def __init__(self, model: Model, utterance: Utterance, packing: Packing, freed: Callable[[], None]) -> None:
        self.model = model
        self.utterance = utterance
        self._packing: Packing | None = packing
        self._freed = freed

    def next(self) -> bool | list[Chunk] | None:
        """True where a frame is to be made; else what there is without one, None at the end. Raises EngineError."""
        if self._packing is None:
            return None
        if not self._packing.wants():
            return self._rest()
        with translated():
            self.utterance.begin()
        return True

    def took(self, codes: Any) -> list[Chunk] | None:
        """The audio that a frame's codes complete; None for the end of the text. Raises EngineError."""
        if codes is None or self._packing is None:
            return self._rest()
        with translated():
            return self._packing.took(codes)

    def close(self) -> None:
        """Its row and its memory are free again."""
        self._packing = None
        self.utterance.close()
        self._freed()

    def _rest(self) -> list[Chunk] | None:
        """What has not been decoded yet, at the end."""
        packing, self._packing = self._packing, None
        with translated():
            return packing.rest() if packing is not None else None
