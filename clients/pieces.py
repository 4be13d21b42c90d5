"""A text on its way to the daemon, in numbered pieces.

Owns: where a text is cut, which pieces are on their way, and what must be kept to send again. Must not know: jobs,
sockets. Invariant: a piece is never given up before it is acknowledged, and the same number always carries the same
bytes. What is added while pieces are on their way is joined to one: a stream of words costs a commit each round trip,
not each word.
"""

from __future__ import annotations

from ..bus.codec import BODY_BYTES

IN_FLIGHT = 4
"""Pieces sent ahead of their acknowledgement."""


def cut(data: bytes, limit: int = BODY_BYTES) -> int:
    """Where to cut UTF-8 so that at most `limit` bytes come before and no code point is split."""
    if len(data) <= limit:
        return len(data)
    end = limit
    while end > 0 and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


class Pieces:
    """The text from piece 1 on (piece 0 goes with SUBMIT). `retain`: keep also what is acknowledged, to be able to
    start all over. `binary`: it is no text, and may be cut anywhere."""

    def __init__(self, *, retain: bool = False, binary: bool = False) -> None:
        self.retain = retain
        self._binary = binary
        self.ended = False
        """No more text will be added."""
        self.end_kept = False
        """The daemon knows so."""
        self.refused = False
        """The daemon takes no more, since the job is over."""
        self.backlog = 0
        """Bytes that are not acknowledged."""
        self._waiting = bytearray()
        self._kept: dict[int, bytes] = {}
        self._next = 1
        self._acknowledged = 0

    def add(self, data: bytes) -> None:
        """More text, UTF-8."""
        if self.refused:
            return
        self._waiting += data
        self.backlog += len(data)

    @property
    def settled(self) -> bool:
        """Whether nothing has to be sent or repeated."""
        sent = not self._waiting and self._acknowledged == self._next - 1 and (self.end_kept or not self.ended)
        return sent or self.refused

    @property
    def count(self) -> int:
        """How many pieces there are, with piece 0."""
        return self._next

    @property
    def end_due(self) -> bool:
        """Whether END may be sent: all pieces are kept, and it is not."""
        if self.refused:
            return False
        return self.ended and not self.end_kept and not self._waiting and self._acknowledged == self._next - 1

    def refuse(self) -> None:
        """None of what is left will be kept."""
        self.refused = True
        self.backlog = 0
        self._waiting.clear()

    def fresh(self) -> list[tuple[int, bytes]]:
        """The pieces to send now for the first time."""
        pieces = []
        while self._waiting and not self.refused and self._next - 1 - self._acknowledged < IN_FLIGHT:
            end = BODY_BYTES if self._binary else cut(bytes(self._waiting[: BODY_BYTES + 4]))
            piece = bytes(self._waiting[:end])
            del self._waiting[:end]
            self._kept[self._next] = piece
            pieces.append((self._next, piece))
            self._next += 1
        return pieces

    def unanswered(self) -> list[tuple[int, bytes]]:
        """The pieces to send again."""
        if self.refused:
            return []
        numbers = range(self._acknowledged + 1, min(self._next, self._acknowledged + 1 + IN_FLIGHT))
        return [(number, self._kept[number]) for number in numbers]

    def acknowledge(self, number: int) -> None:
        """The daemon keeps everything up to piece `number`."""
        if self.refused:
            return
        number = min(number, self._next - 1)
        for done in range(self._acknowledged + 1, number + 1):
            self.backlog -= len(self._kept[done])
            if not self.retain:
                del self._kept[done]
        self._acknowledged = max(self._acknowledged, number)

    def restart(self) -> bool:
        """Begin again with piece 1. False where that cannot be, since pieces are gone."""
        if self._acknowledged and not self.retain:
            return False
        self.backlog += sum(len(self._kept[number]) for number in range(1, self._acknowledged + 1))
        self._acknowledged = 0
        self.end_kept = False
        return True
