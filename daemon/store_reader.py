"""The reading thread: questions about what is kept.

Owns: the reading connection, and how long a question may take. Must not know: what the questions are
(`store_queries`). Invariant: a question is answered once, with what it asked for or with why not; no read lasts longer
than READ_S, and all end when the storage thread needs the log to itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from .core.records import Found, Wanted
from .logs import log
from .store_queries import Unanswerable, answer
from .store_reasons import BROKEN, explain
from .store_schema import connect

READ_S = 2.0
"""Longest time for one question."""

_AGAIN = 3  # times that a question may be interrupted for the storage thread's sake and is asked again

_STEPS = 20_000  # of SQLite's machine between two looks at the clock: about a millisecond


class Reader:
    """The reading thread and its queue. tell: takes answers. complain: takes what is found to be damaged."""

    def __init__(
        self,
        path: Path,
        tell: Callable[[Found], None],
        complain: Callable[[str], None],
        *,
        vfs: str | None = None,
        read_s: float = READ_S,
    ) -> None:
        self._path = path
        self._tell = tell
        self._complain = complain
        self._vfs = vfs
        self._read_s = read_s
        self._db: apsw.Connection | None = None
        self._ends_at = 0.0
        self._interrupted = False
        self._queue: queue.SimpleQueue[tuple[int, Wanted] | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, ticket: int, wanted: Wanted) -> None:
        self._queue.put((ticket, wanted))

    def interrupt(self) -> None:
        """End the read that is going on, if any; its question is asked again."""
        self._interrupted = True
        self._ends_at = 0.0

    def finish(self) -> None:
        """Answer what waits, without reading, and end."""
        self._closing = True
        self.interrupt()
        self._queue.put(None)
        self._thread.join()

    # ------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            ticket, wanted = asked
            self._tell(Found(ticket, reason="the daemon is leaving") if self._closing else self._answer(ticket, wanted))
        if self._db is not None:
            self._db.close()

    def _answer(self, ticket: int, wanted: Wanted) -> Found:
        try:
            for _ in range(_AGAIN):
                self._interrupted = False
                try:
                    return self._read(ticket, wanted)
                except apsw.InterruptError:
                    if not self._interrupted or self._closing:
                        raise
            return self._read(ticket, wanted)
        except Unanswerable as error:
            return Found(ticket, reason=str(error), code="invalid")
        except Exception as error:  # noqa: BLE001 - a question that cannot be answered must not end the thread
            log.warning("store: a question (%s) cannot be answered: %s", wanted.what, explain(error))
            self._forget()
            if isinstance(error, BROKEN):
                self._complain(explain(error))
            return Found(ticket, reason=explain(error))

    def _read(self, ticket: int, wanted: Wanted) -> Found:
        db = self._connection()
        self._ends_at = time.monotonic() + self._read_s
        # One transaction: a job and its text are of one moment.
        db.execute("BEGIN")
        try:
            return answer(db, ticket, wanted)
        finally:
            if db.in_transaction:  # an error may have ended it
                db.execute("COMMIT")

    def _connection(self) -> apsw.Connection:
        if self._db is None:
            self._db = connect(self._path, writing=False, vfs=self._vfs)
            self._db.set_progress_handler(self._too_long, _STEPS)
        return self._db

    def _too_long(self) -> bool:
        return time.monotonic() > self._ends_at

    def _forget(self) -> None:
        """The next question opens the database anew: this connection may have seen the last of it."""
        if self._db is not None:
            self._db.close()
            self._db = None
