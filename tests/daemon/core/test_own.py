"""Who speaks with a user's own voice, and with what."""

from __future__ import annotations

import pytest

from voicebus.bus.codec import decode_rows
from voicebus.bus.messages import Choice, Error, Failed, Origin, Query, SampleSpec, Style, VoiceSpec
from voicebus.daemon.core.settings import Breaking

from .voicing import CLONES, add, ask, cloning, make, sample_of, spec, upload
from .world_of_one import FakeWorker

DESIGNS = {"designs": "en", "instruct": True}


def work(worker):
    """What a worker has in hand."""
    return worker.work[worker.current]


def test_the_voices_chain_decides():
    """The entries of a voice's own chain are asked, best first; whoever is not here is passed over."""
    stage, client = cloning("a", "b")
    first, second = stage.worker("a/0", capabilities=CLONES), stage.worker("b/0", capabilities=CLONES)
    add(client, chain=(Choice("elsewhere"), Choice("b"), Choice("a", "de")))
    client.submit("j", chain=[Choice("", "anna")])
    assert not first.work
    assert work(second).kind == "prompt"


def test_a_preset_may_stand_in():
    """An entry of a voice's chain that names a preset is spoken with that, and says so."""
    stage, client = cloning("a", "b")
    stage.worker("a/0")
    second = stage.worker("b/0")
    add(client, chain=(Choice("a"), Choice("b", "de")))
    client.submit("j", chain=[Choice("", "anna")])
    assert (work(second).voice, work(second).prompt) == ("de", "")
    second.speak(second.current)
    assert client.terminals["j"].speakers[0]["voice"] == "de"


def test_without_a_chain_whoever_can_is_asked():
    """First those of the daemon's own chain, then the others; those who cannot are left out."""
    stage, client = cloning("a", "b", "c")
    stage.worker("a/0")
    stage.worker("b/0", capabilities=CLONES)
    stage.worker("c/0", capabilities=CLONES)
    add(client)
    client.submit("j", chain=[Choice("", "anna")])
    assert [entry.provider for entry in stage.core.world.jobs[1000, "j"].chain] == ["b", "c"]


def test_nobody_who_can_is_told():
    """Where no provider here can speak a voice, that is said, and which would be needed."""
    stage, client = cloning("a")
    stage.worker("a/0")
    add(client)
    client.submit("j", chain=[Choice("", "anna")])
    assert (client.last(Error).code, "cloned voice" in client.last(Error).message) == ("unsupported", True)
    add(client, "berta", chain=(Choice("mlx"),))
    client.submit("k", chain=[Choice("", "berta")])
    assert (client.last(Error).code, "mlx" in client.last(Error).message) == ("unknown_provider", True)


def test_a_provider_can_be_named_with_the_voice():
    """PROVIDER with the voice's name asks that one, whatever the voice's chain says."""
    stage, client = cloning("a", "b")
    stage.worker("a/0", capabilities=CLONES)
    second = stage.worker("b/0", capabilities=CLONES)
    add(client, chain=(Choice("a"),))
    client.submit("j", chain=[Choice("b", "ANNA")])
    assert work(second).kind == "prompt"
    client.submit("k", chain=[Choice("nobody", "anna")])
    assert client.last(Error).code == "unknown_provider"


def test_what_a_voice_cannot_do_is_refused_by_name():
    """What is asked for besides the voice has to be claimed as with any voice."""
    stage, client = cloning("a")
    stage.worker("a/0", capabilities=CLONES)
    add(client)
    client.submit("j", chain=[Choice("", "anna")], style=Style(instruct="softly"))
    assert "cannot do instruct" in client.last(Error).message


def test_a_designed_voice_is_described_to_the_engine():
    """The voice's description goes before the caller's own words, to the voice that the engine keeps for that; what is
    told of it is the voice's name."""
    stage, client = cloning("a")
    worker = stage.worker("a/0", capabilities=DESIGNS)
    ask(client, "add", "old", VoiceSpec(kind="designed", description="An old man."))
    client.submit("j", chain=[Choice("", "old")], style=Style(instruct="Angrily."))
    assert (work(worker).voice, work(worker).style.instruct) == ("en", "An old man. Angrily.")
    worker.speak(worker.current)
    assert client.terminals["j"].speakers[0]["voice"] == "old"


def test_the_voices_language_is_the_texts():
    """Where nobody names a language, a voice's first one is taken; a language that is named counts."""
    stage, client = cloning("a")
    stage.worker("a/0", capabilities=CLONES)
    add(client, languages=["de", "en"])
    client.submit("j", chain=[Choice("", "anna")])
    client.submit("k", chain=[Choice("", "anna")], language="en")
    client.submit("l")
    assert [stage.core.world.jobs[1000, name].language for name in "jkl"] == ["de", "en", "en"]


def test_a_provider_without_voices_needs_one_to_be_named():
    """A provider that only clones refuses a request without a voice, and says how to make one."""
    stage, client = cloning("a")
    worker = stage.worker("a/0", capabilities={**CLONES, "default_voices": {}}, voices=[])
    client.submit("j")
    assert "voicebus voices add" in client.last(Error).message
    add(client)
    client.submit("k", chain=[Choice("", "anna")])
    make(worker, worker.current)
    worker.speak(worker.current)
    assert client.terminals["k"].state == "finished"


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("designed", [False, True])
def test_nobody_hears_half_of_two_voices_that_had_one_name(designed, renamed):
    """Where a voice was renamed and another has its name now, the next daemon does not finish with that one what was
    begun with the other: it ends by name. A job of which nothing was said yet means what the name means now."""
    stage, client = cloning("a")
    worker = stage.worker("a/0", capabilities=CLONES | DESIGNS)

    def voice(sound):
        if designed:
            return ask(client, "add", "anna", VoiceSpec("designed", sound))
        return add(client, "anna", sound.encode() * 50)

    def make_all():
        while worker.current:
            (make if worker.work[worker.current].kind == "prompt" else FakeWorker.speak)(worker, worker.current)

    voice("deep")
    client.submit("j", "One. Two.", chain=[Choice("a", "anna")])
    if not designed:
        make(worker, worker.current)
    worker.speak(worker.current)
    client.submit("k", "One. Two.", chain=[Choice("a", "anna")])
    if renamed:
        ask(client, "rename", "anna", to="berta")
        voice("high")
    stage = stage.reborn()
    client, worker = stage.client(), stage.worker("a/0", capabilities=CLONES | DESIGNS)
    client.attach("j")
    client.attach("k")
    make_all()
    ends = {name: (end.state, end.code, end.message) for name, end in client.terminals.items()}
    why = "anna is another voice now than the one that began to speak"
    assert ends["j"] == (("failed", "unknown_voice", why) if renamed else ("finished", "", ""))
    assert ends["k"][0] == "finished"


@pytest.mark.parametrize("again", [False, True])
def test_two_voices_of_one_moment_are_two(again):
    """When two voices were made of the same recordings at the same moment and one is removed, the other goes on."""
    stage, client = cloning("a")
    worker = stage.worker("a/0", capabilities=CLONES)
    add(client, "anna")
    add(client, "berta")
    if again:
        stage = stage.reborn()
        client, worker = stage.client(), stage.worker("a/0", capabilities=CLONES)
    client.submit("j", chain=[Choice("a", "berta")])
    make(worker, worker.current)
    ask(client, "remove", "anna")
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_a_voice_that_was_changed_and_is_removed_is_not_used_any_more():
    """A job that began before somebody changed what its voice is called to be ends with the voice as any other."""
    stage, client = cloning("a")
    worker = stage.worker("a/0", capabilities=CLONES)
    add(client)
    client.submit("j", "One. Two. Three.", chain=[Choice("a", "anna")])
    make(worker, worker.current)
    stage.now += 60
    assert ask(client, "change", "anna", spec(b"anna" * 50, description="Deep.")).action == "change"
    ask(client, "remove", "anna")
    worker.answer_stops()
    assert "the voice anna was removed" in client.terminals["j"].message


def test_a_voice_that_is_removed_ends_what_was_to_be_spoken_with_it():
    """Jobs go on to the next of their chain, or end with the reason; others are not touched."""
    stage, client = cloning("a", "b")
    first, second = stage.worker("a/0", capabilities=CLONES), stage.worker("b/0")
    add(client)
    client.submit("j", chain=[Choice("a", "anna"), Choice("b", "en")])
    client.submit("k", chain=[Choice("a", "anna")])
    client.submit("l", chain=[Choice("b", "en")])
    make(first, first.current)
    ask(client, "remove", "anna")
    first.answer_stops()
    assert "the voice anna was removed" in client.terminals["k"].message
    while second.current:
        second.speak(second.current)
    assert client.terminals["j"].speakers[0]["provider"] == "b"
    assert client.terminals["l"].state == "finished"


def designed(client, **more):
    """A voice made of words, with its reference; returns the answer."""
    data = b"made" * 50
    upload(client, data)
    made = Origin("b", "1/design", 7, "An old man.")
    of = VoiceSpec("designed", "An old man.", samples=[SampleSpec(sample_of(data), "Hello.", origin=made)], **more)
    return ask(client, "add", "old", of)


def test_a_designed_voice_is_cloned_from_its_reference():
    """Whoever clones speaks it from its reference, without a description; nobody has to allow it; whoever can only
    describe it is not among its speakers then, though the daemon's chain has it first."""
    stage, client = cloning("b", "a")
    stage.worker("b/0", capabilities=DESIGNS)
    worker = stage.worker("a/0", capabilities=CLONES)
    assert designed(client).name == "old"
    client.say(Query(request="q", what="voices", where={"kind": "mine"}))
    (row,) = decode_rows(client.inbox[-1][1])
    assert (row["kind"], row["speakers"], row["problem"]) == ("designed", ["a"], "")
    assert row["samples"][0]["origin"] == {
        "provider": "b",
        "version": "1/design",
        "seed": 7,
        "description": "An old man.",
    }
    client.submit("j", chain=[Choice("", "old")])
    make(worker, worker.current)
    assert (work(worker).prompt != "", work(worker).style.instruct) == (True, "")
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_a_designed_voice_is_described_where_nobody_clones():
    """Without anybody who clones, its words are spoken to whoever makes a voice of them."""
    stage, client = cloning("b", "a")
    worker = stage.worker("b/0", capabilities=DESIGNS)
    stage.worker("a/0")
    designed(client)
    client.submit("j", chain=[Choice("", "old")])
    assert (work(worker).voice, work(worker).style.instruct, work(worker).prompt) == ("en", "An old man.", "")


def test_a_cloner_that_fails_is_not_followed_by_a_description():
    """In the middle of a text another speaker is not the same voice, unless the voice's own chain, or the caller's,
    allows it."""
    stage, client = cloning("b", "a", breaking=Breaking(failures=50))
    other, worker = stage.worker("b/0", capabilities=DESIGNS), stage.worker("a/0", capabilities=CLONES)
    designed(client)
    client.submit("j", "One. Two.", chain=[Choice("", "old")])
    client.submit("k", "One. Two.", chain=[Choice("a", "old"), Choice("b", "old")])
    make(worker, worker.current)
    for _ in range(2):
        attempt = worker.current
        worker.work.pop(attempt)
        worker.say(Failed(attempt=attempt, code="unavailable", message="gone"))
        stage.pass_time(0.5)
    assert client.terminals["j"].state == "failed"
    assert work(other).style.instruct == "An old man."


def test_before_anybody_is_ready_a_designed_voice_waits_for_who_may_clone():
    """A daemon that has just begun knows of nobody what he can: whoever made the reference comes last."""
    stage, client = cloning("b", "a")
    designed(client)
    client.submit("j", chain=[Choice("", "old")])
    stage.worker("b/0", capabilities=DESIGNS)
    worker = stage.worker("a/0", capabilities=CLONES)
    assert work(worker).kind == "prompt"


def test_a_reference_follows_the_words_that_it_was_made_from():
    """Other words need another reference; a recording of somebody in a designed voice needs somebody's word."""
    _stage, client = cloning("b", "a")
    designed(client)
    data = b"made" * 50
    kept = SampleSpec(sample_of(data), "Hello.", origin=Origin("b", "1/design", 7, "An old man."))
    answer = ask(client, "change", "old", VoiceSpec("designed", "A young woman.", samples=[kept]), again="x")
    assert "voicebus voices design" in answer.message
    other = SampleSpec(sample_of(data), "Hello.", origin=Origin("b", "1/design", 8, "A young woman."))
    assert (
        ask(client, "change", "old", VoiceSpec("designed", "A young woman.", samples=[other]), again="y").name == "old"
    )
    somebody = VoiceSpec("designed", "A young woman.", samples=[SampleSpec(sample_of(data))])
    assert "consent" in ask(client, "change", "old", somebody, again="z").message
    assert "consent" in ask(client, "add", "new", VoiceSpec("cloned", samples=[kept]), again="w").message
