"""The thread that brings journals to the disk while they are still being written.

Owns: that thread and its queue. Must not know: what a journal is for, or why it is synced now. Invariant: every `begin`
is answered once, in order, and none of it ever waits in the daemon's own thread.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from .bell import Bell


class Syncer:
    """Syncs journals by name. sync: does one, from any thread; raises OSError."""

    def __init__(self, sync: Callable[[str], None]) -> None:
        self._sync = sync
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._bell = Bell()
        # Begun when it is first needed: most daemons never write so much at once.
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """Readable when something is done."""
        return self._bell.fileno()

    def begin(self, log: str) -> None:
        """Have a journal synced."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="syncer", daemon=True)
            self._thread.start()
        self._asked.put(log)

    def done(self) -> list[tuple[str, str]]:
        """The journals that are done, each with "" or why it could not be synced."""
        self._bell.clear()
        return [self._done.get() for _ in range(self._done.qsize())]

    def close(self) -> None:
        """End the thread, after what it has in hand."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()
        self._bell.close()

    def _run(self) -> None:
        while (log := self._asked.get()) is not None:
            reason = ""
            try:
                self._sync(log)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
            self._done.put((log, reason))
            self._bell.ring()
