"""The daemon's log: a rotating file of the user's own, and standard error where somebody reads it.

Owns: where log lines go and what they look like. Must not know: what is logged. Invariant: the file is
readable by its owner only, from its first byte, and takes no more than `(BACKUPS + 1) * FILE_BYTES` on disk.
"""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE_BYTES = 2 * 1024 * 1024
BACKUPS = 3

log = logging.getLogger("voicebus")
"""The one logger of the daemon."""


class _PrivateFile(RotatingFileHandler):
    """A rotating file that is created for its owner alone, whatever the umask."""

    def _open(self) -> TextIOWrapper:
        fd = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace")


def start(path: Path, *, to_stderr: bool, level: str = "INFO") -> None:
    """Log to `path`, and to standard error as well. A file that cannot be written is said there and left
    out."""
    log.setLevel(level)
    log.propagate = False
    logging.raiseExceptions = False  # a full disk must not fill standard error with tracebacks
    problem = ""
    try:
        file = _PrivateFile(path, maxBytes=FILE_BYTES, backupCount=BACKUPS)
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        log.addHandler(file)
    except OSError as error:
        problem = f"no log file: {path}: {error.strerror}"
    if to_stderr or problem:
        plain = logging.StreamHandler(sys.stderr)
        plain.setFormatter(logging.Formatter("voicebus: %(levelname)s: %(message)s"))
        log.addHandler(plain)
    if problem:
        log.warning(problem)


def stop() -> None:
    """Close everything that `start` opened."""
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
