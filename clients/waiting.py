"""What the threads of a client wait on.

Owns: the condition that wakes them after each change, and how a signal handler gets a word in. Must not know: what
they wait for. Invariant: a handler raises nothing itself; what it has to say is called by the main thread where that
waits, at a place that is made for it.

An exception that a signal handler raises lands between any two instructions: in a `finally` that gives a lock back, in
a weak reference's callback or a `__del__`, where it is printed or lost, in the midst of an import. So a program that
wants to stop waiting when a signal comes leaves a function here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes(threading.Condition):
    """A condition whose waiting ends also by what `leave` was given."""

    def __init__(self) -> None:
        super().__init__()
        self._left: Callable[[], object] | None = None

    def leave(self, check: Callable[[], object]) -> None:
        """Have the main thread call `check`, which may raise, the next time it looks. Does not wake it: `notify_all`
        does. Takes no lock, so a signal handler may call it."""
        self._left = check

    def look(self) -> None:
        """Call what was left here, in the main thread; once. Raises what that raises."""
        if self._left is not None and threading.current_thread() is threading.main_thread():
            check, self._left = self._left, None
            check()

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until something is so, as `Condition.wait_for` does. Raises what `look` raises."""

        def so() -> T:
            self.look()
            return predicate()

        return super().wait_for(so, timeout)
