"""When a failing provider is left alone, and for how long."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.daemon.core.breaker import BREAKER, Breaker
from voicebus.daemon.core.settings import Breaking

BREAKING = Breaking(failures=3, window_s=60.0, open_s=5.0, max_open_s=30.0)


def opened(now=0.0):
    breaker = Breaker(BREAKING)
    breaker.failure(now, weight=3)
    assert breaker.state == "open"
    return breaker


def test_it_opens_after_enough_failures() -> None:
    """As many failures in the window as are set keep callers away, and not one fewer."""
    breaker = Breaker(BREAKING)
    for now in (0.0, 10.0):
        breaker.failure(now)
        assert breaker.allows(now)
        assert breaker.next_probe(now) is None
    breaker.failure(20.0)
    assert not breaker.allows(20.0)
    assert breaker.next_probe(20.0) == 25.0


def test_old_failures_are_forgotten() -> None:
    """A failure counts as long as it is in the window; successes in between take nothing away."""
    breaker = Breaker(BREAKING)
    breaker.failure(0.0)
    breaker.failure(30.0)
    breaker.success(40.0)
    assert breaker.snapshot(59.0)["failures"] == 2
    breaker.failure(60.0)
    assert breaker.state == "closed"
    breaker.failure(61.0)
    assert breaker.state == "open"


def test_a_try_decides() -> None:
    """When its time has come callers still stay away; one success of our own try lets them in again."""
    breaker = opened()
    breaker.tick(4.9)
    assert breaker.state == "open"
    assert not breaker.allows(5.0)
    assert breaker.state == "half_open"
    assert breaker.next_probe(9.0) == 5.0
    breaker.success(9.0)
    assert breaker.allows(9.0)
    assert breaker.snapshot(9.0) == {"state": "closed", "failures": 0, "openings": 1, "retry_in_s": 0.0}


def test_it_stays_open_longer_each_time() -> None:
    """Each failed try doubles the time, up to the limit."""
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(5):
        pauses.append(breaker.next_probe(now) - now)
        now = breaker.next_probe(now)
        breaker.failure(now)
    assert pauses == [5.0, 10.0, 20.0, 30.0, 30.0]
    assert breaker.snapshot(now)["retry_in_s"] == 30.0


@pytest.mark.parametrize(("well_for", "pause"), [(59.0, 10.0), (60.0, 5.0)])
def test_only_a_while_of_health_makes_up_for_it(well_for, pause) -> None:
    """One that fails again soon after a good try goes on where it was; after a whole window it begins anew."""
    breaker = opened()
    breaker.success(5.0)
    breaker.failure(5.0 + well_for, weight=3)
    assert breaker.next_probe(5.0 + well_for) == 5.0 + well_for + pause


def test_late_results_say_nothing_new() -> None:
    """While it is open, attempts that began before it neither close it nor keep it open."""
    breaker = opened()
    breaker.success(1.0)
    breaker.failure(1.0, weight=9)
    assert breaker.state == "open"
    assert breaker.next_probe(1.0) == 5.0
    assert breaker.snapshot(1.0) == {"state": "open", "failures": 0, "openings": 1, "retry_in_s": 4.0}


@pytest.mark.parametrize(
    ("retry_after", "pause"), [(0.0, 5.0), (2.0, 5.0), (90.0, 90.0), (1e9, 3600.0), (-1.0, 5.0), (math.nan, 5.0)]
)
def test_a_provider_may_say_how_long(retry_after, pause) -> None:
    """A trip opens it at once, for as long as the provider asks, but not for ever nor for less than usual."""
    breaker = Breaker(BREAKING)
    breaker.trip(1.0, retry_after)
    assert not breaker.allows(1.0)
    assert breaker.next_probe(1.0) == 1.0 + pause


def test_many_refusals_at_once_are_one() -> None:
    """Attempts under way that all get the same refusal open it once; the longest time asked for counts."""
    breaker = Breaker(BREAKING)
    breaker.trip(0.0)
    breaker.trip(0.1, 20.0)
    breaker.trip(0.2, 1.0)
    assert breaker.snapshot(0.2)["openings"] == 1
    assert breaker.next_probe(0.2) == 20.1
    breaker.tick(20.1)
    breaker.trip(20.1)
    assert breaker.snapshot(20.1) == {"state": "open", "failures": 0, "openings": 2, "retry_in_s": 10.0}


def test_a_provider_that_is_gone_for_years_breaks_nothing() -> None:
    """Any number of failed tries keeps the time at its limit."""
    breaker, now = opened(), 0.0
    for _ in range(2000):
        now = breaker.next_probe(now)
        breaker.failure(now)
    assert breaker.next_probe(now) == now + 30.0


def test_the_table_leads_out_of_every_state() -> None:
    """From each state some event leads on, and only to states there are."""
    assert {state for state, _ in BREAKER} == set(BREAKER.values()) == {"closed", "open", "half_open"}


STEPS = st.lists(
    st.tuples(st.sampled_from(["success", "failure", "trip", "tick"]), st.floats(0, 40), st.floats(0, 100)),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_it_keeps_its_word(steps) -> None:
    """Nothing is let in before the time that was set, that time never moves nearer, and it is never beyond limits."""
    breaker, now, until = Breaker(BREAKING), 0.0, 0.0
    for event, passed, retry_after in steps:
        now += passed
        if event == "trip":
            breaker.trip(now, retry_after)
        else:
            getattr(breaker, event)(now)
        allowed, probe = breaker.allows(now), breaker.next_probe(now)
        assert allowed == (breaker.state == "closed") == (probe is None)
        assert not allowed or now >= until
        if probe is not None:
            assert until <= probe <= now + 100.0 or now >= until
            assert (probe <= now) == (breaker.state == "half_open")
            until = probe
