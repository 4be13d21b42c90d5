"""The simulation finds rules that are broken on purpose."""

from __future__ import annotations

import pytest

from .mutants import MUTANTS, Mutant, search

MOST = 25
"""Seeds that are tried where the one that is known to find a mutant does not any more."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_found_out(mutant: Mutant) -> None:
    """Within a few seeds, on which the core as it is keeps all its promises."""
    seed, wrong = search(mutant, MOST)
    assert wrong, f"nobody noticed that {mutant.name}"
    assert mutant.on_the_core_as_it_is(seed) == ""


def test_mutants_leave_nothing_behind() -> None:
    """Outside its `with` the core is as it was."""
    for mutant in MUTANTS:
        swaps = mutant.swaps()
        before = [owner[name] if isinstance(owner, dict) else owner.__dict__[name] for owner, name, _ in swaps]
        with mutant.alive():
            pass
        after = [owner[name] if isinstance(owner, dict) else owner.__dict__[name] for owner, name, _ in swaps]
        assert all(one is other for one, other in zip(before, after, strict=True)), mutant.name


def test_there_are_enough() -> None:
    """At least twenty rules, each with a name of its own."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20
