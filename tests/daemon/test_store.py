"""The store: what is committed is there, also for the next daemon, and says so in order."""

from __future__ import annotations

import select
import threading
from dataclasses import replace
from stat import S_IMODE

import pytest

from voicebus.daemon.core.records import JobDeleted, JobPinned, SavedJob, TextAdded, TextClosed, Wanted
from voicebus.daemon.store import MemoryStore

from .stores import Desk, descriptors, ended, saved, segment


@pytest.fixture
def desk(tmp_path):
    """A store in an empty directory."""
    desk = Desk(tmp_path / "jobs.db")
    yield desk
    desk.store.close()


def test_a_job_is_there_with_all_that_was_said_of_it(desk):
    """A job is found again as it was committed, with every field of its SUBMIT, its end and its segments."""
    style = {"seed": 7, "priority": "important", "pace": "render", "patience_s": 2.5, "skip_bad": True}
    job = saved(1, "Grüße, 世界!", **style)
    whole = segment(
        0, seed=3, pcm_at=40, marks_at=20, marks_bytes=20, peak=900, first_audio_s=0.1, work_s=0.2, made_s=0.3
    )
    skipped = segment(1, state="skipped", take="", trail=("crash", "hang"), tries=2, deaths=1, stops=1)
    end = ended(1, segments=(whole, skipped), skipped=1, trail=("a crash",), message="one was left out")
    assert desk.commit(job, end) == ["done", "done"]
    now = desk.clock.now
    found = desk.job("job-1")
    assert found.saved == SavedJob(job, (job.text,), True, end, False, now, now)
    assert not found.deleted


def test_what_is_not_there_is_told_from_what_is_deleted(desk):
    """An unknown job and one that was deleted are two things, and each uid has names of its own."""
    desk.commit(saved(1), ended(1), JobDeleted(1000, "job-1"))
    assert (desk.job("job-1").saved, desk.job("job-1").deleted) == (None, True)
    assert (desk.job("job-1", uid=7).deleted, desk.job("job-2").deleted) == (False, False)


def test_the_next_daemon_finds_all_of_it(desk):
    """After a restart the unfinished jobs come back in order of acceptance, with their text; finished ones do not."""
    jobs = [saved(3, complete=False), saved(1), saved(2), saved(7, uid=1001, job="job-1")]
    desk.commit(*jobs, TextAdded(3, 1, b"zwei"), ended(2))
    desk.reopen()
    order, unfinished = desk.store.load()
    assert order == 8
    assert [each.job.order for each in unfinished] == [1, 3, 7]
    assert [each.complete for each in unfinished] == [True, False, True]
    assert unfinished[1].texts == (b"Some words.", b"zwei")
    assert all(each.ended is None for each in unfinished)
    assert desk.store.logs() == dict.fromkeys(("log-1", "log-2", "log-3", "log-7"), "kept")


def test_a_number_is_never_given_out_again(desk):
    """Not even when the newest job has been deleted."""
    desk.commit(saved(41), JobDeleted(1000, "job-41"))
    desk.reopen()
    assert desk.store.load()[0] == 42


def test_a_name_is_taken_once(desk):
    """A second job of a name changes nothing; for another uid it is another name."""
    other = saved(2, "Other words.", job="job-1")
    assert desk.commit(saved(1), other, replace(other, order=3, uid=1)) == ["done", "exists", "done"]
    assert desk.job("job-1").saved.texts == (b"Some words.",)
    assert desk.store.load()[0] == 4


def test_the_name_of_a_deleted_job_is_not_free(desk):
    """A late repeat of a deleted job is told so, also by the next daemon; another uid may use the name."""
    assert desk.commit(saved(1), JobDeleted(1000, "job-1"), saved(2, job="job-1")) == ["done", "done", "deleted"]
    desk.reopen()
    again = saved(3, job="job-1")
    assert desk.commit(again, replace(again, uid=1)) == ["deleted", "done"]
    assert desk.commit(JobDeleted(1000, "job-1"), JobDeleted(1000, "none")) == ["deleted", "missing"]


def test_text_comes_in_pieces(desk):
    """Pieces follow each other without a gap, a repeat changes nothing, and after the end there are no more."""
    pieces = [TextAdded(1, 1, b"one"), TextAdded(1, 2, b"two")]
    assert desk.commit(saved(1, complete=False), *pieces, TextAdded(1, 1, b"one")) == ["done"] * 4
    assert not desk.job("job-1").saved.complete
    gap = desk.outcome(TextAdded(1, 4, b"four"))
    assert (gap.state, gap.reason) == ("failed", "piece 4 does not follow the 3 pieces that job number 1 has")
    assert desk.commit(TextClosed(1, 2), TextClosed(1, 3), TextClosed(1, 3)) == ["failed", "done", "done"]
    assert desk.commit(TextAdded(1, 3, b"more"), TextAdded(1, 2, b"two")) == ["failed", "done"]
    found = desk.job("job-1").saved
    assert (found.texts, found.complete) == ((b"Some words.", b"one", b"two"), True)
    assert desk.commit(TextAdded(9, 1, b""), TextClosed(9, 1), ended(9)) == ["missing"] * 3


def test_a_job_ends_once(desk):
    """The first end stands."""
    desk.commit(saved(1), ended(1))
    second = desk.outcome(ended(1, state="failed", code="crash"))
    assert (second.state, second.reason) == ("failed", "job number 1 is over already: finished")
    assert desk.job("job-1").saved.ended.state == "finished"


def test_a_pin_is_put_on_and_taken_off(desk):
    """A pin is kept; what is not there has none."""
    desk.commit(saved(1), ended(1), JobPinned(1000, "job-1", pinned=True))
    assert desk.job("job-1").saved.pinned
    assert desk.commit(JobPinned(1000, "job-1", pinned=False), JobPinned(1, "job-1", pinned=True)) == [
        "done",
        "missing",
    ]
    assert not desk.job("job-1").saved.pinned


def test_an_archive_brings_its_own_dates(desk):
    """A job that is taken over from elsewhere keeps the dates it had there."""
    desk.commit(replace(saved(1), created=1000.5), ended(1, finished=2000.5))
    found = desk.job("job-1").saved
    assert (found.created, found.finished) == (1000.5, 2000.5)


def test_audio_is_on_the_disk_before_its_end_is_told(desk):
    """A job's journal is synced before its end is committed; while that fails the job is not over."""
    desk.commit(saved(1), saved(2), saved(3))
    desk.synced.errors["log-1"] = OSError(5, "Input/output error")
    failed = desk.outcome(ended(1))
    assert failed.reason == "the audio of job number 1 cannot be brought to the disk: Input/output error"
    assert desk.job("job-1").saved.ended is None
    desk.synced.errors = {"log-2": FileNotFoundError(2, "No such file"), "log-3": FileNotFoundError(2, "No such file")}
    missing = desk.outcome(ended(2))
    assert missing.reason == "the audio of job number 2 is not there: journal log-2 is missing"
    assert desk.commit(ended(3, samples=0, segments=()), ended(1)) == ["done", "done"]
    assert desk.synced.names == ["log-1"]


def test_commits_that_wait_are_made_together_and_told_in_order(desk):
    """What waits goes into one transaction; a bad record in the middle fails alone."""
    desk.synced.free.clear()
    desk.commit(saved(1))
    first = desk.begin(ended(1))
    bad = replace(saved(100), uid=2**70)
    tickets = [desk.begin(saved(n)) for n in range(2, 50)]
    tickets += [desk.begin(TextAdded(77, 5, b"")), desk.begin(bad), desk.begin(saved(50)), desk.begin(saved(50))]
    before = desk.store.oldest_s(float("inf"))
    assert before == float("inf")
    desk.synced.free.set()
    desk.collect(first, *tickets)
    assert desk.order == sorted(desk.order)
    assert [desk.done[ticket].state for ticket in tickets[-4:]] == ["missing", "failed", "done", "exists"]
    assert {desk.done[ticket].state for ticket in tickets[:-4]} == {"done"}
    assert desk.store.oldest_s(float("inf")) == 0.0


def test_how_long_the_oldest_commit_waits(tmp_path):
    """The age of the oldest commit is counted from when it was asked for."""
    times = iter([10.0, 11.0])
    desk = Desk(tmp_path / "jobs.db", monotonic=lambda: next(times))
    desk.synced.free.clear()
    assert desk.store.oldest_s(100.0) == 0.0
    desk.commit(saved(1))
    ticket = desk.begin(ended(1))
    assert desk.store.oldest_s(12.5) == 1.5
    desk.synced.free.set()
    desk.collect(ticket)
    assert desk.store.oldest_s(12.5) == 0.0
    desk.store.close()


def test_the_bell_rings_while_there_is_something_to_collect(desk):
    """The descriptor is readable from the moment something is done until it has been collected."""
    fd = desk.store.fileno()
    assert not select.select([fd], [], [], 0)[0]
    desk.begin(saved(1))
    assert select.select([fd], [], [], 20)[0]
    assert [done.ticket for done in desk.store.completed()] == [1]
    assert not select.select([fd], [], [], 0)[0]
    assert desk.store.completed() == []


def test_closing_finishes_what_was_asked_for(desk, tmp_path):
    """No commit is lost by closing, the log is empty afterwards, and no thread or descriptor stays."""
    desk.store.close()
    threads, fds = threading.active_count(), descriptors()
    desk.store = desk._open()
    for number in range(1, 400):
        desk.begin(saved(number))
    desk.store.close()
    assert (threading.active_count(), descriptors()) == (threads, fds)
    assert set(desk.files()) == {"jobs.db", "jobs.db-reserve"}
    desk.store = desk._open()
    assert len(desk.store.load()[1]) == 399


def test_questions_that_make_no_sense_are_answered(desk):
    """A question that the store does not know is answered with a reason, and the next one is answered too."""
    assert desk.ask(Wanted("weather", 1000)).reason == "The store knows nothing of 'weather'."
    assert desk.job("job-1").reason == ""


def test_the_database_is_private(desk):
    """Nobody else may read what was spoken."""
    desk.commit(saved(1))
    modes = {each.name: S_IMODE(each.stat().st_mode) for each in desk.path.parent.iterdir()}
    assert set(modes) == {"jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-reserve"}
    assert set(modes.values()) == {0o600}


def test_memory_says_done_and_keeps_nothing():
    """The store in memory answers at once, knows no job, and says why it has no history."""
    store = MemoryStore("the disk is full")
    store.commit(1, saved(1))
    store.ask(2, Wanted("job", 1000, "job-1"))
    store.ask(3, Wanted("history", 1000))
    done = store.completed()
    assert [each.ticket for each in done] == [1, 2, 3]
    assert (done[0].state, done[1].saved, done[1].reason) == ("done", None, "")
    assert done[2].reason == "There is no history: the disk is full."
    assert (store.completed(), store.fileno(), store.oldest_s(5.0), store.load(), store.logs()) == (
        [],
        None,
        0.0,
        (1, []),
        None,
    )
    assert (store.condition.mode, store.condition.reason) == ("memory", "the disk is full")
    store.close()
