"""What jobs are about: texts and recordings, as they come in pieces.

Owns: the pieces, and telling a caller's repetition from his mistake. Must not know: jobs, where pieces are kept, what
is in them. Invariant: a piece that came is never another one later.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from zlib import crc32


class Text:
    """A job's text, which comes in pieces and is read in ranges. Joining a growing string for each line of a pipe
    would copy the whole book each time."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._sums: list[tuple[int, int]] = []
        self.length = 0

    @property
    def pieces(self) -> int:
        """How many have come."""
        return len(self._pieces)

    def append(self, piece: str) -> None:
        """Add to the end."""
        self._pieces.append(piece)
        self._starts.append(self.length)
        self.length += len(piece)

    def pieces_from(self, start: int) -> list[str]:
        """The text from a place on, in the pieces in which it came."""
        found = []
        for begin, piece in zip(self._starts, self._pieces, strict=True):
            if begin + len(piece) > start:
                found.append(piece[max(start - begin, 0) :])
        return found

    def is_piece(self, number: int, body: bytes) -> bool:
        """Whether piece `number` has these words, in UTF-8."""
        if self._sums:
            return self._sums[number] == _sum(body)
        return self._pieces[number].encode() == body

    def forget(self) -> None:
        """Nobody will read it any more: only what tells its pieces from others is kept."""
        self._sums = [_sum(piece.encode()) for piece in self._pieces]
        self._pieces = [""] * len(self._sums)

    def slice(self, start: int, end: int) -> str:
        """The code points from `start` up to `end`."""
        index = max(bisect_right(self._starts, start) - 1, 0)
        parts = []
        while index < len(self._pieces) and self._starts[index] < end:
            begin = self._starts[index]
            parts.append(self._pieces[index][max(start - begin, 0) : end - begin])
            index += 1
        return "".join(parts)


def _sum(body: bytes) -> tuple[int, int]:
    """Length and checksum: enough to tell a caller's repetition from his mistake."""
    return len(body), crc32(body)


@dataclass(slots=True)
class Recording:
    """What a job is to transcribe, as far as it has come. sums: length and checksum of each piece. data, starts: the
    pieces in memory and each one's first byte, of a job of which nothing is to be on the disk; else they are in its
    input log. held: they are there, were they empty. about: the transcript has its first row, which said language and
    length_s. texts: all that was heard."""

    in_memory: bool
    sums: list[tuple[int, int]] = field(default_factory=list)
    size: int = 0
    data: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    charged: int = 0
    held: bool = False
    about: bool = False
    language: str = ""
    length_s: float = 0.0
    texts: list[str] = field(default_factory=list)
    text_chars: int = 0
    noticed_at: float = 0.0

    def is_piece(self, number: int, body: bytes) -> bool:
        """Whether piece `number` has these bytes."""
        return self.sums[number] == _sum(body)

    def tail(self, chars: int) -> str:
        """The end of what was heard."""
        kept: list[str] = []
        for text in reversed(self.texts):
            if sum(map(len, kept)) >= chars:
                break
            kept.append(text)
        return "".join(reversed(kept))[-chars:]
