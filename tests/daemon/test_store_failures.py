"""What becomes of commits when the disk is full or fails, and of the log while somebody reads."""

from __future__ import annotations

import contextlib
import itertools

import apsw
import pytest

from voicebus.daemon import store_schema, store_upkeep
from voicebus.daemon.core.records import JobDeleted, TextAdded
from voicebus.daemon.store_reasons import explain
from voicebus.daemon.store_schema import connect

from .shim import Shim
from .stores import Desk, ended, saved

_numbers = itertools.count()


@pytest.fixture
def shim():
    """A file system of its own for a test."""
    return Shim(f"failing-{next(_numbers)}")


@pytest.fixture
def desk(tmp_path, shim):
    """A store on that file system."""
    desk = Desk(tmp_path / "jobs.db", vfs=shim.name)
    yield desk
    desk.store.close()


@pytest.fixture
def plain(tmp_path):
    """A store on the real file system."""
    desk = Desk(tmp_path / "jobs.db")
    yield desk
    desk.store.close()


def fail(shim, error, kind="write", suffix="-wal"):
    """From now on, what is done to files of that name fails."""

    def before(step, path):
        if step == kind and path.endswith(suffix):
            raise error

    shim.before = before


def mend(shim):
    """All is well again."""
    shim.before = lambda kind, path: None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (apsw.FullError("no space"), "write", "the disk is full: free some space; it goes on by itself then"),
        (
            apsw.IOError("bad sector"),
            "write",
            "the disk failed to read or write the database: look at the system's log",
        ),
        (apsw.IOError("bad sector"), "sync", "the disk failed to read or write the database: look at the system's log"),
    ],
)
def test_commits_fail_by_name_and_go_on_when_the_disk_is_well(desk, shim, error, kind, reason):
    """A full or failing disk fails commits with a reason, changes nothing, and is tried again with the next."""
    desk.commit(saved(1, complete=False))
    fail(shim, error, kind)
    tickets = [
        desk.begin(record) for record in (saved(2), TextAdded(1, 1, b"more"), ended(1), JobDeleted(1000, "job-1"))
    ]
    desk.collect(*tickets)
    outcomes = [desk.done[ticket] for ticket in tickets]
    assert {outcome.state for outcome in outcomes} == {"failed"}
    assert all(outcome.reason.startswith(reason) for outcome in outcomes)
    assert (desk.store.condition.mode, desk.store.oldest_s(float("inf"))) == ("disk", 0.0)
    mend(shim)
    found = desk.job("job-1").saved
    assert (found.texts, found.ended) == ((b"Some words.",), None)
    assert desk.commit(saved(2), TextAdded(1, 1, b"more"), ended(1)) == ["done"] * 3
    desk.reopen()
    assert [each.job.order for each in desk.store.load()[1]] == [2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_checkpoint_that_fails_costs_nothing(desk, shim, monkeypatch):
    """When the log cannot be brought into the database, commits are made and told all the same."""
    monkeypatch.setattr(store_upkeep, "CHECKPOINT_BYTES", 1)
    fail(shim, apsw.FullError("no space"), suffix="jobs.db")
    assert desk.commit(*(saved(number) for number in range(1, 10))) == ["done"] * 9
    mend(shim)
    desk.reopen()
    assert len(desk.store.load()[1]) == 9


def test_a_broken_database_fails_commits_and_says_so(plain):
    """When damage is met while the daemon runs, no more is written, people are told, and the next start keeps the
    database aside."""
    plain.commit(*(saved(number, f"text {number} " * 300) for number in range(1, 60)))
    plain.commit(*(ended(number) for number in range(1, 60)))
    plain.reopen()  # the log is empty, no page in memory
    with plain.path.open("r+b") as file:
        for page in range(4, plain.path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xaa" * 100)
    outcomes = [plain.outcome(JobDeleted(1000, f"job-{number}")) for number in (10, 11)]
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]
    assert all(outcome.reason.startswith("the database is damaged: restart the daemon") for outcome in outcomes)
    assert plain.store.condition.mode == "disk"
    assert plain.store.condition.reason.startswith("the database is damaged")
    assert plain.commit(saved(99)) == ["failed"]
    plain.reopen()
    assert "is kept as" in plain.store.condition.reason
    assert plain.commit(saved(99)) == ["done"]


def test_a_suspicion_that_is_unfounded_is_forgotten(plain):
    """If all of the database is sound after all, it is used."""
    from voicebus.daemon.store_opening import mark_suspect

    plain.commit(saved(1))
    mark_suspect(plain.path)
    plain.reopen()
    assert (plain.store.condition.reason, len(plain.store.load()[1])) == ("", 1)
    assert [name for name in plain.files() if name.endswith("suspect")] == []


def test_a_locked_database_fails_commits_by_name(plain, monkeypatch):
    """Another program that keeps the write lock makes commits fail, not wait for ever; then it goes on."""
    monkeypatch.setattr(store_schema, "BUSY_MS", 0)
    plain.reopen()
    with contextlib.closing(connect(plain.path, writing=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcome = plain.outcome(saved(1))
        other.execute("ROLLBACK")
    assert outcome.reason.startswith("another program keeps the database locked: end it")
    assert plain.commit(saved(1)) == ["done"]


def test_the_log_is_kept_small(plain, monkeypatch):
    """Thousands of commits leave a log of a few megabytes, which is cut when it was longer."""
    monkeypatch.setattr(store_upkeep, "CHECKPOINT_BYTES", 200_000)
    monkeypatch.setattr(store_upkeep, "LOG_BYTES", 1_000_000)
    longest = 0
    for number in range(1, 301):
        plain.commit(saved(number, "word " * 800))
        longest = max(longest, plain.path.with_name("jobs.db-wal").stat().st_size)
    assert longest < 2_000_000
    assert plain.store.condition.reason == ""


def test_a_reader_that_does_not_end_is_told_of(plain, monkeypatch):
    """While another program reads without end the log cannot be cut: people are told, until it ends."""
    monkeypatch.setattr(store_upkeep, "CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr(store_upkeep, "LOG_BYTES", 200_000)
    monkeypatch.setattr(store_upkeep, "LOG_ALARM_BYTES", 1_000_000)
    plain.commit(saved(1))
    other = apsw.Connection(str(plain.path), flags=apsw.SQLITE_OPEN_READONLY)
    other.execute("BEGIN; SELECT count(*) FROM jobs").fetchall()
    number = 1
    while not plain.store.condition.reason:
        number += 1
        assert plain.commit(saved(number, "word " * 2000)) == ["done"]
        assert number < 500
    assert plain.store.condition.reason.startswith(
        f"another program reads {plain.path} without end and its log has grown"
    )
    other.close()
    while plain.store.condition.reason:
        number += 1
        assert plain.commit(saved(number, "word " * 2000)) == ["done"]
        assert number < 500
    assert plain.path.with_name("jobs.db-wal").stat().st_size < 1_000_000


def test_the_settings_of_the_writing_connection(plain):
    """What the promises rest on is really set."""
    db = plain.store._writer._db
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "temp_store": 2,
        "wal_autocheckpoint": 0,
        "busy_timeout": 2000,
    }
    plain.commit(saved(1))  # the thread is at rest
    assert {name: db.pragma(name) for name in wanted} == wanted
    assert db.execute("SELECT v FROM words_config WHERE k = 'secure-delete'").get == 1


def test_every_error_has_a_reason_for_people():
    """No error is told as a bare number."""
    kinds = [apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.BusyError, apsw.ReadOnlyError, apsw.CantOpenError]
    for kind in kinds:
        reason = explain(kind("details"))
        assert reason.endswith("(details)")
        assert ":" in reason
    assert explain(OSError(28, "No space left on device")) == "No space left on device"
    assert explain(ValueError("what")) == "ValueError: what"
