"""What was deleted is gone from the files, not only from the tables.

Owns: the search index's leftovers, emptying the write-ahead log, and the unused parts of the database's pages. Must
not know: jobs, threads. Invariant: `Purge.run` says that it is done only when no byte of a deleted row is left in the
database or its log.

`secure_delete` overwrites a row where it stood last. When SQLite moves rows between pages to keep its trees level,
their bytes stay behind in the space between a page's list of cells and the cells themselves, which nobody reads and
nobody clears: one page in ten of a database that has been used for a while holds such bytes. So that space is cleared
here. It belongs to no row, so a reader that meets it half cleared sees nothing of that; and it is done only while the
log is empty and the write lock is held, so that nobody else writes to the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from .store_reasons import explain
from .store_schema import BUSY_MS
from .store_words import renew, stale

PATIENCE_S = 2.0
"""How long a program that reads the database may keep the log from being emptied."""

_TRY_MS = 50
_CHUNK = 256  # pages read at once
_HEADER = {2: 12, 5: 12, 10: 8, 13: 8}  # bytes before the list of cells, by kind of page
_FILE_HEADER = 100  # bytes before all that on the first page
_MOST_PAGES = 1 << 24  # beyond, a page of another use may begin like one of a tree


class Purge:
    """Clears what deletions left behind. `fd` is the database's file, open for reading and writing; it must stay open
    as long as any connection is, since closing it would give up their locks too (POSIX). interrupt: ends this daemon's
    own reads. cut: called when the log has just been cut to nothing."""

    def __init__(
        self, db: apsw.Connection, path: Path, fd: int, interrupt: Callable[[], None], cut: Callable[[], None]
    ) -> None:
        self._db = db
        self._fd = fd
        self._log = path.with_name(path.name + "-wal")
        self._interrupt = interrupt
        self._cut = cut

    def run(self) -> str:
        """Do it; "" or the reason why what was deleted may still be found in the files."""
        deadline = time.monotonic() + PATIENCE_S
        try:
            if not self.due():
                return ""
            if stale(self._db):
                renew(self._db)
            while not self._once():
                if time.monotonic() > deadline:
                    return "deleted, but not yet gone from the disk: another program reads the database; end it"
            self._db.execute("DELETE FROM meta WHERE name = 'purge'")
        except (apsw.Error, OSError) as error:
            return f"deleted, but not yet gone from the disk: {explain(error)}"
        return ""

    def due(self) -> bool:
        """Whether something was deleted since the last `run` that came to its end, by this daemon or an earlier one."""
        return self._db.execute("SELECT 1 FROM meta WHERE name = 'purge'").get is not None

    def _once(self) -> bool:
        if not empty_log(self._db, self._interrupt):
            return False
        self._db.execute("BEGIN IMMEDIATE")
        try:
            # Another program may have written meanwhile.
            if self._log.exists() and self._log.stat().st_size:
                return False
            self._cut()
            clear_unused(self._fd, int(self._db.pragma("page_size")))
        finally:
            self._db.execute("ROLLBACK")
            # Pages in memory still have what was cleared, and would bring it back with the next change.
            self._db.release_memory()
        return True


def empty_log(db: apsw.Connection, interrupt: Callable[[], None]) -> bool:
    """Bring the write-ahead log into the database and cut it to nothing; False if somebody reads."""
    return _checkpoint(db, interrupt, apsw.SQLITE_CHECKPOINT_TRUNCATE)


def rewind_log(db: apsw.Connection, interrupt: Callable[[], None]) -> bool:
    """Bring the write-ahead log into the database, so that what is written next stands at its begin; False if somebody
    reads."""
    return _checkpoint(db, interrupt, apsw.SQLITE_CHECKPOINT_RESTART)


def _checkpoint(db: apsw.Connection, interrupt: Callable[[], None], mode: int) -> bool:
    interrupt()
    db.set_busy_timeout(_TRY_MS)
    try:
        db.wal_checkpoint("main", mode)
    except apsw.BusyError:
        return False
    finally:
        db.set_busy_timeout(BUSY_MS)
    return True


def clear_unused(fd: int, page_size: int) -> int:
    """Overwrite with zeros what no cell uses in each page of a tree; returns in how many pages there was something."""
    at, cleared = 0, 0
    while chunk := os.pread(fd, page_size * _CHUNK, at):
        for start in range(0, len(chunk), page_size):
            cleared += _clear(fd, chunk, start, page_size, at)
        at += len(chunk)
    if cleared:
        os.fsync(fd)
    return cleared


def _clear(fd: int, chunk: bytes, at: int, size: int, base: int) -> int:
    header = at + (_FILE_HEADER if base + at == 0 else 0)
    if (before := _HEADER.get(chunk[header])) is None or (base + at) // size >= _MOST_PAGES:
        return 0
    cells = chunk[header + 3] << 8 | chunk[header + 4]
    begin = header + before + 2 * cells
    end = at + ((chunk[header + 5] << 8 | chunk[header + 6]) or 65536)
    if end > at + size or begin >= end or chunk.count(0, begin, end) == end - begin:
        return 0
    os.pwrite(fd, bytes(end - begin), base + begin)
    return 1
