"""A database file is opened, made, brought up to date, kept aside or left alone.

Owns: what is done with the file that is found at start, its mode, and the names under which broken ones are kept. Must
not know: threads, records. Invariant: a database of a newer version, or of another program, is never written to; a
broken one is never thrown away.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path

import apsw

from .store_reasons import BROKEN, explain
from .store_records import next_order, unfinished
from .store_reserve import Reserve
from .store_schema import APPLICATION, MIGRATIONS, Migration, connect, migrate, version

OLDEST = (3, 51, 3)
"""The first SQLite whose write-ahead log cannot lose what two connections wrote (the "WAL-reset bug")."""

BESIDE = ("-wal", "-shm")
_ASIDE = ".broken-"


class Unusable(Exception):
    """A database that this daemon cannot keep anything in; the message says why and what to do."""


def check_library(found: str | None = None) -> None:
    """Raises Unusable where SQLite is too old."""
    found = apsw.sqlite_lib_version() if found is None else found
    if tuple(map(int, found.split("."))) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise Unusable(
            f"SQLite {found} can lose what was committed (its WAL-reset bug); voicebus needs {wanted} or newer: "
            "pip install --upgrade apsw"
        )


def open_database(
    path: Path, now: float, *, migrations: Sequence[Migration] = MIGRATIONS, vfs: str | None = None
) -> tuple[apsw.Connection, str]:
    """A writing connection to the database at `path`, which is made if it is not there, and what people should know of
    it. now: seconds since 1970. Raises Unusable."""
    try:
        if path.exists():
            _look(path, len(migrations), vfs)
        return _open_with_reserve(path, migrations, vfs), ""
    except BROKEN as error:
        broken = explain(error)
    except (apsw.Error, OSError) as error:
        raise Unusable(f"{path}: {explain(error)}") from error
    try:
        aside = keep_aside(path, now)
        reason = f"the database was damaged ({broken}) and is kept as {aside}; a new one was begun"
        return _open(path, migrations, vfs), reason
    except (apsw.Error, OSError) as error:
        raise Unusable(f"{path} is damaged, and no new database can be begun: {explain(error)}") from error


def _look(path: Path, newest: int, vfs: str | None) -> None:
    """Without writing, see whose it is. Raises Unusable, apsw.Error."""
    if not path.is_file():
        raise Unusable(f"{path} is not a file; move it away and restart the daemon")
    try:
        with contextlib.closing(connect(path, writing=False, vfs=vfs)) as db:
            found, owner = version(db), int(db.pragma("application_id"))
            tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        return  # begun by a daemon that was killed: what is left of that can only be looked at by one who may write
    if owner != APPLICATION and tables:
        raise Unusable(f"{path} belongs to another program; move it away and restart the daemon")
    if found > newest:
        raise Unusable(
            f"{path} was made by a newer voicebus (version {found} of the database, this one knows {newest}); "
            "it is left as it is: upgrade voicebus"
        )


def _open_with_reserve(path: Path, migrations: Sequence[Migration], vfs: str | None) -> apsw.Connection:
    """Open it; where the disk is full, with the room that is kept for such a day. What was accepted must be known."""
    try:
        return _open(path, migrations, vfs)
    except (apsw.FullError, apsw.IOError, OSError):
        if not Reserve(reserve_of(path)).give():
            raise
        return _open(path, migrations, vfs)


def reserve_of(path: Path) -> Path:
    """Where room is kept for a database."""
    return path.with_name(path.name + "-reserve")


def _open(path: Path, migrations: Sequence[Migration], vfs: str | None) -> apsw.Connection:
    _make_private(path)
    db = connect(path, writing=True, vfs=vfs)
    try:
        _look_at_all(path, db)
        migrate(db, migrations)
        # What is needed to begin can be read, and something can be written. On a full disk that must wait: what was
        # accepted is known all the same, and what is new is refused by that name until there is room.
        next_order(db), unfinished(db)
        with contextlib.suppress(apsw.FullError), db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('opened', unixepoch())")
    except BaseException:
        db.close()
        raise
    return db


def _suspect(path: Path) -> Path:
    return path.with_name(path.name + ".suspect")


def mark_suspect(path: Path) -> None:
    """Have the next start look at the whole of a database, which takes too long to do each time. Raises OSError."""
    _suspect(path).touch(mode=0o600)


def _look_at_all(path: Path, db: apsw.Connection) -> None:
    """If an earlier daemon met damage, find out whether it is there. Raises apsw.CorruptError."""
    if _suspect(path).exists():
        found = str(db.execute("PRAGMA integrity_check(1)").get)
        if found != "ok":
            raise apsw.CorruptError(found)
        _suspect(path).unlink()


def _make_private(path: Path) -> None:
    """The file, there and for its owner only; SQLite gives the files beside it the same mode."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    os.close(os.open(path, flags, 0o600))
    for each in (path, *beside(path)):
        if each.exists():
            each.chmod(0o600)
    sync_directory(path.parent)


def beside(path: Path) -> list[Path]:
    """The files that belong to a database."""
    return [path.with_name(path.name + suffix) for suffix in BESIDE]


def keep_aside(path: Path, now: float) -> Path:
    """Give a broken database and what belongs to it another name, which it returns. Raises OSError."""
    when = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}{_ASIDE}{when}")
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}{_ASIDE}{when}-{count}")
    _suspect(path).unlink(missing_ok=True)
    path.rename(aside)
    for old, new in zip(beside(path), beside(aside), strict=True):
        if old.exists():
            old.rename(new)
    sync_directory(path.parent)
    return aside


def kept_aside(path: Path) -> list[Path]:
    """The broken databases that are kept."""
    return [each for each in path.parent.glob(f"{path.name}{_ASIDE}*") if not each.name.endswith(BESIDE)]


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
