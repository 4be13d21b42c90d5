"""Jobs that come from an archive: all rows of each at once, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicebus.daemon.core.records import JobDeleted, JobImported, Retention, SavedJob

from .stores import Desk, ended, saved, segment

DAY = 86_400.0


@pytest.fixture
def desk(tmp_path):
    """A store in an empty directory."""
    desk = Desk(tmp_path / "jobs.db")
    yield desk
    desk.store.close()


def imported(order, text="Some words.", *, age_s=DAY, now, pinned=False, audio="kept", texts=(), **fields):
    """A job that was over a second after it had been asked for, so long ago."""
    job = replace(saved(order, text, **fields), created=now - age_s - 1)
    end = replace(ended(order), finished=now - age_s)
    return JobImported(job, texts or (job.text,), end, pinned, audio)


def test_it_is_there_as_it_was(desk):
    """Text in pieces, end, segments, dates and pin are those of the record, for list, search and look-up."""
    now = desk.clock.now
    record = imported(1, "One ", now=now, pinned=True, texts=(b"One ", b"kitchen."), seed=7)
    assert desk.commit(record) == ["done"]
    found = desk.job("job-1").saved
    assert found == SavedJob(
        replace(record.job, created=0.0), record.texts, True, replace(record.ended, finished=0.0), True,
        now - DAY - 1, now - DAY,
    )  # fmt: skip
    (row,) = desk.history(text="kitch").rows
    assert (row["created"], row["finished"], row["text"]) == (now - DAY - 1, now - DAY, "One kitchen.")
    assert (row["pinned"], row["audio"], row["bytes"]) == (True, "kept", 2100)
    assert desk.synced.names == ["log-1"]
    assert desk.store.logs() == {"log-1": "kept"} and desk.store.audio_bytes() == {1000: 2100}
    assert desk.store.load() == (2, [])


def test_a_name_that_is_taken_or_not_free_yet(desk):
    """Nothing is changed where there is such a job, or was not long ago; another user has names of its own."""
    now = desk.clock.now
    desk.commit(saved(1), saved(2), ended(2), JobDeleted(1000, "job-2"))
    again = imported(3, "Other.", now=now, job="job-1")
    gone = imported(4, "Other.", now=now, job="job-2")
    theirs = imported(5, "Other.", now=now, job="job-1", uid=7)
    assert desk.commit(again, gone, theirs) == ["exists", "deleted", "done"]
    assert desk.job("job-1").saved.texts == (b"Some words.",)
    assert [row["job"] for row in desk.history().rows] == []
    assert desk.history(text="other").rows == () and len(desk.history(uid=7, text="other").rows) == 1


def test_a_journal_that_cannot_be_synced(desk):
    """Without its audio on the disk the job is not there; with no audio at all none is needed."""
    now = desk.clock.now
    desk.synced.errors["log-1"] = FileNotFoundError()
    outcome = desk.outcome(imported(1, now=now))
    assert outcome.state == "failed" and "log-1" in outcome.reason
    assert desk.job("job-1").saved is None and desk.history(text="some").rows == ()
    assert desk.commit(imported(2, now=now, audio="missing", job="job-1")) == ["done"]
    (row,) = desk.history().rows
    assert row["audio"] == "missing"


def test_what_is_wrong_with_one_costs_the_others_nothing(desk):
    """Of several that are committed together the one that does not fit is undone wholly."""
    now = desk.clock.now
    twice = imported(1, now=now)
    twice = replace(twice, ended=replace(twice.ended, segments=(segment(0), segment(0))))
    desk.synced.free.clear()
    first = desk.begin(ended(99))
    assert desk.synced.asked.wait(20)
    tickets = [desk.begin(twice), desk.begin(imported(2, now=now))]
    desk.synced.free.set()
    desk.collect(first, *tickets)
    assert [desk.done[ticket].state for ticket in tickets] == ["failed", "done"]
    assert desk.job("job-1").saved is None and desk.history(text="words").rows[0]["job"] == "job-2"


def test_it_is_as_old_as_it_was(desk):
    """Retention counts from the job's own time; a date in the future is that of the import."""
    now = desk.clock.now
    desk.commit(
        imported(1, now=now, age_s=10 * DAY),
        imported(2, now=now, age_s=2 * DAY),
        imported(3, now=now, age_s=10 * DAY, pinned=True),
        imported(4, now=now, age_s=-500 * DAY),
    )
    assert desk.job("job-4").saved.finished == now
    desk.tickets += 1
    desk.store.expire(desk.tickets, Retention(history_age_s=5 * DAY))
    assert [row["id"] for row in desk.found(desk.tickets).rows] == ["job-1"]
    desk.clock.now += 6 * DAY
    desk.reopen()
    desk.tickets += 1
    desk.store.expire(desk.tickets, Retention(history_age_s=5 * DAY))
    assert [row["id"] for row in desk.found(desk.tickets).rows] == ["job-2", "job-4"]
