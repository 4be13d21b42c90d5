"""The order of things after each event."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import Beat, Choice, Error
from voicebus.daemon.core.records import Outcome
from voicebus.daemon.core.settings import Limits, Settings

from .world_of_one import Stage, settings

TEXT = "A sentence of some length, for the engine to say."


def test_what_is_no_message_is_answered_and_counted() -> None:
    """A client that sends rubbish is told so; the log hears of the first."""
    stage = Stage()
    client = stage.client()
    for _ in range(2):
        stage.core.bad_client_message(client.peer, 1000, 1, "rubbish " * 100, stage.now)
    stage.run()
    errors = client.got(Error)
    assert [error.code for error in errors] == ["bad_message"] * 2
    assert len(errors[0].message) == 500
    assert sum("bad client messages" in text for text in stage.reports) == 1


def test_news_of_those_who_are_gone_changes_nothing() -> None:
    """Pipes, connections, commits and takes of nobody are let pass."""
    stage = Stage()
    core = stage.core
    core.client_gone(b"x", stage.now)
    core.client_full(b"x", stage.now)
    core.client_drained(b"x", stage.now)
    core.worker_gone(b"x", stage.now)
    core.committed(Outcome(99), stage.now)
    core.take_written("e1-9", "e1.9", 0, 0, stage.now)
    core.take_lost("e1-9", "e1.9", "no space", stage.now)
    stage.run()
    assert stage.killed == []


def test_a_take_that_cannot_be_written_ends_its_job() -> None:
    """A full disk is ours: the job fails with that name, and no provider is blamed."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    stage.disk_full = True
    worker.speak(worker.current)
    assert client.terminals["j"].code == "disk_full"
    assert "keep=nothing works without" in client.terminals["j"].message
    assert stage.core.world.memory == 0
    assert stage.core.world.providers["a"].breaker.snapshot(stage.now)["failures"] == 0


def test_a_take_lost_of_which_nothing_is_known_ends_its_job_all_the_same() -> None:
    """The disk is full for the others of that job as well."""
    stage = Stage()
    stage.worker()
    client = stage.client()
    client.submit("j", TEXT)
    job = stage.core.world.jobs[1000, "j"]
    stage.core.take_lost(job.log, "e1.77", "no space", stage.now)
    stage.run()
    assert client.terminals["j"].code == "disk_full"
    stage.core.take_lost(job.log, "e1.77", "no space", stage.now)
    stage.run()
    assert client.terminals["j"].code == "disk_full"


def test_a_commit_of_a_forgotten_job_is_only_answered() -> None:
    """What waited for it is sent; there is no job to go on with."""
    stage = Stage(settings(limits=Limits(finished_jobs=0)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, keep="nothing", complete=False)
    stage.hold_commits = True
    client.append("j", 1, " More.")
    client.cancel("j")
    late, end = stage.held
    stage.core.committed(Outcome(end.ticket), stage.now)
    stage.run()
    assert (1000, "j") not in stage.core.world.jobs
    stage.core.committed(Outcome(late.ticket), stage.now)
    stage.run()
    assert client.got(Error) == []
    assert worker.stops == [] or worker.work


def test_an_empty_daemon_needs_no_tick() -> None:
    """Nothing configured, nobody there: there is no next deadline."""
    stage = Stage(Settings())
    stage.core.tick(stage.now)
    assert stage.core.next_deadline(stage.now) is None
    stage.client()
    stage.core.tick(stage.now + 0.1)
    assert stage.core.next_deadline(stage.now) == stage.now + 1.0


def test_the_next_deadline_is_the_earliest() -> None:
    """Workers, breakers and the sweep; never quite at once, so that nothing spins."""
    stage = Stage()
    worker = stage.worker()
    stage.core.tick(stage.now)
    assert stage.core.next_deadline(stage.now) == stage.now + 3.5
    stage.core.world.providers["a"].breaker.trip(stage.now)
    stage.now += 3.0
    worker.say(Beat())
    stage.core.tick(stage.now)
    assert stage.core.next_deadline(stage.now) == stage.now + 2.0
    stage.now += 3.6
    assert stage.core.next_deadline(stage.now) == stage.now + 0.005


def test_attempts_are_looked_at_again_soon_and_not_at_every_pass() -> None:
    """What happens between two looks is looked at with the next, which is at most a twentieth of a second away."""
    stage = Stage()
    stage.core.tick(stage.now)
    stage.now += 0.01
    stage.worker()
    said_at = stage.now
    stage.core.tick(stage.now)
    assert stage.core.next_deadline(stage.now) == pytest.approx(said_at + 0.04)
    stage.now += 0.05
    stage.core.tick(stage.now)
    assert stage.core.next_deadline(stage.now) == pytest.approx(said_at + 3.5)


def test_a_big_burst_is_sent_in_turns() -> None:
    """A reader with much to fetch gets a burst at a time, until it has all."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, credit=0)
    worker.speak(worker.current, 70)
    assert client.audio.get("j", b"") == b""
    stage.core.world.jobs[1000, "j"].rate = 100
    client.grant("j", 7000, heard=0)
    assert len(client.audio["j"]) == 14_000
    assert client.terminals["j"].state == "finished"


def test_a_full_pipe_keeps_only_its_own_reader_waiting() -> None:
    """Another reader of the same job hears on; the first catches up when its pipe is open."""
    stage = Stage()
    worker, one, two = stage.worker(), stage.client(), stage.client()
    one.submit("j", TEXT)
    two.attach("j")
    worker.begin(worker.current)
    worker.chunk(worker.current)
    stage.core.client_full(one.peer, stage.now)
    worker.chunk(worker.current)
    assert (len(one.audio["j"]), len(two.audio["j"])) == (200, 400)
    stage.core.client_drained(one.peer, stage.now)
    stage.run()
    assert len(one.audio["j"]) == 400


def test_a_client_that_cannot_be_reached_is_forgotten_and_its_job_is_not() -> None:
    """Others may attach to it."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, pace="render")
    stage.core.client_gone(client.peer, stage.now)
    stage.run()
    other = stage.client()
    other.attach("j")
    worker.speak(worker.current)
    assert other.terminals["j"].state == "finished"


def test_news_of_a_provider_concern_only_jobs_that_may_use_it() -> None:
    """A job whose chain does not name a provider does not look up when that one gets ready."""
    stage = Stage(settings("a", "b"))
    client = stage.client()
    client.submit("j", TEXT, chain=[Choice("a")])
    stage.worker("b/0")
    assert stage.core.world.jobs[1000, "j"].entry.provider == "a"
    worker = stage.worker("a/0")
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"
