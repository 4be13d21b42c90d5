"""How loud a take is, measured without numpy and almost for nothing.

Owns: peak and root mean square of 16-bit PCM. Must not know: where the audio comes from or goes to. Invariant: the
peak is never over the true one and less than 256 under it (exact below 256, where silence is decided); digital
silence, and nothing else, has a peak of 0.

A plain ``max(array)`` over every sample takes as long as espeak needs to make them. Looking at the high bytes alone
costs 2 ns a sample: those too quiet to raise the peak are deleted in one pass in C, and few are ever left.
"""

from __future__ import annotations

import math
import sys
from array import array
from operator import mul

_QUIET = [bytes(high for high in range(256) if min(high, 255 - high) <= top) for top in range(128)]
"""For each top of a peak (its high byte): the high bytes of all samples, of either sign, that cannot beat it."""

_MAGNITUDE = bytes(min(high, 255 - high) for high in range(256))
"""From a sample's high byte to that of its size."""

_SPARSE = (67, 71, 73, 79, 83, 89, 97, 101)
_DENSE = (7, 11, 13, 17)
"""Every so many samples one counts towards the root mean square, by turns from run to run, of long runs and of short
ones: primes, so that no tone is met at the same phase every time. The error over seconds is some per cent."""


class Level:
    """Peak and root mean square of what was added."""

    def __init__(self) -> None:
        self.peak = 0
        self._squares = 0
        self._count = 0
        self._runs = 0

    def add(self, pcm: bytes | memoryview) -> None:
        """Measure a run of signed 16-bit little-endian samples."""
        data = bytes(pcm)
        louder = data[1::2].translate(None, _QUIET[self.peak >> 8])
        if louder:
            self.peak = max(louder.translate(_MAGNITUDE)) << 8
        elif self.peak < 256:
            self.peak = max(self.peak, _quiet_peak(data))
        samples = _samples(data)
        steps = _SPARSE if len(samples) >= 2048 else _DENSE
        some = samples[:: steps[self._runs % len(steps)]]
        self._runs += 1
        self._squares += sum(map(mul, some, some))
        self._count += len(some)

    @property
    def rms(self) -> float:
        """Root mean square, 0 to 32768; an estimate from a part of the samples."""
        return math.sqrt(self._squares / self._count) if self._count else 0.0


def _samples(data: bytes) -> array[int]:
    samples = array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _quiet_peak(data: bytes) -> int:
    samples = _samples(data)
    extremes = (max(samples), -min(samples)) if samples else (0,)
    return max(extremes)
