"""Workers that sleep when nobody wants them, and workers that make room for a fresh one."""

from __future__ import annotations

from typing import Any

import pytest

from voicebus.bus.codec import encode
from voicebus.bus.messages import Beat, Failed, Notice, Query, Ready
from voicebus.daemon.core import fleet, upkeep
from voicebus.daemon.core.settings import Breaking, Limits

from .world_of_one import READY_BODY, FakeWorker, Stage, settings

MB = 1_000_000


def state(stage: Stage, name: str = "a/0") -> str:
    return stage.core.world.workers[name].state


def stage_with(workers: int = 1, limits: Limits | None = None, **provider: Any) -> Stage:
    return Stage(settings(workers=workers, limits=limits, provider=provider))


def rows(stage: Stage, what: str) -> list[dict[str, Any]]:
    """One list, as a client gets it."""
    from voicebus.bus.codec import decode_rows

    client = stage.client()
    client.say(Query(request="q", what=what))
    return decode_rows(client.inbox[-1][1])


def live(stage: Stage, seconds: float, rss: int = 0, vram: int = 0) -> None:
    """Let time pass; every process beats twice a second, with so much memory in use."""
    for _ in range(round(seconds * 2)):
        for worker in list(stage.processes.values()):
            if worker.session:
                worker.say(Beat(rss=rss, vram=vram))
        stage.pass_time(0.5)


def beat(worker: FakeWorker, rss: int, vram: int = 0) -> None:
    worker.say(Beat(rss=rss, vram=vram))


def say(stage: Stage, worker: FakeWorker, job: str) -> None:
    """Have a worker make a job of one sentence."""
    client = stage.client()
    client.submit(job)
    worker.speak(worker.current)
    assert client.terminals[job].state == "finished"


# --------------------------------------------------------------------------------------------------------- sleeping


def test_a_worker_without_work_is_unloaded() -> None:
    """After `idle_unload_s` it is told to leave, and its place is asleep; that is neither a failure nor a restart."""
    stage = stage_with(idle_unload_s=60.0)
    worker = stage.worker()
    live(stage, 58)
    assert not worker.quit
    live(stage, 4)
    assert worker.quit
    assert state(stage) == "draining"
    stage.exit("a/0", 0)
    live(stage, 5)
    place = stage.core.world.workers["a/0"]
    assert (place.state, place.restarts, place.last_failure, place.reason) == ("asleep", 0, "", "")
    assert stage.processes == {}


def test_nobody_is_unloaded_by_default() -> None:
    """Without `idle_unload_s` a worker stays for ever."""
    stage = stage_with()
    worker = stage.worker()
    live(stage, 4000)
    assert not worker.quit
    assert state(stage) == "ready"


def test_a_worker_at_work_is_not_idle() -> None:
    """The time runs from the last work, be it one long take or many short ones between two looks."""
    stage = stage_with(idle_unload_s=5.0)
    worker, client = stage.worker(), stage.client()
    client.submit("long")
    worker.begin(worker.current)
    for _ in range(10):
        worker.chunk(worker.current, 10)
        live(stage, 1)
    worker.speak(worker.current, 1)
    for number in range(5):
        live(stage, 3)
        say(stage, worker, f"short{number}")
    assert not worker.quit
    live(stage, 7)
    assert worker.quit


def test_some_are_kept_warm() -> None:
    """`keep_warm` workers stay up; those that were idle for longest go."""
    stage = stage_with(workers=3, idle_unload_s=10.0, keep_warm=1)
    workers = [stage.worker(f"a/{index}") for index in range(3)]
    live(stage, 5)
    client = stage.client()
    client.submit("j")
    used = next(worker for worker in workers if worker.work)
    used.speak(used.current)
    live(stage, 20)
    assert [worker.quit for worker in workers] == [worker is not used for worker in workers]
    for worker in workers:
        if worker.quit:
            stage.exit(worker.name, 0)
    assert rows(stage, "providers")[0]["asleep"] == 2
    assert rows(stage, "providers")[0]["state"] == "ready"


def test_a_job_wakes_a_sleeper_at_once() -> None:
    """A job for a provider that is asleep starts its worker without any pause, is told LOADING meanwhile, and runs."""
    stage = stage_with(idle_unload_s=5.0)
    stage.worker()
    live(stage, 7)
    stage.exit("a/0", 0)
    row = rows(stage, "providers")[0]
    assert (row["state"], row["reason"]) == ("asleep", "it is started when it is asked for")
    assert rows(stage, "workers")[0]["state"] == "asleep"
    client = stage.client()
    before = stage.now
    client.submit("j")
    assert (state(stage), stage.now) == ("spawned", before)
    stage.pass_time(2)
    assert [notice.kind for notice in client.got(Notice)] == ["loading"]
    worker = stage.worker()
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_a_sleeping_entry_is_not_passed_over() -> None:
    """A job waits for the first entry of its chain to wake, as for any that is starting, and then says it there."""
    stage = Stage(settings("a", "b", provider={"idle_unload_s": 5.0, "keep_warm": 0}))
    stage.worker("a/0"), stage.worker("b/0")
    live(stage, 7)
    stage.exit("a/0", 0)
    client = stage.client()
    client.submit("j")
    assert state(stage, "a/0") == "spawned"
    worker = stage.worker("a/0")
    worker.speak(worker.current)
    assert client.terminals["j"].speakers[0]["provider"] == "a"


def test_one_that_is_on_its_way_out_is_started_when_it_is_gone() -> None:
    """A job that comes between QUIT and the exit has its worker as soon as the process is gone."""
    stage = stage_with(idle_unload_s=5.0)
    stage.worker()
    live(stage, 7)
    client = stage.client()
    client.submit("j")
    assert state(stage) == "draining"
    stage.exit("a/0", 0)
    assert state(stage) == "spawned"
    worker = stage.worker()
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_as_many_wake_as_there_are_jobs() -> None:
    """One job wakes one sleeper, three jobs all three; a worker that is loading counts for one of them."""
    stage = stage_with(workers=3, idle_unload_s=5.0)
    for index in range(3):
        stage.worker(f"a/{index}")
    live(stage, 7)
    for index in range(3):
        stage.exit(f"a/{index}", 0)
    client = stage.client()
    client.submit("i")
    assert len(stage.processes) == 1
    stage.pass_time(3)
    assert len(stage.processes) == 1
    client.submit("j")
    client.submit("k")
    client.submit("l")
    assert len(stage.processes) == 3


def test_a_free_worker_wakes_nobody() -> None:
    """A job that waits for its own reasons does not start a sleeper while a worker is free."""
    stage = stage_with(workers=2, idle_unload_s=5.0, keep_warm=1)
    workers = [stage.worker(f"a/{index}") for index in range(2)]
    live(stage, 7)
    gone = next(worker for worker in workers if worker.quit)
    stage.exit(gone.name, 0)
    up = next(worker for worker in workers if not worker.quit)
    client = stage.client()
    client.submit("j")
    attempt = up.current
    up.begin(attempt)
    up.work.pop(attempt)
    up.say(Failed(attempt=attempt, code="rate_limited", message="slowly", retry_after=30.0))
    live(stage, 3)
    assert state(stage, gone.name) == "asleep"


def test_a_provider_that_rests_keeps_its_workers() -> None:
    """While the breaker is open or half open nobody is sent to sleep: somebody has to say the words that close it."""
    stage = Stage(settings(breaking=Breaking(failures=1, open_s=20.0), provider={"idle_unload_s": 5.0}))
    worker, client = stage.worker(), stage.client()
    client.submit("j", patience_s=0.0)
    worker.begin(worker.current)
    attempt = worker.current
    worker.work.pop(attempt)
    worker.say(Failed(attempt=attempt, code="auth", message="no"))
    live(stage, 18)
    assert not worker.quit
    live(stage, 3)
    worker.speak(worker.current)
    live(stage, 7)
    assert worker.quit


def test_one_who_will_not_leave_is_killed_and_sleeps_all_the_same() -> None:
    """However a worker ends that was sent to sleep, its place is asleep."""
    stage = stage_with(idle_unload_s=5.0)
    stage.worker()
    live(stage, 20)
    assert stage.killed == ["a/0"]
    stage.exit("a/0", None, 9)
    assert state(stage) == "asleep"


def test_a_worker_of_somebody_else_is_not_sent_away() -> None:
    """Who was not started here could not be woken here."""
    stage = Stage(settings(provider={"key": "secret", "module": "", "idle_unload_s": 5.0}))
    external = stage.external("a", "secret")
    external.ready()
    for _ in range(20):
        external.say(Beat())
        stage.pass_time(1)
    assert not external.quit


def test_a_new_configuration_wakes_and_a_stop_does_not() -> None:
    """A changed configuration is tried out at once; a sleeper costs a daemon that stops no time."""
    stage = stage_with(idle_unload_s=5.0)
    stage.worker()
    live(stage, 7)
    stage.exit("a/0", 0)
    stage.core.reload(settings(provider={"idle_unload_s": 6.0}), stage.now)
    stage.run()
    assert state(stage) == "spawned"
    stage.worker()
    live(stage, 8)
    stage.exit("a/0", 0)
    stage.core.terminate(stage.now)
    stage.run()
    live(stage, 0.5)
    assert stage.left == 0


def test_a_place_that_is_not_wanted_any_more_is_not_kept_for_its_sleep() -> None:
    """With fewer workers configured, a sleeper's place goes at once."""
    stage = stage_with(workers=2, idle_unload_s=5.0)
    stage.worker("a/0"), stage.worker("a/1")
    live(stage, 7)
    stage.exit("a/1", 0)
    configuration = settings(workers=1, provider={"idle_unload_s": 5.0})
    fleet.configure(stage.core.world, configuration, stage.now)
    assert list(stage.core.world.workers) == ["a/0"]


def test_a_worker_sent_to_sleep_by_a_daemon_that_stops_is_simply_gone() -> None:
    """Its exit after the stop began leaves nothing to be woken."""
    stage = stage_with(idle_unload_s=5.0)
    stage.worker()
    live(stage, 7)
    stage.core.terminate(stage.now)
    stage.run()
    stage.exit("a/0", 0)
    live(stage, 2)
    assert stage.left == 0


def test_a_daemon_without_clients_looks_only_while_somebody_may_be_idle() -> None:
    """The clock for idleness runs without a client, and stops when all are asleep."""
    stage = stage_with(idle_unload_s=5.0)
    stage.worker()
    assert upkeep.watching(stage.core.world)
    live(stage, 7)
    stage.exit("a/0", 0)
    assert not upkeep.watching(stage.core.world)


# -------------------------------------------------------------------------------------------------------- recycling


def grown(limits: Limits | None = None, workers: int = 1, **provider: Any) -> tuple[Stage, FakeWorker]:
    """A stage whose first worker has made a take and grown by 50 MB."""
    stage = stage_with(workers, limits, **{"recycle_rss_bytes": 40 * MB, **provider})
    worker = stage.worker()
    for index in range(1, workers):
        stage.worker(f"a/{index}")
    beat(worker, 100 * MB)
    say(stage, worker, "first")
    beat(worker, 150 * MB)
    return stage, worker


def test_a_grown_worker_is_replaced_by_one_that_is_ready() -> None:
    """Where memory holds both, the old one serves until the new one is ready; nobody waits and nothing is blamed."""
    stage, old = grown()
    stage.pass_time(1.5)
    assert sorted(stage.processes) == ["a/0", "a/1"]
    assert not old.quit
    say(stage, old, "second")
    fresh = stage.worker("a/1")
    assert old.quit
    say(stage, fresh, "third")
    stage.exit("a/0", 0)
    assert list(stage.core.world.workers) == ["a/1"]
    row = rows(stage, "workers")[0]
    assert (row["recycled"], row["restarts"], row["last_failure"]) == (1, 0, "")
    assert stage.core.world.providers["a"].breaker.snapshot(stage.now)["failures"] == 0
    assert any("a/0 uses 50 MB more memory than when it was ready" in text for text in stage.reports)


def test_the_old_one_finishes_what_it_has_however_long() -> None:
    """A take in hand is not cut off: the old worker is told to leave behind it."""
    stage, old = grown()
    stage.pass_time(1.5)
    client = stage.client()
    client.submit("j", "One here. Two here.")
    attempt = old.current
    old.begin(attempt)
    fresh = stage.worker("a/1")
    fresh.speak(fresh.current)
    for _ in range(40):
        old.chunk(attempt, 10)
        live(stage, 0.5, rss=150 * MB)
    assert not old.quit
    old.done(attempt)
    assert old.quit
    assert not old.work
    assert client.terminals["j"].state == "finished"
    assert stage.killed == []


def test_where_memory_does_not_hold_both_the_old_one_leaves_first() -> None:
    """It gets nothing new, finishes what it has, leaves, and is started in the same place at once."""
    stage, old = grown(Limits(memory_budget_bytes=240 * MB))
    client = stage.client()
    client.submit("j", "One here. Two here.")
    attempt = old.current
    old.begin(attempt)
    stage.pass_time(1.5)
    assert list(stage.processes) == ["a/0"]
    assert not old.quit
    old.chunk(attempt)
    old.done(attempt)
    assert old.quit
    assert not old.work
    stage.exit("a/0", 0)
    assert state(stage) == "spawned"
    place = stage.core.world.workers["a/0"]
    assert (place.recycled, place.restarts, place.last_failure) == (1, 0, "")
    fresh = stage.worker()
    fresh.speak(fresh.current)
    assert client.terminals["j"].state == "finished"


def test_an_idle_one_that_must_leave_first_leaves_at_once() -> None:
    """There is nothing to wait for."""
    stage, old = grown(Limits(memory_budget_bytes=240 * MB))
    stage.pass_time(1.5)
    assert old.quit


def test_so_many_takes_are_enough() -> None:
    """`recycle_jobs` counts the takes of this process, not those of the one before it."""
    stage = stage_with(recycle_jobs=2, limits=Limits(memory_budget_bytes=1))
    worker = stage.worker()
    beat(worker, 100 * MB)
    say(stage, worker, "j")
    stage.pass_time(1.5)
    assert not worker.quit
    say(stage, worker, "k")
    stage.pass_time(1.5)
    assert worker.quit
    stage.exit("a/0", 0)
    worker = stage.worker()
    say(stage, worker, "l")
    stage.pass_time(1.5)
    assert not worker.quit
    assert any("has made 2 takes" in text for text in stage.reports)


def test_growth_without_work_is_nobodys_business() -> None:
    """A worker that has made nothing is not replaced: the next one would do the same."""
    stage = stage_with(recycle_rss_bytes=MB)
    worker = stage.worker()
    beat(worker, 100 * MB)
    beat(worker, 900 * MB)
    stage.pass_time(3)
    assert list(stage.processes) == ["a/0"]


@pytest.mark.parametrize(
    ("budget", "both"), [({}, False), ({"cuda:0": 900 * MB}, True), ({"cuda:0": 500 * MB, "cuda:1": 900 * MB}, False)]
)
def test_a_device_counts_by_its_own_budget(budget: dict[str, int], both: bool) -> None:
    """Memory of a device holds both only where its budget says so; without one it is taken for too little."""
    stage = stage_with(recycle_vram_bytes=40 * MB, limits=Limits(vram_budget_bytes=budget))
    worker = stage.processes["a/0"]
    worker.register()
    worker.say(Ready(rate=1000), encode({**READY_BODY, "device": {"id": "cuda:0", "kind": "cuda"}}))
    beat(worker, 100 * MB, 400 * MB)
    say(stage, worker, "j")
    beat(worker, 100 * MB, 450 * MB)
    stage.pass_time(1.5)
    assert (len(stage.processes) == 2, worker.quit) == (both, not both)


def test_a_device_that_is_no_map_has_no_name() -> None:
    """What a worker says of its device is for people; nonsense is not held against it."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.register()
    worker.say(Ready(rate=1000), encode({**READY_BODY, "device": "a card"}))
    assert state(stage) == "ready"
    assert stage.core.world.workers["a/0"].device == ""


def test_one_at_a_time() -> None:
    """Of two workers that have grown, the second is replaced when the first is gone."""
    stage, _ = grown(workers=2)
    second = stage.processes["a/1"]
    beat(second, 100 * MB)
    client = stage.client()
    for job in ("x", "y"):
        client.submit(job)
    for worker in (stage.processes["a/0"], second):
        worker.speak(worker.current)
    beat(second, 150 * MB)
    stage.pass_time(3)
    assert sorted(stage.processes) == ["a/0", "a/1", "a/2"]
    stage.worker("a/2")
    live(stage, 2, rss=150 * MB)
    assert not second.quit
    stage.exit("a/0", 0)
    stage.pass_time(1.5)
    assert sorted(stage.processes) == ["a/0", "a/1", "a/2"]
    stage.worker("a/0")
    assert second.quit


def test_a_replacement_that_does_not_get_ready_leaves_the_old_one_at_work() -> None:
    """It is given up as any worker is; the old one stays, and it is tried again only after a while."""
    stage, old = grown()
    stage.pass_time(1.5)
    stage.exit("a/1", 78)
    assert list(stage.core.world.workers) == ["a/0"]
    say(stage, old, "second")
    live(stage, 60, rss=150 * MB)
    assert list(stage.processes) == ["a/0"]
    assert rows(stage, "providers")[0]["reason"] == ""
    assert any("a/0 stays as it is" in text for text in stage.reports)
    live(stage, 300, rss=150 * MB)
    assert sorted(stage.processes) == ["a/0", "a/1"]


def test_the_old_one_may_die_first() -> None:
    """A worker that crashes while its replacement loads is started again like any; then it makes room."""
    stage, _ = grown()
    stage.pass_time(1.5)
    stage.exit("a/0", None, 11)
    fresh = stage.worker("a/1")
    assert [name for name, worker in stage.core.world.workers.items() if worker.wanted == "up"] == ["a/1"]
    say(stage, fresh, "second")


def test_the_place_of_the_old_one_may_be_gone() -> None:
    """Neither a replacement that gets ready nor one that fails needs the old one to be there still."""
    for code in (None, 78):
        stage, _ = grown()
        stage.pass_time(1.5)
        fleet.retire(stage.core.world, stage.core.world.workers["a/0"], stage.now)
        stage.run()
        stage.exit("a/0", 0)
        if code is None:
            stage.worker("a/1")
            assert list(stage.core.world.workers) == ["a/1"]
        else:
            stage.exit("a/1", code)
            assert stage.core.world.workers == {}


def test_a_new_configuration_calls_a_replacement_off() -> None:
    """What was being made ready is of the old configuration; the places are those that are configured."""
    stage, _ = grown()
    stage.pass_time(1.5)
    stage.core.reload(settings(provider={"recycle_rss_bytes": 90 * MB}), stage.now)
    stage.run()
    assert stage.killed == ["a/1"]
    stage.exit("a/1", None, 9)
    stage.exit("a/0", 0)
    stage.worker("a/0")
    assert list(stage.core.world.workers) == ["a/0"]


def test_after_a_replacement_the_same_configuration_changes_nothing() -> None:
    """Places count, not their names: reading the configuration again starts and ends nobody."""
    stage, _ = grown(workers=2)
    stage.pass_time(1.5)
    stage.worker("a/2")
    stage.exit("a/0", 0)
    stage.core.reload(settings(workers=2, provider={"recycle_rss_bytes": 40 * MB}), stage.now)
    stage.run()
    assert sorted(stage.processes) == ["a/1", "a/2"]
    assert not any(worker.quit for worker in stage.processes.values())


def test_a_worker_beyond_its_limit_is_not_unloaded_while_it_is_replaced() -> None:
    """Sleeping and replacing do not cross: who is being replaced waits for that, and so does who replaces."""
    stage, old = grown(idle_unload_s=3.0)
    live(stage, 6, rss=150 * MB)
    assert not old.quit
    stage.worker("a/1")
    assert old.quit
