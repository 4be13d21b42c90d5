"""What is not to be kept any longer.

Owns: which jobs and which names are past their time or over the budget. Must not know: threads, journals. Invariant: a
job that is not over or is pinned stays, whatever the clock says.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import apsw

from .core.records import Retention
from .store_records import remove

BATCH = 20
"""Most jobs removed in one transaction: commits wait for no more than that."""

NAME_S = 7 * 24 * 3600.0
"""How long the name of a deleted job is not free."""

Row = dict[str, Any]

_OVER = "SELECT number, uid, id, log, disk FROM jobs WHERE state IS NOT NULL AND pinned = 0 AND keep = ?"


def expire(db: apsw.Connection, policy: Retention, now: float) -> list[Row]:
    """Remove some of what is past its time, the oldest first; rows of order, uid, id, log and disk, none when there is
    nothing left to remove. now: seconds since 1970. Raises apsw.Error."""
    with db:
        db.execute("DELETE FROM deleted WHERE at <= ?", (now - NAME_S,))
        spared = set(policy.spared)
        found = _past(db, "job", policy.job_keep_s, now, spared)
        found = found or _past(db, "history", policy.history_age_s, now, spared)
        found = found or _too_much(db, policy.history_bytes, spared)
        for uid, room in ((None, policy.free_bytes), *policy.free_of):
            found = found or _oldest(db, "job", room, spared, uid)
            found = found or _oldest(db, "history", room, spared, uid)
        for row in found:
            remove(db, row["order"], now)
    return found


def _past(db: apsw.Connection, keep: str, age_s: float, now: float, spared: set[int]) -> list[Row]:
    if not age_s:
        return []
    query = _OVER + " AND finished <= ? ORDER BY finished"
    return _some(db.execute(query, (keep, now - age_s)), spared)


def _too_much(db: apsw.Connection, budget: int, spared: set[int]) -> list[Row]:
    """The oldest, until the rest is within the budget."""
    if not budget:
        return []
    query = "SELECT total(disk) FROM jobs WHERE state IS NOT NULL AND pinned = 0 AND keep = 'history'"
    return _oldest(db, "history", int(float(db.execute(query).get) - budget), spared)


def _oldest(db: apsw.Connection, keep: str, room: int, spared: set[int], uid: int | None = None) -> list[Row]:
    """The oldest, of anybody or of one user, until so many bytes are free."""
    if room <= 0:
        return []
    found = []
    query = _OVER + " AND disk > 0 AND ifnull(uid = ?, 1) ORDER BY finished"
    for row in _some(db.execute(query, (keep, uid)), spared):
        if room <= 0:
            break
        room -= row["disk"]
        found.append(row)
    return found


def _some(found: Iterable[tuple[Any, ...]], spared: set[int]) -> list[Row]:
    """The first few that may go."""
    rows = (dict(zip(("order", "uid", "id", "log", "disk"), row, strict=True)) for row in found)
    return list(islice((row for row in rows if row["order"] not in spared), BATCH))
