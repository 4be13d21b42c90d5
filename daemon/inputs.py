"""The input logs: the recordings that jobs are to transcribe, one file each, beside the journals.

Owns: writing them and bringing them to the disk. Must not know: what is in them, who reads (`files`), which pieces
there are (the database says so). Invariant: what was written and synced stays until the file is dropped; what stands
behind the bytes that the database knows of is nothing, and is written over.

Pieces are written and synced by the storage thread, in the transaction that makes them known; files are dropped by the
loop.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .core.recordings import SUFFIX
from .journal import sync_descriptor

_NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,159}\Z")


class Inputs:
    """The input logs in a directory, which is there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, log: str) -> Path:
        """A log's recording. Raises ValueError for what cannot be the name of a log."""
        if not _NAME.match(log):
            raise ValueError(f"{log!r} cannot be the name of an input log")
        return self._directory / f"{log}{SUFFIX}"

    def write(self, log: str, at: int, data: bytes) -> None:
        """Write a piece at its place. Raises OSError; what was there before is as it was."""
        fd = os.open(self.path(log), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            rest = memoryview(data)
            while rest:
                written = os.pwrite(fd, rest, at)
                rest, at = rest[written:], at + written
        finally:
            os.close(fd)

    def sync(self, log: str) -> None:
        """Let all that was written to it, and its name, reach the disk. Raises OSError."""
        for path, flags in ((self.path(log), os.O_RDWR), (self._directory, os.O_RDONLY)):
            fd = os.open(path, flags | os.O_CLOEXEC)
            try:
                sync_descriptor(fd) if path is not self._directory else os.fsync(fd)
            finally:
                os.close(fd)

    def drop(self, log: str) -> None:
        """Remove it, if it is there."""
        self.path(log).unlink(missing_ok=True)

    def names(self) -> set[str]:
        """The names of all files here."""
        return {name for name in os.listdir(self._directory) if name.endswith(SUFFIX)}  # noqa: PTH208 - of many
