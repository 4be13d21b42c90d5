"""The database: its tables, how a connection to it is set up, and how an older one is brought up to date.

Owns: the schema and its version (`user_version`), the settings that every connection needs. Must not know: records,
threads, what is asked. Invariant: migrations only go forward, each in one transaction with the version that it leads
to, so a database is always of some version wholly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

APPLICATION = 0x76627573
"""What the file's header says it belongs to: "vbus"."""

BUSY_MS = 2000
"""How long another program's lock is waited for."""

FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number is never used again, not even that of the newest job when it was deleted.
-- pieces: how many there are, NULL while more may come. state: NULL while the job is not over.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    uid INTEGER NOT NULL,
    id TEXT NOT NULL,
    log TEXT NOT NULL,
    language TEXT NOT NULL,
    rate INTEGER NOT NULL,
    submit BLOB NOT NULL,
    keep TEXT NOT NULL,
    created REAL NOT NULL,
    pieces INTEGER,
    pinned INTEGER NOT NULL DEFAULT 0,
    audio TEXT NOT NULL DEFAULT 'kept',
    state TEXT,
    code TEXT,
    message TEXT,
    final_rate INTEGER,
    samples INTEGER,
    skipped INTEGER,
    disk INTEGER,
    segments INTEGER,
    speakers TEXT,
    trail TEXT,
    opening TEXT,
    finished REAL,
    UNIQUE (uid, id)
) STRICT;

CREATE INDEX jobs_unfinished ON jobs (number) WHERE state IS NULL;
CREATE INDEX jobs_log ON jobs (log);
-- A list is narrowed in the index, without a look at the rows.
CREATE INDEX jobs_over ON jobs (uid, number, created, state, pinned, keep) WHERE state IS NOT NULL;
CREATE INDEX jobs_aging ON jobs (keep, finished, disk) WHERE state IS NOT NULL AND pinned = 0;

CREATE TABLE pieces (
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    text BLOB NOT NULL,
    PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    state TEXT NOT NULL,
    take TEXT NOT NULL,
    provider TEXT NOT NULL,
    version TEXT NOT NULL,
    voice TEXT NOT NULL,
    seed INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    pcm_at INTEGER NOT NULL,
    marks_at INTEGER NOT NULL,
    marks_bytes INTEGER NOT NULL,
    peak INTEGER NOT NULL,
    rms REAL NOT NULL,
    first_audio_s REAL NOT NULL,
    work_s REAL NOT NULL,
    made_s REAL NOT NULL,
    tries INTEGER NOT NULL,
    stops INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    trail TEXT NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

-- Who spoke in a job, so that a list can be narrowed by it.
CREATE TABLE spoken (
    voice TEXT NOT NULL,
    provider TEXT NOT NULL,
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    PRIMARY KEY (job, provider, voice)
) STRICT, WITHOUT ROWID;
CREATE INDEX spoken_voice ON spoken (voice, job);
CREATE INDEX spoken_provider ON spoken (provider, job);

-- Names that are not free yet.
CREATE TABLE deleted (
    uid INTEGER NOT NULL,
    id TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (uid, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_at ON deleted (at);

-- Without a copy of the text: whoever takes a row out says what was in it.
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
"""

SECOND = """
-- At a start all logs are named, with the form that their audio has; what is not packed is looked for now and then.
DROP INDEX jobs_log;
CREATE INDEX jobs_logs ON jobs (log, audio);
CREATE INDEX jobs_plain ON jobs (number, finished) WHERE state IS NOT NULL AND audio = 'kept' AND samples > 0;
"""

THIRD = """
-- Users' own voices. key: the name as it is compared; voice: all of it, as MessagePack.
CREATE TABLE voices (
    uid INTEGER NOT NULL,
    key TEXT NOT NULL,
    voice BLOB NOT NULL,
    PRIMARY KEY (uid, key)
) STRICT, WITHOUT ROWID;
"""

Migration = str | Callable[[apsw.Connection], None]

MIGRATIONS: tuple[Migration, ...] = (FIRST, SECOND, THIRD)
"""What leads from version n to n + 1, from an empty file on. Never changed once it was released; only added to."""

VERSION = len(MIGRATIONS)


def connect(path: Path, *, writing: bool, vfs: str | None = None) -> apsw.Connection:
    """A connection to a database that is there. Raises apsw.Error."""
    flags = apsw.SQLITE_OPEN_READWRITE if writing else apsw.SQLITE_OPEN_READONLY
    db = apsw.Connection(str(path), flags=flags, vfs=vfs)
    try:
        _set_up(db, writing=writing)
    except BaseException:
        db.close()
        raise
    return db


def _set_up(db: apsw.Connection, *, writing: bool) -> None:
    db.set_busy_timeout(BUSY_MS)
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    db.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
    # Fetched: a statement that gives rows holds up those behind it.
    db.execute("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON").fetchall()
    if not writing:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    else:
        # fullfsync: on macOS a plain fsync leaves the data in the drive's memory; elsewhere it means nothing.
        db.execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
            "PRAGMA foreign_keys = ON; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON"
        ).fetchall()
        # Checkpoints are made when nobody waits, by the storage thread.
        db.set_wal_hook(None)
        db.wal_autocheckpoint(0)


def version(db: apsw.Connection) -> int:
    """Which version a database is of; 0 for an empty file."""
    return int(db.pragma("user_version"))


def migrate(db: apsw.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a database up to date. Raises apsw.Error; it is then of the version that it reached."""
    for number in range(version(db), len(migrations)):
        step = migrations[number]
        with db:
            if isinstance(step, str):
                db.execute(step).fetchall()
            else:
                step(db)
            db.execute(f"PRAGMA user_version = {number + 1}; PRAGMA application_id = {APPLICATION}")
