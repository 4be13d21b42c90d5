"""Runs seeds and says what came of them: ``make simulate SEEDS=0-999``, or this module with ``python -m``.

Arguments: seeds ("7", "0-999", "3,5,8-9"), ``--faults N`` (for each seed, about), ``--lines N`` (of the trace of a
failing run, made small). The exit code is 1 if any seed failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from .drawing import draw
from .shrink import shrink
from .simulation import Outcome, simulate


def seeds(words: str) -> Iterator[int]:
    """The numbers in "3,5,8-9"."""
    for word in words.split(","):
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


class Tally:
    """What all runs together did."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.runs = self.steps = self.effects = self.samples = self.jobs = self.lost = 0
        self.faults: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.failed: list[int] = []

    def add(self, seed: int, outcome: Outcome) -> None:
        """One more."""
        self.runs += 1
        self.steps += outcome.steps
        self.effects += outcome.effects
        self.samples += outcome.samples
        self.jobs += outcome.jobs
        self.lost += outcome.lost_messages
        self.faults += outcome.faults
        self.ends += outcome.ends
        if outcome.wrong:
            self.failed.append(seed)

    @property
    def seconds(self) -> float:
        """So far."""
        return time.perf_counter() - self.began

    def lines(self) -> Iterator[str]:
        """For people; the last is the one that counts."""
        for name, counts in (("faults", self.faults), ("ends of jobs", self.ends)):
            yield f"{name}: " + ", ".join(f"{what} {count}" for what, count in counts.most_common())
        faults, took = self.faults.total(), self.seconds
        yield (
            f"{self.steps / took:,.0f} steps, {self.effects / took:,.0f} effects and {faults / took:,.0f} faults a "
            f"second, {self.lost} messages lost"
        ).replace(",", " ", 2)
        yield (
            f"{self.runs} seeds, {self.steps} steps, {faults} faults, {self.jobs} jobs, {self.samples} samples "
            f"compared, {len(self.failed)} seeds failed in {took:.1f} s"
        )


def explain(seed: int, faults: int, lines: int) -> None:
    """Show the smallest plan that fails as the seed does, and the end of its trace."""
    plan, outcome = shrink(draw(seed, faults))
    print(f"made small: {outcome.wrong}")
    print("\n".join(plan.lines()))
    outcome = simulate(plan, keep=lines)
    print("\n".join(line[:220] for line in outcome.lines))
    print(f"trace {outcome.mark}")


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description="Run the daemon's core in a simulated world.")
    parser.add_argument("seeds", nargs="?", default="0-199", help="such as 0-999 or 3,5,8-9 (0-199)")
    parser.add_argument("--faults", type=int, default=24, help="for each seed, about (24)")
    parser.add_argument("--lines", type=int, default=60, help="of the trace of a failing seed (60)")
    chosen = parser.parse_args()
    tally = Tally()
    for seed in seeds(chosen.seeds):
        outcome = simulate(draw(seed, chosen.faults))
        tally.add(seed, outcome)
        if outcome.wrong:
            print(f"seed {seed} failed: {outcome.wrong[:1000]}", flush=True)
            if len(tally.failed) <= 3:
                explain(seed, chosen.faults, chosen.lines)
    print("\n".join(tally.lines()))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
