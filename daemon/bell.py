"""How another thread rouses the loop.

Owns: one pipe. Must not know: who rings, or why. Invariant: nobody who rings ever waits; however often it was rung, one
`clear` makes it silent.
"""

from __future__ import annotations

import contextlib
import os


class Bell:
    """A descriptor that is readable from `ring` to `clear`."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """What to select on."""
        return self._read

    def ring(self) -> None:
        """Make it readable."""
        with contextlib.suppress(BlockingIOError):  # full: it rings already
            os.write(self._write, b"!")

    def clear(self) -> None:
        """Make it silent."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def close(self) -> None:
        """Nobody rings any more."""
        os.close(self._read)
        os.close(self._write)
