"""Virtual time: what happens when, and a trace of it that two runs can be compared by.

Owns: the order of events. Must not know: what they are. Invariant: of two events at the same moment the one that was
asked for first comes first, so a run depends on nothing but what is put in.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Any


class Clock:
    """A heap of events. steps: how many have happened. seed: what all chance comes from."""

    def __init__(self, seed: int, *, keep: int = 0) -> None:
        self.now = 1000.0
        self.steps = 0
        self.seed = seed
        self.lines: deque[str] = deque(maxlen=keep)
        """The newest lines of the trace, where any are kept."""
        self._keep = keep > 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0
        self._digest = blake2b(digest_size=8)

    def chance(self, name: str) -> Random:
        """Chance of its own for a part, so that what one part draws does not change what another gets."""
        return Random(f"{self.seed}/{name}")

    def at(self, when: float, do: Callable[..., None], *args: Any) -> None:
        """Have something done then, or now if that is past."""
        self._asked += 1
        heapq.heappush(self._heap, (max(when, self.now), self._asked, do, args))

    def after(self, delay: float, do: Callable[..., None], *args: Any) -> None:
        """Have something done in so many seconds."""
        self._asked += 1
        heapq.heappush(self._heap, (self.now + delay, self._asked, do, args))

    def run(self, until: float, most: int) -> None:
        """Let everything happen up to a moment; most: so many steps at most, since a world may run hot."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, do, args = pop(heap)
            self.steps += 1
            if self.steps > most:
                raise AssertionError(f"still busy after {most} steps, at {self.now:.3f}")
            do(*args)
        self.now = max(self.now, until)

    def trace(self, what: str, data: bytes = b"", peer: bytes = b"", told: object = None) -> None:
        """Put down that something happened. told: what `data` means, for people."""
        self._digest.update(b"%a %b %b%b" % (self.now, what.encode(), peer, data))
        if self._keep:
            self.lines.append(f"{self.now:10.4f}  {what}{peer.decode():5} {'' if told is None else told}".rstrip())

    @property
    def mark(self) -> str:
        """The same for two runs in which the same happened."""
        return self._digest.hexdigest()
