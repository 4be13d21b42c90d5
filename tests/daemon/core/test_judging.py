"""What is good enough to clone a voice from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicebus.daemon.core import judging

from .world_of_one import GOOD


def test_a_good_recording_is_neither_refused_nor_lectured():
    """Of a recording that is as it should be nothing is said."""
    assert judging.refusal(GOOD) is None
    assert judging.advice(GOOD) == []


@pytest.mark.parametrize(
    ("code", "changed"),
    [("short", {"seconds": 0.5}), ("long", {"seconds": 300.0}), ("silent", {"peak": -70.0})],
)
def test_what_no_voice_can_be_made_of_is_refused(code, changed):
    """A recording that is too short, too long or without sound is refused by that name."""
    found = judging.refusal(replace(GOOD, **changed))
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("clipping", {"clipped": 0.01}),
        ("quiet", {"level": -40.0, "floor": -80.0}),
        ("noise", {"floor": -25.0}),
        ("short", {"seconds": 2.0}),
        ("long", {"seconds": 45.0}),
        ("silence", {"lead": 3.0}),
        ("abrupt", {"tail": 0.0}),
        ("rate", {"rate": 8000}),
        ("channels", {"mixed": 12.0}),
    ],
)
def test_what_could_be_better_is_told(code, changed):
    """Each thing that makes a voice worse is told in a sentence of its own, and nothing else is."""
    (found,) = judging.advice(replace(GOOD, **changed))
    assert (found.code, found.text[-1]) == (code, ".")
