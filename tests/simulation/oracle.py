"""Audio that says where it comes from.

Owns: what each attempt's audio is, and what a piece of audio is made of. Must not know: the daemon. Invariant: a take's
samples are its number and a running index by turns, so from samples alone one can tell which takes they are, and that
none is missing, doubled, mixed or cut short.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

RATE = 1000
"""Samples a second; few, so that a second of audio costs little."""

CHAR_SAMPLES = 30
"""Samples for a character of text."""


PAIRS = 1 << 13
"""Pairs of a number and an index in the longest take."""

_RUNNING = struct.pack(f"<{2 * PAIRS}H", *(cell for index in range(PAIRS) for cell in (0, index)))


class Wrong(AssertionError):
    """A promise was broken."""


@dataclass(slots=True)
class Made:
    """One attempt: what it was to say, and its audio. voice: which recordings it sounds like, "" for a preset."""

    number: int
    attempt: str
    text: str
    pcm: bytes
    voice: str = ""


def samples(number: int, count: int) -> bytes:
    """The audio of the take of that number."""
    pairs = (count + 1) // 2
    assert pairs <= PAIRS
    data = bytearray(_RUNNING[: 4 * pairs])
    data[0::4] = bytes([number & 0xFF]) * pairs
    data[1::4] = bytes([number >> 8]) * pairs
    return bytes(data[: 2 * count])


class Oracle:
    """All attempts of a run. Their names are never used twice, by no daemon."""

    def __init__(self) -> None:
        self.made: dict[str, Made] = {}
        self._numbers: list[Made] = []

    def begin(self, attempt: str, text: str) -> Made:
        """A worker begins an attempt; it is a function of its text and its name."""
        if attempt in self.made:
            raise Wrong(f"the attempt {attempt} was given out twice")
        number = len(self._numbers)
        # No two takes of a sentence are of one length: a place in one says nothing about another.
        length = len(text) * CHAR_SAMPLES + crc32(attempt.encode()) % 61
        made = Made(number, attempt, text, samples(number, length))
        self._numbers.append(made)
        self.made[attempt] = made
        return made

    def decode(self, pcm: bytes) -> list[Made]:
        """The takes that audio consists of, each from its first to its last sample. Raises Wrong."""
        found = []
        at = 0
        while at < len(pcm):
            number = int.from_bytes(pcm[at : at + 2], "little")
            if number >= len(self._numbers):
                raise Wrong(f"at sample {at // 2} there is no take's beginning")
            made = self._numbers[number]
            if not pcm.startswith(made.pcm, at):
                raise Wrong(f"the take {made.attempt} ({made.text!r}) at sample {at // 2} is not what was made")
            found.append(made)
            at += len(made.pcm)
        return found

    def frame(self, pcm: bytes | memoryview, take: str, at: int) -> None:
        """Check a frame that is said to be of a take, from its sample `at` on. Raises Wrong."""
        made = self.made.get(take)
        if made is None or made.pcm[2 * at : 2 * at + len(pcm)] != pcm:
            raise Wrong(f"a frame said to be from sample {at} of {take} is not")


PASSAGE_BYTES = 40
"""Bytes of a recording that are one second of it."""


def passages(data: bytes) -> list[str]:
    """What is to be heard in a recording, second by second."""
    parts = (data[at : at + PASSAGE_BYTES] for at in range(0, len(data), PASSAGE_BYTES))
    return [f"{number}.{crc32(part):08x}" for number, part in enumerate(parts)]


def only_black(text: str) -> str:
    """A text without its white space."""
    return "".join(text.split())


def check_text(takes: list[Made], text: str, skipped: int) -> None:
    """Check that takes say a text: all of it, in order, once; less what was left out. Raises Wrong."""
    said = [only_black(made.text) for made in takes]
    whole = only_black(text)
    if not skipped:
        if "".join(said) != whole:
            raise Wrong(f"said was {' | '.join(said)!r}, the text is {whole!r}")
        return
    at = 0
    for part in said:
        found = whole.find(part, at)
        if found < 0:
            raise Wrong(f"{part!r} is not where it belongs in {whole!r}")
        at = found + len(part)
    if len("".join(said)) >= len(whole):
        raise Wrong("something was left out, and yet all was said")
