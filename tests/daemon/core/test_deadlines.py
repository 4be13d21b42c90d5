"""Progress is health: who is found to hang, when, and what it costs."""

from __future__ import annotations

from voicebus.bus.messages import Beat, Rewind
from voicebus.daemon.core.settings import Limits

from .world_of_one import FakeWorker, Stage, settings

TEXT = "A sentence of some length, for the engine to say."
GIGABYTE = 10**9


def beating(stage: Stage, *workers: FakeWorker, seconds: float, rss: int = 0) -> None:
    """Let time pass while these workers beat."""
    for _ in range(int(seconds / 0.5)):
        for worker in workers:
            if worker.name in stage.processes:
                worker.say(Beat(state="busy", rss=rss))
        stage.pass_time(0.5)


def test_no_first_chunk_in_time_is_a_hang() -> None:
    """A worker that beats but gives no sound is killed after first_chunk_s, and its segment goes to the next."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    client.submit("j", TEXT)
    busy, idle = (one, two) if one.work else (two, one)
    busy.begin(busy.current)
    beating(stage, one, two, seconds=9.5)
    assert stage.killed == []
    beating(stage, one, two, seconds=1.0)
    assert stage.killed == [busy.name]
    idle.speak(idle.current)
    assert client.terminals["j"].state == "finished"
    assert stage.core.world.workers[busy.name].last_failure.startswith("hang: made no progress for 10")


def test_a_missed_chunk_is_a_hang() -> None:
    """Once there was sound, the next is due within chunk_s; readers hear the sentence again from its start."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    client.submit("j", TEXT)
    busy, idle = (one, two) if one.work else (two, one)
    busy.begin(busy.current)
    busy.chunk(busy.current)
    beating(stage, one, two, seconds=6.0)
    assert stage.killed == [busy.name]
    assert [m.offset for m in client.got(Rewind)] == [0]
    idle.speak(idle.current)
    assert client.terminals["j"].state == "finished"
    assert len(client.audio["j"]) == 600


def test_a_worker_that_waits_for_credit_does_not_hang() -> None:
    """While the daemon owes credit no deadline runs, and when it pays the deadline begins anew."""
    stage = Stage(settings(limits=Limits(memory_bytes=1000)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    attempt = worker.current
    worker.begin(attempt)
    worker.chunk(attempt, 8000)
    beating(stage, worker, seconds=30.0)
    assert stage.killed == []
    stage.core.world.memory -= 16000
    beating(stage, worker, seconds=4.0)
    assert stage.killed == []
    stage.core.world.memory += 16000
    beating(stage, worker, seconds=3.0)
    assert stage.killed == ["a/0"]


def test_a_hang_takes_the_other_attempts_of_its_worker_along_without_blame() -> None:
    """Who shares a worker with a text that hangs is moved, and has no death counted."""
    stage = Stage()
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", TEXT)
    client.submit("k", TEXT)
    hung, well = worker.work
    worker.begin(hung)
    worker.begin(well)
    for _ in range(22):
        worker.chunk(well, 10)
        stage.pass_time(0.5)
    assert stage.killed == ["a/0"]
    jobs = stage.core.world.jobs
    assert jobs[1000, "j"].segments[0].deaths == 1
    assert jobs[1000, "k"].segments[0].deaths == 0
    assert jobs[1000, "k"].segments[0].tries_here == 0


def test_a_late_daemon_judges_nobody() -> None:
    """Whatever was due while the daemon itself stood still is due that much later."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    client.submit("k", TEXT, complete=False)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    stage.now += 60.0
    stage.core.late(60.0, stage.now)
    stage.core.tick(stage.now)
    stage.run()
    assert stage.killed == []
    assert stage.core.world.workers["a/0"].state == "ready"
    assert "k" not in client.terminals
    beating(stage, worker, seconds=6.0)
    assert stage.killed == ["a/0"]


def test_lateness_moves_every_clock_that_runs_against_others() -> None:
    """Also those of a lost connection, a worker told to leave, a stop, a job nobody listens to and one that waits."""
    stage = Stage(settings("a", "b"))
    worker, other, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    client.submit("k", TEXT, read="none")
    client.cancel("j")
    stage.core.worker_gone(other.peer, stage.now)
    world = stage.core.world
    job = world.jobs[1000, "k"]
    job.starved_since = job.failing_since = stage.now
    world.workers["b/0"].quit_at = stage.now
    stage.core.late(7.0, stage.now)
    moved = stage.now + 7.0
    attempt = next(iter(world.workers["a/0"].leases.values()))
    assert attempt.stopping == moved
    assert (job.alone_since, job.starved_since, job.failing_since) == (moved, moved, moved)
    assert (world.workers["b/0"].lost_at, world.workers["b/0"].quit_at) == (moved, moved)
    assert worker.stops


def big(stage: Stage, *workers: FakeWorker) -> None:
    for worker in workers:
        worker.say(Beat(state="ready", rss=GIGABYTE))


def test_a_big_worker_that_falls_silent_loses_its_attempt_to_a_spare_at_once() -> None:
    """Its death would be reported late, so silence counts; it is asked to stop, not killed, and nobody is blamed."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    big(stage, one, two)
    client.submit("j", TEXT)
    busy, idle = (one, two) if one.work else (two, one)
    attempt = busy.current
    busy.begin(attempt)
    busy.chunk(attempt)
    stage.pass_time(0.2)
    assert busy.stops == [attempt]
    assert idle.work
    busy.answer_stops()
    assert stage.killed == []
    idle.speak(idle.current)
    segment = stage.core.world.jobs[1000, "j"].segments[0]
    assert (segment.deaths, segment.tries_here, segment.fences) == (0, 0, 1)
    assert client.terminals["j"].state == "finished"


def test_a_big_worker_without_a_spare_gets_the_whole_deadline() -> None:
    """Silence alone costs nothing where nobody could take over."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    big(stage, worker)
    client.submit("j", TEXT)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    beating(stage, worker, seconds=4.5, rss=GIGABYTE)
    assert (worker.stops, stage.killed) == ([], [])
    beating(stage, worker, seconds=1.0, rss=GIGABYTE)
    assert stage.killed == ["a/0"]


def test_a_segment_is_fenced_twice_and_then_held_to_the_whole_deadline() -> None:
    """A text that silences every engine is found out as a hang, for all the spares there are."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    big(stage, one, two)
    client.submit("j", TEXT)
    for _ in range(2):
        busy = one if one.work else two
        busy.begin(busy.current)
        busy.chunk(busy.current)
        stage.pass_time(0.2)
        assert busy.stops
        busy.answer_stops()
    busy = one if one.work else two
    busy.begin(busy.current)
    busy.chunk(busy.current)
    beating(stage, one, two, seconds=4.5, rss=GIGABYTE)
    assert (busy.stops, stage.killed) == ([], [])
    beating(stage, one, two, seconds=1.0, rss=GIGABYTE)
    assert stage.killed == [busy.name]
    assert stage.core.world.jobs[1000, "j"].segments[0].deaths == 1


def test_the_usual_pause_of_a_worker_counts() -> None:
    """One that always leaves long pauses between its chunks is not fenced and not killed for them."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    big(stage, one, two)
    for worker in stage.core.world.workers.values():
        worker.gap_s = 1.0
    client.submit("j", TEXT)
    busy = one if one.work else two
    busy.begin(busy.current)
    busy.chunk(busy.current)
    beating(stage, one, two, seconds=3.5, rss=GIGABYTE)
    assert busy.stops == []
    beating(stage, one, two, seconds=1.0, rss=GIGABYTE)
    assert busy.stops


def test_stop_unanswered_within_its_grace_is_answered_with_kill() -> None:
    """Whoever does not stop is replaced; the other jobs of that worker are moved."""
    stage = Stage()
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", TEXT)
    client.submit("k", TEXT)
    for attempt in worker.work:
        worker.begin(attempt)
    client.cancel("j")
    beating(stage, worker, seconds=1.5)
    assert stage.killed == []
    beating(stage, worker, seconds=1.0)
    assert stage.killed == ["a/0"]
    world = stage.core.world
    assert "did not stop within 2 s (cancelled)" in world.workers["a/0"].last_failure
    assert world.jobs[1000, "k"].segments[0].state == "waiting"
    assert world.jobs[1000, "k"].segments[0].deaths == 0


def test_a_probe_is_never_fenced() -> None:
    """Our own words wait for the whole deadline, spare or not."""
    stage = Stage(settings(workers=2))
    one, two = stage.worker("a/0"), stage.worker("a/1")
    big(stage, one, two)
    provider = stage.core.world.providers["a"]
    provider.breaker.trip(stage.now)
    beating(stage, one, two, seconds=6.0, rss=GIGABYTE)
    busy = one if one.work else two
    busy.begin(busy.current)
    busy.chunk(busy.current)
    beating(stage, one, two, seconds=4.0, rss=GIGABYTE)
    assert (busy.stops, stage.killed) == ([], [])
    beating(stage, one, two, seconds=2.0, rss=GIGABYTE)
    assert stage.killed == [busy.name]
    assert provider.probe == ""
    assert provider.breaker.state == "open"
