"""What follows from which failure."""

from __future__ import annotations

import pytest

from voicebus.bus.errors import FAILURES
from voicebus.daemon.core.failures import RULES

EXPECTED = {
    "crash": ("again", 2, "counts", True, False),
    "killed": ("again", 0, "no", False, False),
    "hang": ("again", 1, "counts", True, False),
    "out_of_memory": ("again", 1, "counts", False, False),
    "load_failed": ("next", 0, "counts", False, False),
    "silent": ("again", 1, "counts", False, True),
    "truncated": ("again", 1, "counts", False, True),
    "repeating": ("again", 1, "counts", False, True),
    "unheard": ("again", 1, "counts", False, False),
    "rate_limited": ("next", 0, "trips", False, False),
    "quota": ("next", 0, "trips", False, False),
    "auth": ("next", 0, "trips", False, False),
    "unavailable": ("next", 0, "counts", False, False),
    "invalid_input": ("stop", 0, "no", False, False),
    "protocol": ("again", 2, "counts", False, False),
}


def test_every_class_of_failure_has_its_rule() -> None:
    """No failure is without a consequence, and no rule without a failure."""
    assert set(RULES) == set(FAILURES)


@pytest.mark.parametrize("name", FAILURES)
def test_the_rules_are_as_agreed(name) -> None:
    """Each class leads where the design says: who tries next, how often, who hears of it and who is blamed."""
    rule = RULES[name]
    assert (rule.action, rule.tries, rule.breaker, rule.blames, rule.reseeds) == EXPECTED[name]
    assert len(rule.why) > 20


def test_only_what_nobody_here_did_is_repeated_without_end() -> None:
    """Being killed from outside has no limit of tries; whatever the provider itself did has."""
    assert [name for name, rule in RULES.items() if rule.action == "again" and not rule.tries] == ["killed"]


def test_what_is_blamed_on_the_text_is_heard_by_the_breaker() -> None:
    """A death that may be the text's may as well be the provider's."""
    assert all(rule.breaker == "counts" for rule in RULES.values() if rule.blames)
