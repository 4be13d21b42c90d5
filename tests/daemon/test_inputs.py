"""Recordings on a real disk: written by the store, before what makes them known, and taken up again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicebus.bus.messages import Submit
from voicebus.daemon.core.recordings import note
from voicebus.daemon.core.records import JobDeleted, TextAdded, TextClosed
from voicebus.daemon.inputs import Inputs
from voicebus.daemon.journal import Journals
from voicebus.daemon.store import MemoryStore
from voicebus.daemon.taking_up import take_up

from .fakes import FakeCore
from .stores import Desk, ended, saved


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "logs").mkdir()
    return Inputs(tmp_path / "logs")


@pytest.fixture
def desk(tmp_path, inputs):
    (tmp_path / "db").mkdir()
    made = Desk(tmp_path / "db" / "jobs.db", inputs=inputs)
    yield made
    made.store.close()


def recording(order: int, data: bytes = b"first", *, complete: bool = False):
    """The record of a job that transcribes, with its first piece."""
    job = saved(order)
    submit = Submit(job=job.id, kind="transcribe", complete=complete, first=note(data))
    return replace(job, submit=submit, text=note(data).encode(), recorded=data)


def piece(order: int, n: int, at: int, data: bytes) -> TextAdded:
    return TextAdded(order, n, note(data).encode(), saved(order).log, at, data)


def content(inputs: Inputs, order: int) -> bytes:
    return inputs.path(saved(order).log).read_bytes()


def test_pieces_are_in_the_file_when_they_are_known(desk, inputs):
    """When a commit is told, its piece is in the job's input log, at its place, and a note of it in the database."""
    assert desk.commit(recording(1), piece(1, 1, 5, b"second"), piece(1, 2, 11, b"third")) == ["done"] * 3
    assert content(inputs, 1) == b"firstsecondthird"
    assert desk.commit(TextClosed(1, 3)) == ["done"]
    [(_, jobs)] = [desk.store.load()]
    assert [job.texts for job in jobs] == [(note(b"first").encode(), note(b"second").encode(), note(b"third").encode())]
    assert oct(inputs.path(saved(1).log).stat().st_mode & 0o777) == "0o600"


def test_a_piece_is_synced_before_it_is_told(desk, inputs, monkeypatch):
    """Each file that was written to is brought to the disk before the outcome, once for all pieces of a batch."""
    synced = []
    monkeypatch.setattr(inputs, "sync", synced.append)
    tickets = [desk.begin(recording(1)), desk.begin(piece(1, 1, 5, b"second"))]
    desk.collect(*tickets)
    assert synced
    assert set(synced) == {saved(1).log}


def test_a_disk_that_does_not_take_it_fails_that_piece_alone(desk, inputs, monkeypatch):
    """A piece that cannot be written, or not brought to the disk, is not known; others are."""
    assert desk.commit(recording(1)) == ["done"]
    real = inputs.write

    def full(log, at, data):
        if data == b"second":
            raise OSError(28, "No space left on device")
        real(log, at, data)

    monkeypatch.setattr(inputs, "write", full)
    outcome = desk.outcome(piece(1, 1, 5, b"second"))
    assert (outcome.state, "No space left" in outcome.reason) == ("failed", True)
    assert desk.commit(piece(1, 1, 5, b"another"), recording(2)) == ["done", "done"]
    monkeypatch.setattr(inputs, "sync", lambda log: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    outcome = desk.outcome(piece(1, 2, 12, b"x"))
    assert (outcome.state, "Input/output" in outcome.reason) == ("failed", True)
    [(_, jobs)] = [desk.store.load()]
    assert [len(job.texts) for job in jobs] == [2, 1]


def test_what_was_torn_is_written_over(desk, inputs):
    """What stands behind the last piece that is known is nothing: the next piece is written over it."""
    desk.commit(recording(1))
    inputs.write(saved(1).log, 5, b"torn")
    desk.commit(piece(1, 1, 5, b"second"))
    assert content(inputs, 1) == b"firstsecond"


def test_of_a_job_that_is_not_taken_nothing_is_written(desk, inputs):
    """A name that is taken or deleted, and a piece for a job that is not there, leave no file."""
    desk.commit(recording(1))
    again = replace(recording(2), id=recording(1).id, log="other-2")
    assert desk.commit(again, piece(9, 1, 5, b"x")) == ["exists", "missing"]
    assert inputs.names() == {f"{saved(1).log}.input"}
    desk.commit(JobDeleted(1000, recording(1).id))
    assert desk.commit(again) == ["deleted"]


def test_what_was_heard_takes_the_place_of_the_notes(desk):
    """At its end a job's text is what was heard: it is listed, searched, read, and gone when it is deleted."""
    desk.commit(recording(1), piece(1, 1, 5, b"second"), TextClosed(1, 2))
    assert desk.commit(replace(ended(1), heard=b"A wonderful harbour.", samples=0)) == ["done"]
    [row] = desk.history(text="harbour").rows
    assert (row["job"], row["text"]) == (recording(1).id, "A wonderful harbour.")
    assert desk.history(text="second").rows == ()
    found = desk.job(recording(1).id).saved
    assert (found.texts, found.job.submit.first) == ((b"A wonderful harbour.",), note(b"first"))
    desk.commit(JobDeleted(1000, recording(1).id))
    assert not any(b"wonderful" in data for data in desk.files().values())


def test_without_a_place_a_recording_is_refused(tmp_path):
    """A store that was given no place for recordings fails them by name."""
    desk = Desk(tmp_path / "jobs.db")
    assert "no room for recordings" in desk.outcome(recording(1)).reason
    desk.store.close()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 161])
def test_no_name_leads_out(inputs, name):
    """What cannot be the name of a log is refused."""
    with pytest.raises(ValueError, match="name"):
        inputs.path(name)


def test_a_start_knows_whose_recordings_there_are(desk, inputs, tmp_path):
    """Recordings of jobs that are not over belong to them; others to nobody. Where no job is known, all stay."""
    desk.commit(recording(1), recording(2))
    desk.commit(replace(ended(2), heard=b"x", samples=0))
    inputs.write("stray-9", 0, b"x")
    core, journals = FakeCore(), Journals(tmp_path / "logs")
    owned = take_up(core, desk.store, journals, inputs)
    assert {name for name in owned if name.endswith(".input")} == {f"logs/{saved(1).log}.input"}
    owned = take_up(core, MemoryStore(), journals, inputs)
    assert {f"logs/{name}" for name in inputs.names()} <= owned


def test_dropping(inputs):
    """A recording that is dropped is gone; dropping it again does no harm."""
    inputs.write("a-1", 0, b"x")
    inputs.drop("a-1")
    inputs.drop("a-1")
    assert inputs.names() == set()
