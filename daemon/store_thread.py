"""The storage thread: the one that writes to the database.

Owns: the writing connection, transactions, checkpoints and what a failure does to the commits in hand. Must not know:
what a record means (`store_records`), who asked. Invariant: an outcome is told only after the COMMIT that covers it, a
deletion only when its words are gone from the files, and all in the order in which they were asked for; a record that
fails changes nothing and stops no other.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import apsw

from .core.records import JobDeleted, JobEnded, Outcome, Record
from .logs import log
from .store_purge import Purge, empty_log
from .store_reasons import BROKEN, NOT_THE_RECORD, explain
from .store_records import Refused, apply

GROUP = 256
"""Most commits in one transaction."""

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""So much written, about, and the log is brought into the database."""

CHECKPOINT_S = 10.0
"""So long without a commit, and it is too."""

LOG_BYTES = 16 * 1024 * 1024
"""A log file that has grown longer is cut when it has been brought in."""

LOG_ALARM_BYTES = 64 * 1024 * 1024
"""A log file that is longer is told to people."""

_ROW_BYTES = 20_000  # of log for a small record: a few pages


@dataclass(frozen=True, slots=True)
class Asked:
    """A commit that waits."""

    ticket: int
    record: Record


class Writer:
    """The storage thread and its queue.

    tell: takes outcomes, in order. sync_log: brings a journal to the disk, by its name; raises OSError. clock: seconds
    since 1970. interrupt: ends this daemon's own reads. complain: takes what people should know of the store, "" when
    it is well again.
    """

    def __init__(
        self,
        db: apsw.Connection,
        path: Path,
        fd: int,
        *,
        tell: Callable[[list[Outcome]], None],
        sync_log: Callable[[str], None],
        clock: Callable[[], float],
        interrupt: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        self._db = db
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._tell = tell
        self._sync_log = sync_log
        self._clock = clock
        self._interrupt = interrupt
        self._complain = complain
        self._purge = Purge(db, path, fd, interrupt)
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._broken = ""
        self._purge_due = False
        self._unchecked = 0
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, asked: Asked) -> None:
        self._queue.put(asked)

    def finish(self) -> None:
        """Do all that waits, and end."""
        self._queue.put(None)
        self._thread.join()

    # ------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._take()
            if batch:
                self._commit(batch)
            if not self._broken and (not batch or self._unchecked >= CHECKPOINT_BYTES):
                self._look_after_log()
        if not self._broken:
            with contextlib.suppress(apsw.Error):
                empty_log(self._db, self._interrupt)
        self._db.close()

    def _take(self) -> tuple[list[Asked], bool]:
        """What waits, at most GROUP of it; nothing when it is time to look after the log. And whether more may come."""
        batch: list[Asked] = []
        try:
            asked = self._queue.get(timeout=CHECKPOINT_S if self._unchecked or self._purge_due else None)
            while asked is not None:
                batch.append(asked)
                if len(batch) == GROUP:
                    return batch, True
                asked = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _commit(self, batch: list[Asked]) -> None:
        now = self._clock()
        try:
            outcomes = self._together(batch, now)
        except Exception as error:  # noqa: BLE001 - whatever a record does to it, the thread goes on
            if len(batch) > 1:
                outcomes = [outcome for asked in batch for outcome in self._alone(asked, now)]
            else:
                outcomes = [self._failed(batch[0], error)]
        self._tell(self._purged(batch, outcomes))
        self._unchecked += sum(_ROW_BYTES + 2 * len(getattr(asked.record, "text", b"")) for asked in batch)

    def _together(self, batch: list[Asked], now: float) -> list[Outcome]:
        """One transaction for all; a record that cannot be applied fails alone. Raises what else went wrong, nothing
        being changed."""
        if self._broken:
            return [Outcome(asked.ticket, "failed", self._broken) for asked in batch]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            one = self._apply if len(batch) == 1 else self._apply_apart
            outcomes = [one(asked, now) for asked in batch]
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return outcomes

    def _alone(self, asked: Asked, now: float) -> list[Outcome]:
        try:
            return self._together([asked], now)
        except Exception as error:  # noqa: BLE001 - as above
            return [self._failed(asked, error)]

    def _apply(self, asked: Asked, now: float) -> Outcome:
        record = asked.record
        if isinstance(record, JobEnded):
            self._sync(record)
        return Outcome(asked.ticket, apply(self._db, record, now))

    def _apply_apart(self, asked: Asked, now: float) -> Outcome:
        self._db.execute("SAVEPOINT one")
        try:
            outcome = self._apply(asked, now)
        except NOT_THE_RECORD:
            raise
        except Exception as error:  # noqa: BLE001 - what is wrong with one record is not the others' matter
            self._db.execute("ROLLBACK TO one; RELEASE one")
            return self._failed(asked, error)
        self._db.execute("RELEASE one")
        return outcome

    def _sync(self, end: JobEnded) -> None:
        """A job's audio reaches the disk before its end does."""
        try:
            self._sync_log(end.log)
        except FileNotFoundError:
            if end.samples:
                raise Refused(
                    f"the audio of job number {end.order} is not there: journal {end.log} is missing"
                ) from None
        except OSError as error:
            raise Refused(
                f"the audio of job number {end.order} cannot be brought to the disk: {explain(error)}"
            ) from None

    def _failed(self, asked: Asked, error: Exception) -> Outcome:
        reason = str(error) if isinstance(error, Refused) else explain(error)
        log.error("store: %s of ticket %d failed: %s", type(asked.record).__name__, asked.ticket, reason)
        if isinstance(error, BROKEN):
            self._break(reason)
        return Outcome(asked.ticket, "failed", reason)

    def _break(self, reason: str) -> None:
        self._broken = reason
        self._complain(reason)

    # ------------------------------------------------------------------------------------------ deletions and the log

    def _purged(self, batch: list[Asked], outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes, once what was deleted is gone for good."""
        gone = [
            isinstance(a.record, JobDeleted) and o.state in {"done", "deleted"}
            for a, o in zip(batch, outcomes, strict=True)
        ]
        if not any(gone):
            return outcomes
        reason = self._purge.run()
        self._purge_due = bool(reason)
        if not reason:
            return outcomes
        return [Outcome(o.ticket, "failed", reason) if g else o for g, o in zip(gone, outcomes, strict=True)]

    def _look_after_log(self) -> None:
        """Bring the log into the database, and cut it when it has grown long. A reader that does not end is told of."""
        self._unchecked = 0
        try:
            if self._purge_due:
                self._purge_due = bool(self._purge.run())
            pages, done = self._db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_PASSIVE)
            size = self._log_bytes()
            if size > LOG_BYTES and (pages == done or size > LOG_ALARM_BYTES):
                empty_log(self._db, self._interrupt)
                size = self._log_bytes()
        except apsw.Error as error:
            log.warning("store: the write-ahead log stays as it is: %s", explain(error))
            if isinstance(error, BROKEN):
                self._break(explain(error))
            return
        long = f"another program reads {self._path} without end and its log has grown to {size >> 20} MiB: end it"
        self._complain(long if size > LOG_ALARM_BYTES else "")

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0
