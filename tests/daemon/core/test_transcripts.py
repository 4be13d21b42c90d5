"""Transcripts: rows as they are heard, what takes over, what a daemon's death leaves, and who reads."""

from __future__ import annotations

import pytest

from voicebus.bus import codec
from voicebus.bus.messages import (
    Accepted,
    Attached,
    Chunk,
    Done,
    Error,
    Failed,
    Heard,
    HeardRow,
    Need,
    Notice,
    Query,
    Rewind,
    Submit,
    TakeMarks,
    Terminal,
    Work,
)
from voicebus.daemon.core.settings import Breaking, Choice, Limits

from .world_of_one import FakeClient, FakeWorker, Stage, settings

DATA = b"some recording"


def scene(*, workers: int = 1, **changes: object) -> tuple[Stage, FakeWorker, FakeClient]:
    """A worker that listens to the job "j"."""
    changes.setdefault("breaking", Breaking(failures=100))
    stage = Stage(settings("a", workers=workers, transcribe=(Choice("a"),), **changes), durable=True)
    worker, client = stage.worker(hears=True), stage.client()
    client.record("j", DATA)
    worker.begin(worker.current)
    return stage, worker, client


def again(stage: Stage, name: str = "a/0") -> FakeWorker:
    """The next process in a worker's place."""
    stage.pass_time(3)
    return stage.worker(name, hears=True)


def segments(client: FakeClient, job: str = "j") -> list[dict]:
    client.say(Query(request="q", what="segments", where={"job": job}))
    return codec.decode_rows(client.inbox[-1][1])


def test_rows_come_as_they_are_heard() -> None:
    """Each row goes to the readers at once, in order, with who heard it, and the job ends behind the last."""
    stage, worker, client = scene()
    attempt = worker.current
    worker.about(attempt, 3.0)
    worker.hear(attempt, 0.0, 1.0, " One.")
    assert client.text("j") == " One."
    worker.hear(attempt, 1.5, 3.0, " Two.")
    worker.heard(attempt)
    terminal = client.terminals["j"]
    assert (terminal.state, terminal.code, terminal.samples, terminal.segments) == ("finished", "", 3, 3)
    assert terminal.speakers == [{"provider": "a", "version": "1", "voice": "small", "segments": 3}]
    assert client.text("j") == " One. Two."
    assert not stage.files
    rows = segments(client)
    assert [(row["start"], row["length"], row["state"]) for row in rows] == [
        (0, 0, "whole"),
        (0, 1000, "whole"),
        (1000, 2000, "whole"),
    ]
    assert stage.core.world.workers["a/0"].jobs_done == 1


def test_a_row_is_on_the_disk_before_it_is_told() -> None:
    """A row that could not be written is told to nobody, and ends the job by name."""
    stage, worker, client = scene()
    worker.about(worker.current)
    stage.disk_full = True
    worker.hear(worker.current, 0.0, 1.0, " One.")
    assert client.text("j") == ""
    assert client.terminals["j"].code == "disk_full"


def test_silence_is_no_failure() -> None:
    """A recording in which nobody speaks has an empty transcript, and says so."""
    _, worker, client = scene()
    worker.about(worker.current)
    worker.heard(worker.current)
    assert (client.terminals["j"].state, client.terminals["j"].code) == ("finished", "no_speech")
    assert "No speech" in client.terminals["j"].message


def test_another_attempt_goes_on_where_the_last_row_ends() -> None:
    """A worker that dies costs no row: the next is told from where to go on, in which language, and what came before;
    what it says about the recording is not told again."""
    stage, worker, client = scene()
    first = worker.current
    worker.about(first, 9.0, "de")
    worker.hear(first, 0.0, 2.5, " Eins.")
    stage.exit("a/0", 1)
    worker = again(stage)
    work = worker.work[worker.current]
    assert (work.from_s, work.language, worker.texts[work.attempt]) == (2.5, "de", " Eins.")
    worker.about(worker.current, 9.0, "fr")
    worker.hear(worker.current, 2.5, 9.0, " Zwei.")
    worker.heard(worker.current)
    assert [row.kind for _, row in client.rows["j"]] == ["about", "passage", "passage"]
    assert client.text("j") == " Eins. Zwei."
    assert client.rows["j"][0][1].language == "de"
    assert client.terminals["j"].state == "finished"
    assert not client.got(Rewind)


def test_two_deaths_at_one_place_end_the_job() -> None:
    """A part of a recording that brings down two workers is not tried on a third; what was heard before stays."""
    stage, worker, client = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    stage.exit("a/0", 1)
    worker = again(stage)
    worker.begin(worker.current)
    worker.about(worker.current)
    stage.exit("a/0", 1)
    terminal = client.terminals["j"]
    assert (terminal.state, terminal.code) == ("failed", "quarantined")
    assert "could not be transcribed from 1.0 s on" in terminal.message
    assert client.text("j") == " One."


def test_deaths_at_different_places_do_not_add_up() -> None:
    """Each row that is heard begins the count of deaths anew."""
    stage, worker, client = scene()
    worker.about(worker.current)
    for n in range(4):
        worker.hear(worker.current, float(n), n + 1.0, f" {n}")
        stage.exit("a/0", 1)
        worker = again(stage)
        worker.about(worker.current)
    worker.heard(worker.current)
    assert client.text("j") == " 0 1 2 3"
    assert client.terminals["j"].state == "finished"


def test_what_is_no_audio_ends_the_job() -> None:
    """A worker that refuses the recording ends the job with its reason."""
    _, worker, client = scene()
    worker.say(Failed(attempt=worker.current, code="invalid_input", message="no audio"))
    terminal = client.terminals["j"]
    assert (terminal.code, "The recording could not be transcribed. a: invalid_input" in terminal.message) == (
        "invalid_input",
        True,
    )


def test_the_next_of_the_chain_goes_on() -> None:
    """A provider that fails for good is followed by the next of the chain, in the middle of a recording."""
    stage = Stage(settings("a", "b", transcribe=(Choice("a"), Choice("b", "large"))), durable=True)
    one, two, client = stage.worker("a/0", hears=True), stage.worker("b/0", hears=True), stage.client()
    client.record("j", DATA)
    one.about(one.current)
    one.hear(one.current, 0.0, 1.0, " One.")
    one.say(Failed(attempt=one.current, code="unavailable", message="gone"))
    assert (two.work[two.current].from_s, two.work[two.current].voice) == (1.0, "large")
    two.about(two.current)
    two.hear(two.current, 1.0, 2.0, " Two.")
    two.heard(two.current)
    assert client.text("j") == " One. Two."
    assert [who["voice"] for who in client.terminals["j"].speakers] == ["small", "large"]
    assert [message.kind for message in client.got(Notice)] == ["started", "moved"]


def test_cancelling_ends_it_at_once() -> None:
    """A cancelled job is over at once; what its worker still says is thrown away, and its slot is free then."""
    stage, worker, client = scene()
    attempt = worker.current
    worker.about(attempt)
    client.cancel("j")
    assert client.terminals["j"].state == "cancelled"
    assert worker.stops == [attempt]
    worker.hear(attempt, 0.0, 1.0, " late")
    worker.say(Heard(attempt="e1.77", n=0))
    assert client.text("j") == ""
    assert not stage.files
    worker.answer_stops()
    assert not stage.core.world.workers["a/0"].leases


# ------------------------------------------------------------------------------------------- what a worker may say


def breach(stage: Stage) -> bool:
    return bool(stage.core.world.workers["a/0"].last_failure.startswith("protocol"))


@pytest.mark.parametrize(
    ("n", "body"),
    [
        (1, codec.encode(HeardRow("about", end=9.0))),
        (0, b"\xc1"),
        (0, codec.encode(HeardRow("passage", 0.0, 1.0, "x"))),
        (0, codec.encode([])),
    ],
)
def test_a_first_row_that_cannot_be_is_a_breach(n: int, body: bytes) -> None:
    """A row out of turn, one that cannot be read, and a passage before the row about the recording are breaches."""
    stage, worker, _ = scene()
    worker.say(Heard(attempt=worker.current, n=n), body)
    assert breach(stage)


@pytest.mark.parametrize(
    "row",
    [
        HeardRow("about", end=9.0),
        HeardRow("passage", 0.5, 3.0, "before the end of the one before"),
        HeardRow("passage", 3.0, 2.0, "ends before it begins"),
    ],
)
def test_a_later_row_that_cannot_be_is_a_breach(row: HeardRow) -> None:
    """A second row about the recording, and passages that are not in order, are breaches; nobody hears of them."""
    stage, worker, client = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    worker.row(worker.current, row)
    assert breach(stage)
    assert client.text("j") == " One."


def test_a_transcript_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that goes on for ever is replaced."""
    from voicebus.daemon.core import transcripts

    monkeypatch.setattr(transcripts, "MOST_ROWS", 2)
    stage, worker, _ = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    assert not breach(stage)
    worker.hear(worker.current, 1.0, 2.0, " Two.")
    assert breach(stage)


def test_audio_and_marks_are_nothing_for_a_recording() -> None:
    """Audio or marks for an attempt to transcribe are breaches, and rows for one to speak."""
    for message in (Chunk(seq=0, offset=0), TakeMarks()):
        stage, worker, _ = scene()
        message.attempt = worker.current
        worker.say(message, b"\x90" if type(message) is TakeMarks else b"\0\0")
        assert breach(stage)
    stage = Stage(settings())
    worker, client = stage.worker(), stage.client()
    client.submit("j")
    worker.say(Heard(attempt=worker.current, n=0), codec.encode(HeardRow("about")))
    assert breach(stage)


@pytest.mark.parametrize(("about", "rows"), [(True, 5), (False, 0)])
def test_an_attempt_that_says_too_little_is_truncated(about: bool, rows: int) -> None:
    """DONE with another count of rows, or without the row about the recording, is no success."""
    stage, worker, client = scene()
    if about:
        worker.about(worker.current)
    worker.heard(worker.current, samples=rows)
    assert "truncated" in stage.core.world.workers["a/0"].last_failure
    assert "j" not in client.terminals


@pytest.mark.parametrize("keep", ["job", "nothing"])
def test_an_attempt_is_not_done_before_it_was_sent_the_whole_recording(keep: str) -> None:
    """DONE before the recording's end was sent is no success, whatever was heard: its worker is replaced, and the next
    goes on behind the rows that it brought. One that does so again ends the job by that name."""
    stage = Stage(settings("a", transcribe=(Choice("a"),), breaking=Breaking(failures=100)), durable=True)
    worker, client = stage.worker(hears=True), stage.client()
    client.record("j", DATA, keep=keep)
    worker.about(worker.current, 9.0)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    worker.say(Need(key=f"input:{worker.current}", up_to=len(DATA) - 1))
    worker.say(Done(attempt=worker.current, samples=2))
    assert stage.killed == ["a/0"]
    assert stage.core.world.workers["a/0"].last_failure == (
        f"protocol: done with a recording of which it was sent {len(DATA) - 1} of {len(DATA)} bytes"
    )
    stage.exit("a/0", signal=9)
    worker = again(stage)
    assert worker.work[worker.current].from_s == 1.0
    worker.about(worker.current, 9.0)
    worker.say(Done(attempt=worker.current, samples=1))
    assert client.terminals["j"].code == "unheard"
    assert "0 of 14 bytes" in client.terminals["j"].message
    assert client.text("j") == " One."


def test_an_attempt_that_says_nothing_is_hung() -> None:
    """Neither rows nor progress within the deadline is a hang; the deadline grows with what a window usually takes."""
    stage, worker, _ = scene()
    stage.pass_time(11)
    assert stage.killed == ["a/0"]
    stage, worker, _ = scene()
    stage.core.world.workers["a/0"].factor = 0.1
    worker.about(worker.current)
    stage.pass_time(20)
    assert not stage.killed
    stage.pass_time(10)
    assert stage.killed == ["a/0"]


def test_progress_without_a_row_is_progress() -> None:
    """A worker that finds nothing for long, and says how far it is, is not hung; readers are told now and then."""
    stage, worker, client = scene()
    worker.about(worker.current, 60.0)
    for n in range(7):
        stage.pass_time(4)
        worker.reach(worker.current, float(n))
        worker.reach(worker.current, float(n))
    assert not stage.killed
    told = [message.data["seconds"] for message in client.got(Notice) if message.kind == "progress"]
    assert told == [float(n) for n in range(7)]
    assert client.got(Notice)[-1].data["length"] == 60.0


def test_a_stop_has_the_time_of_a_window() -> None:
    """A model cannot be stopped within a window: whoever is stopped there has as long as one may take."""
    stage, worker, client = scene()
    stage.core.world.workers["a/0"].factor = 0.1
    worker.about(worker.current)
    client.cancel("j")
    stage.pass_time(20, step=0.5)
    assert not stage.killed


def test_a_big_worker_is_not_suspected_for_its_silence() -> None:
    """Silence between rows is no reason to move a recording to a spare."""
    stage = Stage(
        settings("a", workers=2, transcribe=(Choice("a"),), provider={"fence_s": 0.1}), durable=True
    )  # fmt: skip
    worker, client = stage.worker("a/0", hears=True), stage.client()
    client.record("j", DATA)
    stage.worker("a/1", hears=True)
    stage.core.world.workers["a/0"].rss = 10**10
    worker.about(worker.current)
    stage.pass_time(2)
    assert not worker.stops


def test_a_provider_that_hears_is_tried_out_without_sound() -> None:
    """The trial of a provider that rests succeeds without sound, where it does not speak."""
    stage = Stage(
        settings("a", transcribe=(Choice("a"),), breaking=Breaking(failures=1, open_s=1.0)), durable=True
    )  # fmt: skip
    worker, client = stage.worker(hears=True), stage.client()
    client.record("j", DATA, patience_s=100.0)
    worker.say(Failed(attempt=worker.current, code="unavailable", message="gone"))
    stage.pass_time(3)
    probes = [message for message, _ in worker.inbox if type(message) is Work and message.kind == "probe"]
    worker.say(Done(attempt=probes[-1].attempt))
    stage.pass_time(2)
    assert worker.work[worker.current].kind == "transcribe" or len(worker.work) > 1


# -------------------------------------------------------------------------------------------------------- who reads


def test_whoever_comes_later_reads_from_the_beginning() -> None:
    """A second reader gets all rows that there are, from memory or from the disk, then those that come."""
    stage, worker, client = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    other = stage.client()
    other.attach("j")
    assert other.text("j") == " One."
    worker.hear(worker.current, 1.0, 2.0, " Two.")
    worker.heard(worker.current)
    assert client.text("j") == other.text("j") == " One. Two."
    assert other.terminals["j"].state == "finished"


def test_a_reader_goes_on_from_a_row() -> None:
    """Who names the last row that he has gets the next; who names one that is not in the log is sent back."""
    stage, worker, client = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    worker.hear(worker.current, 1.0, 2.0, " Two.")
    take = client.rows["j"][1][0]
    other = stage.client()
    other.rows["j"] = client.rows["j"][:2]
    other.attach("j", 2, take)
    assert other.last(Attached).offset == 2
    assert other.text("j") == " One. Two."
    third = stage.client()
    third.rows["j"] = client.rows["j"][:2]
    third.attach("j", 2, "another")
    assert third.last(Rewind).offset == 1
    third.attach("j", 17, "another")
    assert third.last(Rewind).offset == 3


def test_a_full_pipe_waits() -> None:
    """A reader whose pipe is full gets his rows when it is open again."""
    stage, worker, client = scene()
    worker.about(worker.current)
    stage.core.client_full(client.peer, stage.now)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    assert client.text("j") == ""
    stage.core.client_drained(client.peer, stage.now)
    stage.run()
    assert client.text("j") == " One."


def test_what_is_only_in_memory_is_read_again() -> None:
    """Rows of a job of which nothing is kept can be read again while it is remembered; hearing them frees nothing."""
    stage, worker, client = scene(limits=Limits(memory_job_bytes=100))
    client.cancel("j")
    worker.answer_stops()
    client.record("k", b"x", keep="nothing")
    worker.about(worker.current)
    for n in range(20):
        worker.hear(worker.current, float(n), n + 1.0, f" passage {n}")
        client.grant("k", 100, heard=n + 1)
    worker.heard(worker.current)
    other = stage.client()
    other.attach("k")
    assert other.text("k") == client.text("k")
    assert len(other.rows["k"]) == 21


def test_made_for_a_listener_it_waits_for_one() -> None:
    """With the pace of a listener, nothing is heard for nobody."""
    stage = Stage(settings("a", transcribe=(Choice("a"),)), durable=True)
    worker, client = stage.worker(hears=True), stage.client()
    client.say(Submit(job="j", kind="transcribe", read="none"), DATA)
    assert not worker.work
    client.attach("j")
    assert worker.work


# ---------------------------------------------------------------------------------------------- the daemon's next life


def reborn(stage: Stage) -> tuple[Stage, FakeWorker, FakeClient]:
    later = stage.reborn()
    return later, later.worker(hears=True), later.client()


def test_the_next_daemon_goes_on_where_the_last_row_ends() -> None:
    """After the daemon's death rows are where they were, and the recording is heard on from the last."""
    stage, worker, client = scene()
    worker.about(worker.current, 9.0, "de")
    worker.hear(worker.current, 0.0, 2.5, " Eins.")
    stage, worker, client = reborn(stage)
    work = worker.work[worker.current]
    assert (work.from_s, work.language, worker.texts[work.attempt], work.size) == (2.5, "de", " Eins.", len(DATA))
    client.attach("j")
    worker.about(worker.current)
    worker.hear(worker.current, 2.5, 3.0, " Zwei.")
    worker.heard(worker.current)
    assert client.text("j") == " Eins. Zwei."
    assert client.terminals["j"].state == "finished"
    assert not stage.files
    assert stage.core.world.disk == stage.core.world.disk_of[1000]


def test_a_recording_that_is_not_complete_goes_on_coming() -> None:
    """Pieces that were acknowledged are there; the same piece again is known, and the rest is taken."""
    stage = Stage(settings("a", transcribe=(Choice("a"),)), durable=True)
    stage.worker(hears=True)
    client = stage.client()
    client.record("j", b"first", complete=False)
    client.piece("j", 1, b"second")
    stage, worker, client = reborn(stage)
    client.piece("j", 1, b"other")
    assert client.last(Error).code == "conflict"
    client.piece("j", 1, b"second")
    assert not worker.work
    client.piece("j", 2, b"third")
    client.end("j", 3)
    assert worker.work[worker.current].size == 16
    assert [bytes(data) for data in stage.files.values()] == [b"firstsecondthird"]


def test_what_was_all_heard_is_not_heard_again() -> None:
    """A daemon that died between the last row and the end of the job leaves nothing to be heard."""
    stage, worker, client = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    stage.hold_commits = True
    worker.heard(worker.current)
    stage, worker, client = reborn(stage)
    assert not worker.work
    client.attach("j")
    assert client.text("j") == " One."
    assert client.terminals["j"].state == "finished"


def test_blame_outlives_the_daemon() -> None:
    """What a place of the recording has cost is remembered; where a row came after, it is not."""
    stage, worker, _ = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    stage.exit("a/0", 1)
    later, worker, client = reborn(stage)
    client.attach("j")
    worker.begin(worker.current)
    later.exit("a/0", 1)
    assert client.terminals["j"].code == "quarantined"


def test_the_place_in_the_chain_outlives_the_daemon() -> None:
    """A job that had moved down its chain, and has been heard, stays there."""
    stage = Stage(settings("a", "b", transcribe=(Choice("a"), Choice("b"))), durable=True)
    one, two, client = stage.worker("a/0", hears=True), stage.worker("b/0", hears=True), stage.client()
    client.record("j", DATA)
    one.about(one.current)
    one.hear(one.current, 0.0, 1.0, " One.")
    one.say(Failed(attempt=one.current, code="unavailable", message="gone"))
    assert two.work
    later = stage.reborn()
    later.worker("a/0", hears=True)
    assert later.worker("b/0", hears=True).work


def test_a_transcript_of_long_ago_is_read() -> None:
    """A job that is over is read from the disk, from any row, and its submit is known by its recording."""
    stage, worker, client = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    worker.heard(worker.current)
    later = stage.reborn()
    client = later.client()
    client.attach("j")
    assert client.text("j") == " One."
    assert client.last(Terminal).samples == 2
    client.record("j", DATA, read="none")
    assert client.last(Accepted).existing
    client.record("j", b"another", read="none")
    assert client.last(Error).code == "conflict"


def test_a_transcript_that_is_missing_is_said() -> None:
    """Where the rows are gone from the disk, that is what is said."""
    stage, worker, client = scene()
    worker.about(worker.current)
    worker.heard(worker.current)
    from dataclasses import replace

    [key] = stage.store.jobs
    stage.store.jobs[key] = replace(stage.store.jobs[key], audio="missing")
    client = stage.reborn().client()
    client.attach("j")
    assert "The transcript of j is missing" in client.last(Error).message
    assert "Transcribe that again" in client.last(Error).message


def test_the_record_has_the_text() -> None:
    """What was heard is the text of the job's record, in place of the recording's pieces."""
    stage, worker, _ = scene()
    worker.about(worker.current)
    worker.hear(worker.current, 0.0, 1.0, " One.")
    worker.hear(worker.current, 1.0, 2.0, " Two.")
    worker.heard(worker.current)
    [saved] = stage.store.jobs.values()
    assert saved.texts == (b"One. Two.",)
    assert saved.ended is not None
    assert (saved.ended.samples, len(saved.ended.segments)) == (0, 3)


def test_a_daemon_that_leaves_does_not_wait_for_an_hour_of_speech() -> None:
    """A daemon that is to stop stops listening at once; the next one goes on."""
    stage, worker, client = scene()
    attempt = worker.current
    worker.about(attempt)
    stage.core.terminate(stage.now)
    stage.run()
    assert worker.stops == [attempt]
    assert "leaving" in [message.kind for message in client.got(Notice)]
    worker.answer_stops()
    assert not worker.work
    assert list(stage.files)


def test_long_contexts_are_cut() -> None:
    """Of what was heard, whoever goes on is told the end."""
    stage, worker, _ = scene()
    worker.about(worker.current)
    for n in range(100):
        worker.hear(worker.current, float(n), n + 1.0, f" passage {n}.")
    stage.exit("a/0", 1)
    worker = again(stage)
    told = worker.texts[worker.current]
    assert len(told) == 400
    assert told.endswith(" passage 98. passage 99.")


def test_jobs_are_listed_with_their_kind() -> None:
    """A list of jobs says which of them transcribe."""
    _, _, client = scene()
    client.say(Query(request="q", what="jobs"))
    [row] = codec.decode_rows(client.inbox[-1][1])
    assert (row["kind"], row["pieces"]) == ("transcribe", 1)
