"""What becomes of commits, of deletions and pins."""

from __future__ import annotations

from voicebus.bus.messages import (
    Accepted,
    Appended,
    Attached,
    Bye,
    Cancel,
    Delete,
    Deleted,
    Error,
    Pin,
    Pinned,
    Query,
    Terminal,
)
from voicebus.daemon.core.records import JobSaved, Outcome
from voicebus.daemon.core.settings import Limits

from .scenes import speak_all
from .world_of_one import FakeClient, FakeWorker, Stage, settings

TEXT = "One. Two. Three."


def durable(**options: object) -> tuple[Stage, FakeWorker, FakeClient]:
    """A daemon with a store, a worker that is ready and a client."""
    stage = Stage(settings(**options), durable=True)  # type: ignore[arg-type]
    return stage, stage.worker(), stage.client()


def test_a_job_that_cannot_be_written_down_is_refused_and_leaves_nothing() -> None:
    """Nothing of it was told, its attempt is stopped, its name is free again."""
    stage, worker, client = durable()
    stage.hold_commits = True
    client.submit("j", TEXT)
    worker.chunk(worker.current)
    stage.commits_fail = "no space"
    stage.let_go()
    error = client.last(Error)
    assert (error.code, error.job, error.blame) == ("storage", "j", "daemon")
    assert "no space" in error.message and "keep=nothing" in error.message
    assert client.got(Accepted) == [] and client.audio == {}
    worker.answer_stops()
    world = stage.core.world
    assert (world.jobs, world.unfinished, world.logs, world.memory, world.text_chars) == ({}, {}, {}, 0, 0)
    assert stage.journals == {}
    stage.commits_fail = ""
    stage.hold_commits = False
    client.submit("j", "Only one.")
    speak_all(worker)
    assert client.terminals["j"].state == "finished"


def test_a_take_of_a_job_that_was_given_up_is_forgotten_when_it_is_written() -> None:
    """A whole take on its way into the journal goes with its job."""
    stage, worker, client = durable()
    stage.hold_commits = True
    stage.commits_fail = "no space"
    client.submit("j", "Only one.")
    core = stage.core
    job = core.world.jobs[1000, "j"]
    attempt = worker.current
    worker.begin(attempt)
    worker.chunk(attempt)
    job.writing[attempt] = job.segments[0]
    job.attempts.clear()
    job.segments[0].state = "writing"
    stage.let_go()
    assert job.writing == {} and core.world.memory == 0
    core.take_written(job.log, attempt, 0, 0, stage.now)
    assert core.world.jobs == {}


def test_nothing_kept_needs_no_disk() -> None:
    """With keep=nothing a job is spoken whatever the store says."""
    stage, worker, client = durable()
    stage.commits_fail = "no space"
    client.submit("j", "Only one.", keep="nothing")
    speak_all(worker)
    assert client.terminals["j"].state == "finished"
    assert stage.store.jobs == {}


def test_a_piece_that_cannot_be_written_down_ends_the_job() -> None:
    """A text with a hole is not spoken."""
    stage, worker, client = durable()
    client.submit("j", "One. ", complete=False)
    stage.hold_commits = True
    client.append("j", 1, "Two.")
    stage.commits_fail = "no space"
    held = stage.held.popleft()
    stage.core.committed(Outcome(held.ticket, "failed", "no space"), stage.now)
    stage.run()
    stage.commits_fail = ""
    stage.let_go()
    worker.answer_stops()
    assert client.terminals["j"].code == "storage" and "no space" in client.terminals["j"].message


def test_a_piece_that_was_not_written_down_is_never_acknowledged() -> None:
    """Nor is one behind it, nor the end of the text, however often they are sent; then the job is over."""
    stage, _, client = durable()
    client.submit("j", "One. ", complete=False)
    stage.commits_fail = "no space"
    client.append("j", 1, "Two. ")
    client.append("j", 1, "Two. ")
    client.append("j", 2, "Three. ")
    client.end("j", 3)
    assert client.got(Appended) == [] and client.terminals == {}
    stage.commits_fail = ""
    stage.pass_time(1.5)
    assert client.terminals["j"].code == "storage"
    client.append("j", 1, "Two. ")
    client.end("j", 2)
    assert client.got(Appended) == [] and [error.code for error in client.got(Error)] == ["ended", "ended"]


def test_audio_of_a_piece_that_was_not_written_down_does_not_stand_before_the_end() -> None:
    """It is never sent, so nobody waits for it: readers hear how the job ended, at once and after a restart."""
    stage, worker, client = durable()
    client.submit("j", "One. ", complete=False)
    stage.hold_commits = True
    client.append("j", 1, "Two. Three. ")
    speak_all(worker)
    stage.commits_fail = "no space"
    stage.let_go()
    stage.commits_fail, stage.hold_commits = "", False
    stage.pass_time(1.5)
    end = client.terminals["j"]
    assert (end.code, end.state) == ("storage", "failed")
    later = stage.reborn()
    again = later.client(client.uid)
    again.attach("j")
    assert (again.terminals["j"].code, again.terminals["j"].samples) == (end.code, end.samples)
    assert again.audio.get("j") == client.audio.get("j")


def test_a_piece_of_a_job_that_is_over_is_lost_without_more_ado() -> None:
    """Its end was told, or will be."""
    stage, _, client = durable()
    client.submit("j", "One. ", complete=False)
    stage.hold_commits = True
    client.append("j", 1, "Two.")
    client.cancel("j")
    held = stage.held.popleft()
    stage.core.committed(Outcome(held.ticket, "failed", "no space"), stage.now)
    stage.let_go()
    assert client.terminals["j"].state == "cancelled"


def test_the_end_of_a_job_is_written_again_until_it_is() -> None:
    """Nobody is told of it before."""
    stage, worker, client = durable()
    client.submit("j", "Only one.")
    stage.commits_fail = "no space"
    speak_all(worker)
    assert client.got(Terminal) == []
    assert stage.core.next_deadline(stage.now) <= stage.now + 1.0  # type: ignore[operator]
    stage.pass_time(3.0)
    assert client.got(Terminal) == []
    stage.commits_fail = ""
    stage.pass_time(1.5)
    assert client.terminals["j"].state == "finished"


def test_a_cancellation_that_is_repeated_is_not_answered_before_the_end_is_written() -> None:
    """Between two tries to write the end there is no commit under way, and nothing to be told."""
    stage, _, client = durable()
    client.submit("j", TEXT)
    stage.commits_fail = "no space"
    client.cancel("j")
    client.cancel("j")
    assert client.got(Terminal) == []
    stage.commits_fail = ""
    stage.pass_time(1.5)
    assert {end.state for end in client.got(Terminal)} == {"cancelled"}


def test_the_end_of_a_job_that_was_given_up_is_not_written() -> None:
    """It never came to be."""
    stage, _, client = durable()
    stage.hold_commits = True
    client.submit("j", TEXT)
    client.cancel("j")
    stage.commits_fail = "no space"
    stage.let_go()
    assert stage.core.world.again == []


def test_an_answer_for_a_name_that_another_job_has_by_now_goes_to_nobody() -> None:
    """The second job of a name is not taken for the first, whose commit failed late."""
    stage, worker, client = durable()
    stage.hold_commits = True
    client.submit("j", TEXT, complete=False)
    client.append("j", 1, "x")
    first = stage.held.popleft()
    stage.core.committed(Outcome(first.ticket, "failed", "no space"), stage.now)
    stage.run()
    client.submit("j", "Another text.", complete=False)
    client.append("j", 1, " More.")
    stage.hold_commits = False
    stage.let_go()
    worker.answer_stops()
    client.end("j", 2)
    speak_all(worker)
    assert client.terminals["j"].state == "finished"


def test_a_deleted_name_is_not_spoken_again() -> None:
    """A late retry of a deleted job is answered `deleted`."""
    _, worker, client = durable()
    client.submit("j", TEXT)
    speak_all(worker)
    client.say(Delete(job="j"))
    assert client.last(Deleted).job == "j"
    client.submit("j", TEXT)
    assert client.last(Error).code == "deleted"
    client.attach("j")
    assert client.got(Error)[-1].code == "deleted"
    client.say(Delete(job="j"))
    assert client.got(Error)[-1].code == "deleted"


def test_deleting_removes_files_before_it_answers() -> None:
    """Readers get the terminal, then the audio goes, then the answer comes."""
    stage, worker, client = durable()
    client.submit("j", TEXT, credit=0)
    worker.speak(worker.current)
    log = stage.core.world.jobs[1000, "j"].log
    assert log in stage.journals
    stage.hold_commits = True
    client.say(Delete(job="j"))
    worker.answer_stops()
    assert client.got(Deleted) == [] and client.got(Terminal) == []
    stage.core.committed(Outcome(stage.held.popleft().ticket), stage.now)
    stage.run()
    assert client.terminals["j"].code == "deleted"
    assert log not in stage.journals and client.got(Deleted) == []
    client.say(Delete(job="j"))
    stage.let_go()
    assert len(client.got(Deleted)) == 1
    assert [type(message) for message, _ in client.inbox][-2:] == [Terminal, Deleted]
    assert log not in stage.journals
    assert stage.core.world.disk == 0 and stage.core.world.text_chars == 0


def test_deleting_what_ends_just_now() -> None:
    """The end of the job is being written down when it is to be deleted, by two at once: it is deleted once."""
    stage, worker, client = durable(limits=Limits(finished_jobs=0))
    other = stage.client()
    client.submit("j", "Only one.")
    stage.hold_commits = True
    speak_all(worker)
    client.say(Delete(job="j"))
    client.say(Delete(job="j"))
    other.say(Delete(job="j"))
    stage.let_go()
    assert client.terminals["j"].state == "finished"
    assert len(client.got(Deleted)) == len(other.got(Deleted)) == 1
    assert stage.core.world.jobs == {} and stage.journals == {}


def test_deleting_what_somebody_reads() -> None:
    """Whoever is in the middle of a job that is over, or attaches while it is being deleted, hears that it is gone when
    it is, or why it is not; and may leave as he likes."""
    for reason in ("", "no space"):
        stage, worker, client = durable()
        other, late = stage.client(), stage.client()
        client.submit("j", TEXT)
        speak_all(worker)
        other.attach("j", credit=10)
        stage.hold_commits, stage.commits_fail = True, reason
        client.say(Delete(job="j"))
        late.attach("j")
        assert other.got(Error) == late.got(Error) == []
        stage.let_go()
        for each in (other, late):
            assert each.last(Error).code == ("storage" if reason else "deleted")
            each.say(Bye())
        assert len(client.got(Deleted)) == (not reason)
        assert stage.core.world.jobs.keys() == ({(1000, "j")} if reason else set())


def test_deleting_what_was_kept_in_memory_only() -> None:
    """A job of which nothing is kept can be deleted as well."""
    stage, worker, client = durable()
    client.submit("j", "Only one.", keep="nothing")
    speak_all(worker)
    client.say(Delete(job="j"))
    assert client.last(Deleted).job == "j"
    assert stage.core.world.jobs == {} and stage.core.world.memory == 0


def test_a_change_that_cannot_be_written_is_told() -> None:
    """Deleting and pinning say why they did not work, and what is not there is not found."""
    stage, worker, client = durable()
    client.submit("j", "Only one.")
    speak_all(worker)
    stage.commits_fail = "no space"
    client.say(Pin(job="j"))
    assert client.last(Error).code == "storage" and "no space" in client.last(Error).message
    assert client.last(Error).answers == "pin"
    client.say(Delete(job="j"))
    assert "could not be deleted: no space" in client.last(Error).message and (1000, "j") in stage.core.world.jobs
    assert client.last(Error).answers == "delete"
    stage.commits_fail = ""
    client.say(Delete(job="j"))
    assert client.last(Deleted).job == "j"
    client.submit("k", "Only one.")
    speak_all(worker)
    del stage.store.jobs[1000, "k"]
    client.say(Pin(job="k"))
    assert (client.last(Error).code, client.last(Error).answers) == ("not_found", "pin")
    client.say(Delete(job="k"))
    assert client.last(Deleted).job == "k"


def test_a_reader_of_what_could_not_be_deleted_was_asked_nothing() -> None:
    """Who asked for it is told that it failed in answer to that; who only read, that the reading has ended."""
    stage, worker, client = durable()
    client.submit("j", "Only one.")
    speak_all(worker)
    reader = stage.client()
    reader.attach("j", credit=10)
    stage.commits_fail = "no space"
    client.say(Delete(job="j"))
    told = [(one.last(Error).code, one.last(Error).answers) for one in (client, reader)]
    assert told == [("storage", "delete"), ("storage", "")]


def test_pinning() -> None:
    """A kept job can be pinned and let go of again; one that is not kept cannot."""
    stage, worker, client = durable()
    client.submit("j", "Only one.")
    client.submit("k", "Only one.", keep="nothing")
    speak_all(worker)
    client.say(Pin(job="j"))
    assert client.last(Pinned).pinned and stage.store.jobs[1000, "j"].pinned
    client.say(Pin(job="j", pinned=False))
    assert not stage.store.jobs[1000, "j"].pinned
    client.say(Pin(job="k"))
    assert (client.last(Error).code, client.last(Error).answers) == ("unsupported", "pin")
    memory = Stage(settings())
    other = memory.client()
    memory.worker()
    other.submit("j", TEXT)
    other.say(Pin(job="j"))
    assert other.last(Error).code == "unsupported"


def test_a_slow_disk_refuses_new_jobs_by_name() -> None:
    """Beyond a second, what is to be kept is refused with a hint; what is not is spoken."""
    stage, _, client = durable()
    stage.hold_commits = True
    client.submit("j", TEXT)
    stage.now += 1.5
    client.submit("k", TEXT)
    error = client.last(Error)
    assert (error.code, error.job) == ("storage", "k") and error.retry_after > 0
    client.submit("l", TEXT, keep="nothing")
    assert len(client.got(Error)) == 1
    stage.let_go()
    client.submit("k", TEXT)
    assert (1000, "k") in stage.core.world.jobs


def test_a_daemon_that_was_stopped_itself_does_not_call_the_disk_slow() -> None:
    """The time for which the loop stood still does not count."""
    stage, _, client = durable()
    stage.hold_commits = True
    client.submit("j", TEXT)
    stage.now += 30.0
    stage.core.late(30.0, stage.now)
    client.submit("k", TEXT)
    assert client.got(Error) == []


def test_an_existing_job_of_an_earlier_daemon_answers_a_repeated_submit() -> None:
    """The same SUBMIT finds it, ended as it is, with its audio; nothing is spoken again."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    speak_all(worker)
    end, audio = client.terminals["j"], bytes(client.audio["j"])
    later = stage.reborn()
    worker, again = later.worker(), later.client()
    again.submit("j", TEXT)
    assert again.last(Accepted).existing
    assert bytes(again.audio["j"]) == audio
    worker.answer_stops()
    assert worker.work == {}
    found = again.terminals["j"]
    assert (found.state, found.samples, found.segments, found.speakers) == (
        end.state, end.samples, end.segments, end.speakers
    )  # fmt: skip
    third = later.client()
    third.submit("j", "Another text.")
    assert third.last(Error).code == "conflict"


def test_finished_jobs_leave_memory_and_are_found_again() -> None:
    """Beyond `finished_jobs` they are on disk only, and can be read, listed and cancelled as before."""
    stage, worker, client = durable(limits=Limits(finished_jobs=0))
    client.submit("j", TEXT)
    speak_all(worker)
    assert stage.core.world.jobs == {} and stage.journals
    other = stage.client()
    other.attach("j")
    assert other.got(Attached) and bytes(other.audio["j"]) == bytes(client.audio["j"])
    assert other.terminals["j"].state == "finished"
    other.say(Query(request="q", what="segments", where={"job": "j"}))
    other.say(Cancel(job="j"))
    assert len(other.got(Terminal)) == 2
    assert stage.core.world.disk > 0


def test_the_commit_of_a_job_that_nobody_knows_is_ignored() -> None:
    """An outcome without a ticket changes nothing."""
    stage, _, _ = durable()
    stage.core.committed(Outcome(12345), stage.now)
    assert stage.core.effects == []


def test_records_say_all_that_is_needed() -> None:
    """What is written of a job is its number, its owner, its name, its words and its settings."""
    stage, worker, client = durable()
    client.submit("j", TEXT, keep="history")
    record = stage.store.jobs[1000, "j"].job
    assert record == JobSaved(1, 1000, "j", "e1-1", "en", 1000, record.submit, TEXT.encode())
    speak_all(worker)
    ended = stage.store.jobs[1000, "j"].ended
    assert ended is not None and ended.disk > 0
    assert [(row.start, row.end, row.state, row.samples, row.peak) for row in ended.segments] == [
        (0, 4, "whole", 300, 9000),
        (5, 9, "whole", 300, 9000),
        (10, 16, "whole", 300, 9000),
    ]
    assert len({row.seed for row in ended.segments}) == 3
