"""The steps by which a voice is made, with answers from a script."""

from __future__ import annotations

import hashlib
import zipfile

import pytest

from voicebus.bus.codec import encode
from voicebus.bus.errors import InvalidRequest, NotFound, StorageError
from voicebus.bus.messages import Choice, Consent, Fetched, Page, SampleHeld, VoiceDone, VoiceSpec
from voicebus.clients import asking, comparing, steps, voice_file, voicing
from voicebus.clients.voicing import PIECE_BYTES, Recording

DATA = b"recorded" * 60_000
SAMPLE = hashlib.sha256(DATA).hexdigest()
ROW = {
    "voice": "anna", "kind": "cloned", "description": "calm", "languages": ["en"],
    "chain": [{"provider": "tone", "voice": ""}], "consent": {"who": "me", "statement": "mine", "at": 5.0},
    "samples": [{"sample": SAMPLE, "text": "Words.", "heard": ""}],
}  # fmt: skip


class Desk:
    """Answers the questions of steps as a daemon does that has one voice."""

    def __init__(self) -> None:
        self.have = bytearray()
        self.asked = []

    def run(self, steps):
        answer = None
        while True:
            try:
                message, body = steps.send(answer)
            except StopIteration as end:
                return end.value
            self.asked.append(message)
            answer = getattr(self, f"_{type(message).__name__.lower()}")(message, body)

    def _sample(self, message, body):
        if message.offset == len(self.have):
            self.have += body
        ready = len(self.have) >= message.size
        found = encode({"advice": [{"code": "short", "text": "Too short."}]}) if ready else b""
        return SampleHeld(sample=message.sample, size=message.size, have=len(self.have), ready=ready), found

    def _voice(self, message, body):
        return VoiceDone(action=message.action, name=message.to or message.name, found=message.name != "nobody")

    def _query(self, message, body):
        return Page(next=""), encode([ROW])

    def _fetch(self, message, body):
        piece = DATA[message.offset : message.offset + 100_000]
        return Fetched(sample=message.sample, size=len(DATA), offset=message.offset), piece


def test_a_recording_is_sent_from_where_the_daemon_is():
    """What is there already is not sent again; then the voice is asked for, with what it is made of."""
    desk = Desk()
    desk.have += DATA[:PIECE_BYTES]
    added = desk.run(voicing.add("anna", VoiceSpec(consent=Consent("me", "mine")), [(DATA, "Words.")]))
    assert [message.offset for message in desk.asked[:-1]] == [0, PIECE_BYTES]
    assert [(each.sample, each.text) for each in desk.asked[-1].spec.samples] == [(SAMPLE, "Words.")]
    assert (added.voice, [advice["code"] for advice in added.advice]) == ("anna", ["short"])


def test_a_change_keeps_what_is_not_named():
    """Texts, recordings and fields that are named change; the consent and the rest stay."""
    desk = Desk()
    desk.run(voicing.change("ANNA", texts={SAMPLE[:8]: "Other."}, chain=[Choice("b")]))
    spec = desk.asked[-1].spec
    assert (desk.asked[-1].action, desk.asked[-1].name) == ("change", "anna")
    assert [each.text for each in spec.samples] == ["Other."]
    assert (spec.description, spec.chain, spec.consent.at) == ("calm", [Choice("b")], 5.0)
    desk.run(voicing.change("anna", keep=[]))
    assert desk.asked[-1].spec.samples == []


def test_what_is_not_there_is_not_found():
    """A voice that is not listed, or was not there to be removed, is NotFound."""
    desk = Desk()
    with pytest.raises(NotFound):
        desk.run(voicing.look_up("nobody"))
    with pytest.raises(NotFound):
        desk.run(voicing.remove("nobody"))
    assert desk.run(voicing.rename("anna", "berta")) == "berta"
    desk.run(voicing.remove("anna"))


def test_what_cannot_be_sent_is_refused_here(tmp_path):
    """Empty files, impossible names and recordings without consent are mistakes before anything is sent."""
    desk = Desk()
    (tmp_path / "empty.wav").write_bytes(b"")
    with pytest.raises(InvalidRequest, match="is empty"):
        desk.run(voicing.add("anna", VoiceSpec(), [tmp_path / "empty.wav"]))
    with pytest.raises(InvalidRequest, match="cannot be the name"):
        desk.run(voicing.add("a/b", VoiceSpec()))
    with pytest.raises(InvalidRequest, match="consent"):
        asking.voice_spec(True, "", [], [], Consent())
    desk.have += DATA + b"more"
    with pytest.raises(StorageError):
        desk.run(_never_ready(DATA))
    assert not desk.asked[:-1]


def refuse_short(message, body):
    """Answers as a daemon does that has every recording already, but for one that is short."""
    if message.size < 10:
        raise InvalidRequest("It has 0.1 s.")
    return SampleHeld(size=message.size, ready=True), encode({"advice": []})


def test_a_recording_that_is_refused_is_named(tmp_path):
    """Of several it is said which one cannot be used: by its path, the name that its caller gives it, or its number."""
    path = tmp_path / "short.wav"
    path.write_bytes(b"short")
    for given, called in ((path, path), (b"short", "Recording 2"), (Recording(b"short", name="b.wav"), "b.wav")):
        with pytest.raises(InvalidRequest) as refused:
            steps.run(voicing.add("anna", VoiceSpec(), [DATA, given]), refuse_short)
        assert (refused.value.message, refused.value.code) == (f"{called}: It has 0.1 s.", "invalid")


def _never_ready(data):
    """Steps whose daemon has more than there is."""
    sending = voicing.upload(data)
    message, body = next(sending)
    yield message, body
    sending.send((SampleHeld(have=len(data) + 1), b""))


def test_a_file_brings_all_of_a_voice(tmp_path):
    """What was exported is imported with its recordings, transcripts, chain and consent."""
    desk = Desk()
    assert desk.run(voice_file.export("anna", tmp_path / "a.voice")) == tmp_path / "a.voice"
    assert [path.name for path in tmp_path.iterdir()] == ["a.voice"]
    record, recordings = voice_file.read(tmp_path / "a.voice")
    assert record.voice == voicing.spec_of(ROW)
    assert recordings == [Recording(DATA, "Words.")]
    desk.run(voice_file.bring_in(tmp_path / "a.voice", "berta"))
    assert (desk.asked[-1].name, desk.asked[-1].spec) == ("berta", record.voice)


@pytest.mark.parametrize("harm", ["no zip", "other data", "newer", "no record", "no recording"])
def test_a_file_that_is_none_is_refused(tmp_path, harm):
    """A file that is no voice, or a damaged or newer one, is refused before anything is asked."""
    desk = Desk()
    path, made = tmp_path / "a.voice", tmp_path / "b.voice"
    desk.run(voice_file.export("anna", path))
    if harm == "no zip":
        made.write_bytes(b"no zip at all")
    else:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
            for name in old.namelist():
                data = old.read(name)
                if (harm, name) in {("no record", "voice.json"), ("no recording", "recordings/1.bin")}:
                    continue
                if harm == "other data" and name.endswith(".bin"):
                    data = data[:-1] + b"?"
                if harm == "newer" and name.endswith(".json"):
                    data = data.replace(b'"version": 1', b'"version": 2')
                new.writestr(name, data)
    with pytest.raises(InvalidRequest):
        voice_file.read(made)


def test_an_export_that_fails_leaves_no_file(tmp_path):
    """A file appears when it is whole, or not at all."""
    with pytest.raises(NotFound):
        Desk().run(voice_file.export("nobody", tmp_path / "a.voice"))
    steps = voice_file.export("anna", tmp_path / "a.voice")
    next(steps)
    steps.send((Page(next=""), encode([ROW])))
    steps.close()
    assert list(tmp_path.iterdir()) == []


def test_texts_are_compared_by_their_words():
    """Capitals, punctuation and small mistakes do not count; another text does."""
    assert comparing.likeness("Good morning, Anna!", "good morning anna") == 1.0
    assert comparing.likeness("It is a fine day today.", "it's a fine day to day") > comparing.ALIKE
    assert comparing.likeness("It is a fine day today.", "the quick brown fox jumps") < comparing.ALIKE


def test_a_chain_may_be_written_with_a_slash():
    """`provider/voice` means the same as `provider:voice`; the first of the two parts them."""
    for entry in ("tone/anna", "tone:anna"):
        assert asking.submit_for({"chain": [entry]}, complete=True).chain == [Choice("tone", "anna")]
    assert asking.submit_for({"chain": ["espeak:mb/mb-en1", "tone"]}, complete=True).chain == [
        Choice("espeak", "mb/mb-en1"),
        Choice("tone", ""),
    ]


@pytest.mark.parametrize(("name", "words"), [("/dev/zero", "far too large"), ("/dev/null", "/dev/null is empty")])
def test_what_has_no_size_is_read_within_bounds(monkeypatch, name, words):
    """A device that never ends is refused, and so is one with nothing in it, each by its name."""
    monkeypatch.setattr(voicing, "SAMPLE_BYTES", 1_000_000)
    with pytest.raises(InvalidRequest, match=words):
        Recording(name).read()
