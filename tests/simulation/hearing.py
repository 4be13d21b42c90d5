"""One job as one person has it.

Owns: what they hold of it, over all the lives of their programs. Must not know: the daemon, sessions. Invariant: what
is here is what a file would hold that is cut back where the program was told to, and of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voicebus.clients.events import About, Frame, Passage, Result
from voicebus.clients.reading import Reading
from voicebus.clients.speech import SpeechBase

from .oracle import Oracle, Wrong
from .plan import Order


@dataclass
class Heard:
    """One job for one person. new: they asked for it. pcm: what they have. takes: where each take in it begins. rows:
    of a transcript, whose rows have a place in `pcm` as samples have.
    kept: the daemon has all of the text. over: the result is known; lost: there will be none,
    and that is as it should be."""

    order: Order
    uid: int
    new: bool
    whole: bool
    speed: float
    share: float = 0.0
    pcm: bytearray = field(default_factory=bytearray)
    takes: list[tuple[int, str]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    accepted: bool = False
    kept: bool = False
    waits: bool = False
    asked: bool = False
    cancelled: bool = False
    result: Result | None = None
    lost: str = ""
    refused: int = 0
    speech: SpeechBase | None = None
    reading: Reading | None = None

    @property
    def over(self) -> bool:
        """Whether nothing is waited for any more."""
        return self.result is not None or bool(self.lost)

    @property
    def read(self) -> str:
        """How it is read."""
        return "whole" if self.whole else str(self.order.options["read"]) if self.new else "live"

    def frame(self, frame: Frame, oracle: Oracle) -> None:
        """Keep a frame. Raises Wrong."""
        if 2 * frame.offset != len(self.pcm):
            raise Wrong(f"{self.order.name}: {len(self.pcm) // 2} samples are here, {frame.offset} came")
        if not self.takes or self.takes[-1][1] != frame.take:
            self.takes.append((frame.offset, frame.take))
        oracle.frame(frame.pcm, frame.take, frame.offset - self.takes[-1][0])
        self.pcm += frame.pcm

    def row(self, event: About | Passage) -> int:
        """Keep a row of a transcript; its number. What was heard begins with the name of the attempt."""
        number, text = (0, event.language) if isinstance(event, About) else (event.number, event.text)
        if number != len(self.rows):
            raise Wrong(f"{self.order.name}: {len(self.rows)} rows are here, {number} came")
        self.takes.append((number, f"{text.partition(' ')[0]}:{number}"))
        self.rows.append(text)
        self.pcm += b"rr"
        return number

    def rewound(self, offset: int) -> None:
        """Forget what came from there on."""
        del self.rows[offset:]
        del self.pcm[2 * offset :]
        while self.takes and self.takes[-1][0] >= offset:
            self.takes.pop()
