"""Cloned voices through a real service: made once, kept, changed, removed; recordings that come in pieces."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from voicebus.bus.errors import Conflict, InvalidRequest, JobFailed, NotFound, VoicebusError
from voicebus.bus.messages import Sample
from voicebus.clients.aio import AsyncClient
from voicebus.clients.designing import TEXTS
from voicebus.clients.sync import Client
from voicebus.clients.voicing import PIECE_BYTES
from voicebus.workers import tone

from .recordings import wav
from .service import until

CONFIG = """
[defaults]
chain = ["espeak"]
[providers.espeak]
workers = 1
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = { once_dir = "@ONCE@" }
[restart]
base_s = 0.02
max_s = 0.1
[breaking]
failures = 20
"""
MINE = "It is my own voice."
LINES = "The first sentence is here. The second one follows. And a third one ends it."


def said(client: Client, text: str, **options) -> bytes:
    """The audio of a text."""
    speech = client.speak(text, keep="job", seed=7, whole=True, **options)
    return b"".join(bytes(frame.pcm) for frame in speech.frames())


def wanted(text: str, voice: str) -> bytes:
    """What tone makes of one sentence with the seed of its job's first segment."""
    return tone.expected(text, voice=voice, seed=7)


def made(service, mark: str) -> int:
    """How often a prompt was made of the recording whose transcript tells this mark."""
    return service.output().count(f": made {mark}")


@pytest.fixture
def anna(client):
    """A voice, removed in the end. The transcript tells whenever a prompt is made of it."""
    data = wav()
    client.add_voice("anna", [(data, "Good morning. {{tell made anna}}")], chain=["tone"], consent=MINE)
    yield data
    client.remove_voice("anna")


def test_a_prompt_is_made_once_for_all_who_need_it_at_once(service):
    """Two jobs of three sentences at two workers need the same prompt at the same moment: it is made once, and all that
    is heard is the voice."""
    data, text = wav(pitch=180), "Twins. {{tell made twins}} {{wait 0.3}}"
    voice = tone.cloned((data, text))
    with Client(endpoint=service.endpoint, start=False) as client:
        service.ready(client, "tone", 2)
        client.add_voice("twins", [(data, text)], chain=["tone"], consent=MINE)
        with ThreadPoolExecutor(2) as pool:
            heard = list(pool.map(lambda _: said(client, LINES, voice="twins"), range(2)))
        assert made(service, "twins") == 1
        sentences = ("The first sentence is here.", "The second one follows.", "And a third one ends it.")
        parts = [tone.expected(part, voice=voice, seed=7 + number) for number, part in enumerate(sentences)]
        assert heard == [b"".join(parts)] * 2
        assert client.voice("twins")["prompts"] == 1
        client.remove_voice("twins")


def test_the_voice_is_what_its_recordings_are(client, anna):
    """What is heard is a function of the recording's bytes and its transcript, sample by sample, and says whose it
    is."""
    speech = client.speak("Hello.", voice="anna", seed=7, whole=True)
    audio = b"".join(bytes(frame.pcm) for frame in speech.frames())
    assert audio == wanted("Hello.", tone.cloned((anna, "Good morning. {{tell made anna}}")))
    assert [(who["provider"], who["voice"]) for who in speech.result.speakers] == [("tone", "anna")]


def test_a_voice_can_be_asked_of_one_provider(client, anna):
    """A chain may name a voice of one's own with the provider that is to speak it; one that cannot is refused by
    name."""
    voice = tone.cloned((anna, "Good morning. {{tell made anna}}"))
    assert said(client, "Hello.", chain=["tone/anna"]) == wanted("Hello.", voice)
    assert said(client, "Hello.", provider="tone", voice="ANNA") == wanted("Hello.", voice)
    with pytest.raises(InvalidRequest, match="espeak cannot speak with a cloned voice"):
        client.speak("Hello.", chain=["espeak:anna"])


def test_another_transcript_is_another_prompt(service, client, anna):
    """When what is said in a recording is corrected, the prompt is made anew, and the old one is gone."""
    said(client, "Hello.", voice="anna")
    before = {path.name for path in service.state.glob("voices/*/*.prompt")}
    sample = hashlib.sha256(anna).hexdigest()
    client.change_voice("anna", texts={sample: "Good evening."})
    assert not before & {path.name for path in service.state.glob("voices/*/*")}
    assert said(client, "Hello.", voice="anna") == wanted("Hello.", tone.cloned((anna, "Good evening.")))


def test_a_worker_that_dies_of_making_a_prompt_is_replaced_and_it_is_made(service, client):
    """A prompt whose maker dies once is made by another, and the job that waited for it finishes."""
    data, text = wav(pitch=200), "{{exit 3}} {{tell made frail}}"
    client.add_voice("frail", [(data, text)], chain=["tone"], consent=MINE)
    assert said(client, "Hello.", voice="frail") == wanted("Hello.", tone.cloned((data, text)))
    assert made(service, "frail") == 1
    client.remove_voice("frail")


def test_a_worker_killed_in_the_middle_costs_another_try(service, client):
    """A worker killed from outside while it makes a prompt: the other one makes it, and nobody is blamed."""
    data, text = wav(pitch=210), "{{wait 20}} {{tell made long}}"
    client.add_voice("long", [(data, text)], chain=["tone"], consent=MINE)
    service.ready(client, "tone", 2)
    speech = client.speak("Hello.", voice="long", seed=7, whole=True)
    (pid,) = until(lambda: service.busy(client, "tone"), "somebody who makes it")
    until(lambda: len(list(service.once.iterdir())) > 0, "the marker")
    os.kill(pid, signal.SIGKILL)
    audio = b"".join(bytes(frame.pcm) for frame in speech.frames())
    assert audio == wanted("Hello.", tone.cloned((data, text)))
    client.remove_voice("long")


def test_recordings_that_kill_workers_are_left_alone(service, client):
    """A recording that brings down two workers is quarantined: jobs go on to the next of the voice's chain, or fail by
    that name, at once from then on; other voices are spoken all the while."""
    data = wav(pitch=220)
    text = "{{segfault}} and {{segfault}}"  # each works once
    client.add_voice("deadly", [(data, text)], chain=["tone"], consent=MINE)
    with pytest.raises(JobFailed, match="brought down two workers"):
        said(client, "Hello.", voice="deadly")
    with pytest.raises(VoicebusError, match="brought down two workers"):
        client.speak("Hello again.", voice="deadly")
    client.change_voice("deadly", chain=["tone", "espeak:en-us"])
    result = client.speak("Hello.", voice="deadly").wait()
    assert [who["provider"] for who in result.speakers] == ["espeak"]
    client.remove_voice("deadly")


def test_a_prompt_that_disappears_is_made_again(service, client, anna):
    """Somebody removes or damages the file of a prompt while the daemon runs: whoever needs it has it made again."""
    before = said(client, "Hello.", voice="anna")
    for harm in (lambda path: path.unlink(), lambda path: path.write_bytes(b"x" * path.stat().st_size)):
        for row in service.ready(client, "tone", 2):
            os.kill(row["pid"], signal.SIGKILL)  # nobody has it at hand
        (prompt,) = service.state.glob("voices/*/*.prompt")
        harm(prompt)
        assert said(client, "Hello.", voice="anna") == before


def test_removal_leaves_nothing(service, client):
    """When a voice is gone, no file of the daemon holds its recording, its transcript or its prompt, and what was to be
    spoken with it ends by name."""
    data, text = wav(pitch=230), "Remembered by nobody."
    client.add_voice("ghost", [(data, text)], chain=["tone"], consent=MINE)
    said(client, "Hello.", voice="ghost")
    book = client.speak("A sentence of a book. " * 2000, voice="ghost", pace="render", keep="job")
    client.remove_voice("ghost")
    kept = {path: path.read_bytes() for path in service.state.rglob("*") if path.is_file()}
    sample = hashlib.sha256(data).hexdigest()
    assert not [path for path in kept if sample in path.name or path.suffix == ".prompt"]
    for path, content in kept.items():
        if path.suffix != ".takes" and not path.name.endswith(".log"):
            assert text.encode() not in content, path
            assert data[5000:5100] not in content, path
    with pytest.raises(JobFailed, match="the voice ghost was removed"):
        book.wait()
    with pytest.raises(NotFound):
        client.voice("ghost")
    client.remove_voice("ghost")  # the same again is answered the same
    with pytest.raises(NotFound):
        client.remove_voice("never-there")


TELLER = """
import sys
from voicebus.workers.tone import ToneEngine


class Teller(ToneEngine):
    def forget(self, key):
        sys.stderr.write(f"forgot {key}\\n")
"""


def test_workers_forget_a_voice_that_is_removed(launch, tmp_path):
    """The worker that made a voice's prompt and the one that fetched it are told to forget it when the voice is gone;
    a voice of the same recordings that is made after that has to be fed to them again."""
    script = tmp_path / "teller.py"
    script.write_text(TELLER)
    service = launch(f"[providers.teller]\nscript = '{script}'\nworkers = 2\n")
    with service.client() as client:
        service.ready(client, "teller", 2)
        for _ in range(2):
            client.add_voice("shade", [(wav(pitch=310), "Here.")], chain=["teller"], consent=MINE)
            with ThreadPoolExecutor(2) as pool:
                heard = list(pool.map(lambda _: said(client, LINES, voice="shade"), range(2)))
            assert heard[0] == heard[1]
            (key,) = {path.name.split(".")[1] for path in service.state.glob("voices/*/*.prompt")}
            before = service.output().count(f"forgot {key}")
            client.remove_voice("shade")
            until(lambda: service.output().count(f"forgot {key}") - before == 2, "both workers to forget it")  # noqa: B023


def test_a_file_brings_a_voice_elsewhere(client, anna, tmp_path):
    """A voice that was exported and imported under another name sounds the same, and its consent came with it."""
    client.export_voice("anna", tmp_path / "anna.voice")
    client.import_voice(tmp_path / "anna.voice", "hanna")
    assert said(client, "Hello.", voice="hanna") == said(client, "Hello.", voice="anna")
    old, new = client.voice("anna"), client.voice("hanna")
    assert new["consent"] == old["consent"]
    assert new["consent"]["statement"] == MINE
    assert client.recording(new["samples"][0]["sample"]) == anna
    client.remove_voice("hanna")
    assert client.recording(old["samples"][0]["sample"]) == anna, "one that another voice has stays"


def test_the_client_with_asyncio_does_the_same(service, tmp_path):
    """Each thing that can be done with a voice can be awaited."""

    async def everything():
        async with AsyncClient(endpoint=service.endpoint, start=False) as client:
            added = await client.add_voice("ada", [(wav(pitch=240), "Words.")], chain=["tone"], consent=MINE)
            await client.export_voice("ada", tmp_path / "ada.voice")
            await client.change_voice("ada", description="calm", languages=["en"])
            await client.rename_voice("ada", "eva")
            row = await client.voice("eva")
            data = await client.recording(row["samples"][0]["sample"])
            speech = await client.speak("Hello.", voice="eva", seed=7, whole=True)
            audio = b"".join([bytes(frame.pcm) async for frame in speech.frames()])
            await client.import_voice(tmp_path / "ada.voice")
            names = [each["voice"] for each in await client.voices(kind="mine")]
            for name in ("ada", "eva"):
                await client.remove_voice(name)
            return added.voice, row["description"], data, audio, names

    name, description, data, audio, names = asyncio.run(everything())
    assert (name, description, data) == ("ada", "calm", wav(pitch=240))
    assert audio == wanted("Hello.", tone.cloned((data, "Words.")))
    assert {"ada", "eva"} <= set(names)


def test_programs_design_voices(launch):
    """A reference is made, heard as bytes, kept and replaced by both clients, with the same results."""
    service = launch('[providers.tone]\nmodule = "voicebus.workers.tone"\nsettings = { designs = true }\n')

    async def otherwise() -> tuple[bytes, str]:
        async with AsyncClient(endpoint=service.endpoint, start=False) as client:
            again = await client.design_reference("An old man.", text="Hello there.", seed=4)
            young = await client.design_reference("A young man.", language="de-AT", provider="tone")
            added = await client.redesign_voice("grandpa", young)
            return again.read(), added.voice

    with service.client() as client:
        service.ready(client, "tone")
        one = client.design_reference("An old man.", text="Hello there.", seed=4)
        client.add_voice("grandpa", [one], description="An old man.")
        voice = tone.cloned((one.read(), "Hello there."))
        assert said(client, "Hello.", voice="grandpa") == wanted("Hello.", voice)
        same, name = asyncio.run(otherwise())
        assert (same, name) == (one.read(), "grandpa")
        row = client.voice("grandpa")
        assert (row["description"], row["samples"][0]["text"]) == ("A young man.", TEXTS["de"])
        client.add_voice("anna", [wav()], consent=MINE)
        with pytest.raises(InvalidRequest, match="only a designed voice is made anew"):
            client.redesign_voice("anna", one)
        for name in ("anna", "grandpa"):
            client.remove_voice(name)


def test_a_designed_voice_needs_somebody_who_can(client):
    """A voice that is only described is kept; where nobody can make one from words, that is said by name."""
    added = client.add_voice("grandpa", description="An old man, hoarse and kind.")
    assert "make a voice from a description" in client.voice(added.voice)["problem"]
    with pytest.raises(InvalidRequest, match="make a voice from a description"):
        client.speak("Hello.", voice="grandpa")
    client.remove_voice("grandpa")


def test_names_are_kept_apart(client, anna):
    """A name that a preset has, that is another voice's, or that could be part of a path is refused."""
    for name in ("en-us", "low", "ANNA"):
        with pytest.raises(Conflict):
            client.add_voice(name, [wav()], consent=MINE)
    for name in ("../x", "a/b", "", "x" * 65, "a b", "tone:x", "a+b"):
        with pytest.raises(InvalidRequest):
            client.add_voice(name, [wav()], consent=MINE)


def test_a_voice_is_renamed_with_all_it_has(service, client, anna):
    """Another name changes nothing else: no prompt is made anew."""
    said(client, "Hello.", voice="anna")
    count = made(service, "anna")
    assert client.rename_voice("anna", "berta") == "berta"
    said(client, "Hello.", voice="berta")
    assert made(service, "anna") == count
    assert client.voice("berta")["was"] == "anna"
    client.rename_voice("berta", "anna")


UNUSABLE = {
    "garbage": (b"this is no audio at all " * 100, "not read as audio"),
    "m4a": (b"\0\0\0\x20ftypM4A " + bytes(1000), "begins as an M4A or MP4 file does"),
    "short": (wav(0.5, lead=0.1, tail=0.1), "3 to 30 s"),
    "silent": (wav(4.0, height=0.0, noise=0.0), "no sound"),
    "torn": (wav()[:30], "not read as audio"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_is_no_recording_is_refused_with_advice(service, client, kind):
    """A file that is no audio, or of no use, is refused with what to do, and nothing of it stays."""
    data, words = UNUSABLE[kind]
    with pytest.raises(InvalidRequest, match=words) as refused:
        client.add_voice("none", [data], consent=MINE)
    assert str(service.state) not in str(refused.value)  # a file of ours tells nobody anything
    assert not list(service.state.glob("voices/*/" + hashlib.sha256(data).hexdigest() + "*"))


def test_advice_is_given_where_it_could_be_better(client):
    """What makes a voice worse is told in plain words, and the voice is there all the same."""
    added = client.add_voice("rough", [wav(2.0, rate=8000, height=2.0, clip=0.98, noise=0.5)], consent=MINE)
    assert {advice["code"] for advice in added.advice} >= {"clipping", "noise", "short", "rate"}
    client.remove_voice("rough")


def test_consent_is_needed_and_kept(client):
    """Without a word of consent no recording makes a voice."""
    with pytest.raises(InvalidRequest, match="consent"):
        client.add_voice("nobody", [wav()])


def test_prompts_and_half_sent_recordings_outlive_the_daemon(launch):
    """After a daemon was killed, a voice speaks without its prompt being made again, and a recording that was half sent
    goes on where it was."""
    service = launch(CONFIG)
    client = service.client()
    data, text = wav(), "Good morning. {{tell made lasting}}"
    client.add_voice("lasting", [(data, text)], chain=["tone"], consent=MINE)
    before = said(client, "Hello.", voice="lasting")
    large = wav(14.0)
    sample = hashlib.sha256(large).hexdigest()
    held, _ = client._ask(Sample(sample=sample, size=len(large)), large[:PIECE_BYTES])
    assert (held.have, held.ready) == (PIECE_BYTES, False)
    service.close_clients()
    service.kill()
    service.start_again()
    client = service.client()
    assert said(client, "Hello.", voice="lasting") == before == wanted("Hello.", tone.cloned((data, text)))
    assert made(service, "lasting") == 1
    held, _ = client._ask(Sample(sample=sample, size=len(large)))
    assert held.have == PIECE_BYTES
    client.add_voice("large", [large], consent=MINE)
    client.remove_voice("large")
    client.remove_voice("lasting")


def test_another_revision_of_the_model_needs_another_prompt(launch):
    """When a provider's workers have another model, prompts of the old one are not used."""
    service = launch(CONFIG)
    client = service.client()
    data, text = wav(), "Good morning. {{tell made twice}}"
    client.add_voice("twice", [(data, text)], chain=["tone"], consent=MINE)
    said(client, "Hello.", voice="twice")
    service.write(CONFIG.replace("once_dir", 'version = "2", once_dir').replace("@ONCE@", "@ONCE@/2"))
    (service.once / "2").mkdir()
    service.signal(signal.SIGHUP)
    service.says("configuration read again")
    until(lambda: len(service.ready(client, "tone", 2)) == 2, "new workers")
    assert said(client, "Hello.", voice="twice") == wanted("Hello.", tone.cloned((data, text)))
    assert made(service, "twice") == 2
    client.remove_voice("twice")


def test_what_nobody_owns_is_gone_at_the_start(launch):
    """Recordings and prompts that no voice has are removed when a daemon starts; those of a voice, and files that are
    none of ours, stay."""
    service = launch(CONFIG)
    client = service.client()
    data = wav()
    client.add_voice("stays", [(data, "")], chain=["tone"], consent=MINE)
    said(client, "Hello.", voice="stays")
    folder = service.state / "voices" / str(os.getuid())
    mine = {path.name for path in folder.iterdir()}
    service.close_clients()
    service.kill()
    (folder / ("a" * 64 + ".sample")).write_bytes(b"nobody's")
    (folder / ("b" * 32 + "." + "c" * 64 + ".prompt")).write_bytes(b"nobody's")
    (folder / "notes.txt").write_bytes(b"a person's")
    prompt = next(path for path in folder.glob("*.prompt") if path.name in mine)
    prompt.write_bytes(prompt.read_bytes()[:-1])
    service.start_again()
    assert {path.name for path in folder.iterdir()} == mine - {prompt.name} | {"notes.txt"}
    (folder / "notes.txt").unlink()
    client = service.client()
    assert said(client, "Hello.", voice="stays") == wanted("Hello.", tone.cloned((data, "")))
    client.remove_voice("stays")
