"""Numbers of things, as they are told to people.

Owns: one thing or several. Must not know: which things there are. Invariant: one thing is never told as several.
"""

from __future__ import annotations


def plural(count: int, one: str, many: str = "") -> str:
    """The word for one thing or for so many: "jobs" for 2 of "job". many: where it is not `one` with an s."""
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its word: "1 job", "2 jobs"."""
    return f"{count} {plural(count, one, many)}"
