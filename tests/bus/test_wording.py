"""One thing or several, in words."""

from __future__ import annotations

from voicebus.bus.wording import counted, plural


def test_one_thing_is_not_told_as_several():
    """Only for one there is the word for one."""
    assert [counted(n, "job") for n in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(3, "entry", "entries") == "3 entries"
    assert plural(1, "was", "were") == "was"
