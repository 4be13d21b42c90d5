"""Scenes of clients: let in or not, known or not, silent, gone, back."""

from __future__ import annotations

from voicebus.bus.messages import (
    PROTOCOL,
    Accepted,
    Attached,
    Audio,
    Bye,
    Cancel,
    CancelAll,
    Detach,
    Greet,
    Hello,
    Query,
    Refused,
    Submit,
    Terminal,
    Welcome,
)
from voicebus.daemon.core.settings import Limits

from .scenes import Scene, catch_up, heard, kinds, scene, speak_all
from .world_of_one import FakeClient, settings


def stranger(stage: Scene, peer: bytes = b"new") -> FakeClient:
    """A connection that has not greeted."""
    client = FakeClient(stage, peer)
    stage.clients[peer] = client
    return client


def test_a_client_is_let_in() -> None:
    """HELLO is answered by WELCOME with the daemon's epoch, also when it is said again as a sign of life."""
    client = Scene().client()
    client.hello()
    assert [m.epoch for m in client.got(Welcome)] == ["e1", "e1"]
    assert client.last(Welcome).beat_s == 10.0


def test_versions_that_do_not_meet_are_refused() -> None:
    """A client without a version in common hears both ranges and what to do, and is not let in."""
    stage = Scene()
    client = stranger(stage)
    for low, high in ((PROTOCOL + 1, PROTOCOL + 2), (0, 0)):
        client.say(Hello(low=low, high=high, version="9"))
        refused = client.last(Refused)
        assert refused.code == "version" and f"{low} to {high}" in refused.message and "restart" in refused.message
    client.say(Hello(low=0, high=PROTOCOL + 5))
    assert client.got(Welcome)


def test_there_is_a_limit_to_clients() -> None:
    """One more than the limit is refused, whoever is in stays, and a place that is free again can be had."""
    stage = Scene(settings(limits=Limits(clients=1)))
    first = stage.client()
    for number in range(2):
        late = stranger(stage, b"late%d" % number)
        late.hello()
        assert late.last(Refused).code == "full"
    first.hello()
    assert len(first.got(Welcome)) == 2
    assert sum("clients over the limit" in text for text in stage.reports) == 1
    first.say(Bye())
    late.hello()
    assert late.got(Welcome)


def test_who_has_not_greeted_is_asked_to() -> None:
    """Nothing is done for a client that is not known, or that speaks to another run of the daemon."""
    stage = Scene()
    unknown, known = stranger(stage), stage.client()
    unknown.submit("j")
    assert kinds(unknown) == ["Greet"]
    stage.core.client_message(known.peer, 1000, 1, Cancel(epoch="e0", job="j"), b"", stage.now)
    stage.run()
    assert type(known.inbox[-1][0]) is Greet
    assert stage.core.world.jobs == {}
    unknown.hello()
    unknown.submit("j")
    assert unknown.got(Accepted)


def test_bye_ends_the_readings_and_not_the_jobs() -> None:
    """After BYE nothing is sent any more; a rendered job goes on, and can be read after another greeting."""
    stage, worker, client = scene(pace="render")
    worker.chunk(worker.current)
    client.say(Bye())
    worker.chunk(worker.current)
    speak_all(worker)
    assert heard(client) == 100
    assert stage.job().state == "finished"
    client.hello()
    catch_up(client)
    assert heard(client) == client.last(Terminal).samples


def test_a_client_that_cannot_be_reached_is_forgotten() -> None:
    """A broken connection ends the readings at once, those of other jobs and other clients stay."""
    stage, worker, client = scene()
    other = stage.client()
    other.attach("j")
    client.submit("k", "More.")
    stage.unreachable.add(client.peer)
    speak_all(worker)
    assert client.peer not in stage.core.world.clients
    assert other.last(Terminal).samples == 900
    assert stage.job("k").readers == {}


def test_a_silent_client_is_forgotten() -> None:
    """Who says nothing for 30 s is forgotten, whoever gives a sign of life is not; he is told to greet."""
    stage = Scene()
    silent, alive = stage.client(), stage.client()
    for _ in range(4):
        stage.pass_time(8)
        alive.hello()
    assert set(stage.core.world.clients) == {alive.peer}
    silent.say(CancelAll(request="r"))
    assert type(silent.inbox[-1][0]) is Greet


def test_every_message_is_answered_by_its_rule() -> None:
    """Each message that a client may send has somebody who answers it; jobs that are not there are not found."""
    stage, worker, _ = scene()
    worker.chunk(worker.current)
    other = stage.client()
    other.attach("j", 0)
    assert other.got(Attached) and other.got(Audio)
    other.say(Query(request="q", what="status"))
    assert kinds(other)[-1] == "Page"
    other.say(Detach(job="nothing"))
    assert other.inbox[-1][0].code == "not_found" and "'nothing'" in other.inbox[-1][0].message


def test_a_pipe_that_opens_serves_all_readings() -> None:
    """A client with several readings goes on with each of them when its pipe is open again."""
    stage, worker, client = scene("One.", pace="render")
    client.submit("k", "Two.", pace="render")
    stage.core.client_full(client.peer, stage.now)
    speak_all(worker)
    assert (heard(client, "j"), heard(client, "k")) == (0, 0)
    stage.core.client_drained(client.peer, stage.now)
    stage.run()
    assert (heard(client, "j"), heard(client, "k")) == (300, 300)
    assert set(client.terminals) == {"j", "k"}


def test_names_of_clients_are_kept_short() -> None:
    """What a client calls itself is cut where it is kept."""
    stage = Scene()
    client = stranger(stage)
    client.say(Hello(name="n" * 256, version="v" * 256))
    known = stage.core.world.clients[client.peer]
    assert (len(known.name), len(known.version)) == (100, 100)
    client.say(Submit(job="j"), b"Hello.")
    assert client.last(Accepted).job == "j"
