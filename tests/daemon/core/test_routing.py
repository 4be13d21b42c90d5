"""Which entry of its chain a job is at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicebus.bus.messages import Beat, Choice, Error, Failed, Notice, Style
from voicebus.daemon.core.settings import Problem, Provider, Restart, Settings

from .world_of_one import FakeClient, Stage, settings

TEXT = "A sentence of some length, for the engine to say."


def alive(stage: Stage, seconds: float) -> None:
    """Let time pass while all workers beat."""
    for _ in range(int(seconds / 0.5)):
        for worker in list(stage.processes.values()):
            if worker.session:
                worker.say(Beat())
        stage.pass_time(0.5)


def at(client: FakeClient, job: str) -> str:
    """Where a job is."""
    return client.stage.core.world.jobs[client.uid, job].entry.provider


# ------------------------------------------------------------------------------------------------------------ chains


def test_the_chain_of_a_request() -> None:
    """An entry with a provider stands for itself, one without for the default chain with that voice, and the name of a
    chain for that chain."""
    named = {"nice": (Choice("b", "de"), Choice("a", ""))}
    stage = Stage(settings("a", "b", chains=named))
    client = stage.client()
    chains = {
        "default": [],
        "explicit": [Choice("b", "en")],
        "voice": [Choice("", "de")],
        "named": [Choice("", "nice")],
        "mixed": [Choice("a", "en"), Choice("", "nice")],
    }
    for job, chain in chains.items():
        client.submit(job, TEXT, chain=chain)
    told = {job: [(entry.provider, entry.voice) for entry in stage.core.world.jobs[1000, job].chain] for job in chains}
    assert told == {
        "default": [("a", ""), ("b", "")],
        "explicit": [("b", "en")],
        "voice": [("a", "de"), ("b", "de")],
        "named": [("b", "de"), ("a", "")],
        "mixed": [("a", "en"), ("b", "de"), ("a", "")],
    }


def test_an_unknown_provider_is_named_with_the_nearest() -> None:
    """Who mistypes is told what there is."""
    stage = Stage(settings("espeak", "tone"))
    client = stage.client()
    client.submit("j", TEXT, chain=[Choice("espaek")])
    error = client.last(Error)
    assert error.code == "unknown_provider"
    assert error.message == "There is no provider 'espaek'; did you mean espeak? Configured: espeak, tone."
    client.submit("j", TEXT, chain=[Choice("zzzzzz")])
    assert client.last(Error).message == "There is no provider 'zzzzzz'. Configured: espeak, tone."


def test_without_any_provider_nothing_can_be_said() -> None:
    """An empty configuration is told as such."""
    stage = Stage(Settings())
    client = stage.client()
    client.submit("j", TEXT)
    assert client.last(Error).message == "No provider is configured."
    client.submit("j", TEXT, chain=[Choice("a")])
    assert "Configured: none." in client.last(Error).message


def test_a_mistake_in_the_configuration_is_told_where_it_may_be_the_reason() -> None:
    """Whoever misses a provider is told of the first mistake, with its line."""
    stage = Stage(replace(settings("a"), problems=(Problem("providers.b", 7, "needs either module or command"),)))
    client = stage.client()
    client.submit("j", TEXT, chain=[Choice("b")])
    assert "line 7, providers.b: needs either module or command" in client.last(Error).message


# ------------------------------------------------------------------------------------------- order, speed, patience


def test_the_order_of_the_chain_decides_not_the_speed() -> None:
    """A busy first entry is waited for, though the second stands idle."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0", factor=5.0), stage.worker("b/0", factor=0.001), stage.client()
    for job in ("i", "j", "k"):
        client.submit(job, TEXT)
    one.begin(one.current)
    one.chunk(one.current)
    assert not two.work
    assert {at(client, job) for job in "ijk"} == {"a"}


def test_a_rate_that_a_worker_cannot_deliver_is_refused_by_name() -> None:
    """An environment that cannot resample is asked for its engine's own rate only."""
    stage = Stage()
    stage.worker(capabilities={"resamples": False})
    client = stage.client()
    client.submit("j", TEXT, rate=16000)
    error = client.last(Error)
    assert error.code == "unsupported"
    assert "a makes 1000 samples a second, and its environment has no soxr to make 16000" in error.message
    client.submit("k", TEXT, rate=1000)
    assert at(client, "k") == "a"


def test_another_entry_delivers_the_rate_that_the_job_has() -> None:
    """An entry further down must make the first one's rate; one that cannot is passed over, with that as the reason."""
    stage = Stage(settings("a", "b", "c", provider={"rate": 0}))
    one, client = stage.worker("a/0", rate=8000), stage.client()
    two = stage.worker("b/0", rate=1000, capabilities={"resamples": False})
    three = stage.worker("c/0", rate=1000)
    client.submit("j", TEXT)
    one.say(Failed(attempt=one.current, code="auth", message="no"))
    assert not two.work
    three.speak(three.current)
    assert client.terminals["j"].state == "finished"
    assert "has no soxr to make 8000" in client.got(Notice)[-1].data["reason"]


def test_an_entry_that_is_starting_is_waited_for_within_the_patience() -> None:
    """Then the next that is ready takes over, and the listener is told why."""
    stage = Stage(settings("a", "b"))
    two, client = stage.worker("b/0"), stage.client()
    client.submit("j", TEXT, patience_s=5.0)
    alive(stage, 5.0)
    assert not two.work
    alive(stage, 2.5)
    two.speak(two.current)
    assert client.terminals["j"].state == "finished"
    assert client.got(Notice)[-1].data["reason"] == "a is not ready yet"


def test_a_better_entry_that_gets_ready_in_time_is_taken() -> None:
    """Patience is for that."""
    stage = Stage(settings("a", "b"))
    two, client = stage.worker("b/0"), stage.client()
    client.submit("j", TEXT, patience_s=5.0)
    alive(stage, 3.0)
    one = stage.worker("a/0")
    assert one.work
    assert not two.work


def test_without_patience_the_first_that_is_ready_is_taken() -> None:
    """At once, wherever it stands in the chain."""
    stage = Stage(settings("a", "b", "c"))
    three, client = stage.worker("c/0"), stage.client()
    client.submit("j", TEXT, patience_s=0.0)
    stage.pass_time(1.5)
    three.say(Beat())
    assert three.work


def test_where_everything_starts_the_first_entry_is_kept() -> None:
    """With nothing ready, also beyond the patience, the job stays at the best; whoever is up first gets it."""
    stage = Stage(settings("a", "b"))
    client = stage.client()
    client.submit("j", TEXT, patience_s=2.0)
    stage.pass_time(10.0)
    assert at(client, "j") == "a"
    assert stage.worker("b/0").work
    assert at(client, "j") == "b"


def test_an_entry_that_rests_is_passed_over() -> None:
    """A provider that has failed too often keeps nobody waiting where another is ready, or starting."""
    stage = Stage(settings("a", "b", "c"))
    stage.worker("a/0")
    three, client = stage.worker("c/0"), stage.client()
    stage.core.world.providers["a"].breaker.trip(stage.now, 1000.0)
    client.submit("j", TEXT, patience_s=3.0)
    assert at(client, "j") == "a"
    assert not three.work
    alive(stage, 5.0)
    assert three.work
    two = stage.worker("b/0")
    client.submit("k", TEXT)
    assert two.work


def test_who_is_listening_already_is_not_kept_waiting_for_long() -> None:
    """In mid-speech a silence is worse than a change: after a short while the next entry goes on."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", "One here. Two here.", patience_s=60.0)
    one.speak(one.current)
    one.begin(one.current)
    stage.exit("a/0", 1)
    stage.core.world.workers["a/0"].retry_at = stage.now + 100.0
    alive(stage, 6.0)
    assert two.work
    two.speak(two.current)
    assert [s["provider"] for s in client.terminals["j"].speakers] == ["a", "b"]


def test_a_job_never_moves_back() -> None:
    """What has gone to the second entry stays there, though the first is well again."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", "One here. Two here. Three here.")
    attempt = one.current
    one.work.pop(attempt)
    one.say(Failed(attempt=attempt, code="load_failed", message="no"))
    for _ in range(3):
        two.speak(two.current)
    assert client.terminals["j"].speakers == [{"provider": "b", "version": "1", "voice": "en", "segments": 3}]


def test_a_reason_stands_once_in_the_trail() -> None:
    """Segments that fail in the same way at entries of one provider make no list of repetitions."""
    stage = Stage(settings("a"))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, chain=[Choice("a", "en"), Choice("a", "de"), Choice("a", "en+f1")])
    for _ in range(3):
        attempt = worker.current
        worker.work.pop(attempt)
        worker.say(Failed(attempt=attempt, code="load_failed", message="no"))
    assert client.terminals["j"].message.count("load_failed") == 1


def test_tries_are_counted_anew_at_the_next_entry() -> None:
    """What failed elsewhere is not held against the next."""
    stage = Stage(settings("a", "b"))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    for worker in (one, one, two):
        attempt = worker.current
        worker.work.pop(attempt)
        worker.say(Failed(attempt=attempt, code="out_of_memory", message="no"))
    assert two.work


# -------------------------------------------------------------------------------------------------- what cannot be done


@pytest.mark.parametrize(
    ("capability", "request_", "text"),
    [
        ("ssml", {"ssml": True}, "<speak>Hello.</speak>"),
        ("pitch", {"style": Style(pitch=1.5)}, TEXT),
        ("seed", {"seed": 1}, TEXT),
    ],
)
def test_an_entry_that_cannot_do_all_that_is_asked_is_passed_over(capability: str, request_: dict, text: str) -> None:
    """Nothing is left out in silence: who cannot is not asked, and with nobody else the request is refused."""
    stage = Stage(settings("a", "b"))
    can = {"ssml": True, "pitch": True, "seed": True}
    one = stage.worker("a/0", capabilities={**can, capability: False})
    two, client = stage.worker("b/0", capabilities=can), stage.client()
    client.submit("j", text, **request_)
    assert not one.work
    two.speak(two.current)
    client.submit("k", text, chain=[Choice("a")], **request_)
    assert client.last(Error).code == "unsupported"
    assert client.last(Error).message == f"a cannot do {capability}"


def test_an_unknown_voice_is_refused_where_it_is_known_to_be_unknown() -> None:
    """A voice is never swapped; the answer names the nearest, and an entry that has it is taken."""
    stage = Stage(settings("a", "b"))
    stage.worker("a/0")
    client = stage.client()
    client.submit("j", TEXT, chain=[Choice("a", "enn")])
    assert client.last(Error).code == "unknown_voice"
    client.submit("k", TEXT, chain=[Choice("a", "enn"), Choice("b", "de")])
    two = stage.worker("b/0")
    assert two.work[two.current].voice == "de"


def test_a_voice_that_turns_out_to_be_unknown_ends_the_job_with_that_name() -> None:
    """Where the provider was not up when the job came, it fails as soon as it is."""
    stage = Stage()
    client = stage.client()
    client.submit("j", TEXT, chain=[Choice("a", "nobody")])
    stage.worker()
    assert client.terminals["j"].code == "unknown_voice"
    assert "There is no voice 'nobody'" in client.terminals["j"].message


def test_a_provider_that_is_out_is_told_with_its_reason() -> None:
    """Fatal workers, and no workers at all."""
    stage = Stage(settings("a", "b", restart=Restart(intensity=0)))
    client = stage.client()
    stage.exit("a/0", 1)
    client.submit("j", TEXT, chain=[Choice("a")])
    assert client.terminals["j"].code == "unavailable"
    assert client.terminals["j"].message.startswith("a: a/0 died too often before it was ready")


def test_a_worker_from_outside_is_waited_for() -> None:
    """A provider whose workers come from elsewhere and that has none is waited for with the job's patience."""
    stage = Stage(settings(provider={"module": "", "key": "k"}))
    client = stage.client()
    client.submit("j", TEXT, patience_s=5.0)
    stage.pass_time(3.0)
    assert client.terminals == {}
    stage.pass_time(4.0)
    assert client.terminals["j"].message == "a: no worker is connected"


def test_a_worker_from_outside_holds_up_nobody_who_can_go_elsewhere() -> None:
    """Where the chain goes on to a provider that is there, that one speaks at once."""
    both = settings("a", "b")
    stage = Stage(replace(both, providers={**both.providers, "a": Provider("a", key="k", rate=1000, workers=0)}))
    worker, client = stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    assert worker.texts[worker.current]


def test_a_worker_that_is_leaving_for_good_is_not_waited_for() -> None:
    """What is on its way out is as good as gone."""
    stage = Stage(settings("a", "b"))
    one, client = stage.worker("a/0"), stage.client()
    stage.core.reload(settings("b"), stage.now)
    stage.run()
    assert one.quit
    client.submit("j", TEXT, chain=[Choice("a")])
    assert "no longer configured" in client.terminals["j"].message
