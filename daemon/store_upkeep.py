"""The database's files are kept small, and clean of what was deleted.

Owns: when the write-ahead log is brought into the database and cut, what people are told when it grows, and what is
done where there is no room. Must not know: records, queues. Invariant: the log grows past LOG_ALARM_BYTES only while
another program reads the database, and then people are told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import apsw

from .store_opening import reserve_of
from .store_purge import Purge, empty_log
from .store_reserve import Reserve

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""So much written, about, and the log is brought into the database."""

CHECKPOINT_S = 10.0
"""So long without a commit, and it is too."""

PURGE_S = 1.0
"""How often a deletion that could not be finished is tried again."""

LOG_BYTES = 16 * 1024 * 1024
"""A log file that has grown longer is cut when it has been brought in."""

LOG_ALARM_BYTES = 64 * 1024 * 1024
"""A log file that is longer is told to people, and this daemon's own reads are ended for it."""


class Upkeep:
    """Looks after the files, on the storage thread. written: about how many bytes went into the log since it was
    looked after. complain: takes what people should know, "" when it is well again."""

    def __init__(
        self,
        db: apsw.Connection,
        path: Path,
        purge: Purge,
        interrupt: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        self.written = 0
        self._db = db
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._purge = purge
        self._interrupt = interrupt
        self._complain = complain
        self._purge_due = False
        self._reserve = Reserve(reserve_of(path))

    @property
    def due(self) -> bool:
        """Whether there is so much to do that it is not left for a quiet moment."""
        return self.written >= CHECKPOINT_BYTES

    @property
    def pause_s(self) -> float | None:
        """How long after a commit it is quiet; None where there is nothing to do then."""
        if self._purge_due:
            return PURGE_S
        return CHECKPOINT_S if self.written or not self._reserve.there else None

    def begin(self) -> None:
        """Finish a deletion over which an earlier daemon was killed. Raises apsw.Error."""
        self._reserve.keep()
        self._purge_due = self._purge.due()
        if self._purge_due:
            self.purge()

    def purge(self) -> str:
        """Clean the files of what was deleted; "" or the reason why that is not done yet. It is tried again."""
        reason = self._purge.run()
        self._purge_due = bool(reason)
        return reason

    def run(self) -> None:
        """Bring the log into the database, and cut it where it has grown long. Raises apsw.Error."""
        self.written = 0
        self._reserve.keep()
        if self._purge_due:
            self.purge()
        pages, done = self._db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_PASSIVE)
        size = self._log_bytes()
        if size > LOG_ALARM_BYTES or (size > LOG_BYTES and pages == done):
            empty_log(self._db, self._interrupt)
            size = self._log_bytes()
        long = f"another program reads {self._path} without end and its log has grown to {size >> 20} MiB: end it"
        self._complain(long if size > LOG_ALARM_BYTES else "")

    def make_room(self, *, whatever_it_takes: bool) -> None:
        """The disk is full, or the log may not grow: begin the log anew where that can be done, and let go of what is
        kept for such a day."""
        if whatever_it_takes:
            self._reserve.give()
        with contextlib.suppress(apsw.Error):
            empty_log(self._db, self._interrupt)

    def end(self) -> None:
        """Leave an empty log. Raises apsw.Error."""
        if self._purge_due:
            self.purge()
        empty_log(self._db, self._interrupt)

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0
