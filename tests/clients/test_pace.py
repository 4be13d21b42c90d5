"""When playing may begin: reckoning, without any sound."""

import pytest

from voicebus.clients.pace import ENOUGH_S, TRUSTED_S, Speed, needed_s, start_s


def test_when_there_is_enough() -> None:
    """Fast audio is played at once; slow audio when what is there lasts until the rest has come."""
    speed = Speed()
    assert speed.enough(0.1, 100.0, 1000)
    speed.came(100, 0.0)
    speed.came(500, 1.0)
    assert speed.factor(1000) == pytest.approx(2.0)
    assert not speed.enough(5.0, 10.0, 1000)
    assert speed.enough(10.0, 10.0, 1000)
    assert speed.enough(ENOUGH_S, 1000.0, 1000)
    speed.came(5000, 2.0)
    assert speed.enough(0.1, 100.0, 1000)


def test_what_was_told_holds_until_it_was_measured() -> None:
    """An engine that is told to be slow is not believed to be fast for one burst, but for a long measurement."""
    speed = Speed(2.0)
    assert speed.factor(1000) == 2.0
    speed.came(1000, 0.0)
    speed.came(1000, 0.1)
    assert not speed.enough(2.0, 10.0, 1000)
    speed.came(39_000, TRUSTED_S)
    assert speed.factor(1000) == pytest.approx(0.25)


@pytest.mark.parametrize(("factor", "wait"), [(0.5, 0.0), (1.0, 0.0), (2.0, 10.0), (1.25, 2.5), (5.0, 40.0)])
def test_how_long_until_it_begins(factor, wait) -> None:
    """With that much of a wait, what is made then is what the rest needs to be played through."""
    assert start_s(10.0, factor) == pytest.approx(wait)
    made = wait / factor
    assert made == pytest.approx(needed_s(10.0 - made, factor))


def test_no_wait_is_without_end() -> None:
    """Of a book of a slow engine only so much is waited for as the buffer holds."""
    assert start_s(36_000.0, 3.0) == ENOUGH_S * 3.0
