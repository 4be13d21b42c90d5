"""Ranges of files below the state directory, for those who were promised them.

Owns: the way from a name to a file. Must not know: what is in the files, who made them (recordings, samples and prompts
of voices), who reads. Invariant: no name leads out of the directory, and no link is followed; a range is read whole or
not at all.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_NAME = re.compile(r"(?:[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,199}/){0,4}[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,199}\Z")


class Files:
    """The files below a directory, by their names in it, such as ``logs/e1-1.input``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, name: str) -> Path:
        """Where a file is. Raises ValueError for what cannot be a name here."""
        if not _NAME.match(name):
            raise ValueError(f"{name!r} cannot be the name of a file here")
        return self._directory / name

    def read(self, name: str, at: int, length: int) -> bytes:
        """A range of a file. Raises OSError, also when the file does not have all of it."""
        fd = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            data = os.pread(fd, length, at)
        finally:
            os.close(fd)
        if len(data) != length:
            raise OSError(f"{name} ends before byte {at + length}")
        return data
