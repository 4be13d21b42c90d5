"""Where commits go, and where questions about what is kept are answered.

Owns: what the loop needs of a store (`Store`), the store that keeps nothing, and the choice between that and the one
on disk. Must not know: what a record means. Invariant: `completed` names each ticket once, commits in the order of
`commit`, and a commit only when its record would survive what the store promises to survive: a power cut
(`DiskStore`), or nothing (`MemoryStore`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .core.records import Found, Outcome, Record, Retention, SavedJob, StoreCondition, VoiceSaved, Wanted
from .inputs import Inputs
from .logs import log
from .store_disk import DiskStore, since_start
from .store_opening import Unusable, check_library, kept_aside, open_database
from .store_thread import SyncSamples


class Store(Protocol):
    """What the loop needs of a store."""

    @property
    def condition(self) -> StoreCondition:
        """How the store is, at this moment."""
        ...

    def commit(self, ticket: int, record: Record) -> None:
        """Begin to make a record durable; its `Outcome` comes with `completed`."""
        ...

    def ask(self, ticket: int, wanted: Wanted) -> None:
        """Ask what is kept; what is `Found` comes with `completed`."""
        ...

    def expire(self, ticket: int, policy: Retention) -> None:
        """Remove what is past its time; `Found` names the order, uid, id, log and disk of what was removed, so that its
        files can be."""
        ...

    def completed(self) -> list[Outcome | Found]:
        """What is done since the last call."""
        ...

    def fileno(self) -> int | None:
        """What becomes readable when there is something to collect; None where all is done at once."""
        ...

    def oldest_s(self, now: float) -> float:
        """How long the commit has waited that has waited longest. now: of the monotonic clock."""
        ...

    def load(self) -> tuple[int, list[SavedJob]]:
        """At start: the next job's number, and the jobs that are not over, in order of acceptance."""
        ...

    def voices(self) -> list[VoiceSaved]:
        """At start: all voices of users' own."""
        ...

    def logs(self) -> dict[str, str] | None:
        """At start: the names of the logs that belong to a job, and "kept" or "packed"; None where that is not known,
        and none may be removed."""
        ...

    def audio_bytes(self) -> dict[int, int]:
        """At start: by uid, how much audio on the disk belongs to jobs that are over."""
        ...

    def close(self) -> None:
        """Finish what was asked for."""
        ...


class MemoryStore:
    """Says at once that all is done, and keeps nothing. reason: why, where it was not meant to be so."""

    def __init__(self, reason: str = "") -> None:
        self.condition = StoreCondition("memory", reason)
        self._done: list[Outcome | Found] = []

    def commit(self, ticket: int, record: Record) -> None:
        self._done.append(Outcome(ticket))

    def ask(self, ticket: int, wanted: Wanted) -> None:
        # That there is no such job is true here; a list would look as if nothing had been kept.
        why = self.condition.reason or "this daemon keeps nothing on disk"
        self._done.append(Found(ticket, reason="" if wanted.what == "job" else f"There is no history: {why}."))

    def expire(self, ticket: int, policy: Retention) -> None:
        self._done.append(Found(ticket))

    def completed(self) -> list[Outcome | Found]:
        done, self._done = self._done, []
        return done

    def fileno(self) -> int | None:
        return None

    def oldest_s(self, now: float) -> float:
        return 0.0

    def load(self) -> tuple[int, list[SavedJob]]:
        return 1, []

    def voices(self) -> list[VoiceSaved]:
        return []

    def logs(self) -> dict[str, str] | None:
        return None

    def audio_bytes(self) -> dict[int, int]:
        return {}

    def close(self) -> None:
        self._done.clear()


def open_store(
    path: Path,
    sync_log: Callable[[str], None],
    sync_samples: SyncSamples = lambda _uid, _samples: None,
    *,
    inputs: Inputs | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    elapsed: Callable[[], float] = since_start,
    vfs: str | None = None,
) -> Store:
    """The store in the database at `path`, which is made if it is not there; one in memory, with the reason, where
    that cannot be.

    sync_log: brings the journal of that name to the disk; raises OSError. sync_samples: the same for recordings of
    voices. inputs: where recordings go. clock: seconds since 1970. elapsed: seconds that go on whatever is done to
    that. vfs: the SQLite file system to go through.
    """
    try:
        check_library()
        db, reason = open_database(path, clock(), vfs=vfs)
    except Unusable as error:
        log.error("store: %s; jobs are kept in memory only", error)
        return MemoryStore(str(error))
    if reason:
        log.error("store: %s", reason)
    # While a broken database is kept, journals that nobody seems to own may be what can be rescued of it.
    return DiskStore(
        db,
        path,
        sync_log=sync_log,
        sync_samples=sync_samples,
        inputs=inputs,
        clock=clock,
        monotonic=monotonic,
        elapsed=elapsed,
        reason=reason,
        whole=not kept_aside(path),
        vfs=vfs,
    )
