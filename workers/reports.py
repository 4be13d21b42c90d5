"""What the engine's thread tells others than the daemon: the socket's thread, and whoever reads standard error.

Owns: the words for it. Must not know: engines, sockets. Invariant: no text that was to be spoken is in any of it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from .selftest import Tested


@dataclass(slots=True)
class Progressed:
    """How far the loading is."""

    percent: float
    note: str


@dataclass(slots=True)
class Unusable:
    """The engine cannot be used, or not any more: the worker has to end. message: its last words. lasting: so it will
    be until somebody changes something."""

    message: str
    lasting: bool = False


Report = Progressed | Tested | Unusable
"""What the engine thread tells the socket thread besides messages to the daemon."""


def complain(line: str) -> None:
    """Put a line where the daemon keeps a worker's last words."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def one_line(error: BaseException) -> str:
    """An exception in one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
