"""The lives of workers, and what a new configuration makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicebus.bus import codec
from voicebus.bus.messages import Beat, Choice, Greet, Quit, Ready, Refused, Register, Welcome
from voicebus.daemon.core.settings import Provider, Restart, Settings

from .world_of_one import READY_BODY, FakeWorker, Stage, settings

TEXT = "A sentence of some length, for the engine to say."


def state(stage: Stage, name: str = "a/0") -> str:
    return stage.core.world.workers[name].state


def last(worker: FakeWorker, kind: type) -> object:
    return [message for message, _ in worker.inbox if type(message) is kind][-1]


def reload(stage: Stage, configuration: Settings) -> None:
    stage.core.reload(configuration, stage.now)
    stage.run()


# ------------------------------------------------------------------------------------------------- coming and going


def test_killed_from_outside_is_replaced_at_once_and_nobody_is_blamed() -> None:
    """No pause, nothing for the breaker, no death of the segment."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    for _ in range(4):
        worker.begin(worker.current)
        worker.chunk(worker.current)
        stage.exit("a/0", None, 9)
        worker = stage.worker()
    segment = stage.core.world.jobs[1000, "j"].segments[0]
    assert (segment.deaths, segment.tries_here, segment.tries) == (0, 0, 5)
    assert stage.core.world.providers["a"].breaker.snapshot(stage.now)["failures"] == 0
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_a_crash_at_work_is_replaced_after_a_pause() -> None:
    """The pause is a random part of a length that doubles; a worker that was well for long starts anew."""
    stage = Stage()
    pauses = []
    for well in (0.0, 0.0, 0.0, 20.0):
        worker = stage.worker()
        for _ in range(int(well)):
            worker.say(Beat())
            stage.pass_time(1.0)
        stage.exit("a/0", 1)
        assert state(stage) == "backoff"
        pauses.append(stage.core.world.workers["a/0"].retry_at - stage.now)
        stage.pass_time(3.0)
        assert state(stage) == "spawned"
    for pause, longest in zip(pauses, (0.5, 1.0, 2.0, 0.5), strict=True):
        assert 0 <= pause < longest
    assert stage.core.world.workers["a/0"].restarts == 4


def test_pauses_are_not_the_same_for_all() -> None:
    """Many workers that died together do not come back together."""
    stage = Stage(settings(workers=5))
    for name in list(stage.processes):
        stage.worker(name)
        stage.exit(name, 1)
    assert len({worker.retry_at for worker in stage.core.world.workers.values()}) == 5


def test_too_many_deaths_before_ready_are_fatal_and_the_reason_is_told() -> None:
    """After the intensity limit a worker is left alone, and jobs hear why."""
    stage = Stage(settings(restart=Restart(intensity=2)))
    client = stage.client()
    client.submit("j", TEXT)
    for _ in range(3):
        stage.exit("a/0", 1)
        stage.pass_time(5.0)
    assert state(stage) == "fatal"
    reason = stage.core.world.workers["a/0"].reason
    assert reason == "a/0 died too often before it was ready; the last time it exited with code 1 (last words)"
    assert client.terminals["j"].code == "unavailable"
    assert "last words" in client.terminals["j"].message
    assert any("left alone until its configuration changes" in text for text in stage.reports)


def test_exit_78_is_fatal_at_once() -> None:
    """A worker that says its configuration is bad is not started again."""
    stage = Stage()
    stage.exit("a/0", 78)
    assert state(stage) == "fatal"
    assert "cannot work as it is configured" in stage.core.world.workers["a/0"].reason


def test_a_lost_connection_is_forgotten_with_its_process() -> None:
    """A worker that says REGISTER and dies of it loses connection and process; nobody waits for either afterwards."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.register()
    stage.core.worker_gone(worker.peer, stage.now)
    stage.exit("a/0", 78)
    stage.pass_time(10.0)
    assert (state(stage), stage.core.world.workers["a/0"].lost_at) == ("fatal", None)


def test_a_process_that_cannot_be_started_counts_as_a_death() -> None:
    """No process at all is tried again, and given up in the end."""
    stage = Stage(settings(restart=Restart(intensity=0)))
    stage.processes.clear()
    stage.core.spawn_failed("a/0", "no such file", stage.now)
    assert state(stage) == "fatal"
    assert stage.core.world.workers["a/0"].reason.endswith("could not be started (no such file)")


def test_a_death_without_last_words_is_told_as_well() -> None:
    """The reason does not need anything on standard error."""
    stage = Stage(settings(restart=Restart(intensity=0)))
    stage.processes.clear()
    stage.core.exited("a/0", 3, None, [], stage.now)
    assert stage.core.world.workers["a/0"].reason.endswith("exited with code 3")


def test_not_ready_within_load_s_is_killed() -> None:
    """Both who never registers and who never gets ready."""
    stage = Stage(settings("a", "b"))
    stage.processes["b/0"].register()
    for _ in range(59):
        stage.processes["b/0"].say(Beat(state="loading", percent=5.0, note="weights"))
        stage.pass_time(1.0)
    assert stage.killed == []
    stage.pass_time(2.0)
    assert sorted(stage.killed) == ["a/0", "b/0"]
    stage.exit("a/0", None, 9)
    assert stage.core.world.workers["a/0"].last_failure == "was not ready within 60 s: last words"


def test_missed_beats_make_a_worker_suspect_and_any_word_makes_it_well() -> None:
    """A suspect gets no new work; it is ready again with the first thing it says."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    stage.pass_time(4.0)
    assert state(stage) == "suspect"
    assert stage.core.world.workers["a/0"].reason.startswith("silent for 3.5")
    client.submit("j", TEXT)
    assert not worker.work
    worker.say(Beat())
    assert state(stage) == "ready"
    assert worker.work


def test_an_idle_worker_that_stays_silent_is_replaced() -> None:
    """Ten seconds without a word are the end of one that has nothing to do."""
    stage = Stage()
    stage.worker()
    stage.pass_time(11.0)
    assert stage.killed == ["a/0"]
    stage.exit("a/0", None, 9)
    assert stage.core.world.workers["a/0"].last_failure == "was silent for 10 s"


def test_a_suspect_at_work_is_judged_by_its_work() -> None:
    """Who sends no beats but has an attempt in hand loses it by the deadline of the attempt, not by its silence."""
    stage = Stage(settings(provider={"first_chunk_s": 30.0}))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    stage.pass_time(25.0)
    assert (state(stage), stage.killed) == ("suspect", [])
    stage.pass_time(6.0)
    assert stage.killed == ["a/0"]


# -------------------------------------------------------------------------------------------------------- letting in


def test_a_wrong_ticket_is_refused() -> None:
    """Who does not show the ticket that was given out is not let in, whatever he calls himself."""
    stage = Stage()
    stranger = FakeWorker(stage, "a/0", "guess", "a")
    stranger.register()
    assert last(stranger, Refused).code == "ticket"
    assert stranger.session == ""
    assert state(stage) == "spawned"
    stranger.provider = "z"
    stranger.register()
    assert last(stranger, Refused).code == "unknown_provider"


def test_a_ticket_is_good_for_one_process() -> None:
    """The ticket of a dead process opens nothing."""
    stage = Stage()
    old = stage.worker()
    stage.exit("a/0", None, 9)
    stage.unreachable.clear()
    old.register()
    assert last(old, Refused).code == "ticket"


def test_another_protocol_is_refused_with_both_ranges() -> None:
    """A worker of another version is told what is spoken here."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.register()
    worker.say(Register(low=7, high=9, ticket=worker.ticket, provider="a"))
    assert last(worker, Refused).code == "version"
    assert "speaks protocol 7 to 9" in last(worker, Refused).message


def test_a_repeated_register_gets_the_same_session() -> None:
    """REGISTER is repeated until it is answered; that changes nothing."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.register()
    first = worker.session
    worker.say(Register(ticket=worker.ticket, provider="a"))
    assert worker.session == first


def test_a_second_register_of_the_same_process_replaces_the_first_session() -> None:
    """The old session is void and with it its attempts, without blame; frames of it come from a stranger."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    before, peer = worker.session, worker.peer
    worker.say(Register(ticket=worker.ticket, provider="a"))
    assert worker.session != before
    assert state(stage) == "connected"
    worker.register()
    assert worker.peer != peer
    worker.ready()
    segment = stage.core.world.jobs[1000, "j"].segments[0]
    assert (segment.deaths, segment.tries_here, segment.tries) == (0, 0, 2)
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"
    assert len(client.audio["j"]) == 600


def test_a_lost_connection_is_given_time_to_come_back() -> None:
    """The attempt is void without blame; a process that registers anew goes on with its model."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    stage.core.worker_gone(worker.peer, stage.now)
    stage.run()
    assert state(stage) == "suspect"
    stage.pass_time(4.0)
    worker.register()
    worker.ready()
    assert stage.killed == []
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"
    assert stage.core.world.jobs[1000, "j"].segments[0].deaths == 0


def test_a_connection_that_does_not_come_back_is_the_end_of_its_process() -> None:
    """After five seconds it is killed."""
    stage = Stage()
    worker = stage.worker()
    stage.core.worker_gone(worker.peer, stage.now)
    stage.core.worker_gone(worker.peer, stage.now)
    stage.pass_time(6.0)
    assert stage.killed == ["a/0"]


def test_a_worker_that_comes_back_late_in_its_life_has_time_to_say_that_it_is_ready() -> None:
    """Its time to load is long over; a look between REGISTER and READY kills nobody."""
    stage = Stage(settings("a", provider={"load_s": 5.0}))
    worker = stage.worker()
    for _ in range(10):
        stage.pass_time(1.0)
        worker.say(Beat(state="ready"))
    worker.register()
    stage.pass_time(0.2)
    assert stage.killed == []
    worker.ready()
    assert stage.core.world.workers["a/0"].state == "ready"


def test_strangers_are_told_to_register() -> None:
    """Whoever speaks without a session, or under an old one, is asked to greet."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.peer = b"stranger"
    stage.worker_peers[worker.peer] = worker
    worker.say(Beat())
    assert type(worker.inbox[-1][0]) is Greet
    assert stage.core.world.counters["strange worker messages"] == 1


# --------------------------------------------------------------------------------------------------------- external


def external(**changes: object) -> Settings:
    return settings(provider={"key": "secret", "module": "", **changes})


def test_external_workers_are_let_in_by_the_providers_key() -> None:
    """Each that shows the key gets a place of its own, and work."""
    stage = Stage(external())
    one, two, client = stage.external("a", "secret"), stage.external("a", "secret"), stage.client()
    one.ready()
    two.ready()
    assert sorted(stage.core.world.workers) == ["a/x1", "a/x2"]
    client.submit("j", "One here. Two here.")
    for worker in (one, two):
        worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"
    wrong = stage.external("a", "guess")
    assert last(wrong, Refused).code == "ticket"


def test_no_key_lets_nobody_in() -> None:
    """A provider without a key takes no external workers, also none with an empty one."""
    stage = Stage()
    assert last(stage.external("a", ""), Refused).code == "ticket"


def test_an_external_worker_that_registers_again_keeps_its_place() -> None:
    """Its bearer is known by the connection, since a key is nobody's own."""
    stage = Stage(external())
    worker = stage.external("a", "secret")
    worker.ready()
    worker.say(Register(ticket="secret", provider="a"))
    assert list(stage.core.world.workers) == ["a/x1"]
    assert state(stage, "a/x1") == "connected"


def test_an_external_worker_that_falls_silent_is_forgotten() -> None:
    """Its attempt goes to somebody else without blame; there is no process to kill."""
    stage = Stage(external(first_chunk_s=60.0))
    worker, client = stage.external("a", "secret"), stage.client()
    worker.ready()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    other = stage.external("a", "secret")
    other.ready()
    for _ in range(11):
        other.say(Beat())
        stage.pass_time(1.0)
    assert (list(stage.core.world.workers), stage.killed) == (["a/x2"], [])
    other.speak(other.current)
    assert client.terminals["j"].state == "finished"
    assert stage.core.world.jobs[1000, "j"].segments[0].deaths == 0


def test_an_external_worker_that_hangs_is_forgotten_at_once() -> None:
    """Beats do not save it: the deadline of its attempt ends its session."""
    stage = Stage(external())
    worker, client = stage.external("a", "secret"), stage.client()
    worker.ready()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    for _ in range(22):
        if stage.core.world.workers:
            worker.say(Beat())
        stage.pass_time(0.5)
    assert stage.core.world.workers == {}
    assert stage.core.world.jobs[1000, "j"].segments[0].deaths == 1


def test_the_connection_of_an_external_worker_may_come_back_as_another() -> None:
    """The old place is given up after five seconds, the new one counts at once."""
    stage = Stage(external())
    worker = stage.external("a", "secret")
    worker.ready()
    stage.core.worker_gone(worker.peer, stage.now)
    worker.register()
    worker.ready()
    stage.pass_time(3.0)
    worker.say(Beat())
    stage.pass_time(3.0)
    assert list(stage.core.world.workers) == ["a/x2"]


# ---------------------------------------------------------------------------------------------------- breaking rules


@pytest.mark.parametrize(
    ("ready", "body", "what"),
    [
        (Ready(rate=999), READY_BODY, "a rate of 999"),
        (Ready(rate=16000, slots=257), READY_BODY, "257 slots"),
        (Ready(rate=16000), {"voices": []}, "its READY is wrong"),
        (Ready(rate=16000), {**READY_BODY, "capabilities": {"default_voices": {"": "zz"}}}, "its READY is wrong"),
    ],
)
def test_a_ready_that_cannot_be_is_a_broken_protocol(ready: Ready, body: object, what: str) -> None:
    """A worker with an impossible rate, number of slots or list of voices is killed, and serves nobody."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.register()
    worker.say(ready, codec.encode(body))
    assert stage.killed == ["a/0"]
    assert what in stage.core.world.workers["a/0"].last_failure
    assert stage.core.world.providers["a"].catalogue is None


def test_a_ready_whose_body_is_no_map_is_a_broken_protocol() -> None:
    """Bytes that nobody can read are judged like any other."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.register()
    worker.say(Ready(rate=16000), b"\xc1")
    assert stage.killed == ["a/0"]


def test_a_message_that_is_none_costs_its_sender() -> None:
    """A known worker that sends rubbish is killed; a stranger's rubbish is only counted."""
    stage = Stage()
    worker = stage.worker()
    stage.core.bad_worker_message(b"stranger", "rubbish", stage.now)
    assert stage.killed == []
    stage.core.bad_worker_message(worker.peer, "rubbish", stage.now)
    stage.run()
    assert stage.killed == ["a/0"]
    assert stage.core.world.counters["bad worker messages"] == 2


def test_who_is_being_killed_is_not_listened_to() -> None:
    """Between the kill and the exit a worker can neither register nor get ready nor lose its connection for long."""
    stage = Stage()
    worker = stage.worker()
    stage.core.bad_worker_message(worker.peer, "rubbish", stage.now)
    worker.ready()
    worker.say(Register(ticket=worker.ticket, provider="a"))
    stage.core.bad_worker_message(worker.peer, "more rubbish", stage.now)
    stage.core.worker_gone(worker.peer, stage.now)
    stage.run()
    stage.pass_time(20.0)
    assert state(stage) == "stopping"
    stage.exit("a/0", None, 9)
    assert state(stage) in ("backoff", "spawned")
    assert stage.core.world.workers["a/0"].last_failure.startswith("broke the protocol")


# ---------------------------------------------------------------------------------------------- a new configuration


def test_what_has_not_changed_is_left_alone() -> None:
    """Reading the same configuration again touches no worker."""
    stage = Stage()
    worker = stage.worker()
    reload(stage, settings())
    assert not worker.quit
    assert state(stage) == "ready"


def test_a_changed_provider_is_restarted_when_its_worker_is_done() -> None:
    """The worker finishes what it has, gets nothing new, leaves, and comes back with the new settings at once."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", "One here. Two here.")
    one.begin(one.current)
    changed = settings("a", "b")
    changed.providers["a"] = replace(changed.providers["a"], settings={"model": "large"})
    reload(stage, changed)
    assert one.quit
    assert not two.quit
    one.speak(one.current)
    assert not one.work
    assert "j" not in client.terminals
    stage.exit("a/0", 0)
    new = stage.worker("a/0")
    assert last(new, Welcome).settings == {"model": "large"}
    new.speak(new.current)
    assert client.terminals["j"].state == "finished"
    assert stage.core.world.providers["a"].breaker.snapshot(stage.now)["failures"] == 0


def test_who_left_as_he_was_told_blames_no_text() -> None:
    """The exit of a worker that was told to finish may be seen before its last frames, or those may be lost: the
    sentence is said again, and neither it nor its provider pays for that."""
    stage = Stage(settings("a", "b"))
    client = stage.client()
    for count in range(3):
        worker = stage.worker("a/0")
        if not count:
            client.submit("j", "One here.")
        worker.begin(worker.current)
        worker.chunk(worker.current)
        changed = settings("a", "b")
        changed.providers["a"] = replace(changed.providers["a"], settings={"model": str(count)})
        reload(stage, changed)
        assert worker.quit
        stage.exit("a/0", 0)
    worker = stage.worker("a/0")
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"
    assert stage.core.world.jobs[1000, "j"].segments[0].deaths == 0
    assert stage.core.world.providers["a"].breaker.snapshot(stage.now)["failures"] == 0


def test_a_changed_provider_with_a_worker_that_is_not_in_yet_kills_it() -> None:
    """A process without a session cannot be asked; it is replaced at once."""
    stage = Stage()
    reload(stage, settings(provider={"settings": {"x": 1}}))
    assert stage.killed == ["a/0"]
    reload(stage, settings(provider={"settings": {"x": 2}}))
    stage.exit("a/0", None, 9)
    assert state(stage) == "spawned"
    assert stage.core.world.workers["a/0"].settings.settings == {"x": 2}


def test_a_worker_that_does_not_finish_when_told_to_is_killed_and_its_segment_not_blamed() -> None:
    """Ten seconds are enough; that it was cut off was our wish."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    client.submit("j", TEXT)
    busy = one if one.work else two
    busy.begin(busy.current)
    reload(stage, settings(workers=2, provider={"env": {"X": "1"}}))
    for _ in range(24):
        if busy.name in stage.processes and busy.work:
            busy.chunk(busy.current, 10)
        stage.pass_time(0.5)
        for name in [name for name in stage.killed if name in stage.processes]:
            stage.exit(name, None, 9)
    assert stage.killed.count(busy.name) == 1
    segment = stage.core.world.jobs[1000, "j"].segments[0]
    assert (segment.deaths, segment.tries_here) == (0, 0)
    assert stage.core.world.providers["a"].breaker.snapshot(stage.now)["failures"] == 0


def test_a_draining_worker_may_register_again_and_loses_its_connection_without_harm() -> None:
    """It stays on its way out, and is told so again, since the first word may have gone with the connection."""
    stage = Stage()
    worker = stage.worker()
    reload(stage, settings(provider={"env": {"X": "1"}}))
    stage.core.worker_gone(worker.peer, stage.now)
    worker.quit = False
    worker.register()
    assert worker.quit, "it does not know yet that it is to leave"
    worker.ready()
    assert state(stage) == "draining"
    reload(stage, settings(provider={"env": {"X": "2"}}))
    assert state(stage) == "draining"


def test_a_connected_worker_that_is_unreachable_stays_connected() -> None:
    """Until it comes back or its time is over."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.register()
    stage.core.worker_gone(worker.peer, stage.now)
    assert state(stage) == "connected"
    worker.register()
    worker.ready()
    assert state(stage) == "ready"
    worker.ready()
    assert state(stage) == "ready"
    stage.core.worker_gone(worker.peer, stage.now)
    worker.register()
    assert state(stage) == "connected"


def test_a_suspect_that_gets_ready_is_ready() -> None:
    """READY is a sign of life like any other."""
    stage = Stage()
    worker = stage.worker()
    stage.pass_time(4.0)
    assert state(stage) == "suspect"
    worker.ready()
    assert state(stage) == "ready"


def test_a_suspect_can_be_told_to_leave() -> None:
    """Silence does not keep a worker from being replaced."""
    stage = Stage()
    worker = stage.worker()
    stage.pass_time(4.0)
    reload(stage, settings(provider={"env": {"X": "1"}}))
    assert worker.quit
    stage.exit("a/0", 0)
    assert state(stage) == "spawned"


def test_a_connected_worker_can_be_told_to_leave() -> None:
    """One that still loads is asked as well."""
    stage = Stage()
    stage.processes["a/0"].register()
    reload(stage, settings(provider={"env": {"X": "1"}}))
    assert type(stage.processes["a/0"].inbox[-1][0]) is Quit


def test_who_was_given_up_is_tried_again_when_the_configuration_is_read_again() -> None:
    """Whoever asks for that has mended something, perhaps not in the file but a package. Others are left alone."""
    stage = Stage(settings(workers=2))
    worker = stage.worker("a/1")
    stage.exit("a/0", 78)
    assert state(stage) == "fatal"
    reload(stage, settings(workers=2))
    assert state(stage) == "spawned"
    assert not worker.quit
    stage.worker("a/0")
    assert state(stage) == "ready"


def test_more_workers_are_started_and_surplus_ones_leave() -> None:
    """Only the number changed: the others stay as they are."""
    stage = Stage()
    one = stage.worker("a/0")
    reload(stage, settings(workers=3))
    assert sorted(stage.processes) == ["a/0", "a/1", "a/2"]
    two, three = stage.worker("a/1"), stage.worker("a/2")
    reload(stage, settings(workers=1))
    assert (one.quit, two.quit, three.quit) == (False, True, True)
    stage.exit("a/1", 0)
    assert sorted(stage.core.world.workers) == ["a/0", "a/2"]
    reload(stage, settings(workers=3))
    stage.exit("a/2", 0)
    assert sorted(stage.processes) == ["a/0", "a/1", "a/2"]
    reload(stage, settings(workers=2))
    assert [name for name, w in stage.core.world.workers.items() if w.wanted == "up"] == ["a/0", "a/1"]


def test_surplus_workers_of_a_changed_provider_do_not_come_back() -> None:
    """Fewer workers and other settings at once: the surplus leaves, the rest is restarted."""
    stage = Stage(settings(workers=2))
    stage.worker("a/0")
    stage.worker("a/1")
    reload(stage, settings(workers=1, provider={"workers": 1, "env": {"X": "1"}}))
    stage.exit("a/0", 0)
    stage.exit("a/1", 0)
    assert list(stage.processes) == ["a/0"]
    assert list(stage.core.world.workers) == ["a/0"]


def test_a_fatal_worker_is_forgiven_when_its_configuration_changes() -> None:
    """It is started again at once, with a clean record; so is one that was to wait."""
    stage = Stage(settings("a", "b"))
    stage.exit("a/0", 78)
    stage.exit("b/0", 1)
    assert (state(stage, "a/0"), state(stage, "b/0")) == ("fatal", "backoff")
    stage.core.world.providers["a"].breaker.trip(stage.now, 3000.0)
    reload(stage, settings("a", "b", provider={"env": {"X": "1"}}))
    assert (state(stage, "a/0"), state(stage, "b/0")) == ("spawned", "spawned")
    assert stage.core.world.providers["a"].breaker.allows(stage.now)


def test_a_removed_provider_is_drained_and_forgotten() -> None:
    """Its worker finishes and leaves; jobs move on; then nothing is left of it."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", "One here. Two here.")
    one.begin(one.current)
    reload(stage, settings("b"))
    assert one.quit
    one.speak(one.current)
    stage.pass_time(1.5)
    assert two.work
    stage.exit("a/0", 0)
    assert "a" in stage.core.world.providers
    two.speak(two.current)
    assert client.terminals["j"].state == "finished"
    assert [s["provider"] for s in client.terminals["j"].speakers] == ["a", "b"]
    stage.pass_time(1.5)
    assert list(stage.core.world.providers) == ["b"]
    assert list(stage.core.world.workers) == ["b/0"]


def test_a_job_at_a_provider_that_is_removed_is_told_why() -> None:
    """Also where the provider has no process that could leave."""
    stage = Stage(settings("a", "b"))
    client = stage.client()
    stage.exit("a/0", 1)
    client.submit("j", TEXT, chain=[Choice("a")])
    reload(stage, settings("b"))
    assert client.terminals["j"].code == "unavailable"
    assert "no longer configured" in client.terminals["j"].message


def test_a_removed_provider_that_comes_back_is_taken_up_again() -> None:
    """Its worker, told to leave already, is replaced by a new one."""
    stage = Stage(settings("a", "b"))
    stage.worker("a/0")
    reload(stage, settings("b"))
    reload(stage, settings("a", "b"))
    stage.exit("a/0", 0)
    assert state(stage, "a/0") == "spawned"


def test_providers_of_other_machines_start_nothing() -> None:
    """Without a module or a command there is no process; external workers may come."""
    stage = Stage(Settings(providers={"a": Provider("a", key="k"), "c": Provider("c", command=("run",))}))
    assert list(stage.processes) == ["c/0"]


def test_external_workers_of_a_changed_provider_stay() -> None:
    """They were started by somebody else and are restarted by him; a removed provider lets them go."""
    stage = Stage(external())
    worker = stage.external("a", "secret")
    worker.ready()
    reload(stage, external(env={"X": "1"}))
    assert not worker.quit
    reload(stage, settings("b"))
    assert worker.quit
    stage.pass_time(12.0)
    assert "a/x1" not in stage.core.world.workers
    assert stage.killed == []


def test_a_suspect_that_loses_its_connection_or_dies_is_replaced() -> None:
    """Silence was the first sign; what comes after it is dealt with as ever."""
    stage = Stage(settings(workers=2))
    one = stage.worker("a/0")
    stage.worker("a/1")
    stage.pass_time(4.0)
    assert (state(stage, "a/0"), state(stage, "a/1")) == ("suspect", "suspect")
    stage.core.worker_gone(one.peer, stage.now)
    assert state(stage, "a/0") == "suspect"
    stage.exit("a/0", None, 9)
    stage.exit("a/1", None, 9)
    assert (state(stage, "a/0"), state(stage, "a/1")) == ("spawned", "spawned")


@pytest.mark.parametrize(
    ("engine", "version"),
    [
        ({"name": "tone", "version": "0.1.1/qwen3-tts-0.6B"}, "0.1.1/qwen3-tts-0.6B"),
        ({"version": "x" * 300}, "x" * 100),
        ({"version": "two\nlines"}, "1"),
        ({"version": 7}, "1"),
        ({}, "1"),
        ("tone", "1"),
    ],
)
def test_the_version_in_a_jobs_record_is_the_engines(engine: object, version: str) -> None:
    """A job says which engine, with which model, made it; where that is not told, or is nothing to show, which
    program."""
    stage = Stage(settings("a"))
    worker, client = stage.worker("a/0"), stage.client()
    worker.say(Ready(rate=1000), codec.encode({**READY_BODY, "engine": engine}))
    client.submit("j", "One.")
    worker.speak(worker.current)
    assert client.terminals["j"].speakers[0]["version"] == version
