"""Scenes of endings: once, durable before they are told, with the truth about what was said by whom."""

from __future__ import annotations

from voicebus.bus import codec
from voicebus.bus.messages import Terminal
from voicebus.daemon.core.records import JobEnded
from voicebus.daemon.core.settings import Limits

from .scenes import THREE, Scene, heard, lose, scene, speak_all
from .world_of_one import settings


def test_an_end_is_told_when_it_is_durable() -> None:
    """A job that has said all is "running" to everybody until its end is committed."""
    stage, worker, client = scene()
    stage.hold_commits = True
    speak_all(worker)
    assert heard(client) == 900 and client.got(Terminal) == []
    assert stage.job().told == "running"
    stage.let_go()
    assert client.last(Terminal).state == stage.job().told == "finished"


def test_a_job_does_not_end_before_it_is_durable() -> None:
    """All may be said before the text is on disk; the end is decided after that."""
    stage = Scene()
    worker, client = stage.worker(), stage.client()
    stage.hold_commits = True
    client.submit("j", "Only one.")
    speak_all(worker)
    assert stage.job().verdict is None
    stage.let_go()
    assert client.last(Terminal).samples == heard(client) == 300


def test_a_job_ends_once() -> None:
    """Whatever else would end a job that is over changes nothing."""
    stage, worker, client = scene("Only one.")
    stage.hold_commits = True
    client.cancel("j")
    worker.answer_stops()
    stage.core.terminate(stage.now)
    stage.run()
    assert [c.record.state for c in stage.held if type(c.record) is JobEnded] == ["cancelled"]
    stage.let_go()
    assert len(client.got(Terminal)) == 1


def test_the_end_says_who_spoke() -> None:
    """The terminal counts segments by provider, version and voice, and samples and segments as they are."""
    stage = Scene(settings("a", "b"))
    first, second = stage.worker("a/0"), stage.worker("b/0")
    client = stage.client()
    client.submit("j", THREE)
    first.speak(first.current)
    lose(first, "unavailable")
    speak_all(second)
    end = client.last(Terminal)
    assert (end.state, end.code, end.samples, end.segments, end.skipped) == ("finished", "", 900, 3, 0)
    assert end.speakers == [
        {"provider": "a", "version": "1", "voice": "en", "segments": 1},
        {"provider": "b", "version": "1", "voice": "en", "segments": 2},
    ]


def test_a_job_with_segments_left_out_is_incomplete() -> None:
    """With skip_bad a job finishes without what nobody can say, and says so."""
    _, worker, client = scene(skip_bad=True)
    worker.speak(worker.current)
    lose(worker, "invalid_input")
    speak_all(worker)
    end = client.last(Terminal)
    assert (end.state, end.code, end.message) == ("finished", "incomplete", "1 of 3 segments was left out.")
    assert (end.samples, end.segments, end.skipped) == (600, 3, 1)
    assert end.speakers == [{"provider": "a", "version": "1", "voice": "en", "segments": 2}]


def test_a_job_of_which_nothing_could_be_said_fails() -> None:
    """Leaving out everything is no success."""
    _, worker, client = scene(skip_bad=True)
    while worker.current:
        lose(worker, "invalid_input", "not in my alphabet")
    end = client.last(Terminal)
    assert (end.state, end.code, end.skipped) == ("failed", "failed", 3)


def test_a_failed_job_stops_what_else_is_made_for_it() -> None:
    """When a job fails its other takes are stopped, and what was heard of one that grows is taken back."""
    stage = Scene(settings(workers=2))
    first, second = stage.worker("a/0"), stage.worker("a/1")
    client = stage.client()
    client.submit("j", THREE)
    first.chunk(first.current)
    lose(second, "invalid_input")
    assert len(first.stops) == 1
    assert client.last(Terminal).samples == heard(client) == 0
    assert stage.core.world.memory == 0


def test_however_long_a_reason_is_the_end_can_be_told() -> None:
    """Reasons that add up to more than a header holds are cut, so that the terminal arrives."""
    names = [f"p{i}" for i in range(32)]
    stage = Scene(settings(*names))
    workers = [stage.worker(f"{name}/0") for name in names]
    client = stage.client()
    client.submit("j", "Only one.")
    for worker in workers:
        lose(worker, "quota", "\U0001f600" * 500)
    end = client.last(Terminal)
    assert end.state == "failed" and len(codec.encode(end)) < codec.HEADER_BYTES


def test_old_finished_jobs_are_forgotten() -> None:
    """Beyond what is to be kept the oldest finished job goes, but not under its reader."""
    stage = Scene(settings(limits=Limits(finished_jobs=1)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One.", credit=10, pace="render")
    for name in ("k", "l", "m"):
        client.submit(name, "One.")
        speak_all(worker)
    assert {name for _, name in stage.core.world.finished} == {"j"}
    client.grant("j", 10**6)
    client.submit("n", "One.")
    speak_all(worker)
    assert {name for _, name in stage.core.world.jobs} == {"n"}
    client.attach("j")
    assert client.inbox[-1][0].code == "not_found"


def test_finished_jobs_make_room_on_disk() -> None:
    """When the disk's share is used up finished jobs that nobody reads are forgotten, oldest first, and only as many
    as it takes."""
    stage = Scene(settings(limits=Limits(disk_bytes=1500)))
    worker, client = stage.worker(), stage.client()
    client.submit("m", "Memory.", keep="nothing")
    for name in ("j", "k", "l"):
        client.submit(name, "One.")
        speak_all(worker)
    assert [name for _, name in stage.core.world.finished] == ["m", "k", "l"]
    assert stage.core.world.disk < 1500 and len(stage.journals) == 2
