"""Which files at a start belong to nobody."""

from __future__ import annotations

import pytest

from voicebus.daemon.core.orphans import GRACE_S, orphans

NAMES = [
    "voicebus.db",
    "voicebus.db-wal",
    "daemon.lock",
    "daemon.log",
    "daemon.log.1",
    "daemon.log.3",
    "daemon.log.4",
    "daemon.log.old",
    "logs/e-1-00000000.takes",
    "logs/e-2-00000000.takes",
    "logs/e-3-00000000.flac",
    "logs/e-4-00000000.flac.part",
    "logs/e-6.input",
    "logs/notes",
    "logs/deep/e-5.takes",
    "export.tmp",
    "run/bus.sock",
    "run/notes",
    "somebody.takes",
]
OURS = [
    "daemon.log.4",
    "logs/e-2-00000000.takes",
    "logs/e-3-00000000.flac",
    "logs/e-4-00000000.flac.part",
    "logs/e-6.input",
    "export.tmp",
    "run/bus.sock",
]


def test_what_nobody_owns_goes_and_what_is_not_ours_stays() -> None:
    """Journals and packed audio without a job, unfinished files, dead sockets and surplus logs go; no database, lock,
    log in use, nor anything whose name means nothing to us."""
    ages = dict.fromkeys(NAMES, GRACE_S)
    assert orphans(NAMES, {"logs/e-1-00000000.takes"}, ages) == OURS


def test_what_is_young_stays() -> None:
    """A file that was written a moment ago, in the future, or nobody knows when, is left for the next time."""
    for ages in (dict.fromkeys(NAMES, GRACE_S - 1), dict.fromkeys(NAMES, -1e9), {}):
        assert orphans(NAMES, (), ages) == []


@pytest.mark.parametrize("age", [0.0, 5.0])
def test_without_grace_all_of_it_goes(age: float) -> None:
    """Where no job outlives its daemon there is nothing to wait for."""
    found = orphans(NAMES, (), dict.fromkeys(NAMES, age), 0.0)
    assert found == [name for name in NAMES if name in {*OURS, "logs/e-1-00000000.takes"}]


def test_owned_staging_is_not_touched() -> None:
    """Who says that he is at work on a file keeps it."""
    assert orphans(["logs/x.part"], {"logs/x.part"}, {"logs/x.part": 1e6}) == []
