"""Room that is taken before it is needed, so that a full disk keeps no job from its end.

Owns: how far the database's file and its log reach beyond what is in them, and how much the ends of the jobs that are
not over may take. Must not know: transactions, threads, what a record says. Invariant: where the file system lets room
be taken ahead, a commit that is no end leaves enough of it for the ends of all jobs that are not over, in blocks that
are the database's already; so whoever fills the disk, ends are written over what is there.

SQLite begins its log anew once all of it is in the database, and then writes over the blocks that the log has. The
database's file is given blocks behind its last page; SQLite would cut them off, but for its "chunk size", up to a
multiple of which it lets a file reach. File systems that never write in place (btrfs, ZFS) keep no such promise.
"""

from __future__ import annotations

import contextlib
import errno
import os
from array import array
from collections.abc import Iterable
from pathlib import Path

import apsw

from .core.records import JobEnded, JobImported, JobSaved, Outcome, Record, TextAdded
from .logs import log
from .store_reasons import explain

END_BYTES = 16 * 1024
"""What the end of a job may add to the database, apart from its segments."""

PER_BYTE = 8
"""What its segments may add for each byte of text: about 200 for each, and in no usual text sentences of less than 25
are the rule. The end of a job that takes more has to wait for room: it does not get what is owed to others."""

PER_RECORDED = 16
"""So many bytes of a recording give less than one of text and rows."""

LOG_LEAST_BYTES = 256 * 1024
"""The log has room for this and the largest end: pages that are there already are written too."""

CHANGE_BYTES = 1024 * 1024
"""What a group of commits may add unasked, with what the search index moves about meanwhile: while there is more room
than that, nobody looks."""

STEP_BYTES = 3 * 1024 * 1024
"""How much more than is needed is taken at once, if it is to be had."""

_ROW_BYTES = 16 * 1024
_LARGEST_CHUNK = 1 << 30
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def owed(record: Record) -> int:
    """How much the end of a job may take, by this record of it."""
    if isinstance(record, JobSaved):
        return END_BYTES + PER_BYTE * len(record.text) + len(record.recorded or b"") // PER_RECORDED
    if isinstance(record, TextAdded):
        return PER_BYTE * len(record.text) + len(record.recorded or b"") // PER_RECORDED
    if isinstance(record, JobImported):  # over as soon as it is there
        return END_BYTES + PER_BYTE * sum(map(len, record.texts))
    return 0


class Room:
    """The room of one database. `fd` is its file, open for writing for as long as any connection is."""

    def __init__(self, db: apsw.Connection, path: Path, fd: int) -> None:
        self._db = db
        self._log = path.with_name(path.name + "-wal")
        self._fd = fd
        self._page = int(db.pragma("page_size"))
        self._owed: dict[int, int] = {}
        self._total = 0
        self._largest = 0
        self._spare = 0
        """How much more than is needed there is at least, by the last look and what was done since."""
        self._log_has = 0
        self._unable = ""

    def begin(self) -> None:
        """Find out what is owed to the jobs of earlier daemons, and take what can be had. Raises apsw.Error."""
        query = (
            "SELECT number, coalesce((SELECT sum(length(text)) FROM pieces WHERE job = number), 0)"
            " FROM jobs INDEXED BY jobs_unfinished WHERE state IS NULL"
        )
        rows: list[tuple[int, int]] = self._db.execute(query).fetchall()  # type: ignore[assignment]
        for number, length in rows:
            self._add(number, END_BYTES + PER_BYTE * length)
        self.tend()

    # ---------------------------------------------------------------------------------------------------- commits

    def secure(self, records: Iterable[Record]) -> None:
        """Within a transaction: see to it that, with these, all jobs have room for their ends. Raises apsw.FullError
        where there is not that much."""
        more, largest, cost = 0, self._largest, CHANGE_BYTES
        for record in records:
            if isinstance(record, JobEnded):
                paid = self._owed.get(record.order, 0)
                more -= paid
                cost += _ROW_BYTES + 2 * paid
            else:
                debt = owed(record)
                more += debt
                before = self._owed.get(record.order, 0) if isinstance(record, TextAdded) else 0
                largest = max(largest, before + debt)
                cost += _ROW_BYTES + 2 * debt
        if self._unable:
            return
        self._take_log(LOG_LEAST_BYTES + largest)
        if self._spare < cost:
            self._look(more)
        self._spare -= cost - CHANGE_BYTES

    def settle(self, records: Iterable[Record], outcomes: Iterable[Outcome]) -> None:
        """After a commit: what is owed now."""
        for record, outcome in zip(records, outcomes, strict=True):
            if isinstance(record, JobEnded) and outcome.state in {"done", "missing"}:
                self._total -= self._owed.pop(record.order, 0)
            elif isinstance(record, JobSaved | TextAdded) and outcome.state == "done":
                self._add(record.order, owed(record))

    def _add(self, order: int, debt: int) -> None:
        self._owed[order] = self._owed.get(order, 0) + debt
        self._total += debt
        self._largest = max(self._largest, self._owed[order])

    # ------------------------------------------------------------------------------------------------------ files

    @property
    def log_bytes(self) -> int:
        """How long the log is to be at least."""
        return LOG_LEAST_BYTES + self._largest

    def tend(self) -> None:
        """Take what is wanted, as far as it is to be had, and let go of what is no longer. Raises apsw.Error."""
        self._largest = max(self._owed.values(), default=0)
        with contextlib.suppress(FileNotFoundError):
            self._log_has = self._log.stat().st_size
        with contextlib.suppress(apsw.FullError):
            self._take_log(self.log_bytes)
        with contextlib.suppress(apsw.FullError):
            self._look(0)

    def before_checkpoint(self) -> None:
        """SQLite is about to bring the log into the database, and may cut the file: tell it up to where not to."""
        self._spare = 0  # to be looked at again
        try:
            used, needed = self._pages()[0], self._needed(0)
        except apsw.Error:  # the checkpoint will tell
            return
        disk = os.fstatvfs(self._fd)
        roomy = disk.f_bavail * disk.f_frsize > 4 * STEP_BYTES
        size = min(os.fstat(self._fd).st_size, self._whole(needed + (2 * STEP_BYTES if roomy else 0)))
        # Not beyond the file's end either: SQLite would make it longer, but without blocks.
        parts = _parts(size)
        chunk = size // parts // self._page * self._page
        fits = chunk * (parts - 1) < used <= chunk * parts
        said = array("i", [chunk if fits else 0])
        self._db.file_control("main", apsw.SQLITE_FCNTL_CHUNK_SIZE, said.buffer_info()[0])

    def log_was_cut(self) -> None:
        """The log has been cut to nothing."""
        self._log_has = 0
        with contextlib.suppress(apsw.FullError):
            self._take_log(self.log_bytes)

    def _pages(self) -> tuple[int, int]:
        """The bytes of the database's pages, and of those among them that are free."""
        return self._page * int(self._db.pragma("page_count")), self._page * int(self._db.pragma("freelist_count"))

    def _needed(self, more: int) -> int:
        """How long the file has to be so that all ends find room; `more` is owed besides."""
        used, free = self._pages()
        return used + max(0, self._total + more - free)

    def _whole(self, size: int) -> int:
        """A size that is a number of whole chunks, each a number of whole pages."""
        unit = _parts(size) * self._page
        return -(-size // unit) * unit

    def _look(self, more: int) -> None:
        """See how much there is to spare, and take more where that is little. Raises apsw.FullError."""
        needed, size = self._needed(more), os.fstat(self._fd).st_size
        if size < needed + CHANGE_BYTES:
            with contextlib.suppress(apsw.FullError):
                size = self._reach(self._fd, size, self._whole(needed + STEP_BYTES))
            size = self._reach(self._fd, size, self._whole(needed))
        self._spare = size - needed

    def _take_log(self, wanted: int) -> None:
        if self._log_has >= wanted:
            return
        try:
            fd = os.open(self._log, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # no descriptor is left: a matter of another kind
            return
        try:
            self._log_has = self._reach(fd, os.fstat(fd).st_size, wanted)
        finally:
            os.close(fd)

    def _reach(self, fd: int, size: int, wanted: int) -> int:
        """Have a file reach so far, with blocks; returns how far it does. Raises apsw.FullError."""
        if size >= wanted or self._unable:
            return size
        try:
            _allocate(fd, size, wanted - size)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise apsw.FullError("what is left is kept for the ends of jobs") from None
            # A file that may not grow, a file system that cannot do this: then it is as it was without.
            self._unable = explain(error)
            log.warning("store: no room can be taken for a full disk: %s", self._unable)
            return size
        return wanted


def _parts(size: int) -> int:
    """How many chunks a file of this size has, so that SQLite can be told how long one is."""
    return size // _LARGEST_CHUNK + 1


def _allocate(fd: int, at: int, length: int) -> None:
    """Add blocks to the end of a file. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, at, length)
    else:  # macOS
        while length > 0:
            done = os.pwrite(fd, bytes(min(length, 1 << 16)), at)
            at, length = at + done, length - done
