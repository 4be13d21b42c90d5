"""The store on disk, as the loop sees it.

Owns: the two threads, what they have done and not yet been asked for, and the bell that wakes the loop. Must not know:
SQL. Invariant: nothing here waits for a disk but `load`, `logs` (at start) and `close`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import apsw

from .bell import Bell
from .core.records import Found, Outcome, Record, Retention, SavedJob, StoreCondition, VoiceSaved, Wanted
from .inputs import Inputs
from .store_opening import mark_suspect
from .store_purge import Purge
from .store_reader import Reader
from .store_records import audio_bytes, logs, next_order, unfinished, voices
from .store_room import Room
from .store_schema import connect
from .store_thread import Asked, SyncSamples, Writer
from .store_upkeep import Upkeep


def since_start() -> float:
    """Seconds that no change of the date touches, those asleep included."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Careful:
    """A date that does not leap ahead with the clock, for what is thrown away by its age: a clock set to another year
    for a moment must not cost the history."""

    def __init__(self, clock: Callable[[], float], elapsed: Callable[[], float]) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self._ahead = clock() - elapsed()

    def __call__(self) -> float:
        return min(self._clock(), self._elapsed() + self._ahead)


class DiskStore:
    """A store on an open database of this version; `open_store` makes one.

    db: the writing connection, which becomes the storage thread's. condition: how the opening went. whole: whether the
    database knows of all jobs whose journals there may be.
    """

    def __init__(
        self,
        db: apsw.Connection,
        path: Path,
        *,
        sync_log: Callable[[str], None],
        sync_samples: SyncSamples = lambda _uid, _samples: None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        elapsed: Callable[[], float] = since_start,
        reason: str = "",
        whole: bool = True,
        inputs: Inputs | None = None,
        vfs: str | None = None,
    ) -> None:
        self._path = path
        self._vfs = vfs
        self._monotonic = monotonic
        self._reason = reason
        self._whole = whole
        self._complaints = ["", ""]
        self._bell = Bell()
        self._done: deque[Outcome | Found] = deque()
        self._asked: deque[float] = deque()
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._reader = Reader(path, self._found, self._broken, vfs=vfs)
        room = Room(db, path, self._fd)
        purge = Purge(db, path, self._fd, self._reader.interrupt, room.log_was_cut)
        self._writer = Writer(
            db,
            Upkeep(db, path, purge, room, self._reader.interrupt, self._complain_of_files),
            tell=self._outcomes,
            found=self._found,
            sync_log=sync_log,
            sync_samples=sync_samples,
            inputs=inputs,
            clock=clock,
            careful_clock=_Careful(clock, elapsed),
            complain=self._broken,
        )
        self._reader.start()
        self._writer.start()

    @property
    def condition(self) -> StoreCondition:
        return StoreCondition("disk", "; ".join(filter(None, (self._reason, *self._complaints))))

    def commit(self, ticket: int, record: Record) -> None:
        self._asked.append(self._monotonic())
        self._writer.put(Asked(ticket, record))

    def ask(self, ticket: int, wanted: Wanted) -> None:
        self._reader.put(ticket, wanted)

    def expire(self, ticket: int, policy: Retention) -> None:
        self._writer.expire(ticket, policy)

    def completed(self) -> list[Outcome | Found]:
        self._bell.clear()
        return [self._done.popleft() for _ in range(len(self._done))]

    def fileno(self) -> int | None:
        return self._bell.fileno()

    def oldest_s(self, now: float) -> float:
        try:
            return max(0.0, now - self._asked[0])
        except IndexError:
            return 0.0

    def load(self) -> tuple[int, list[SavedJob]]:
        """Raises apsw.Error."""
        with contextlib.closing(connect(self._path, writing=False, vfs=self._vfs)) as db:
            return next_order(db), unfinished(db)

    def voices(self) -> list[VoiceSaved]:
        """Raises apsw.Error."""
        with contextlib.closing(connect(self._path, writing=False, vfs=self._vfs)) as db:
            return voices(db)

    def logs(self) -> dict[str, str] | None:
        """Raises apsw.Error."""
        if not self._whole:
            return None
        with contextlib.closing(connect(self._path, writing=False, vfs=self._vfs)) as db:
            return logs(db)

    def audio_bytes(self) -> dict[int, int]:
        """Raises apsw.Error."""
        with contextlib.closing(connect(self._path, writing=False, vfs=self._vfs)) as db:
            return audio_bytes(db)

    def close(self) -> None:
        """Finish what was asked for, leave an empty log."""
        self._reader.finish()
        self._writer.finish()
        os.close(self._fd)
        self._bell.close()

    # ------------------------------------------------------------------------------------------- from the threads

    def _outcomes(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._asked.popleft()
            self._done.append(outcome)
        self._bell.ring()

    def _found(self, found: Found) -> None:
        self._done.append(found)
        self._bell.ring()

    def _broken(self, reason: str) -> None:
        with contextlib.suppress(OSError):
            mark_suspect(self._path)
        self._complaints[0] = reason

    def _complain_of_files(self, reason: str) -> None:
        self._complaints[1] = reason
