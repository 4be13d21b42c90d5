"""Who is served next, and who has to stop for it."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import PRIORITIES, UNLIMITED, Beat, CancelAll, Choice, Notice, Page, Query, Rewind
from voicebus.daemon.core.settings import Limits

from .world_of_one import FakeClient, FakeWorker, Stage, settings

LONG = "This is one sentence that is long enough to take several seconds of time to say for anybody at all."


def order(worker: FakeWorker, client: FakeClient, count: int) -> list[str]:
    """Whose segments a worker gets, one after the other."""
    names = []
    jobs = client.stage.core.world.unfinished.values()
    for _ in range(count):
        worker.answer_stops()
        names.append(next(job.id for job in jobs if worker.current in job.attempts))
        worker.speak(worker.current)
    return names


def busy(stage: Stage, client: FakeClient, worker: FakeWorker) -> None:
    """Keep the worker from anything else with a job that nothing stops."""
    client.submit("busy", "Wait.", priority="message")
    worker.begin(worker.current)


# ----------------------------------------------------------------------------------------------------------- the order


def test_classes_are_served_in_order() -> None:
    """Whatever came first: important, message, text, notification, progress."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    busy(stage, client, worker)
    for priority in reversed(PRIORITIES):
        client.submit(priority, "Hello there.", priority=priority)
    worker.speak(worker.current)
    assert order(worker, client, 5) == list(PRIORITIES)


def test_each_class_gets_a_segment_now_and_then() -> None:
    """A flood of one class does not starve those below it: each gets a segment in class_share_s, which is not stopped
    for the flood again."""
    stage = Stage(settings(limits=Limits(class_share_s=10.0)))
    worker, client = stage.worker(), stage.client()
    busy(stage, client, worker)
    client.submit("flood", " ".join(["Beep now."] * 60), priority="message")
    client.submit("note", " ".join(["Note this."] * 9), priority="notification")
    client.submit("bar", " ".join(["Half done."] * 9), priority="progress")
    worker.speak(worker.current)
    served = []
    for _ in range(45):
        assert worker.stops == []
        served += order(worker, client, 1)
        stage.pass_time(0.5)
    assert served.count("note") == 2
    assert served.count("bar") == 2
    assert served[-20:].count("flood") == 18


def test_clients_of_a_class_get_equal_shares() -> None:
    """Who asks for a whole book gets no more than who asks for a page; both go on in turn."""
    stage = Stage()
    worker, one, two = stage.worker(), stage.client(), stage.client()
    busy(stage, one, worker)
    one.submit("a1", " ".join(["Book it is."] * 4))
    one.submit("a2", " ".join(["Book it is."] * 4))
    two.submit("b", " ".join(["Page it is."] * 4))
    worker.speak(worker.current)
    assert sorted(order(worker, one, 8)) == ["a1"] * 4 + ["b"] * 4
    assert order(worker, one, 4) == ["a2"] * 4


def test_who_comes_later_has_no_claim_on_the_past() -> None:
    """A new client shares from now on; what others got before it came is not made up for."""
    stage = Stage()
    worker, one, two = stage.worker(), stage.client(), stage.client()
    one.submit("a", " ".join(["Book it is."] * 20))
    order(worker, one, 10)
    two.submit("b", " ".join(["Page it is."] * 6))
    assert order(worker, one, 8).count("b") in (3, 4)


def test_own_jobs_come_in_order() -> None:
    """A client's jobs of one class are spoken one after the other."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    for job in ("one", "two", "three"):
        client.submit(job, "First here. Second here.")
    assert order(worker, client, 6) == ["one", "one", "two", "two", "three", "three"]


def test_a_lost_segment_comes_before_new_ones() -> None:
    """The listener waits for it."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One here. Two here. Three here.")
    worker.speak(worker.current)
    worker.begin(worker.current)
    stage.exit("a/0", None, 9)
    worker = stage.worker()
    assert worker.texts[worker.current].strip() == "Two here."


# ---------------------------------------------------------------------------------------------------------- preemption


def at_work(*, workers: int = 1, slots: int = 1, heard: bool = True, factor: float = 0.5) -> tuple:
    """Workers at a book, and a client."""
    stage = Stage(settings(workers=workers))
    fleet = [stage.worker(f"a/{index}", slots=slots, factor=factor) for index in range(workers)]
    client = stage.client()
    client.submit("book", " ".join([LONG] * 6), credit=UNLIMITED if heard else 0)
    for worker in fleet:
        for attempt in worker.work:
            worker.begin(attempt)
            worker.chunk(attempt)
    return stage, fleet, client


@pytest.mark.parametrize("priority", ["important", "message"])
def test_urgent_speech_stops_what_can_wait(priority: str) -> None:
    """A book's sentence gives way at once; its listener hears it again from its start afterwards, and it is no
    failure."""
    stage, (worker,), client = at_work()
    book = worker.current
    client.submit("now", "Look out!", priority=priority)
    assert worker.stops == [book]
    worker.answer_stops()
    assert worker.texts[worker.current] == "Look out!"
    assert client.last(Rewind).job == "book"
    worker.speak(worker.current)
    assert client.terminals["now"].state == "finished"
    job = stage.core.world.jobs[1000, "book"]
    assert (job.stops, job.segments[0].stops, job.segments[0].deaths, job.segments[0].tries_here) == (1, 1, 0, 0)
    assert worker.texts[worker.current] == LONG
    assert stage.core.world.providers["a"].breaker.snapshot(stage.now)["failures"] == 0


@pytest.mark.parametrize("priority", ["text", "notification", "progress"])
def test_what_can_wait_stops_nobody(priority: str) -> None:
    """Classes from text on are an order only."""
    _, (worker,), client = at_work()
    client.submit("later", "Hello there.", priority=priority)
    assert worker.stops == []


def test_urgent_speech_does_not_stop_urgent_speech() -> None:
    """A message runs to its end, also for something important."""
    stage = Stage()
    worker, client = stage.worker(factor=0.5), stage.client()
    client.submit("message", LONG, priority="message")
    worker.begin(worker.current)
    client.submit("now", "Look out!", priority="important")
    assert worker.stops == []


def test_a_free_slot_is_taken_first() -> None:
    """Nobody is stopped where a slot is free, on the same worker or another."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    client.submit("book", LONG)
    busy_one, free = (one, two) if one.work else (two, one)
    busy_one.begin(busy_one.current)
    client.submit("now", "Look out!", priority="important")
    assert busy_one.stops == []
    assert free.texts[free.current] == "Look out!"


def test_a_slot_that_is_about_to_be_free_is_waited_for() -> None:
    """Less than 100 ms are not worth a sentence that is heard twice."""
    stage, (worker,), client = at_work(factor=0.01)
    client.submit("now", "Look out!", priority="important")
    assert worker.stops == []
    worker.done(worker.current)
    assert worker.texts[worker.current] == "Look out!"
    assert stage.killed == []


def test_a_worker_of_unknown_speed_is_not_taken_to_be_about_to_finish() -> None:
    """Where nothing is known, a second of speech is taken to cost a second."""
    _, (worker,), client = at_work(factor=0.0)
    client.submit("now", "Look out!", priority="important")
    assert len(worker.stops) == 1


def test_a_take_that_nobody_heard_is_stopped_first() -> None:
    """Of two, the one that no listener was sent any of, though it has come further."""
    stage, (one, two), client = at_work(workers=2)
    jobs = stage.core.world.jobs[1000, "book"]
    first = one if jobs.segments[0].attempt in one.work else two
    ahead = two if first is one else one
    ahead.chunk(ahead.current)
    client.submit("now", "Look out!", priority="important")
    assert ahead.stops
    assert not first.stops


def test_of_those_the_least_advanced_is_stopped() -> None:
    """What costs least to make again."""
    _, workers, client = at_work(workers=3, heard=False)
    for count, worker in zip((300, 100, 200), workers, strict=True):
        worker.chunk(worker.current, count)
    client.submit("now", "Look out!", priority="important")
    assert [bool(worker.stops) for worker in workers] == [False, True, False]


def test_one_at_a_time_is_stopped() -> None:
    """While a slot is being freed nobody else has to give way."""
    _, workers, client = at_work(workers=2)
    client.submit("now", "Look out!", priority="important")
    client.submit("too", "There as well!", priority="important")
    assert sum(len(worker.stops) for worker in workers) == 1


def test_a_segment_is_stopped_twice_at_most() -> None:
    """A stream of urgent speech does not make a book's sentence start for ever."""
    stage, (worker,), client = at_work()
    for job in ("one", "two"):
        client.submit(job, "Look out!", priority="important")
        assert len(worker.stops) == 1
        worker.answer_stops()
        worker.speak(worker.current)
        worker.begin(worker.current)
    client.submit("three", "Look out!", priority="important")
    assert worker.stops == []
    assert stage.core.world.jobs[1000, "book"].segments[0].stops == 2
    worker.speak(worker.current)
    assert worker.texts[worker.current] == "Look out!"


def test_a_probe_is_not_stopped() -> None:
    """Our own few words are over in a moment, and decide whether anybody is served here."""
    stage = Stage()
    worker, client = stage.worker(slots=2, factor=0.5), stage.client()
    client.submit("book", LONG)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    provider = stage.core.world.providers["a"]
    provider.breaker.trip(stage.now)
    for _ in range(6):
        worker.chunk(worker.current)
        stage.pass_time(1.0)
    assert provider.probe
    provider.breaker.success(stage.now)
    client.submit("now", "Look out!", priority="important")
    assert worker.stops == []


def test_a_suspect_worker_is_not_asked_to_stop() -> None:
    """Who is silent would not answer in time."""
    stage = Stage(settings(provider={"chunk_s": 30.0}))
    worker, client = stage.worker(factor=0.5), stage.client()
    client.submit("book", LONG)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    stage.pass_time(5.0)
    client.submit("now", "Look out!", priority="important")
    assert worker.stops == []
    worker.say(Beat())
    assert len(worker.stops) == 1


# ------------------------------------------------------------------------------------------------- as far as is wanted


def test_audio_is_made_so_far_ahead_of_the_listener() -> None:
    """For a listener the look-ahead counts in seconds beyond what he heard; then the worker is free for others."""
    stage = Stage(settings(limits=Limits(look_ahead_s=5.0)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", " ".join(["Go on then."] * 20), credit=1000)
    while worker.work:
        worker.speak(worker.current, 10)
    job = stage.core.world.jobs[1000, "j"]
    assert (job.made, job.state) == (5000, "waiting")
    client.grant("j", 3000, heard=1000)
    while worker.work:
        worker.speak(worker.current, 10)
    assert job.made == 6000
    client.grant("j", UNLIMITED)
    while worker.work:
        worker.speak(worker.current, 10)
    assert client.terminals["j"].samples == 20_000


def test_what_is_under_way_counts_as_made() -> None:
    """With many slots, no more is started than is wanted."""
    stage = Stage(settings(limits=Limits(look_ahead_s=2.0)))
    worker, client = stage.worker(slots=16), stage.client()
    client.submit("j", " ".join(["Go on with it then."] * 20), credit=1000)
    assert len(worker.work) == 2


def test_nothing_is_made_for_a_listener_who_is_not_there() -> None:
    """A job to be listened to waits for somebody who listens."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "Go on then.", read="none")
    assert not worker.work
    client.attach("j")
    assert worker.work


def test_a_job_to_be_rendered_is_made_to_its_end() -> None:
    """Nobody needs to listen; only the disk's share is a bound."""
    stage = Stage(settings(limits=Limits(look_ahead_s=1.0)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", " ".join(["Go on then."] * 20), pace="render", read="none")
    while worker.work:
        worker.speak(worker.current, 10)
    assert stage.core.world.jobs[1000, "j"].state == "finished"


def test_a_job_in_memory_keeps_within_its_share() -> None:
    """What is not kept on disk is not made far ahead either."""
    stage = Stage(settings(limits=Limits(memory_job_bytes=1500)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", " ".join(["Go on then."] * 9), keep="nothing", credit=0)
    while worker.work:
        worker.speak(worker.current)
    assert stage.core.world.jobs[1000, "j"].made == 900


def test_a_job_of_unknown_rate_is_begun() -> None:
    """Before the first attempt nobody needs to know it."""
    stage = Stage(settings(provider={"rate": 0}))
    client = stage.client()
    client.submit("j", "Go on then.", credit=10)
    assert stage.worker().work


def test_segments_spread_over_workers_and_come_in_order() -> None:
    """Whichever is done first: what is heard is in the order of the text."""
    stage = Stage(settings(workers=3))
    workers = [stage.worker(f"a/{index}") for index in range(3)]
    client = stage.client()
    client.submit("j", "One here. Two here. Three here.")
    assert [len(worker.work) for worker in workers] == [1, 1, 1]
    by_segment = {s.number: s.attempt for s in stage.core.world.jobs[1000, "j"].segments}
    for number in (2, 0, 1):
        worker = next(worker for worker in workers if by_segment[number] in worker.work)
        worker.speak(by_segment[number], chunks=number + 1)
    assert [(take, at) for at, _, take in client.takes["j"] if at in (0, 100, 300)] == [
        (by_segment[0], 0),
        (by_segment[1], 100),
        (by_segment[2], 300),
    ]
    assert len(client.audio["j"]) == 2 * 600
    assert client.terminals["j"].state == "finished"


def test_speed_decides_between_workers_of_one_entry() -> None:
    """The one that is expected to be heard first is taken, with what it has in hand counted in its own speed."""
    stage = Stage(settings(workers=2))
    slow = stage.worker("a/0", slots=4, factor=1.0, first_audio_s=0.5)
    fast = stage.worker("a/1", slots=4, factor=0.01, first_audio_s=0.1)
    client = stage.client()
    client.submit("j", " ".join([LONG] * 5))
    assert (len(slow.work), len(fast.work)) == (1, 4)


# -------------------------------------------------------------------------------------------------------- the queue


def test_a_cancelled_job_leaves_its_queue() -> None:
    """The others move up, and what nobody waits in is empty."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    other = stage.client()
    client.submit("one", "Hello there. Hello again.")
    client.submit("two", "Hello there.")
    other.submit("three", "Hello there.")
    client.cancel("two")
    client.say(CancelAll(request="r"))
    other.cancel("three")
    assert not any(q.clients for q in stage.core.world.providers["a"].queues.values())
    worker.answer_stops()
    assert not worker.work


def test_a_waiting_job_is_told_its_place() -> None:
    """Those of the same or an earlier class that came before it are in front."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("one", LONG + " And so on.", priority="text")
    worker.begin(worker.current)
    client.submit("two", LONG, priority="text")
    client.submit("later", LONG, priority="progress")
    client.submit("three", LONG, priority="text")
    worker.chunk(worker.current)
    stage.pass_time(1.5)
    queued = [n for n in client.got(Notice) if n.kind == "queued"]
    places = {n.job: n.data["place"] for n in queued}
    assert places == {"two": 1, "later": 2, "three": 2}
    client.say(Query(request="q", what="jobs"))
    assert client.last(Page).what == "jobs"


def test_a_job_that_moves_to_another_provider_changes_queues() -> None:
    """It waits where it will be served, and only there."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("first", LONG, chain=[Choice("a")])
    client.submit("j", LONG)
    one.begin(one.current)
    world = stage.core.world
    assert world.jobs[1000, "j"].queued_at_provider == "a"
    world.providers["a"].breaker.trip(stage.now)
    world.reroute.add("a")
    stage.core.tick(stage.now)
    stage.run()
    assert not world.providers["a"].queues["text"].clients
    assert two.work
