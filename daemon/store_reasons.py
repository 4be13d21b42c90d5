"""What went wrong with the database, in words for people.

Owns: the sentence for each kind of error, and which errors mean that the database itself is broken. Must not know:
what was being done. Invariant: each sentence says what happened and what to do.
"""

from __future__ import annotations

import apsw

BROKEN = (apsw.CorruptError, apsw.NotADBError)
"""Errors that say that the file is no good database any more."""

NOT_THE_RECORD = (
    *BROKEN,
    apsw.FullError,
    apsw.IOError,
    apsw.NoMemError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.InterruptError,
)
"""Errors that say nothing about the record that met them."""

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (apsw.FullError, "the disk is full: free some space; it goes on by itself then"),
    (apsw.CorruptError, "the database is damaged: restart the daemon, which keeps it aside and begins a new one"),
    (
        apsw.NotADBError,
        "the database's file is no database: restart the daemon, which keeps it aside and begins a new one",
    ),
    (apsw.BusyError, "another program keeps the database locked: end it"),
    (apsw.LockedError, "another program keeps the database locked: end it"),
    (apsw.ReadOnlyError, "the database may not be written: look at its owner and mode, and those of its directory"),
    (apsw.PermissionsError, "the database may not be opened: look at its owner and mode, and those of its directory"),
    (apsw.CantOpenError, "the database cannot be opened: look at its directory and at the space on its disk"),
    (apsw.IOError, "the disk failed to read or write the database: look at the system's log"),
    (apsw.NoMemError, "there is no memory left for the database"),
    (apsw.InterruptError, "it took too long: ask for less"),
)


def explain(error: Exception) -> str:
    """Why something could not be done, and what to do."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return f"{reason} ({error})"
    if isinstance(error, OSError):
        return f"{error.strerror or error}"
    return f"{type(error).__name__}: {error}"
