"""What a daemon that was killed left behind, and the next one finds."""

from __future__ import annotations

import os

LONG_AGO = 1_000_000_000


def test_the_next_daemon_removes_what_nobody_owns(launch, tmp_path):
    """A journal without a job, a file whose writing broke off and a surplus log are gone once the next daemon serves;
    what it does not know is not touched."""
    state = tmp_path / "s"
    (state / "logs").mkdir(parents=True, mode=0o700)
    names = ("logs/nobodys-1-00000000.takes", "logs/packing.part", "export.tmp", "daemon.log.8")
    for name in (*names, "notes.txt", "logs/notes.txt"):
        (state / name).write_text("left")
        os.utime(state / name, (LONG_AGO, LONG_AGO))
    service = launch("", state=state)
    service.ready(service.client(), "espeak", 1)
    assert [name for name in names if (state / name).exists()] == []
    assert (state / "notes.txt").exists() and (state / "logs" / "notes.txt").exists()
    service.says("removed 4 files that belonged to nobody")
    for name in ("notes.txt", "logs/notes.txt"):  # not for the leak gate, which knows all that a daemon leaves
        (state / name).unlink()
