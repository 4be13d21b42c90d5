"""What is deleted is gone: from every file, before it is told; and what is too old or too much goes by itself."""

from __future__ import annotations

import contextlib
import os
import random
import re

import apsw
import pytest

from voicebus.daemon import store_purge
from voicebus.daemon.core.records import JobDeleted, JobPinned, Retention, TextAdded
from voicebus.daemon.store_opening import open_database
from voicebus.daemon.store_purge import Purge
from voicebus.daemon.store_retention import NAME_S
from voicebus.daemon.store_schema import connect
from voicebus.daemon.store_words import stale

from .stores import Desk, ended, saved


@pytest.fixture
def desk(tmp_path):
    """A store in an empty directory."""
    desk = Desk(tmp_path / "jobs.db")
    yield desk
    desk.store.close()


def holding(desk, *words):
    """The files that hold one of these words, in any case."""
    return sorted({name for name, data in desk.files().items() for word in words if word.lower() in data.lower()})


def test_the_words_of_a_deleted_job_are_in_no_file(desk):
    """When a deletion is told, the words are gone from the database, its log and everything beside it; others' are
    not."""
    desk.commit(
        saved(1, "Xylophone"), saved(2, "Bassoon"), saved(3, "Xylo", complete=False), TextAdded(3, 1, b"phonic")
    )
    desk.commit(ended(1), ended(2))
    assert desk.job("job-1").saved.texts == (b"Xylophone",)  # a reader that has seen it
    assert holding(desk, b"xylo") != []
    assert desk.commit(JobDeleted(1000, "job-1"), JobDeleted(1000, "job-3")) == ["done", "done"]
    assert holding(desk, b"xylo", b"phonic") == []
    assert holding(desk, b"bassoon") == ["jobs.db"]
    assert desk.history(text="xylophone").rows == ()
    assert [row["job"] for row in desk.history(text="bassoon").rows] == ["job-2"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_left_however_rows_were_moved(desk, seed):
    """After hundreds of jobs of all lengths, in any order of coming and going, no word of a deleted one is left."""
    chance = random.Random(seed)
    tickets, live, number = [], set(), 0
    # One purge for many deletions is what leaves most behind.
    upkeep = desk.store._writer._upkeep
    upkeep.purge = lambda: ""
    for _ in range(500):
        if chance.random() < 0.6 or not live:
            number += 1
            words = chance.choice([2, 10, 30, 100, 500])
            tickets.append(desk.begin(saved(number, " ".join(f"q{number:06d}w{n}" for n in range(words)))))
            tickets.append(desk.begin(ended(number)))
            live.add(number)
        else:
            live.discard(gone := chance.choice(sorted(live)))
            tickets.append(desk.begin(JobDeleted(1000, f"job-{gone}")))
    desk.collect(*tickets)
    with contextlib.closing(connect(desk.path, writing=False)) as db:
        assert db.pragma("integrity_check") == "ok"
    del upkeep.purge
    assert desk.commit(JobDeleted(1000, f"job-{live.pop()}")) == ["done"]
    found = {int(each) for data in desk.files().values() for each in re.findall(rb"q(\d{6})w", data)}
    assert found == live
    with contextlib.closing(connect(desk.path, writing=True)) as db:
        assert db.pragma("integrity_check") == "ok"
        assert not stale(db)
        db.execute("INSERT INTO words (words) VALUES ('integrity-check')").fetchall()


def test_an_own_read_does_not_hold_up_a_deletion(desk):
    """Whoever asks just then is told to ask again; the deletion is told once all is gone."""
    desk.commit(saved(1, "Xylophone"), ended(1))
    interrupted = []
    real = desk.store._reader.interrupt
    desk.store._writer._upkeep._purge._interrupt = lambda: (interrupted.append(1), real())
    assert desk.commit(JobDeleted(1000, "job-1")) == ["done"]
    assert interrupted
    assert holding(desk, b"xylo") == []


def test_a_deletion_that_another_program_holds_up_is_not_told_as_done(desk, monkeypatch):
    """While a reader of another program sees the old rows, they are not gone: the deletion fails by name, is done when
    that reader ends, and a repeat says so."""
    monkeypatch.setattr(store_purge, "PATIENCE_S", 0.0)
    desk.commit(saved(1, "Xylophone"), ended(1))
    other = apsw.Connection(str(desk.path), flags=apsw.SQLITE_OPEN_READONLY)
    other.execute("BEGIN; SELECT count(*) FROM jobs").fetchall()
    outcome = desk.outcome(JobDeleted(1000, "job-1"))
    assert outcome.state == "failed"
    assert outcome.reason == "deleted, but not yet gone from the disk: another program reads the database; end it"
    assert desk.outcome(JobDeleted(1000, "job-1")).state == "failed"
    assert holding(desk, b"xylo") != []
    assert desk.job("job-1").deleted
    other.execute("COMMIT")
    assert desk.commit(JobDeleted(1000, "job-1")) == ["deleted"]
    assert holding(desk, b"xylo") == []
    other.close()


def test_a_deletion_that_was_cut_short_is_finished_by_the_next_daemon(desk, monkeypatch):
    """What an earlier daemon had deleted and not cleared is cleared at start."""
    desk.commit(saved(1, "Xylophone"), ended(1))
    monkeypatch.setattr(store_purge.Purge, "run", lambda self: "killed here")
    assert desk.commit(JobDeleted(1000, "job-1")) == ["failed"]
    desk.store.close()
    monkeypatch.undo()
    desk.store = desk._open()
    assert desk.commit(saved(2)) == ["done"]  # comes after what is done at start
    assert holding(desk, b"xylo") == []
    assert desk.commit(JobDeleted(1000, "job-1")) == ["deleted"]


def test_what_was_cleared_does_not_come_back(tmp_path):
    """Pages that the daemon has in memory do not bring back what was cleared on disk."""
    path, chance = tmp_path / "jobs.db", random.Random(1)
    db, _ = open_database(path, 0.0)
    db.execute(
        "PRAGMA synchronous = OFF; CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT, seen INTEGER)"
    ).fetchall()
    for number in range(2000):
        db.execute("INSERT INTO notes VALUES (?, ?, 0)", (number, f"Oboe{number} " * chance.choice([1, 3, 8])))
    for number in range(2000):
        db.execute("UPDATE notes SET text = ? WHERE number = ?", (f"Oboe{number} " * chance.choice([1, 8, 30]), number))
    db.execute("DELETE FROM notes WHERE number % 2; INSERT INTO meta VALUES ('purge', 1)")

    def left():
        db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return sum(int(each) % 2 for each in re.findall(rb"Oboe(\d+) ", path.read_bytes()))

    assert left() > 0  # SQLite alone does not do it
    fd = os.open(path, os.O_RDWR)
    assert Purge(db, path, fd, lambda: None, lambda: None).run() == ""
    db.execute("UPDATE notes SET seen = 1")
    assert left() == 0
    db.close()
    os.close(fd)


# ------------------------------------------------------------------------------------------------------ retention


def expire(desk, **policy):
    """The names of what is removed."""
    desk.tickets += 1
    desk.store.expire(desk.tickets, Retention(**{"job_keep_s": 0.0, **policy}))
    found = desk.found(desk.tickets)
    assert found.reason == ""
    return found.rows


def later(desk, seconds):
    """Time goes by."""
    desk.clock.now += seconds
    desk.elapsed.now += seconds


@pytest.fixture
def aging(tmp_path):
    """A store whose time is the test's."""
    from .stores import Clock

    elapsed = Clock(50.0)
    desk = Desk(tmp_path / "jobs.db", elapsed=elapsed)
    desk.elapsed = elapsed
    yield desk
    desk.store.close()


def test_jobs_are_kept_for_their_time(aging):
    """What was to be kept as a job goes when its time after its end is over, words and all; its journal is named, its
    name stays."""
    aging.commit(saved(1, "Xylophone", keep="job"), saved(2, keep="job"), saved(3), ended(1), ended(3))
    later(aging, 3599)
    assert expire(aging, job_keep_s=3600) == ()
    later(aging, 1)
    gone = {"order": 1, "uid": 1000, "id": "job-1", "log": "log-1", "disk": 2100}
    assert expire(aging, job_keep_s=3600) == (gone,)
    assert expire(aging, job_keep_s=3600) == ()
    assert holding(aging, b"xylo") == []
    assert aging.job("job-1").deleted
    assert aging.commit(ended(2), saved(4, job="job-1")) == ["done", "deleted"]
    assert [row["job"] for row in aging.history().rows] == ["job-3", "job-2"]


def test_the_history_is_kept_for_its_age(aging):
    """Pinned jobs and those that are not over stay, whatever their age."""
    aging.commit(*(saved(n) for n in (1, 2, 3)), ended(1), ended(2), JobPinned(1000, "job-2", pinned=True))
    later(aging, 1000)
    aging.commit(saved(4), ended(4))
    assert [row["order"] for row in expire(aging, history_age_s=500)] == [1]
    assert expire(aging) == ()


def test_the_history_is_kept_within_its_budget(aging):
    """The oldest go until the rest fits; what is pinned does not count."""
    for number in range(1, 101):
        aging.begin(saved(number))
        aging.begin(ended(number, disk=1000))
    aging.commit(JobPinned(1000, "job-1", pinned=True))
    assert expire(aging, history_bytes=99_000) == ()
    assert [row["order"] for row in expire(aging, history_bytes=50_500)] == list(range(2, 51))
    assert [row["order"] for row in expire(aging, history_bytes=1)] == list(range(51, 101))
    assert [row["job"] for row in aging.history().rows] == ["job-1"]


def test_room_is_made_from_the_oldest(aging):
    """So many bytes go as are wanted free: first of what is kept as a job, then of the history, each the oldest first;
    what has no audio, is pinned or is spared stays."""
    for number, keep in enumerate(("history", "job", "history", "job", "history", "history"), 1):
        aging.commit(saved(number, keep=keep), ended(number, disk=0 if number == 3 else 1000))
    aging.commit(JobPinned(1000, "job-5", pinned=True))
    assert [row["order"] for row in expire(aging, free_bytes=1500, spared=(4,))] == [2, 1]
    assert [row["order"] for row in expire(aging, free_bytes=1)] == [4]
    assert [row["order"] for row in expire(aging, free_bytes=10**9)] == [6]
    assert {row["job"] for row in aging.history().rows} == {"job-3", "job-5"}


def test_room_is_made_for_one_user(aging):
    """Where one user's share is used up, it is that user's oldest that goes."""
    for number in range(1, 61):
        aging.begin(saved(number, uid=1000 + number % 2))
        aging.begin(ended(number, disk=1000))
    aging.commit(saved(100), ended(100))
    assert [row["order"] for row in expire(aging, free_of=((1001, 25_500), (1002, 9)))] == list(range(1, 53, 2))


def test_what_is_spared_does_not_hide_the_rest(aging):
    """However many old jobs must stay, those behind them go when they are past their time."""
    for number in range(1, 61):
        aging.begin(saved(number, keep="job"))
        aging.begin(ended(number))
    aging.commit(saved(100), ended(100))
    later(aging, 10)
    assert [row["order"] for row in expire(aging, job_keep_s=5, spared=tuple(range(1, 60)))] == [60]


def test_commits_go_on_while_much_is_removed(aging):
    """Retention works in small steps, and commits are made between them."""
    for number in range(1, 101):
        aging.begin(saved(number, keep="job"))
        aging.begin(ended(number))
    aging.commit(saved(150))
    later(aging, 10)
    aging.synced.free.clear()
    aging.begin(ended(150))
    aging.tickets += 1
    aging.store.expire(expiry := aging.tickets, Retention(job_keep_s=1))
    ticket = aging.begin(saved(200))
    aging.synced.free.set()
    aging.collect(ticket, expiry)
    assert aging.order.index(ticket) < aging.order.index(expiry)
    assert len(aging.done[expiry].rows) == 100


def test_a_name_is_free_again_after_a_week(aging):
    """A tombstone does not stay for ever."""
    aging.commit(saved(1), JobDeleted(1000, "job-1"))
    later(aging, NAME_S - 1)
    expire(aging)
    assert aging.commit(saved(2, job="job-1")) == ["deleted"]
    later(aging, 1)
    expire(aging)
    assert aging.commit(saved(2, job="job-1")) == ["done"]


def test_a_clock_that_leaps_does_not_cost_the_history(aging):
    """A date that was set wrong for a moment, in either direction, removes nothing before its time and breaks
    nothing."""
    aging.commit(saved(1), ended(1))
    aging.clock.now += 40 * 365 * 86400
    assert expire(aging, history_age_s=1000) == ()
    aging.clock.now -= 80 * 365 * 86400
    assert aging.commit(saved(2), ended(2)) == ["done", "done"]
    assert expire(aging, history_age_s=1000) == ()
    assert [row["job"] for row in aging.history().rows] == ["job-2", "job-1"]
    aging.clock.now = 1_700_000_000.0
    later(aging, 1000)
    assert {row["order"] for row in expire(aging, history_age_s=1000)} == {1, 2}
