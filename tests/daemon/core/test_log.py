"""Scenes of the log: how takes get into it, what they cost in memory and on disk, and when they leave."""

from __future__ import annotations

from voicebus.bus.messages import Audio, Error, Grant, Marks, Rewind, Terminal
from voicebus.daemon.core.effects import DropLog, WriteTake
from voicebus.daemon.core.settings import Limits

from .scenes import THREE, Scene, heard, lose, scene, speak_all
from .world_of_one import Stage, settings


def test_a_whole_take_leaves_memory_for_its_journal() -> None:
    """A growing take is in memory only; whole, it is written in one record and memory is free again."""
    stage, worker, client = scene("Only one.")
    world = stage.core.world
    worker.chunk(worker.current)
    worker.chunk(worker.current)
    assert (world.memory, world.disk, stage.journals) == (400, 0, {})
    stage.hold_writes = True
    worker.done(worker.current)
    (record,) = stage.unwritten
    assert type(record) is WriteTake and b"".join(record.pcm) == client.audio["j"]
    assert {k: record.meta[k] for k in ("job", "uid", "segment", "start", "end", "provider", "voice", "samples")} == {
        "job": "j", "uid": 1000, "segment": 0, "start": 0, "end": 9, "provider": "a", "voice": "en", "samples": 200,
    }  # fmt: skip
    assert client.got(Terminal) == []
    stage.write()
    assert world.memory == 0 and world.disk > 400
    assert client.got(Terminal)


def test_with_nothing_kept_there_is_no_journal() -> None:
    """keep=nothing stays in memory and leaves nothing on disk, also when it is forgotten."""
    stage, worker, client = scene(keep="nothing", configuration=settings(limits=Limits(finished_jobs=0)))
    speak_all(worker)
    assert heard(client) == 900 and stage.journals == {}
    world = stage.core.world
    assert (world.memory, world.disk, world.jobs, world.logs) == (0, 0, {}, {})


def test_frames_of_the_next_take_wait_for_the_one_before_to_be_written() -> None:
    """Nothing of a take is sent before the one before it is in the journal: it could still be lost."""
    stage, worker, client = scene()
    stage.hold_writes = True
    worker.speak(worker.current)
    worker.chunk(worker.current)
    assert heard(client) == 300
    stage.write()
    assert heard(client) == 400
    assert [m.offset for m in client.got(Marks)] == [0, 300]


def test_takes_made_ahead_are_put_in_place_in_order() -> None:
    """With two workers the second segment may be whole first; it is heard when the first is in place."""
    stage = Scene(settings(workers=2))
    first, second = stage.worker("a/0"), stage.worker("a/1")
    client = stage.client()
    client.submit("j", THREE)
    ahead = second.current
    assert (first.texts[first.current], second.texts[ahead]) == ("One.", "Two.")
    second.speak(ahead)
    second.chunk(second.current)
    assert heard(client) == 0
    first.speak(first.current)
    assert heard(client) == 700
    assert [m.take for m in client.got(Marks)][1] == ahead
    second.done(second.current)
    assert client.last(Terminal).samples == 700


def test_a_take_made_ahead_is_lost_without_a_word() -> None:
    """Who loses a take that nobody could hear yet is rewound by nobody."""
    stage = Scene(settings(workers=2))
    first, second = stage.worker("a/0"), stage.worker("a/1")
    client = stage.client()
    client.submit("j", THREE)
    first.chunk(first.current)
    second.chunk(second.current)
    lose(second)
    assert client.got(Rewind) == []
    speak_all(second)
    speak_all(first)
    assert client.got(Rewind) == [] and heard(client) == client.last(Terminal).samples


def test_a_take_growing_ahead_is_heard_when_its_place_comes() -> None:
    """A take that grew without an offset goes on live the moment the one before is in place."""
    stage = Scene(settings(workers=2))
    first, second = stage.worker("a/0"), stage.worker("a/1")
    client = stage.client()
    client.submit("j", "One. Two.", keep="nothing")
    second.chunk(second.current)
    first.speak(first.current)
    second.chunk(second.current)
    assert heard(client) == 500
    second.done(second.current)
    assert client.got(Terminal)


def test_a_job_in_memory_waits_for_its_listener() -> None:
    """A job that may not be written takes no more memory than its share: it goes on when the listeners have heard."""
    limits = Limits(memory_job_bytes=1000)
    stage, worker, client = scene(keep="nothing", configuration=settings(limits=limits), skip_bad=True)
    worker.speak(worker.current)
    lose(worker, "invalid_input")
    worker.chunk(worker.current, 250)
    assert stage.job().memory == 1100
    client.append("j", 9, "x")
    client.grant("j", 10**6, 299)
    assert stage.job().released == 0
    client.grant("j", 10**6, 300)
    assert (stage.job().released, stage.job().memory) == (2, 500)
    worker.done(worker.current)
    assert heard(client) == 550 and client.got(Terminal)
    assert client.last(Error).code == "ended"


def test_no_more_is_begun_for_a_job_in_memory_that_is_full() -> None:
    """At its share of memory a job gets no worker, and one as soon as there is room."""
    stage, worker, client = scene(keep="nothing", configuration=settings(limits=Limits(memory_job_bytes=600)))
    worker.speak(worker.current)
    assert worker.current == "" and stage.job().state == "waiting"
    client.grant("j", 10**6, 300)
    assert worker.texts[worker.current] == "Two."


def test_finished_jobs_make_room_in_memory() -> None:
    """When memory is short, attempts wait, and finished jobs in memory are forgotten, also behind stored ones that
    would free none."""
    stage, worker, client = scene("Stored.", configuration=settings(limits=Limits(memory_bytes=17_000)))
    speak_all(worker)
    client.submit("m", "Memory.", read="none", pace="render", keep="nothing")
    worker.chunk(worker.current, 4000)
    worker.done(worker.current)
    client.submit("k", "More.")
    worker.chunk(worker.current, 5000)
    worker.chunk(worker.current, 3000)
    granted = sum(type(m) is Grant for m, _ in worker.inbox)
    assert stage.core.world.memory == 24_000
    stage.live(2)
    assert set(stage.core.world.jobs) == {(1000, "j"), (1000, "k")}
    assert sum(type(m) is Grant for m, _ in worker.inbox) == granted + 1


def test_a_full_disk_fails_the_job_that_writes_and_no_other() -> None:
    """Where a take cannot be written its job fails with the reason; what keeps nothing still speaks."""
    stage, worker, client = scene()
    stage.disk_full = True
    client.submit("m", "Memory.", keep="nothing")
    worker.speak(worker.current)
    end = client.last(Terminal)
    assert (end.job, end.state, end.code, end.samples) == ("j", "failed", "disk_full", 0)
    assert "No space left" in end.message
    assert heard(client) == 0 and client.got(Rewind)[-1].offset == 0
    worker.answer_stops()
    speak_all(worker)
    assert client.last(Terminal) == client.terminals["m"] and client.terminals["m"].state == "finished"


def test_a_take_that_is_written_after_its_job_ended_changes_nothing() -> None:
    """A job that fails while a whole take is on its way to the journal ends without it: whoever heard it is rewound,
    and the end says as many samples as there are."""
    stage = Scene(settings(workers=2))
    first, second = stage.worker("a/0"), stage.worker("a/1")
    client = stage.client()
    client.submit("j", THREE)
    stage.hold_writes = True
    first.speak(first.current)
    assert heard(client) == 300
    lose(second, "invalid_input")
    assert client.last(Terminal).state == "failed"
    assert heard(client) == client.last(Terminal).samples == 0
    stage.write()
    assert stage.core.world.memory == 0


def test_who_is_behind_in_a_failed_job_gets_the_rest_of_what_is_whole() -> None:
    """A write that came in time stays: the failed job's audio is what is whole and in place."""
    _, worker, client = scene(pace="render", credit=10)
    worker.speak(worker.current)
    lose(worker, "invalid_input")
    client.grant("j", 300)
    assert heard(client) == client.last(Terminal).samples == 300


def test_a_forgotten_job_takes_its_journal_along() -> None:
    """Of a job that is forgotten nothing stays, on disk or in the sums."""
    stage, worker, client = scene(configuration=settings(limits=Limits(finished_jobs=0)))
    worker.speak(worker.current)
    assert len(stage.journals) == 1
    speak_all(worker)
    assert client.got(Terminal)
    stage.live(1)
    assert stage.journals == {} and stage.core.world.disk == 0 and stage.core.world.jobs == {}


def test_a_job_without_audio_has_no_journal_to_remove() -> None:
    """Where nothing was written nothing is removed."""
    stage = Stage(settings(limits=Limits(finished_jobs=0)))
    client = stage.client()
    client.submit("j")
    seen: list[object] = []
    plain = stage._do
    stage._do = lambda effect: (seen.append(effect), plain(effect))  # type: ignore[method-assign,func-returns-value,assign]
    client.cancel("j")
    assert client.got(Terminal) and client.got(Audio) == []
    assert stage.core.world.jobs == {}
    assert not any(type(effect) is DropLog for effect in seen)
