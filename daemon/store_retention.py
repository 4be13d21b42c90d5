"""What is not to be kept any longer.

Owns: which jobs and which names are past their time or over the budget. Must not know: threads, journals. Invariant: a
job that is not over or is pinned stays, whatever the clock says.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    """Remove some of what is past its time, the oldest first; rows of order, uid, id and log, none when there is
    nothing left to remove. now: seconds since 1970. Raises apsw.Error."""
    with db:
        db.execute("DELETE FROM deleted WHERE at <= ?", (now - NAME_S,))
        found = _past(db, "job", policy.job_keep_s, now) or _past(db, "history", policy.history_age_s, now)
        found = found or _too_much(db, policy.history_bytes)
        for row in found:
            remove(db, row["order"], now)
    return found


def _past(db: apsw.Connection, keep: str, age_s: float, now: float) -> list[Row]:
    if not age_s:
        return []
    return _rows(db.execute(_OVER + " AND finished <= ? ORDER BY finished LIMIT ?", (keep, now - age_s, BATCH)))


def _too_much(db: apsw.Connection, budget: int) -> list[Row]:
    """The oldest, until the rest is within the budget."""
    if not budget:
        return []
    query = "SELECT total(disk) FROM jobs WHERE state IS NOT NULL AND pinned = 0 AND keep = 'history'"
    over, found = float(db.execute(query).get) - budget, []
    for row in db.execute(_OVER + " ORDER BY finished LIMIT ?", ("history", BATCH)):
        if over <= 0:
            break
        over -= row[-1]
        found.append(row)
    return _rows(found)


def _rows(found: Iterable[tuple[Any, ...]]) -> list[Row]:
    return [dict(zip(("order", "uid", "id", "log"), row[:-1], strict=True)) for row in found]
