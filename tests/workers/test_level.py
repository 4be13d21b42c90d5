"""How loud a take is."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.workers.level import Level

SAMPLE = st.integers(-32768, 32767)


def measured(*runs: list[int]) -> Level:
    level = Level()
    for run in runs:
        level.add(array("h", run).tobytes())
    return level


@settings(deadline=None)
@given(st.lists(st.lists(SAMPLE, max_size=300), max_size=5))
def test_the_peak_is_never_over_and_less_than_256_under(runs):
    """The peak is at most the true one and within one high byte of it, however the audio is cut."""
    true = max((abs(sample) for run in runs for sample in run), default=0)
    assert true - 256 <= measured(*runs).peak <= true


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-255, 255), max_size=100), max_size=5))
def test_the_peak_of_quiet_audio_is_exact(runs):
    """Below 256, where silence is decided, the peak is exact."""
    assert measured(*runs).peak == max((abs(sample) for run in runs for sample in run), default=0)


def test_nothing_has_no_level():
    """Without audio, peak and root mean square are 0."""
    assert (measured().peak, measured().rms, measured([]).rms) == (0, 0.0, 0.0)


@pytest.mark.parametrize("period", [2, 3, 64, 83, 89, 97, 100, 441])
def test_the_root_mean_square_of_a_tone_is_near(period):
    """A sine's root mean square over seconds comes out within a tenth, whatever its period."""
    tone = [round(10000 * math.sin(2 * math.pi * i / period + 0.3)) for i in range(3 * 22050)]
    level = measured(*[tone[at : at + 5512] for at in range(0, len(tone), 5512)])
    true = math.sqrt(sum(sample * sample for sample in tone) / len(tone))
    assert level.rms == pytest.approx(true, rel=0.1)
