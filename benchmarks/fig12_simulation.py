"""Figure 12: simulated faults per second.

Measured: the daemon's whole core in a simulated world (`tests/simulation`), one process, a fixed run of seeds in each
round: faults, and steps, carried out in a second of real time, with all promises checked at every step. A fault is one
of the plan's that happened (a death of the daemon between two effects, a lost connection, a hang ...); messages that
are lost with them are not counted.
Floor: the same seeds without faults, as steps a second: what faults and restarts cost beside plain work.
Aim: none broken; a hundred thousand faults a minute is what the design hopes for.
"""

from __future__ import annotations

import time
from dataclasses import replace

from common import Row

from voicebus.tests.simulation.drawing import draw
from voicebus.tests.simulation.simulation import simulate

TITLE = "simulated faults per second"
SEEDS = range(20)
FAULTS = 320
"""For each seed, about; a tenth of a second of virtual time apart. What changes nothing, since it is so already (a hang
of a worker that hangs, the loss of a connection that is not there), is not counted."""


def run(seeds: range, *, faults: bool) -> tuple[float, int, int, list[int]]:
    """Seconds, steps, faults and the seeds that failed."""
    begin = time.perf_counter()
    steps = count = 0
    failed = []
    for seed in seeds:
        plan = draw(seed, FAULTS)
        outcome = simulate(plan if faults else replace(plan, faults=()))
        steps += outcome.steps
        count += outcome.faults.total()
        if outcome.wrong:
            failed.append(seed)
    return time.perf_counter() - begin, steps, count, failed


def measure(runs: int) -> list[Row]:
    faults, steps, quiet, failed = [], [], [], []
    for number in range(runs):
        seeds = range(number * len(SEEDS), (number + 1) * len(SEEDS))
        took, stepped, befell, wrong = run(seeds, faults=True)
        faults.append(befell / took)
        steps.append(stepped / took)
        failed += wrong
        took, stepped, _, wrong = run(seeds, faults=False)
        quiet.append(stepped / took)
        failed += wrong
    note = f"{runs * len(SEEDS)} seeds, none failed" if not failed else f"seeds that failed: {failed}"
    row = Row(12, "faults", "/s", faults, aim="1667 /s, no promise broken", note=note)
    row.met = not failed and row.value >= 1667
    return [row, Row(12, "steps", "/s", steps, quiet, "without faults")]
