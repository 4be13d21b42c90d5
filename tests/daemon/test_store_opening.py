"""What is done with the database that is found at start: good, old, new, broken, somebody else's, or out of reach."""

from __future__ import annotations

import contextlib
import errno

import apsw
import pytest

from voicebus.daemon import store_opening
from voicebus.daemon.core.records import JobDeleted
from voicebus.daemon.store_opening import Unusable, check_library, open_database
from voicebus.daemon.store_schema import APPLICATION, FIRST, MIGRATIONS, VERSION, connect, migrate, version

from .stores import Desk, ended, saved


@pytest.fixture
def path(tmp_path):
    """Where the database is to be, alone in its directory."""
    return tmp_path / "jobs.db"


def test_a_good_database_is_used_and_nothing_is_said(path):
    """An empty directory and a database of before both give a store on disk without a word."""
    desk = Desk(path)
    assert (desk.store.condition.mode, desk.store.condition.reason) == ("disk", "")
    desk.commit(saved(1))
    desk.reopen()
    assert (desk.store.condition.mode, desk.store.condition.reason) == ("disk", "")
    assert len(desk.store.load()[1]) == 1
    desk.store.close()


@pytest.mark.parametrize(
    "damage", [b"not a database at all, but long enough to be looked at" * 99, b"SQLite format 3\0" + b"\1" * 8176]
)
def test_a_broken_database_is_kept_aside(path, damage):
    """What cannot be read is kept under a name with the date, a new database begins, people are told, and as long as
    it is kept no journal counts as an orphan."""
    path.write_bytes(damage)
    path.with_name("jobs.db-wal").write_bytes(b"with what belongs to it")
    desk = Desk(path)
    aside = path.with_name("jobs.db.broken-20231114T221320Z")
    assert desk.store.condition.mode == "disk"
    assert f"is kept as {aside}; a new one was begun" in desk.store.condition.reason
    assert aside.read_bytes() == damage
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"with what belongs to it"
    assert desk.commit(saved(1), ended(1)) == ["done", "done"]
    assert desk.store.logs() is None
    desk.reopen()
    assert (desk.store.condition.reason, desk.store.logs()) == ("", None)
    aside.unlink()
    aside.with_name(aside.name + "-wal").unlink()
    desk.reopen()
    assert desk.store.logs() == {"log-1": "kept"}
    desk.store.close()


def test_two_broken_databases_of_one_second_are_both_kept(path):
    """Nothing that was kept aside is overwritten."""
    for text in (b"first" * 999, b"second" * 999):
        path.write_bytes(text)
        Desk(path).store.close()
    kept = sorted(each.read_bytes()[:5] for each in store_opening.kept_aside(path))
    assert kept == [b"first", b"secon"]


def test_a_database_whose_rows_are_broken_is_kept_aside(path):
    """Damage in what the daemon needs at start is found at start."""
    desk = Desk(path)
    desk.commit(*(saved(number) for number in range(1, 200)))
    desk.store.close()
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    desk.store = desk._open()
    assert "is kept as" in desk.store.condition.reason
    assert desk.store.load() == (1, [])
    desk.store.close()


def test_a_newer_database_is_left_alone(path):
    """What a newer voicebus made is not written to, not even by looking at it; this daemon goes on in memory."""
    desk = Desk(path)
    desk.commit(saved(1))
    desk.store.close()
    with contextlib.closing(connect(path, writing=True)) as db:
        db.execute("CREATE TABLE later (x); PRAGMA user_version = 99")
    before = path.read_bytes()
    desk.store = desk._open()
    condition = desk.store.condition
    assert condition.mode == "memory"
    versions = f"(version 99 of the database, this one knows {VERSION})"
    assert f"{path} was made by a newer voicebus {versions}" in condition.reason
    assert condition.reason.endswith("upgrade voicebus")
    assert desk.commit(saved(2)) == ["done"]
    assert desk.store.logs() is None
    desk.store.close()
    assert path.read_bytes() == before


def test_a_newer_database_that_was_not_closed_is_left_alone_too(path):
    """Its newest pages are in the log beside it, and stay there."""
    desk = Desk(path)
    desk.store.close()
    db = connect(path, writing=True)
    db.execute("CREATE TABLE later (x); PRAGMA user_version = 99")
    files = {name: data for name, data in desk.files().items() if not name.endswith("-shm")}
    desk.store = desk._open()
    assert desk.store.condition.mode == "memory"
    assert {name: data for name, data in desk.files().items() if not name.endswith("-shm")} == files
    db.close()


def test_a_database_of_another_program_is_left_alone(path):
    """It is not ours to write to, nor to move away."""
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
    db.close()
    before = path.read_bytes()
    desk = Desk(path)
    assert desk.store.condition.reason == f"{path} belongs to another program; move it away and restart the daemon"
    assert path.read_bytes() == before


def test_a_database_that_cannot_be_opened_leaves_a_daemon_that_speaks(path):
    """A directory in its place, or none above it: in memory, with what to do."""
    path.mkdir()
    assert Desk(path).store.condition.reason == f"{path} is not a file; move it away and restart the daemon"
    gone = Desk(path / "none" / "jobs.db")
    assert (gone.store.condition.mode, "No such file" in gone.store.condition.reason) == ("memory", True)


def test_a_full_disk_at_start_leaves_a_daemon_that_speaks(path, monkeypatch):
    """When nothing can be written at start, jobs are kept in memory and people are told why."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_opening, "_make_private", full)
    condition = Desk(path).store.condition
    assert (condition.mode, condition.reason) == ("memory", f"{path}: No space left on device")


@pytest.mark.parametrize("old", ["3.51.2", "3.7.0", "3.46.1"])
def test_an_sqlite_that_loses_commits_is_refused(path, monkeypatch, old):
    """An SQLite with the WAL-reset bug is not used, and people are told what to do."""
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: old)
    condition = Desk(path).store.condition
    assert condition.mode == "memory"
    assert condition.reason.startswith(f"SQLite {old} can lose what was committed")
    assert condition.reason.endswith("pip install --upgrade apsw")
    assert not path.exists()


def test_a_new_enough_sqlite_is_taken():
    """The first version without the bug will do, and later ones."""
    for good in ("3.51.3", "3.52.0", "4.0.0"):
        check_library(good)


# ----------------------------------------------------------------------------------------------------- migrations

LATER = (
    *MIGRATIONS,
    "ALTER TABLE jobs ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",
    lambda db: db.execute("UPDATE jobs SET mood = 'glad' WHERE id = 'job-1'"),
)


def empty(path, migrations=()):
    """A database of the version after these migrations."""
    path.touch()
    db = connect(path, writing=True)
    migrate(db, migrations)
    db.close()


@pytest.mark.parametrize("begin", range(len(LATER) + 1))
def test_every_earlier_version_is_brought_up_to_date(path, begin):
    """From whatever version it starts, a database comes to the newest, with what was in it."""
    empty(path, LATER[:begin])
    if begin:
        with contextlib.closing(connect(path, writing=True)) as db:
            store_records_apply(db, begin)
    db, reason = open_database(path, 0.0, migrations=LATER)
    assert (version(db), db.pragma("application_id"), reason) == (len(LATER), APPLICATION, "")
    found = db.execute("SELECT id, mood FROM jobs").fetchall()
    assert found == ([("job-1", "glad" if begin < len(LATER) else "calm")] if begin else [])
    db.close()


def store_records_apply(db, begin):
    """A job, put in by a daemon of that version."""
    from voicebus.daemon.store_records import apply

    with db:
        assert apply(db, saved(1), 1.0) == "done"


def test_a_migration_that_fails_changes_nothing(path):
    """The database stays wholly of the version that it reached."""
    empty(path, MIGRATIONS)
    broken = (*MIGRATIONS, "CREATE TABLE half (x); SELECT no_such_function()")
    with pytest.raises(Unusable, match="no_such_function"):
        open_database(path, 0.0, migrations=broken)
    db, _ = open_database(path, 0.0)
    assert version(db) == VERSION
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").get == 0
    db.close()


def test_a_daemon_killed_while_it_made_the_database_leaves_no_trace(path):
    """An empty file, or one with no table yet, is begun anew."""
    path.touch()
    desk = Desk(path)
    assert desk.store.condition.reason == ""
    assert desk.commit(saved(1), JobDeleted(1000, "job-1")) == ["done", "done"]
    desk.store.close()


def test_all_tables_are_strict():
    """No column takes what is not of its type."""
    db = apsw.Connection(":memory:")
    db.execute(FIRST)
    loose = db.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict"
        " AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    assert loose == []
