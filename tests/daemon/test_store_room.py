"""Room that is taken ahead: jobs that were accepted have an end, however full the disk is by then."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace

import apsw
import pytest

from voicebus.daemon import store_room
from voicebus.daemon.core.records import JobDeleted, JobPinned, TextAdded
from voicebus.daemon.store_schema import connect

from ..disks import fill, small_disk
from .stores import Desk, ended, saved, segment

TEXT = " ".join(f"Sentence {number} speaks of things and of words, and of how they are said." for number in range(40))
SEGMENTS = tuple(segment(number, trail=("a crash",) * 2) for number in range(40))


@pytest.fixture
def disk():
    """Makes file systems of so many bytes, which only root can."""
    with contextlib.ExitStack() as made:

        def make(size):
            disk = made.enter_context(small_disk(size))
            if disk is None:
                pytest.skip("a small file system cannot be mounted here")
            return disk

        yield make


def failed(order):
    """How a job ends on a full disk, after it was said in part."""
    return ended(order, "failed", code="disk_full", message="No space left on device. " * 10, segments=SEGMENTS)


@pytest.mark.parametrize("jobs", [1, 40, pytest.param(500, marks=pytest.mark.slow)])
def test_all_jobs_have_an_end_on_a_disk_that_is_full_to_the_last_block(disk, jobs):
    """However many jobs were accepted, each end is written at the first try; what is new is refused by name; and when
    there is room again, what was said in them can be searched for."""
    disk = disk("64m")
    desk = Desk(disk / "jobs.db")
    desk.collect(*[desk.begin(saved(order, f"{TEXT} {order}x")) for order in range(1, jobs + 1)])
    fill(disk / "filler")
    # What is left of what had been taken at once is used up; then it is kept for the ends.
    while (refused := desk.outcome(saved(jobs + 1, TEXT))).state == "done":
        jobs += 1
    assert refused.reason.startswith("the disk is full: free some space")
    tickets = [desk.begin(failed(order)) for order in range(1, jobs + 1)]
    desk.collect(*tickets)
    assert {desk.done[ticket].state for ticket in tickets} == {"done"}
    (disk / "filler").unlink()
    desk.reopen()
    assert desk.store.load()[1] == []
    assert desk.job("job-1").saved.ended == failed(1)
    desk.store.close()
    db = connect(desk.path, writing=True)
    assert db.pragma("integrity_check") == "ok"
    db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    db.close()


def test_what_was_left_out_of_the_index_comes_into_it(tmp_path, monkeypatch):
    """Words of ends that were written on a full disk are found once there is room, by the same daemon, and are gone
    from the files when the job is deleted, whether they had come into the index or not."""
    refuses = itertools.cycle((True, False))

    def full(self, records):
        if next(refuses):
            raise apsw.FullError("no space")

    desk = Desk(tmp_path / "jobs.db")
    assert desk.commit(*(saved(order, f"Xylophon{order} {TEXT}") for order in (1, 2, 3))) == ["done"] * 3
    with monkeypatch.context() as patched:
        patched.setattr(store_room.Room, "secure", full)
        assert desk.commit(*map(failed, (1, 2, 3))) == ["done"] * 3
        assert desk.history(text="Xylophon1").rows == ()
        assert desk.commit(JobDeleted(1000, "job-3")) == ["done"]
    while not desk.history(text="Xylophon2").rows:
        pass
    assert len(desk.history(text="Xylophon1").rows) == 1
    assert desk.commit(JobDeleted(1000, "job-1"), JobDeleted(1000, "job-2")) == ["done"] * 2
    assert not [name for name, data in desk.files().items() if b"ylophon" in data.lower()]
    desk.store.close()


def test_the_next_daemon_knows_what_is_owed(disk):
    """A daemon that was killed, and one that starts while the disk is full, leave the room for the ends to the next."""
    disk = disk("8m")
    desk = Desk(disk / "jobs.db")
    desk.commit(*(saved(order, TEXT) for order in range(1, 31)))
    desk.reopen()
    desk.commit(JobPinned(1000, "job-1", pinned=True))  # the thread has begun
    fill(disk / "filler")
    tickets = [desk.begin(failed(order)) for order in range(1, 31)]
    desk.collect(*tickets)
    assert {desk.done[ticket].state for ticket in tickets} == {"done"}
    desk.store.close()


def test_what_is_no_end_leaves_the_room_alone(disk):
    """On a full disk small changes are made as long as they cost nothing of what is owed; text that comes in pieces is
    owed room of its own, or refused."""
    disk = disk("3m")
    desk = Desk(disk / "jobs.db")
    desk.commit(saved(1, TEXT), saved(2, TEXT, complete=False), ended(1))
    fill(disk / "filler")
    assert desk.commit(JobPinned(1000, "job-1", pinned=True)) == ["done"]
    assert desk.outcome(TextAdded(2, 1, TEXT.encode() * 99)).reason.startswith("the disk is full")
    assert desk.commit(failed(2)) == ["done"]
    desk.store.close()


def test_a_deletion_on_a_full_disk_costs_nobody_his_end(disk):
    """The log is cut for a deletion, and has its blocks again at once."""
    disk = disk("3m")
    desk = Desk(disk / "jobs.db")
    desk.commit(saved(1, TEXT), saved(2, TEXT), ended(1))
    fill(disk / "filler")
    assert desk.commit(JobDeleted(1000, "job-1"), failed(2)) == ["done"] * 2
    desk.store.close()


def test_what_is_no_longer_owed_is_let_go(tmp_path):
    """The file is cut again, in a quiet moment, when many jobs have come to their ends."""
    desk = Desk(tmp_path / "jobs.db")
    desk.collect(*[desk.begin(saved(order, TEXT)) for order in range(1, 401)])
    large = desk.path.stat().st_size
    assert large > 400 * store_room.owed(saved(1, TEXT))
    desk.collect(*[desk.begin(failed(order)) for order in range(1, 401)])
    desk.reopen()
    desk.store.close()
    with contextlib.closing(connect(desk.path, writing=True)) as db:
        used = db.pragma("page_count") * db.pragma("page_size")
    assert desk.path.stat().st_size <= used + 2 * store_room.STEP_BYTES < large


def test_a_file_that_is_longer_than_the_largest_chunk_keeps_its_room(tmp_path, monkeypatch):
    """What SQLite can be told in one number is less than some databases have; those keep what was taken as well."""
    monkeypatch.setattr(store_room, "STEP_BYTES", 0)
    monkeypatch.setattr(store_room, "_LARGEST_CHUNK", 1 << 18)
    desk = Desk(tmp_path / "jobs.db")
    for order in range(1, 61):
        desk.commit(saved(order, TEXT), ended(order, segments=SEGMENTS))
    desk.commit(saved(100, TEXT))
    desk.reopen()
    desk.commit(JobPinned(1000, "job-1", pinned=True))
    with contextlib.closing(connect(desk.path, writing=False)) as db:
        used = (db.pragma("page_count") - db.pragma("freelist_count")) * db.pragma("page_size")
    desk.store.close()
    assert used > 2 * store_room._LARGEST_CHUNK
    assert used + store_room.owed(saved(100, TEXT)) <= desk.path.stat().st_size < used + (1 << 18)


def test_where_no_room_can_be_taken_all_is_as_it_was(tmp_path, monkeypatch, caplog):
    """A file system that cannot do it, or a file that may not grow: jobs are accepted all the same, and it is said
    once."""

    def cannot(fd, at, length):
        raise OSError(27, "File too large")

    monkeypatch.setattr(store_room.os, "posix_fallocate", cannot)
    desk = Desk(tmp_path / "jobs.db")
    assert desk.commit(saved(1, TEXT), ended(1)) == ["done"] * 2
    desk.store.close()
    assert caplog.text.count("no room can be taken for a full disk: File too large") == 1


def test_a_recording_is_owed_less_than_a_text_of_its_size():
    """What is heard in a recording is shorter than the recording, but not nothing."""
    job = replace(saved(1, ""), recorded=bytes(160_000))
    assert store_room.END_BYTES < store_room.owed(job) < store_room.owed(saved(1, "a" * 160_000))
