"""Room that is kept for the day on which the disk is full.

Owns: one file of a fixed size beside the database. Must not know: what the room is for. Invariant: the file takes the
room that it promises, or is not there.

A job that fails because the disk is full has to be written down as failed, which takes some room itself.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

BYTES = 128 * 1024
"""Enough for the ends of some jobs: each takes a few pages of 4 KiB of the database's log."""


class Reserve:
    """The file `path`. Nothing here raises."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def there(self) -> bool:
        """Whether there is room to be had."""
        return self._path.exists()

    def keep(self) -> None:
        """Take the room, if it is not taken and the disk has it."""
        if self.there:
            return
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _take(fd)
            finally:
                os.close(fd)
        except OSError:
            self.give()

    def give(self) -> bool:
        """Let go of the room; whether there was any."""
        there = self.there
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        return there


def _take(fd: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, BYTES)
    else:  # macOS
        os.write(fd, bytes(BYTES))
    os.fsync(fd)
