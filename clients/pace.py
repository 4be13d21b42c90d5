"""When playing may begin.

Owns: how fast audio comes, measured and as it was told, and what follows for somebody who wants to hear it without a
stutter. Must not know: devices, speeches, clocks. Invariant: an engine that is faster than speech is never waited for.
"""

from __future__ import annotations

CHARS_PER_S = 15.0
"""How much text makes a second of speech, for guessing how long a text will sound."""

ENOUGH_S = 20.0
"""With so much in the buffer playing begins in any case: it holds 30 s."""

TRUSTED_S = 10.0
"""An engine that makes a sentence at once looks fast within each; a measurement over so long is taken for the truth,
until then the slower of what was measured and what was told."""


def needed_s(remaining_s: float, factor: float) -> float:
    """How much audio must be here to play through when `remaining_s` more have to come, at `factor` seconds of work
    for a second of audio."""
    return min(ENOUGH_S, remaining_s * max(0.0, factor - 1.0))


def start_s(total_s: float, factor: float) -> float:
    """How long it takes until enough of `total_s` of audio is made to begin."""
    if factor <= 1.0:
        return 0.0
    buffered = total_s * (factor - 1.0) / factor  # then the rest is made while this sounds
    return min(ENOUGH_S, buffered) * factor


class Speed:
    """How fast audio comes. told: seconds of work for a second of audio, as the daemon has it of the worker; 0 where it
    does not know."""

    def __init__(self, told: float = 0.0) -> None:
        self._told = told
        self._began: float | None = None
        self._samples = 0
        self._last = 0.0

    def came(self, samples: int, now: float) -> None:
        """So many samples have just come."""
        if self._began is None:
            self._began = now
        else:
            self._samples += samples
        self._last = now

    def factor(self, rate: int) -> float | None:
        """Seconds of waiting for a second of audio; None where that cannot be told yet."""
        if self._began is None or self._samples < rate // 4:
            return self._told or None
        span = max(self._last - self._began, 1e-3)
        measured = span * rate / self._samples
        return measured if span >= TRUSTED_S else max(measured, self._told)

    def enough(self, buffered_s: float, remaining_s: float, rate: int) -> bool:
        """Whether `buffered_s` of audio last until all of the remaining `remaining_s` has come."""
        factor = self.factor(rate)
        return factor is None or buffered_s >= needed_s(remaining_s, factor)
