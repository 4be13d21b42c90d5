"""Failures: who hears of them, who is blamed, who tries next."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import Beat, Choice, Failed, Notice, Rewind
from voicebus.daemon.core.failing import Failure
from voicebus.daemon.core.settings import Breaking

from .world_of_one import FakeClient, FakeWorker, Stage, settings

TEXT = "A sentence of some length, for the engine to say."


def fail(worker: FakeWorker, code: str, retry_after: float = 0.0, message: str = "no") -> None:
    """The worker says that its attempt cannot be done."""
    attempt = worker.current
    worker.work.pop(attempt)
    worker.say(Failed(attempt=attempt, code=code, message=message, retry_after=retry_after))


def alive(stage: Stage, seconds: float) -> None:
    """Let time pass while all workers beat."""
    for _ in range(int(seconds / 0.5)):
        for worker in list(stage.processes.values()):
            if worker.session:
                worker.say(Beat())
        stage.pass_time(0.5)


def kinds(client: FakeClient) -> list[str]:
    return [notice.kind for notice in client.got(Notice)]


def test_failover_inside_an_utterance() -> None:
    """When a worker dies after audio began, the rest comes from the next; readers are told to go back to where that
    segment began, and hear it wholly from the other."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", "The first sentence. The second sentence.")
    one.speak(one.current)
    one.begin(one.current)
    one.chunk(one.current)
    assert len(client.audio["j"]) == 800
    fail(one, "load_failed")
    rewind = client.last(Rewind)
    assert (rewind.segment, rewind.offset, rewind.reason) == (1, 300, "a: load_failed (no)")
    two.speak(two.current)
    assert client.terminals["j"].state == "finished"
    assert [s["provider"] for s in client.terminals["j"].speakers] == ["a", "b"]
    moved = client.last(Notice)
    assert (moved.kind, moved.segment, moved.data["provider"]) == ("moved", 1, "b")
    assert moved.data["reason"] == "a: load_failed (no)"


def test_two_deaths_by_one_segment_are_a_quarantine() -> None:
    """A text that brings down two workers by its own doing does not tour the fleet."""
    stage = Stage(settings("a", "b"))
    client = stage.client()
    client.submit("j", TEXT)
    other = stage.worker("b/0")
    for _ in range(2):
        worker = stage.worker("a/0")
        worker.begin(worker.current)
        stage.exit("a/0", None, 11)
        alive(stage, 2.0)
    assert client.terminals["j"].code == "quarantined"
    assert "brought down two workers" in client.terminals["j"].message
    assert not other.work
    assert stage.core.world.jobs[1000, "j"].segments[0].state == "quarantined"


def test_a_death_before_begun_blames_nobody() -> None:
    """What was sent and never begun has not killed its worker."""
    stage = Stage()
    client = stage.client()
    client.submit("j", TEXT)
    stage.worker("a/0")
    stage.exit("a/0", 1)
    segment = stage.core.world.jobs[1000, "j"].segments[0]
    assert (segment.state, segment.deaths, segment.trail) == ("waiting", 0, [])


def test_only_failures_whose_tries_are_limited_count_towards_the_limit() -> None:
    """Two kills from outside and one hang do not move a job on: the hang was the first."""
    stage = Stage(settings("a", "b"))
    stage.worker("b/0")
    client = stage.client()
    worker = stage.worker("a/0")
    client.submit("j", TEXT)
    for _ in range(2):
        worker.begin(worker.current)
        stage.exit("a/0", None, 9)
        worker = stage.worker("a/0")
    worker.begin(worker.current)
    alive(stage, 11.0)
    assert stage.killed == ["a/0"]
    job = stage.core.world.jobs[1000, "j"]
    assert (job.position, job.segments[0].tries_here) == (0, 1)


@pytest.mark.parametrize(("code", "tries"), [("silent", 2), ("out_of_memory", 2), ("protocol", 3), ("truncated", 2)])
def test_again_here_and_then_the_next(code: str, tries: int) -> None:
    """A failure that may not come twice is tried again at the same entry, as often as its rule says."""
    stage = Stage(settings("a", "b", breaking=Breaking(failures=100)))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    for _ in range(tries - 1):
        fail(one, code)
        assert client.last(Notice).kind == "again"
    fail(one, code)
    assert two.work
    two.speak(two.current)
    assert client.terminals["j"].state == "finished"


def test_a_second_throw_has_another_seed() -> None:
    """Where the same seed would fail in the same way, the second attempt gets another."""
    stage = Stage()
    worker, client = stage.worker(capabilities={"seed": True}), stage.client()
    client.submit("j", TEXT, seed=5)
    first = worker.work[worker.current].seed
    fail(worker, "silent")
    second = worker.work[worker.current].seed
    assert first == 5
    assert second != first
    stage.exit("a/0", None, 9)
    worker = stage.worker(capabilities={"seed": True})
    assert worker.work[worker.current].seed == second


def test_what_an_engine_refuses_goes_to_the_next_or_ends_the_job() -> None:
    """Refused text moves down the chain; at its end the job fails with that reason and nobody's breaker hears."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    fail(one, "invalid_input")
    fail(two, "invalid_input")
    assert client.terminals["j"].code == "invalid_input"
    assert "Segment 1 of 1 could not be said. b: invalid_input (no)" in client.terminals["j"].message
    for provider in stage.core.world.providers.values():
        assert provider.breaker.snapshot(stage.now)["failures"] == 0


def test_a_failure_without_words_is_named_by_its_class() -> None:
    """Every failure has a text."""
    assert str(Failure("silent")) == "no sound came for a text that can be spoken"
    assert str(Failure("silent", "hm")) == "hm"


def test_an_unknown_class_of_failure_is_taken_for_unavailable() -> None:
    """A worker of a later version may name what we do not know."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    fail(one, "moonstruck")
    assert two.work
    assert stage.core.world.workers["a/0"].last_failure == "unavailable: no"


def test_the_whole_job_moves_down_when_one_segment_fails() -> None:
    """Attempts of the same job at the entry it leaves are stopped, so that the voice changes once."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0", slots=2), stage.worker("b/0"), stage.client()
    client.submit("j", "One here. Two here.")
    first, second = one.work
    one.work.pop(first)
    one.say(Failed(attempt=first, code="load_failed", message="no"))
    assert one.stops == [second]
    one.answer_stops()
    two.speak(two.current)
    two.speak(two.current)
    assert client.terminals["j"].speakers == [{"provider": "b", "version": "1", "voice": "en", "segments": 2}]


def test_segments_of_one_job_that_fail_together_move_it_down_once() -> None:
    """The failure of an attempt that was stopped already says nothing new."""
    stage = Stage(settings("a", "b", "c"))
    one, client = stage.worker("a/0", slots=2), stage.client()
    stage.worker("b/0")
    stage.worker("c/0")
    client.submit("j", "One here. Two here.")
    fail(one, "load_failed")
    fail(one, "load_failed")
    assert stage.core.world.jobs[1000, "j"].position == 1


# ------------------------------------------------------------------------------------------- the last entry of a chain


def test_rate_limited_at_the_last_entry_is_waited_for() -> None:
    """Where nobody else is left the job waits as long as the provider said, and goes on."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    fail(worker, "rate_limited", retry_after=8.0)
    notice = client.last(Notice)
    assert (notice.kind, notice.data["seconds"]) == ("waiting", 8.0)
    alive(stage, 7.0)
    assert not worker.work
    alive(stage, 2.0)
    assert worker.work[worker.current].kind == "probe"
    worker.speak(worker.current)
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_rate_limited_elsewhere_goes_on_at_once() -> None:
    """Another entry is asked without waiting, and later jobs pass the one that rests."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    fail(one, "rate_limited", retry_after=30.0)
    two.speak(two.current)
    client.submit("k", TEXT)
    two.speak(two.current)
    assert client.terminals["k"].state == "finished"
    assert "has failed too often lately and rests" in client.last(Notice).data["reason"]


def test_unavailable_at_the_last_entry_is_tried_again_for_the_jobs_patience() -> None:
    """What wears off is asked again each second; when it is back, the job goes on."""
    stage = Stage(settings(breaking=Breaking(failures=100)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    for _ in range(10):
        fail(worker, "unavailable")
        assert not worker.work
        alive(stage, 2.0)
        assert worker.work
    assert kinds(client).count("waiting") == 10
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"
    assert stage.core.world.jobs[1000, "j"].failing_since is None


def test_unavailable_for_longer_than_the_patience_fails_the_job() -> None:
    """The reason is the provider's own."""
    stage = Stage(settings(breaking=Breaking(failures=100)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, patience_s=5.0)
    while "j" not in client.terminals:
        fail(worker, "unavailable", message="connection refused")
        alive(stage, 1.5)
    assert client.terminals["j"].code == "unavailable"
    assert "connection refused" in client.terminals["j"].message
    assert 5.0 <= stage.now - 100.0 < 9.0


def test_without_patience_unavailable_fails_at_once() -> None:
    """Who does not want to wait does not."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, patience_s=0.0)
    fail(worker, "unavailable")
    assert client.terminals["j"].code == "unavailable"


def test_another_job_is_served_while_one_waits_to_be_tried_again() -> None:
    """A pause of one job stands in nobody's way, of whatever class."""
    stage = Stage(settings(breaking=Breaking(failures=100)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, priority="important")
    fail(worker, "unavailable")
    client.submit("k", "One here. Two here.")
    client.submit("m", TEXT)
    first = worker.current
    worker.begin(first)
    assert worker.stops == []
    worker.speak(first)
    alive(stage, 2.0)
    worker.answer_stops()
    while worker.work:
        worker.speak(worker.current)
    assert {job: t.state for job, t in client.terminals.items()} == dict.fromkeys("jkm", "finished")


# ---------------------------------------------------------------------------------------------------- skipping segments


def test_skip_bad_leaves_out_what_nobody_can_say() -> None:
    """The rest is spoken, the reader is told, and the end says how many are missing."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One here. Two here. Three here.", skip_bad=True)
    worker.speak(worker.current)
    fail(worker, "invalid_input")
    assert client.last(Notice).kind == "skipped"
    worker.speak(worker.current)
    end = client.terminals["j"]
    assert (end.state, end.code, end.skipped, end.segments, end.samples) == ("finished", "incomplete", 1, 3, 600)


def test_a_job_of_which_nothing_could_be_said_fails_in_spite_of_skip_bad() -> None:
    """There is no success without a sound."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, skip_bad=True)
    fail(worker, "invalid_input")
    assert client.terminals["j"].state == "failed"


def test_skip_bad_with_a_quarantined_segment() -> None:
    """What brought down two workers is left out as well."""
    stage = Stage()
    client = stage.client()
    client.submit("j", "One here. Two here.", skip_bad=True)
    for _ in range(2):
        worker = stage.worker("a/0")
        worker.begin(worker.current)
        stage.exit("a/0", None, 11)
        alive(stage, 2.0)
    worker = stage.worker("a/0")
    worker.speak(worker.current)
    assert (client.terminals["j"].code, client.terminals["j"].skipped) == ("incomplete", 1)


# ------------------------------------------------------------------------------------------ resting and being tried out


def rest(stage: Stage, worker: FakeWorker, client: FakeClient) -> None:
    """Bring the provider to rest."""
    client.submit("rest", TEXT, patience_s=0.0)
    fail(worker, "auth")
    assert client.terminals["rest"].code == "auth"


def test_too_many_failures_open_the_breaker_and_the_jobs_behind_it_pass_on() -> None:
    """Jobs that wait at a provider that comes to rest go to the next entry that is ready."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    client.submit("k", TEXT)
    fail(one, "silent")
    fail(one, "out_of_memory")
    assert stage.core.world.jobs[1000, "j"].position == 1
    fail(one, "silent")
    two.speak(two.current)
    two.speak(two.current)
    assert {t.state for t in client.terminals.values()} == {"finished"}
    assert stage.core.world.providers["a"].reason == "silent: no"


def test_a_probe_with_our_own_words_closes_the_breaker() -> None:
    """After its rest a provider is tried out with our own text, and callers' words go there again if it was heard."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    rest(stage, worker, client)
    client.submit("j", TEXT)
    alive(stage, 4.5)
    assert not worker.work
    alive(stage, 1.0)
    attempt = worker.current
    assert (worker.work[attempt].kind, worker.texts[attempt], worker.work[attempt].voice) == ("probe", "one two", "en")
    worker.speak(attempt)
    assert stage.core.world.providers["a"].breaker.state == "closed"
    assert worker.work[worker.current].kind == "speak"


def test_a_silent_probe_opens_it_again_for_longer() -> None:
    """A probe without sound is a failure, and the next comes after twice the time."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    rest(stage, worker, client)
    alive(stage, 5.5)
    worker.begin(worker.current)
    worker.done(worker.current, peak=0)
    alive(stage, 9.0)
    assert not worker.work
    alive(stage, 2.0)
    assert worker.work[worker.current].kind == "probe"


@pytest.mark.parametrize("code", ["auth", "unavailable", "invalid_input"])
def test_a_failed_probe_opens_it_again(code: str) -> None:
    """Whatever the provider says to our own text, it rests on."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    rest(stage, worker, client)
    alive(stage, 5.5)
    fail(worker, code)
    provider = stage.core.world.providers["a"]
    assert (provider.breaker.state, provider.probe) == ("open", "")


def test_a_probe_whose_worker_is_killed_from_outside_is_made_again() -> None:
    """That says nothing about the provider; the next worker is tried out at once."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    rest(stage, worker, client)
    alive(stage, 5.5)
    worker.begin(worker.current)
    stage.exit("a/0", None, 9)
    worker = stage.worker()
    assert worker.work[worker.current].kind == "probe"


def test_a_probe_whose_worker_is_lost_before_it_began_opens_it_again() -> None:
    """Nothing was found out; the provider rests on."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    rest(stage, worker, client)
    alive(stage, 5.5)
    assert worker.work
    worker.register()
    provider = stage.core.world.providers["a"]
    assert (provider.breaker.state, provider.probe) == ("open", "")


def test_one_probe_at_a_time() -> None:
    """Of all the free slots of a provider, one tries it out."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0", slots=4), stage.worker("a/1", slots=4), stage.client()
    client.submit("rest", TEXT, patience_s=0.0)
    fail(one if one.work else two, "auth")
    alive(stage, 6.0)
    assert len(one.work) + len(two.work) == 1


def test_a_success_from_before_lets_a_half_open_provider_serve_again() -> None:
    """An attempt that outlived the rest proves as much as a probe; the probe's own end changes nothing then."""
    stage = Stage()
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", TEXT)
    attempt = worker.current
    worker.begin(attempt)
    stage.core.world.providers["a"].breaker.trip(stage.now)
    for _ in range(12):
        worker.chunk(attempt, 10)
        alive(stage, 0.5)
    provider = stage.core.world.providers["a"]
    assert provider.probe
    worker.done(attempt)
    assert provider.breaker.state == "closed"
    worker.speak(provider.probe)
    assert client.terminals["j"].state == "finished"


def test_probing_does_not_need_a_voice_for_our_language() -> None:
    """A provider that speaks something else is tried out with its own default."""
    stage = Stage(settings(language="xx"))
    worker, client = stage.worker(), stage.client()
    client.submit("rest", TEXT, patience_s=0.0, language="en")
    fail(worker, "auth")
    alive(stage, 5.5)
    assert worker.work[worker.current].voice == ""


def test_a_named_entry_that_rests_is_waited_for_within_the_patience() -> None:
    """With nobody else in the chain the job waits, and then fails and says why."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    rest(stage, worker, client)
    stage.core.world.providers["a"].breaker.trip(stage.now, 100.0)
    client.submit("j", TEXT, chain=[Choice("a")], patience_s=5.0)
    alive(stage, 5.0)
    assert "j" not in client.terminals
    alive(stage, 3.0)
    assert client.terminals["j"].code == "unavailable"
    assert "has failed too often lately" in client.terminals["j"].message


def test_a_dead_worker_is_sent_nothing() -> None:
    """Where its death ends a job, the other attempts of that job on the same worker need no STOP."""
    stage = Stage()
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", "One here. Two here.")
    stage.core.world.jobs[1000, "j"].segments[0].deaths = 1
    for attempt in worker.work:
        worker.begin(attempt)
    stage.exit("a/0", None, 11)
    assert client.terminals["j"].code == "quarantined"
    assert worker.stops == []


def test_an_attempt_that_is_being_stopped_is_nobodys_when_its_worker_dies() -> None:
    """A cancelled job does not hear of a crash, and the crash is not the next job's."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    client.cancel("j")
    stage.exit("a/0", None, 11)
    assert client.terminals["j"].state == "cancelled"
    assert stage.core.world.counters["failed attempts"] == 0


def test_moving_down_within_one_provider_changes_the_voice_of_all_that_is_under_way() -> None:
    """A chain may name a provider twice with different voices; what is under way in the voice before is stopped."""
    stage = Stage()
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", "One here. Two here.", chain=[Choice("a", "en"), Choice("a", "de")])
    second = list(worker.work)[1]
    fail(worker, "invalid_input")
    assert worker.stops == [second]
    worker.answer_stops()
    for _ in range(2):
        worker.speak(worker.current)
    assert client.terminals["j"].speakers == [{"provider": "a", "version": "1", "voice": "de", "segments": 2}]
