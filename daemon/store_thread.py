"""The storage thread: the one that writes to the database.

Owns: the order of commits, the transactions they are made in, and what a failure does to those in hand. Must not know:
what a record means (`store_records`), who asked, how the files are kept small (`store_upkeep`). Invariant: an outcome
is told only after the COMMIT that covers it, a deletion only when its words are gone from the files, and all in the
order in which they were asked for; a record that fails changes nothing and stops no other.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import apsw

from .core.records import (
    Found,
    JobDeleted,
    JobEnded,
    JobImported,
    JobPacked,
    JobSaved,
    Outcome,
    Record,
    Retention,
    TextAdded,
    VoiceRemoved,
    VoiceRenamed,
    VoiceSaved,
)
from .inputs import Inputs
from .logs import log
from .store_reasons import BROKEN, NOT_THE_RECORD, explain
from .store_records import Refused, apply
from .store_retention import Row, expire
from .store_upkeep import Upkeep

GROUP = 256
"""Most commits in one transaction."""

_ROW_BYTES = 20_000  # of log for a small record: a few pages


SyncSamples = Callable[[int, tuple[str, ...]], None]
"""Brings recordings of a user to the disk, by their names; raises OSError."""


def _texts(record: Record) -> tuple[bytes, ...]:
    return record.texts if isinstance(record, JobImported) else (getattr(record, "text", b""),)


@dataclass(frozen=True, slots=True)
class Asked:
    """A commit that waits."""

    ticket: int
    record: Record


@dataclass(slots=True)
class Expiry:
    """A request to remove what is past its time, and what has been removed so far."""

    ticket: int
    policy: Retention
    removed: list[Row] = field(default_factory=list)

    def left(self) -> Retention:
        """What is still to be done."""
        freed: Counter[int] = Counter()
        for row in self.removed:
            freed[row["uid"]] += row["disk"]
        free_of = tuple((uid, room - freed[uid]) for uid, room in self.policy.free_of)
        return replace(self.policy, free_bytes=self.policy.free_bytes - freed.total(), free_of=free_of)


class Writer:
    """The storage thread and its queue.

    tell: takes outcomes, in order. found: takes what was expired. sync_log: brings a journal to the disk, by its name;
    raises OSError. sync_samples: the same for recordings of voices. inputs: takes recordings, a piece at a time; None
    where there is no room for any. clock: seconds since 1970. careful_clock: the same, for what is past its time.
    complain: takes why nothing can be committed any more.
    """

    def __init__(
        self,
        db: apsw.Connection,
        upkeep: Upkeep,
        *,
        tell: Callable[[list[Outcome]], None],
        found: Callable[[Found], None],
        sync_log: Callable[[str], None],
        sync_samples: SyncSamples,
        inputs: Inputs | None = None,
        clock: Callable[[], float],
        careful_clock: Callable[[], float],
        complain: Callable[[str], None],
    ) -> None:
        self._db = db
        self._upkeep = upkeep
        self._tell = tell
        self._found = found
        self._sync_log = sync_log
        self._sync_samples = sync_samples
        self._inputs = inputs
        self._clock = clock
        self._careful_clock = careful_clock
        self._complain = complain
        self._queue: queue.SimpleQueue[Asked | Expiry | None] = queue.SimpleQueue()
        self._expiring: deque[Expiry] = deque()
        self._broken = ""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, asked: Asked) -> None:
        self._queue.put(asked)

    def expire(self, ticket: int, policy: Retention) -> None:
        self._queue.put(Expiry(ticket, policy))

    def finish(self) -> None:
        """Do all that waits, and end."""
        self._queue.put(None)
        self._thread.join()

    # ------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        self._guarded(self._upkeep.begin)
        open_ = True
        while open_:
            batch, open_ = self._take()
            if batch:
                self._commit(batch)
            if self._expiring and open_:
                self._expire(self._expiring[0])
            elif not batch or self._upkeep.due:
                self._guarded(self._upkeep.run)
        self._guarded(self._upkeep.end)
        self._db.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do what nobody waits for; what goes wrong with it is logged."""
        if self._broken:
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the thread goes on
            log.warning("store: its files cannot be looked after: %s", explain(error))
            self._note(error)

    def _take(self) -> tuple[list[Asked], bool]:
        """What waits, at most GROUP of it; nothing when there is something else to do. And whether more may come."""
        batch: list[Asked] = []
        try:
            asked = self._queue.get(timeout=0 if self._expiring else self._upkeep.pause_s)
            while asked is not None:
                if isinstance(asked, Expiry):
                    self._expiring.append(asked)
                else:
                    batch.append(asked)
                if len(batch) == GROUP:
                    return batch, True
                asked = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    # ---------------------------------------------------------------------------------------------------- commits

    def _commit(self, batch: list[Asked]) -> None:
        outcomes = self._group(batch, self._clock())
        self._upkeep.written += sum(_ROW_BYTES + 2 * sum(map(len, _texts(asked.record))) for asked in batch)
        self._tell(self._purged(batch, outcomes))

    def _group(self, batch: list[Asked], now: float) -> list[Outcome]:
        """One transaction for all; each in its own, where that cannot be."""
        try:
            return self._together(batch, now)
        except Exception as error:  # noqa: BLE001 - whatever a record does to it, the thread goes on
            if len(batch) == 1:
                return [self._once_more(batch[0], now, error)]
        return [outcome for asked in batch for outcome in self._group([asked], now)]

    def _once_more(self, asked: Asked, now: float, error: Exception) -> Outcome:
        """What failed for want of room is tried again with the room that can be made; the ends of jobs have some kept
        for them, since nobody hears how a job ended before that is written."""
        if not isinstance(error, apsw.FullError | apsw.IOError):
            return self._failed(asked, error)
        owed = isinstance(asked.record, JobEnded | JobDeleted)
        for make_room in (self._upkeep.make_room, self._upkeep.give_reserve)[: 1 + owed]:
            make_room()
            try:
                return self._together([asked], now, brief=owed)[0]
            except Exception as again:  # noqa: BLE001 - as above
                error = again
        return self._failed(asked, error)

    def _together(self, batch: list[Asked], now: float, *, brief: bool = False) -> list[Outcome]:
        """One transaction; a record that cannot be applied fails alone. Raises what else went wrong, nothing being
        changed. brief: into the room that is kept for ends, and no more than has to be there."""
        if self._broken:
            return [Outcome(asked.ticket, "failed", self._broken) for asked in batch]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if len(batch) == 1:
                outcomes = [self._apply(batch[0], now, brief=brief)]
            else:
                outcomes = [self._apply_apart(asked, now) for asked in batch]
            self._sync_inputs(batch, outcomes)
            if not (brief and isinstance(batch[0].record, JobDeleted)):  # which gives more than it takes
                self._upkeep.room.secure(asked.record for asked in batch)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._upkeep.settle((asked.record for asked in batch), outcomes, brief=brief)
        return outcomes

    def _apply(self, asked: Asked, now: float, *, brief: bool = False) -> Outcome:
        record = asked.record
        if isinstance(record, JobEnded):
            self._sync(record)
        elif isinstance(record, JobImported) and record.audio != "missing":
            self._sync(record.ended)
        elif isinstance(record, JobPacked):
            self._sync_log(record.log)
        elif isinstance(record, VoiceSaved):
            self._sync_voice(record)
        elif isinstance(record, JobSaved | TextAdded) and record.recorded is not None:
            return self._recorded(asked, record, record.recorded, now)
        return Outcome(asked.ticket, apply(self._db, record, now, brief=brief), at=now)

    def _recorded(self, asked: Asked, record: JobSaved | TextAdded, data: bytes, now: float) -> Outcome:
        """A piece of a recording: into its file, if the job is one of ours and has no such piece."""
        outcome = Outcome(asked.ticket, apply(self._db, record, now))
        if outcome.state == "done":
            try:
                if self._inputs is None:
                    raise Refused("there is no room for recordings")
                self._inputs.write(record.log, 0 if isinstance(record, JobSaved) else record.at, data)
            except OSError as error:
                raise Refused(f"the recording cannot be written: {explain(error)}") from None
        return outcome

    def _sync_inputs(self, batch: list[Asked], outcomes: list[Outcome]) -> None:
        """Recordings reach the disk before it is known that they have come. Raises OSError."""
        done = (asked.record for asked, outcome in zip(batch, outcomes, strict=True) if outcome.state == "done")
        logs = {r.log for r in done if isinstance(r, JobSaved | TextAdded) and r.recorded is not None}
        for name in logs:
            assert self._inputs is not None
            self._inputs.sync(name)

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
                why = f"the audio of job number {end.order} is not there: journal {end.log} is missing"
                raise Refused(why) from None
        except OSError as error:
            why = f"the audio of job number {end.order} cannot be brought to the disk: {explain(error)}"
            raise Refused(why) from None

    def _sync_voice(self, voice: VoiceSaved) -> None:
        """A voice's recordings reach the disk before it does."""
        try:
            self._sync_samples(voice.uid, tuple(each.sample for each in voice.samples))
        except OSError as error:
            raise Refused(f"its recordings cannot be brought to the disk: {explain(error)}") from None

    def _failed(self, asked: Asked, error: Exception) -> Outcome:
        reason = str(error) if isinstance(error, Refused) else explain(error)
        log.error("store: %s of ticket %d failed: %s", type(asked.record).__name__, asked.ticket, reason)
        self._note(error)
        return Outcome(asked.ticket, "failed", reason)

    def _note(self, error: Exception) -> None:
        """A broken database is not written to any more."""
        if isinstance(error, BROKEN) and not self._broken:
            self._broken = explain(error)
            self._complain(self._broken)

    # -------------------------------------------------------------------------------------------------- deletions

    def _purged(self, batch: list[Asked], outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes, once what was deleted is gone for good."""
        told = {"done", "deleted", "missing"}
        for_good = JobDeleted | VoiceSaved | VoiceRenamed | VoiceRemoved
        gone = [isinstance(a.record, for_good) and o.state in told for a, o in zip(batch, outcomes, strict=True)]
        reason = self._upkeep.purge() if any(gone) else ""
        if not reason:
            return outcomes
        return [Outcome(o.ticket, "failed", reason) if g else o for g, o in zip(gone, outcomes, strict=True)]

    def _expire(self, expiry: Expiry) -> None:
        """Remove a few jobs more; when there are none, tell which they were."""
        reason, removed = self._broken, []
        try:
            removed = expire(self._db, expiry.left(), self._careful_clock()) if not reason else []
        except Exception as error:  # noqa: BLE001 - the thread goes on
            reason = explain(error)
            self._note(error)
        expiry.removed += removed
        if removed:
            self._upkeep.written += _ROW_BYTES * len(removed)
            return
        self._expiring.popleft()
        if expiry.removed:
            self._upkeep.purge()
        self._found(Found(expiry.ticket, rows=tuple(expiry.removed), reason=reason))
