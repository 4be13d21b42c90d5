"""What the README shows is what happens: its examples run against a daemon and an engine."""

import pytest

from .examples import run, shown_in

EXAMPLES = shown_in("README.md")


def test_there_are_examples() -> None:
    """The README shows at least one program."""
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES, ids=range(1, len(EXAMPLES) + 1))
def test_an_example_of_the_readme_runs(code, own_service, short_dir) -> None:
    """As it stands, and with something in the place of its dots, it runs to its end and brings audio."""
    told = run(code.replace("...", "print(frame.samples, frame.rate)"), short_dir, own_service)
    frames = [tuple(map(int, line.split())) for line in told.splitlines()]
    assert sum(samples / rate for samples, rate in frames) > 1.0
