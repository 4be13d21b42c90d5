"""The whole core in a simulated world: some seeds, what a run is made of, and how a failing one is made small."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from voicebus.bus.messages import Ready

from .clock import Clock
from .configuration import settings
from .disk import Disk
from .drawing import draw
from .faults import BEFALL
from .mutants import MUTANTS
from .network import Network
from .oracle import Oracle, Wrong, check_text
from .plan import OF_DISK, OF_ENGINE, OF_WORLD, OUTSIDE
from .shrink import shrink
from .simulate import Tally, seeds
from .simulation import simulate
from .workers import Processes

QUICK = range(12)
"""Seeds that run with all other tests; ``make simulate`` runs more."""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", QUICK)
def test_every_promise_holds(seed: int) -> None:
    """Whatever befalls daemon, workers, clients and disk: one end for each job, exact audio, nothing left over."""
    outcome = simulate(draw(seed))
    assert outcome.wrong == "", f"python -m voicebus.tests.simulation.simulate {seed}"
    assert outcome.jobs and outcome.faults.total() and outcome.steps > 1000


def test_a_seed_replays_exactly() -> None:
    """The same seed gives the same trace, also in another process with another order of sets."""
    code = (
        "from voicebus.tests.simulation.drawing import draw\n"
        "from voicebus.tests.simulation.simulation import simulate\n"
        "print(simulate(draw(4, 8)).mark)"
    )
    here = simulate(draw(4, 8)).mark
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()
    assert here == there
    assert here != simulate(draw(5, 8)).mark


def test_every_kind_of_fault_is_carried_out() -> None:
    """What a plan may hold is what a simulation knows to do."""
    assert set(OUTSIDE + OF_ENGINE + OF_DISK + OF_WORLD) == set(BEFALL)
    drawn = {fault.kind for seed in range(60) for fault in draw(seed).faults}
    assert drawn == set(BEFALL)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_failing_plan_is_made_small() -> None:
    """What a failure does not need is left out, and what is left fails in the same way."""
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == "two leases on a slot")
    plan = draw(1)
    with mutant.alive():
        small, outcome = shrink(plan, tries=40)
    assert "attempts for" in outcome.wrong
    assert len(small.parts()) <= 3 < len(plan.parts())
    assert simulate(small).wrong == ""


# ---------------------------------------------------------------------------------- what the simulation is made of


def test_audio_says_where_it_comes_from() -> None:
    """Whatever is missing, doubled, mixed or cut short is seen from the samples alone."""
    oracle = Oracle()
    one, two = oracle.begin("e1.1", "One."), oracle.begin("e1.2", "Two.")
    assert [made.text for made in oracle.decode(one.pcm + two.pcm)] == ["One.", "Two."]
    for broken in (
        one.pcm[2:] + two.pcm,
        one.pcm[:-2] + two.pcm,
        one.pcm[:10] + one.pcm[8:] + two.pcm,
        one.pcm[:10] + two.pcm[10:],
        one.pcm + two.pcm[:6],
    ):
        with pytest.raises(Wrong):
            oracle.decode(broken)
    with pytest.raises(Wrong):
        oracle.frame(two.pcm[:10], "e1.1", 0)
    with pytest.raises(Wrong):
        oracle.begin("e1.1", "Again.")


def test_text_is_said_once_and_in_order() -> None:
    """A sentence that is missing, said twice or out of its turn is seen, unless it was left out and that was told."""
    oracle = Oracle()
    one, two, three = (oracle.begin(f"e.{text}", text) for text in ("One.", "Two.", "Three."))
    check_text([one, two, three], "One. Two.\nThree.", 0)
    check_text([one, three], "One. Two. Three.", 1)
    for takes, skipped in (([one, three], 0), ([one, one, two, three], 0), ([three, one], 1), ([one, two, three], 1)):
        with pytest.raises(Wrong):
            check_text(takes, "One. Two. Three.", skipped)


def test_a_power_cut_leaves_what_was_synced() -> None:
    """And of the rest whole records from the beginning, which ones is chance."""
    left = set()
    for seed in range(20):
        disk = Disk(Clock(seed).chance("disk"))
        for number in range(5):
            disk._append("log", {"n": number}, b"", [bytes(100)])
            if number == 1:
                disk.sync("log")
        disk.power_cut()
        left.add(len(disk.files["log"].records))
    assert min(left) == 2 and 2 < max(left) <= 5


def test_events_of_one_moment_come_in_order() -> None:
    """What was asked for first comes first; a world that runs hot is stopped."""
    clock, came = Clock(0), []
    for number in range(5):
        clock.at(2000.0, came.append, number)
    clock.run(3000.0, 10)
    assert came == [0, 1, 2, 3, 4] and clock.now == 3000.0

    def again() -> None:
        clock.after(0.0, again)

    again()
    with pytest.raises(AssertionError, match="busy"):
        clock.run(4000.0, 100)


def test_the_final_line_counts_everything() -> None:
    """Seeds, steps, faults, jobs, samples and failures, in one line at the end."""
    assert list(seeds("3,5,8-10")) == [3, 5, 8, 9, 10]
    tally = Tally()
    tally.add(4, simulate(draw(4, 8)))
    *_, last = tally.lines()
    assert last.startswith("1 seeds, ") and " 0 seeds failed in " in last


def test_whoever_nobody_could_reach_has_time_to_come_back() -> None:
    """A worker that was away is not well before it was left in peace for a second: until then it may not have heard
    that it is to register again, and a daemon that gives it up is right. After that it is not."""
    plan = draw(0)
    clock = Clock(0)
    processes = Processes(clock, Network(clock, lambda peer, header, body: None), Oracle(), plan.slots)
    processes.spawn("a/0", settings(plan).providers["a"], "ticket")
    process = processes.by_name["a/0"]
    process.session.loaded(Ready(rate=1000, slots=1, load_s=0.1, first_audio_s=0.1, factor=0.1), b"", 0)
    process.lose(2.0)
    clock.run(1001.5, 100)
    process.freeze(0.9)
    clock.run(1003.3, 100)
    assert process.sick == "was away"  # it moves again since 1002.4
    process.pipe_full = True
    process.choke()
    clock.run(1004.2, 100)
    assert process.sick == "was away" and not process.pipe_full
    clock.run(1004.4, 100)
    assert process.sick == ""
