"""A failing plan made small.

Owns: which parts of a plan a failure needs. Must not know: what fails. Invariant: what comes out fails in the same way
as what went in, if more briefly.
"""

from __future__ import annotations

import re

from .plan import Plan
from .simulation import Outcome, simulate

TRIES = 400
"""Runs at most."""


def kind(outcome: Outcome) -> str:
    """In which way a run failed: its message without names and numbers."""
    return re.sub(r"[0-9]+", "", re.sub(r"'[^']*'|\(.*", "", outcome.wrong))[:40]


def shrink(plan: Plan, tries: int = TRIES) -> tuple[Plan, Outcome]:
    """Leave out halves, then quarters, and at last single parts, for as long as what is left fails in the same way."""
    outcome = simulate(plan)
    wanted = kind(outcome)
    parts = plan.parts()
    size = max(len(parts) // 2, 1)
    while tries > 0:
        smaller = None
        for at in range(0, len(parts), size):
            rest = parts[:at] + parts[at + size :]
            tries -= 1
            found = simulate(plan.only(rest))
            if found.wrong and kind(found) == wanted:
                smaller, outcome = rest, found
                break
            if tries <= 0:
                break
        if smaller is not None:
            parts = smaller
            size = min(size, max(len(parts) // 2, 1))
        elif size == 1:
            break
        else:
            size = max(size // 2, 1)
    return plan.only(parts), outcome
