"""Questions about what is kept, and their answers.

Owns: what can be asked and what the rows hold. Must not know: threads, who asks beyond the uid. Invariant: an answer
is of the asker's uid only.
"""

from __future__ import annotations

import apsw

from .core.records import Found, Wanted
from .store_records import saved_job, was_deleted


class Unanswerable(Exception):
    """A question that makes no sense; the message says why, to whoever asked."""


def answer(db: apsw.Connection, ticket: int, wanted: Wanted) -> Found:
    """Raises Unanswerable, apsw.Error."""
    if wanted.what == "job":
        saved = saved_job(db, wanted.uid, wanted.id)
        return Found(ticket, saved=saved, deleted=saved is None and was_deleted(db, wanted.uid, wanted.id))
    raise Unanswerable(f"The store knows nothing of {wanted.what!r}.")
