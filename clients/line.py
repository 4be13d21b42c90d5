"""The audio that a reader has: up to where, and from which takes.

Owns: the check that frames fit together. Must not know: where frames come from or go to. Invariant: what was put on
is contiguous, its segments come in order, and each has one take; a list of where takes begin is kept, not the audio.
"""

from __future__ import annotations

from typing import NamedTuple

from ..bus.errors import DaemonError


class Protocol(DaemonError):
    """The daemon broke the protocol: a mistake in the daemon or in this client."""

    code = "protocol"


class _Piece(NamedTuple):
    """From `start` on, the audio is that of `take`. A segment of -1 is not known."""

    start: int
    take: str
    segment: int


class Line:
    """The line of samples of one job as far as it is here, beginning at `offset`, before which stands `take`."""

    def __init__(self, job: str, offset: int = 0, take: str = "") -> None:
        self.job = job
        self._begin, self._before = offset, take  # of what is before, nothing else is known
        self.end = offset
        """The offset of the next sample."""
        self._pieces = [_Piece(0, take, -1)] if offset else []

    @property
    def take(self) -> str:
        """The take of the last sample; "" where there is none or it does not matter."""
        return self._pieces[-1].take if self._pieces else ""

    def holds(self, offset: int, take: str) -> bool:
        """Whether the sample at `offset` is there and came from `take`."""
        piece = next((piece for piece in reversed(self._pieces) if piece.start <= offset), None)
        return offset < self.end and piece is not None and piece.take in ("", take)

    def put(self, offset: int, samples: int, segment: int, take: str) -> None:
        """Add a frame. Raises Protocol if it does not fit."""
        if offset != self.end:
            what = "misses" if offset > self.end else "repeats"
            raise Protocol(f"audio of {self.job} {what} samples: {offset} came where {self.end} was due")
        last = self._pieces[-1] if self._pieces else None
        if last is None or last.take != take or last.segment != segment:
            if last is not None and last.segment == segment:
                raise Protocol(f"segment {segment} of {self.job} mixes take {take} into {last.take} at {offset}")
            if last is not None and last.segment > segment:
                raise Protocol(f"segment {segment} of {self.job} comes behind segment {last.segment}")
            if last is not None and last.segment == -1 and last.take == take:
                self._pieces[-1] = _Piece(last.start, take, segment)
            else:
                self._pieces.append(_Piece(offset, take, segment))
        self.end = offset + samples

    def cut(self, offset: int) -> None:
        """Forget everything from `offset` on."""
        while self._pieces and self._pieces[-1].start >= offset:
            self._pieces.pop()
        if offset < self._begin:
            # Whose sample now comes last nobody said; the name that was said, which it is not, makes the daemon go back
            # as far as it takes.
            self._pieces = [_Piece(0, self._before, -1)] if offset else []
            self._begin = offset
        self.end = min(self.end, offset)
