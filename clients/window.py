"""How much audio may come: the credit of one reading.

Owns: the arithmetic between what was consumed, what was heard and what may come. Must not know: messages, clocks.
Invariant: credit is an absolute offset, never more than `seconds` beyond what was consumed, so what is on its way
here is bounded whatever the reader does.
"""

from __future__ import annotations

from ..bus.messages import UNLIMITED

GUESSED_RATE = 24000
"""Samples a second, for the first credit of a job whose rate nobody knows yet."""

PARTS = 8
"""Credit is renewed when one of so many parts of the window has been used up: not for each frame, and long before
the last."""


class Window:
    """seconds: of audio that may be on their way. offset: where the reading begins."""

    def __init__(self, seconds: float, rate: int, offset: int) -> None:
        self.seconds = seconds
        self.rate = rate
        self.granted = 0
        """Up to where audio may come, as it was last said."""
        self.heard = offset
        """Up to where it was heard."""
        self._consumed = offset
        self._told = offset

    @property
    def _samples(self) -> int:
        return int(self.seconds * (self.rate or GUESSED_RATE))

    def grant(self) -> int:
        """The credit to say now."""
        self.granted = min(self._consumed + self._samples, UNLIMITED)
        self._told = self.heard
        return self.granted

    def consumed(self, offset: int, heard: int) -> bool:
        """The consumer is done with all before `offset` and his listener has heard up to `heard`. Whether that is
        worth saying."""
        self._consumed = offset
        self.heard = heard
        step = max(1, self._samples // PARTS)
        return abs(offset + self._samples - self.granted) >= step or abs(heard - self._told) >= step

    def cut(self, offset: int) -> None:
        """What came from `offset` on is void."""
        self._consumed = min(self._consumed, offset)
        self.heard = min(self.heard, offset)
