"""When speech that a model is making has gone wrong: too long for its text, silent, or going round in circles.

Owns: the limits and what is counted against them. Must not know: torch, models, the bus. Invariant: each guard ends an
attempt under the name of what it found, never by cutting the audio short and calling it whole; what real speech does
(a pause, a drawn-out vowel, a number read slowly) is far inside every limit.

A model that samples its output misses the end of a text about once in 200 to 300 times, and then hums, repeats itself
or falls silent until somebody stops it. Another seed is another throw: that is the daemon's to decide.
"""

from __future__ import annotations

import unicodedata

from .engine import EngineError

FRAMES_S = 12.5
"""Codec frames a second."""

BASE_S = 6.0
"""What any text may take, however short: a breath, a sigh, a name said slowly."""

_WIDE = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI")
"""Scripts of which one character is about a syllable."""

SILENT_PEAK = 0.002
"""Below this (of 1.0) a frame counts as silent: 54 dB below full scale, as in the self-test."""

SILENCE_S = 4.0
"""Longest silence inside an utterance: several times the longest pause that a model makes between two sentences."""

LONGEST_LOOP = 25
"""Frames of the longest sound that is looked for again: two seconds."""

LOOP_S = 4.0
"""How long a sound must have gone on repeating itself, and at least `LOOPS` times."""

LOOPS = 4


def longest_s(text: str) -> float:
    """Seconds that a text can take at the very most: three to four times what it takes when it is read slowly."""
    return BASE_S + sum(_slowest_s(char) for char in text)


def _slowest_s(char: str) -> float:
    if char.isdecimal():
        return 1.5
    if not char.isalpha():
        return 0.0 if char.isspace() else 0.6
    return 1.0 if not char.isascii() and unicodedata.name(char, "").startswith(_WIDE) else 0.25


class Length:
    """Counts frames against the longest that a text can take. most: a bound of the model's own, in frames."""

    def __init__(self, text: str, most: int) -> None:
        self._text = len(text)
        self.frames = min(most, round(longest_s(text) * FRAMES_S))
        self.made = 0

    def add(self) -> None:
        """One more frame is wanted. Raises EngineError("truncated") where there have been enough."""
        self.made += 1
        if self.made > self.frames:
            said = f"{self._text} characters had not come to an end after {self.frames / FRAMES_S:.0f} s"
            raise EngineError("truncated", said)


class Silence:
    """Counts samples without sound. rate: samples a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._silent = 0

    def add(self, samples: int, peak: float) -> None:
        """So many samples more, no louder than this (of 1.0). Raises EngineError("silent")."""
        self._silent = self._silent + samples if peak < SILENT_PEAK else 0
        if self._silent > SILENCE_S * self._rate:
            raise EngineError("silent", f"{self._silent / self._rate:.0f} s of silence before the end of the text")


class Loop:
    """Looks for a sound that comes again and again, by the codes of the frames' first book."""

    def __init__(self) -> None:
        self._codes: list[int] = []
        self._same = [0] * (LONGEST_LOOP + 1)

    def add(self, code: int) -> None:
        """The next frame's code. Raises EngineError("repeating")."""
        for period in range(1, min(LONGEST_LOOP, len(self._codes)) + 1):
            self._same[period] = self._same[period] + 1 if self._codes[-period] == code else 0
            if self._same[period] >= max(LOOP_S * FRAMES_S, LOOPS * period):
                seconds = period / FRAMES_S
                raise EngineError("repeating", f"the same {seconds:.2f} s of sound came again and again")
        self._codes.append(code)
        del self._codes[:-LONGEST_LOOP]
