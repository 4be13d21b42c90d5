"""When a dead worker is started again, and when no more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.daemon.core.restart import RestartPolicy
from voicebus.daemon.core.settings import Restart

RESTART = Restart(base_s=1.0, max_s=10.0, intensity=5, window_s=60.0, stable_s=10.0)


def most():
    return 1.0


def half():
    return 0.5


def test_pauses_double() -> None:
    """Each death doubles the longest pause, up to the limit, of which chance takes a part."""
    policy = RestartPolicy(RESTART)
    assert [policy.died_before_ready(float(n), 1, most) for n in range(5)] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert RestartPolicy(RESTART).died_before_ready(0.0, 1, half) == 0.5


def test_too_many_deaths_before_ready_are_the_end() -> None:
    """One more than the intensity in the window gives it up, and it stays so until somebody changes something."""
    policy = RestartPolicy(RESTART)
    for n in range(5):
        assert policy.died_before_ready(float(n), 1, half) is not None
    assert policy.died_before_ready(6.0, 1, half) is None
    assert policy.died_before_ready(1000.0, 75, half) is None
    assert policy.snapshot() == {"early_deaths": 6, "in_a_row": 5, "fatal": True}
    policy.clear()
    assert policy.died_before_ready(1001.0, None, most) == 1.0
    assert policy.snapshot() == {"early_deaths": 1, "in_a_row": 1, "fatal": False}


def test_deaths_out_of_the_window_do_not_count() -> None:
    """One that keeps failing with long pauses between is tried for ever."""
    policy, now = RestartPolicy(Restart(base_s=100.0, max_s=100.0, window_s=60.0)), 0.0
    for _ in range(50):
        pause = policy.died_before_ready(now, 1, most)
        assert pause == 100.0
        now += pause
    assert policy.snapshot()["early_deaths"] == 1


def test_loading_slowly_is_no_way_out() -> None:
    """Time spent loading is not counted: one that takes half an hour to fail is given up like a quick one."""
    policy, now, deaths = RestartPolicy(RESTART), 0.0, 0
    while (pause := policy.died_before_ready(now, 1, half)) is not None:
        now += pause + 1800.0
        deaths += 1
    assert deaths == 5


def test_being_ready_forgives_deaths_before() -> None:
    """Once it is up, deaths while loading no longer count; the pauses go on growing."""
    policy = RestartPolicy(RESTART)
    for n in range(5):
        policy.died_before_ready(float(n), 1, half)
    policy.ready(6.0)
    assert policy.snapshot() == {"early_deaths": 0, "in_a_row": 5, "fatal": False}
    assert policy.died_before_ready(7.0, 1, most) == 10.0


@pytest.mark.parametrize(("lasted", "pause"), [(9.9, 4.0), (10.0, 1.0)])
def test_having_been_well_for_long_enough_starts_anew(lasted, pause) -> None:
    """A worker that was ready for the stable time begins with the shortest pause, one that was not goes on."""
    policy = RestartPolicy(RESTART)
    policy.died_before_ready(0.0, 1, most)
    policy.died_before_ready(1.0, 1, most)
    policy.ready(2.0)
    assert policy.died_at_work(2.0 + lasted, lasted, most) == pause


def test_deaths_at_work_are_never_the_end() -> None:
    """However often it dies after it was ready, it is started again: the breaker is there to count those."""
    policy = RestartPolicy(RESTART)
    for n in range(2000):
        policy.ready(float(n))
        assert policy.died_at_work(n + 0.5, 0.5, most) <= 10.0


def test_a_bad_configuration_is_the_end_at_once() -> None:
    """Exit code 78 says that starting again is no use."""
    policy = RestartPolicy(RESTART)
    assert policy.died_before_ready(0.0, 78, half) is None
    assert policy.snapshot()["fatal"]


def test_asking_to_be_tried_later_is_never_the_end() -> None:
    """Exit code 75 says that something is missing for now: it is tried again, ever more rarely, without a count."""
    policy = RestartPolicy(RESTART)
    pauses = [policy.died_before_ready(float(n), 75, most) for n in range(100)]
    assert pauses[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert pauses[-1] == 10.0
    assert policy.snapshot() == {"early_deaths": 0, "in_a_row": 100, "fatal": False}


DEATHS = st.lists(
    st.tuples(st.sampled_from(["early", "later", "work"]), st.floats(0, 100), st.floats(0, 1, exclude_max=True)),
    max_size=60,
)


@settings(deadline=None)
@given(DEATHS)
def test_pauses_are_within_bounds(deaths) -> None:
    """Whatever happens, a pause is none or from 0 to the limit, and no more early deaths count than are allowed."""
    policy, now = RestartPolicy(RESTART), 0.0
    for kind, passed, chance in deaths:
        now += passed
        if kind == "work":
            policy.ready(now)
            pause = policy.died_at_work(now, passed, lambda chance=chance: chance)
        else:
            pause = policy.died_before_ready(now, 75 if kind == "later" else 1, lambda chance=chance: chance)
        told = policy.snapshot()
        assert told["early_deaths"] <= 6
        assert pause is None or 0.0 <= pause <= 10.0
        assert (pause is None) <= told["fatal"]
