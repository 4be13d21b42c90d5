"""Voices of users' own: added, changed, renamed, removed, listed."""

from __future__ import annotations

import pytest

from voicebus.bus.codec import decode_rows
from voicebus.bus.messages import Choice, Consent, Error, Page, Query, SampleSpec, Voice, VoiceDone, VoiceSpec
from voicebus.daemon.core.settings import Limits

from .voicing import CLONES, SAID, add, ask, cloning, sample_of, spec, upload
from .world_of_one import DATE

DATA = b"recorded" * 40


def rows(client, **where):
    """The list of voices."""
    client.say(Query(request="q", what="voices", where=where))
    page, body = client.inbox[-1]
    assert isinstance(page, Page)
    return decode_rows(body)


def test_a_voice_is_there_once_it_is_written_down():
    """An added voice is answered, listed and used only when it is durable."""
    stage, client = cloning()
    stage.worker(capabilities=CLONES)
    upload(client, DATA)
    stage.hold_commits = True
    client.say(Voice(request="v", action="add", name="anna", spec=spec(DATA)))
    client.say(Voice(request="w", action="add", name="anna", spec=spec(DATA)))
    assert not client.got(VoiceDone)
    assert not rows(client, kind="mine")
    stage.let_go()
    assert [(done.request, done.name) for done in client.got(VoiceDone)] == [("v", "anna"), ("w", "anna")]
    (row,) = rows(client, kind="mine")
    assert (row["voice"], row["kind"], row["provider"], row["speakers"]) == ("anna", "cloned", "a", ["a"])
    assert (row["created"], row["consent"]["at"], row["samples"][0]["missing"]) == (DATE, DATE, False)


def test_something_else_has_to_wait():
    """While a voice is being written down, another wish about it is told to come again."""
    stage, client = cloning()
    upload(client, DATA)
    stage.hold_commits = True
    client.say(Voice(request="v", action="add", name="anna", spec=spec(DATA)))
    client.say(Voice(request="w", action="remove", name="Anna"))
    assert (client.last(Error).code, client.last(Error).request) == ("queue_full", "w")
    assert client.last(Error).retry_after > 0


def test_a_name_is_taken_as_soon_as_somebody_wants_it():
    """While one voice gets a name, by being added or renamed, no other can get it: neither is lost."""
    stage, client = cloning()
    add(client, "anna", DATA)
    stage.hold_commits = True
    client.say(Voice(request="v", action="add", name="berta", spec=spec(DATA)))
    client.say(Voice(request="w", action="rename", name="anna", to="Berta"))
    assert (client.last(Error).code, client.last(Error).request) == ("queue_full", "w")
    stage.let_go()
    assert ask(client, "rename", "anna", to="berta").code == "conflict"
    stage.hold_commits = True
    client.say(Voice(request="x", action="rename", name="anna", to="clara"))
    for action, name, to in (("add", "clara", ""), ("rename", "berta", "clara"), ("rename", "clara", "clara")):
        client.say(
            Voice(request="y", action=action, name=name, to=to, spec=spec(DATA) if action == "add" else VoiceSpec())
        )
        assert (client.last(Error).code, client.last(Error).request) == ("queue_full", "y")
        client.inbox.clear()
    stage.let_go()
    assert [done.request for done in client.got(VoiceDone)] == ["x"]
    assert {row["voice"] for row in rows(client, kind="mine")} == {"berta", "clara"}
    assert ask(client, "remove", "clara").found and ask(client, "remove", "berta").found


def test_the_same_again_is_answered_again():
    """An answer that was lost is given again: to adding, renaming and removing."""
    _, client = cloning()
    add(client)
    assert isinstance(add(client), VoiceDone)
    for _ in range(2):
        done = ask(client, "rename", "anna", to="berta")
        assert (done.name, done.found) == ("berta", True)
    for _ in range(2):
        assert ask(client, "remove", "berta").found
    assert not ask(client, "remove", "nobody").found


def test_a_change_takes_the_place_of_all_that_was():
    """A changed voice has the new recordings; those that no voice has any more are gone, and the consent stays."""
    stage, client = cloning()
    add(client, "anna", DATA)
    upload(client, b"another" * 20)
    ask(client, "change", "ANNA", VoiceSpec(samples=[SampleSpec(sample_of(b"another" * 20), "Words.")]))
    (row,) = rows(client, voice="anna")
    assert [sample["text"] for sample in row["samples"]] == ["Words."]
    assert row["consent"]["statement"] == SAID.statement
    assert list(stage.files) == [f"voices/1000/{sample_of(b'another' * 20)}.sample"]


def test_a_recording_stays_as_long_as_some_voice_has_it():
    """Two voices may share a recording; it goes with the second."""
    stage, client = cloning()
    add(client, "anna", DATA)
    add(client, "berta", DATA)
    ask(client, "remove", "anna")
    assert stage.files
    ask(client, "remove", "berta")
    assert not stage.files


def test_a_recording_stays_for_a_voice_that_is_being_written_down():
    """A recording does not go with one voice while another that has it too is on its way to the disk."""
    stage, client = cloning()
    add(client, "anna", DATA)
    stage.hold_commits = True
    client.say(Voice(request="v", action="remove", name="anna"))
    client.say(Voice(request="w", action="add", name="berta", spec=spec(DATA)))
    stage.let_go()
    assert [done.request for done in client.got(VoiceDone)][-2:] == ["v", "w"]
    assert list(stage.files) == [f"voices/1000/{sample_of(DATA)}.sample"]
    (row,) = rows(client, kind="mine")
    assert not row["samples"][0]["missing"]


def test_a_voice_of_words_only_leaves_no_file():
    """A designed voice has no recordings, and is removed without any."""
    _, client = cloning()
    ask(client, "add", "old", VoiceSpec(kind="designed", description="an old man"))
    assert ask(client, "remove", "old").found


@pytest.mark.parametrize(
    ("code", "name", "of"),
    [
        ("invalid", "a/b", spec(DATA)),
        ("invalid", "", spec(DATA)),
        ("conflict", "en", spec(DATA)),
        ("conflict", "fast", spec(DATA)),
        ("conflict", "Fast", spec(DATA)),
        ("conflict", "A", spec(DATA)),
        ("conflict", "there", spec(DATA)),
        ("invalid", "x", VoiceSpec(consent=SAID)),
        ("invalid", "x", VoiceSpec(kind="designed", description=" ")),
        ("invalid", "x", VoiceSpec(samples=[SampleSpec(sample_of(DATA))])),
        ("invalid", "x", spec(DATA, DATA)),
        ("not_found", "x", spec(b"never sent")),
        ("not_found", "x", VoiceSpec(samples=[SampleSpec("nonsense")], consent=SAID)),
        ("too_long", "x", spec(DATA, texts=("x" * 1001,))),
        ("too_long", "x", VoiceSpec(description="x" * 1001, kind="designed")),
        ("too_long", "x", VoiceSpec(samples=[SampleSpec(sample_of(DATA))], consent=Consent("", "x" * 2001))),
        ("too_long", "x", VoiceSpec(kind="designed", description="d", chain=[Choice("語" * 250, "語" * 250)] * 32)),
        ("unknown_language", "x", spec(DATA, languages=["not a tag"])),
    ],
)
def test_what_cannot_be_a_voice_is_refused(code, name, of):
    """Names that mean something else, missing parts and what is over a limit are refused by name; nothing is kept."""
    stage, client = cloning(chains={"fast": (Choice("a"),)})
    stage.worker(capabilities=CLONES)
    add(client, "there", b"others" * 30)
    upload(client, DATA)
    assert ask(client, "add", name, of).code == code
    assert len(stage.store.voices) == 1


def test_only_so_many_removed_names_are_remembered(monkeypatch):
    """What was removed long ago is as if it had never been there."""
    monkeypatch.setattr("voicebus.daemon.core.voices.REMEMBERED", 1)
    _, client = cloning()
    for name in ("anna", "berta"):
        add(client, name, DATA)
        ask(client, "remove", name)
    assert [ask(client, "remove", name).found for name in ("anna", "berta")] == [False, True]


def test_what_is_not_there_cannot_be_changed():
    """Changing or renaming a voice that is not there, or to a name that cannot be, is refused."""
    _, client = cloning()
    add(client, "anna", DATA)
    add(client, "berta", DATA)
    assert ask(client, "change", "nobody", spec(DATA)).code == "not_found"
    assert ask(client, "rename", "nobody", to="x").code == "not_found"
    assert ask(client, "rename", "anna", to="berta").code == "conflict"
    assert "the name of a provider" in ask(client, "rename", "anna", to="a").message
    assert ask(client, "rename", "anna", to="a b").code == "invalid"
    assert ask(client, "rename", "anna", to="").code == "invalid"
    assert ask(client, "rename", "anna", to="Anna").name == "Anna"
    assert ask(client, "rename", "Anna", to="ANNA ").code == "invalid"


def test_there_are_so_many_voices_and_no_more():
    """A user's voices have a limit."""
    _, client = cloning(limits=Limits(voices=1))
    add(client, "anna")
    assert add(client, "berta").code == "queue_full"


def test_voices_outlive_the_daemon():
    """The next daemon has the same voices; a recording that is missing from the disk is told as missing."""
    stage, client = cloning()
    add(client, "anna", DATA)
    add(client, "berta", b"lost" * 50)
    del stage.files[f"voices/1000/{sample_of(b'lost' * 50)}.sample"]
    stage = stage.reborn()
    stage.worker(capabilities=CLONES)
    client = stage.client()
    anna, berta = rows(client, kind="cloned")
    assert (anna["created"], anna["samples"][0]["missing"], berta["samples"][0]["missing"]) == (DATE, False, True)
    client.submit("j", chain=[Choice("", "berta")])
    assert client.last(Error).code == "not_found"


def test_a_disk_that_fails_changes_nothing():
    """What could not be written down is told to whoever asked; a voice that could not be removed is still there."""
    stage, client = cloning()
    upload(client, DATA)
    stage.commits_fail = "disk full"
    assert ask(client, "add", "anna", spec(DATA)).code == "storage"
    stage.commits_fail = ""
    add(client, "anna", DATA)
    stage.commits_fail = "disk full"
    assert ask(client, "remove", "anna").code == "storage"
    assert len(rows(client, kind="mine")) == 1


def test_files_that_stay_are_told():
    """When a voice is gone and a file of it cannot be removed, that is an error, and the voice is gone."""
    stage, client = cloning()
    add(client, "anna", DATA)
    stage.files_stay = "Read-only file system"
    answer = ask(client, "remove", "anna")
    assert (answer.code, "Read-only" in answer.message) == ("storage", True)
    assert not rows(client, kind="mine")
    assert not ask(client, "remove", "anna").found


def test_nobody_sees_anothers_voices():
    """Voices belong to a uid: another one neither lists, uses, changes nor removes them, and may use the same names."""
    stage, client = cloning()
    stage.worker(capabilities=CLONES)
    add(client, "anna", DATA)
    other = stage.client(uid=2000)
    assert not rows(other, kind="mine")
    assert not ask(other, "remove", "anna").found
    assert ask(other, "change", "anna", spec(DATA)).code == "not_found"
    assert ask(other, "add", "anna", spec(DATA)).code == "not_found", "a recording that is there is another's"
    other.submit("j", chain=[Choice("", "anna")])
    assert other.last(Error).code == "unknown_voice"
    add(other, "anna", DATA)
    ask(client, "remove", "anna")
    assert set(stage.files) == {f"voices/2000/{sample_of(DATA)}.sample"}


def test_the_list_is_narrowed():
    """By provider (who can speak it), language, kind and name; presets have a kind too."""
    stage, client = cloning("a", "b")
    add(client, "early", b"early" * 30)
    early = rows(client, voice="early")[0]
    assert (early["speakers"], early["unknown"]) == ([], ["a", "b"])
    assert early["problem"] == "Whether a, b can speak it is known once they have started."
    ask(client, "remove", "early")
    add(client, "early", b"early" * 30, chain=(Choice("a"), Choice("b", "en")))
    early = rows(client, voice="early", provider="a")[0]
    assert (early["speakers"], early["unknown"], early["problem"]) == (["b"], ["a"], "")
    ask(client, "remove", "early")
    stage.worker("a/0", capabilities=CLONES)
    stage.worker("b/0")
    add(client, "anna", DATA, languages=["de"], chain=(Choice("a"), Choice("b", "en"), Choice("away")))
    ask(client, "add", "old", VoiceSpec(kind="designed", description="an old man"))
    names = lambda **where: [row["voice"] for row in rows(client, **where)]  # noqa: E731
    assert names(kind="mine") == ["anna", "old"]
    assert names(kind="designed") == ["old"]
    assert names(provider="b") == ["anna", "en", "de"]
    assert names(language="en", kind="mine") == ["old"]
    assert names(language="de", provider="a") == ["anna", "de"]
    assert names(voice="en", provider="a") == ["en"]
    assert names(kind="preset", provider="nobody") == []
    stage.core.world.prompts[1000, "x.prompt"] = 5
    assert rows(client, voice="anna")[0]["prompts"] == 0
    old = rows(client, voice="old")[0]
    assert (old["provider"], old["speakers"]) == ("", [])
    assert "make a voice from a description" in old["problem"]


def test_why_those_that_were_chosen_cannot_speak_a_voice_is_listed():
    """Once they have told what they can, each says why it cannot; before, that it has not told yet."""
    stage, client = cloning("a", "b")
    add(client, chain=(Choice("b"),))
    assert rows(client, kind="mine")[0]["problem"] == "Whether b can speak it is known once it has started."
    stage.worker("b/0")
    (row,) = rows(client, kind="mine")
    assert (row["speakers"], row["unknown"]) == ([], [])
    assert row["problem"].startswith("b cannot speak with a cloned voice.")


def test_a_provider_that_is_not_ready_has_no_presets_yet():
    """Before its workers have told, nothing of a provider is listed."""
    _, client = cloning()
    assert rows(client) == []
