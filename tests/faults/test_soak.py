"""A soak in short: the long one is `make soak`."""

from __future__ import annotations

import pytest

from ..disks import small_disk
from .soak import DISK, Soak

SECONDS = 15.0


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_nothing_is_lost_or_heard_twice():
    """Whatever faults come, in whatever order: every sample that a client heard is right, every job has its one end,
    and none fails for what others did."""
    with small_disk(DISK) as disk:
        soak = Soak(20, SECONDS, disk=disk)
        outcome = soak.run()
    assert outcome.clean, "\n".join([outcome.line(), *outcome.why])
    assert outcome.faults > 20
    assert outcome.tally.compared > 100_000
