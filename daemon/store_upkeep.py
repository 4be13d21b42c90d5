"""The database's files are kept small, and clean of what was deleted.

Owns: when the write-ahead log is brought into the database and cut, what people are told when it grows, and what is
done where there is no room. Must not know: records, queues. Invariant: the log grows past LOG_ALARM_BYTES only while
another program reads the database, and then people are told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import apsw

from .core.records import Outcome, Record
from .store_opening import reserve_of
from .store_purge import Purge, empty_log, rewind_log
from .store_records import index_one, unindexed
from .store_reserve import Reserve
from .store_room import Room

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""So much written, about, and the log is brought into the database."""

CHECKPOINT_S = 10.0
"""So long without a commit, and it is too."""

AGAIN_S = 1.0
"""How often what could not be finished is tried again: a deletion, or words that are not in the index yet."""

INDEXED_AT_ONCE = 10

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
        room: Room,
        interrupt: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        self.written = 0
        self.room = room
        self._db = db
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._purge = purge
        self._interrupt = interrupt
        self._complain = complain
        self._purge_due = False
        self._unindexed = False
        self._reserve = Reserve(reserve_of(path))

    @property
    def due(self) -> bool:
        """Whether there is so much to do that it is not left for a quiet moment."""
        return self.written >= CHECKPOINT_BYTES

    @property
    def pause_s(self) -> float | None:
        """How long after a commit it is quiet; None where there is nothing to do then."""
        if self._purge_due or self._unindexed:
            return AGAIN_S
        return CHECKPOINT_S if self.written or not self._reserve.there else None

    def begin(self) -> None:
        """Take the room that is wanted, and go on with what an earlier daemon left unfinished. Raises apsw.Error."""
        self.room.begin()
        self._reserve.keep()
        self._unindexed = unindexed(self._db) is not None
        self._purge_due = self._purge.due()
        if self._purge_due:
            self.purge()

    def purge(self) -> str:
        """Clean the files of what was deleted; "" or the reason why that is not done yet. It is tried again."""
        self.room.before_checkpoint()
        reason = self._purge.run()
        self._purge_due = bool(reason)
        return reason

    def run(self) -> None:
        """Bring the log into the database, and cut it where it has grown long. Raises apsw.Error."""
        self.written = 0
        if self._purge_due:
            self.purge()
        self.room.tend()
        self._reserve.keep()
        self._index()
        self.room.before_checkpoint()
        pages, done = self._db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_PASSIVE)
        size = self._surplus()
        if size > LOG_ALARM_BYTES or (size > LOG_BYTES and pages == done):
            empty_log(self._db, self._interrupt)
            self.room.log_was_cut()
            size = self._surplus()
        long = f"another program reads {self._path} without end and its log has grown to {size >> 20} MiB: end it"
        self._complain(long if size > LOG_ALARM_BYTES else "")

    def settle(self, records: Iterable[Record], outcomes: Iterable[Outcome], *, brief: bool) -> None:
        """Records were committed, in full or in brief."""
        self.room.settle(records, outcomes)
        self._unindexed |= brief

    def _index(self) -> None:
        """Put words into the index that were left out for want of room. Raises apsw.Error."""
        for _ in range(INDEXED_AT_ONCE):
            number = unindexed(self._db)
            self._unindexed = number is not None
            if number is None:
                return
            try:
                with self._db:
                    index_one(self._db, number)
                    self.room.secure(())
            except (apsw.FullError, apsw.IOError):
                return  # there still is none

    def make_room(self) -> None:
        """The disk is full, or the log may not grow: bring it into the database, so that it begins anew, over the
        blocks that it has."""
        with contextlib.suppress(apsw.Error):
            self.room.before_checkpoint()
            rewind_log(self._db, self._interrupt)

    def give_reserve(self) -> None:
        """Let go of what is kept for the day on which that was not enough."""
        self._reserve.give()
        self.make_room()

    def end(self) -> None:
        """Leave an empty log. Raises apsw.Error."""
        if self._purge_due:
            self.purge()
        self.room.before_checkpoint()
        empty_log(self._db, self._interrupt)

    def _surplus(self) -> int:
        """How much longer the log is than it is meant to be."""
        try:
            return max(0, self._log.stat().st_size - self.room.log_bytes)
        except FileNotFoundError:
            return 0
