"""The markers of the tone engine that do harm: to an attempt, or to the process.

Owns: how a worker can be made to fail. Must not know: audio. Invariant: nothing here happens but by a marker's word.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from .engine import EngineError

_FLUSH_S = 0.1
"""Before the process dies: time for what was said to reach the wire, as it would have with a real engine, which works
for milliseconds before anything can happen to it."""


@dataclass(frozen=True, slots=True)
class Act:
    """A marker and its words."""

    marker: str
    words: list[str]

    def number(self, default: float) -> float:
        """The first word as a number."""
        return float(self.words[0]) if self.words else default


def act(what: Act, wait: Callable[[float], None]) -> None:
    """Do what a marker says. Raises EngineError for one that does not exist."""
    match what.marker:
        case "hang":
            while True:
                wait(3600)
        case "wait":
            wait(what.number(1))
        case "hold_gil":
            # PyDLL does not let go of the interpreter lock around the call, as a badly written extension would not.
            ctypes.PyDLL(None).usleep(ctypes.c_uint(round(what.number(1) * 1e6)))
        case "segfault":
            wait(_FLUSH_S)
            os.kill(os.getpid(), signal.SIGSEGV)
            wait(3600)
        case "exit":
            wait(_FLUSH_S)
            os._exit(int(what.number(1)))
        case "error":
            code, *rest = what.words
            raise EngineError(code, "as the text says", float(rest[0]) if rest else 0.0)
        case "raise":
            raise RuntimeError("as the text says")
        case "memory":
            raise MemoryError
        case "spam":
            for _ in range(round(what.number(1024))):
                sys.stdout.write("x" * 1023 + "\n")
        case "tell":
            sys.stderr.write(" ".join(what.words) + "\n")
            sys.stderr.flush()
        case unknown:
            raise EngineError("invalid_input", f"tone knows no marker {unknown!r}")
