"""Recordings: coming in, looked at, going out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicebus.bus.codec import decode_map
from voicebus.bus.messages import Error, Fetch, Fetched, Sample, SampleHeld
from voicebus.daemon.core.settings import Limits

from .voicing import add, ask, cloning, sample_of, upload
from .world_of_one import GOOD

DATA = b"recorded" * 40


def test_pieces_are_acknowledged_and_the_last_is_answered_when_it_was_looked_at():
    """Each piece is answered with how much is there, the last one with what was measured."""
    stage, client = cloning()
    stage.facts = None
    upload(client, DATA)
    assert [(held.have, held.ready) for held in client.got(SampleHeld)] == [(100, False), (200, False), (300, False)]
    stage.check(replace(GOOD, seconds=2.0))
    held, body = client.inbox[-1]
    assert (held.have, held.ready, held.request) == (320, True, "u300")
    assert [advice["code"] for advice in decode_map(body)["advice"]] == ["short"]


def test_a_piece_may_come_again_and_out_of_order():
    """A piece that is there, or that leaves a gap, changes nothing and is answered with where to go on."""
    _, client = cloning()
    sample = sample_of(DATA)
    for offset in (0, 0, 200, 100):
        client.say(Sample(request="r", sample=sample, size=320, offset=offset), DATA[offset : offset + 100])
    assert [held.have for held in client.got(SampleHeld)] == [100, 100, 100, 200]
    client.say(Sample(request="r", sample=sample, size=320))
    assert client.last(SampleHeld).have == 200


def test_what_is_there_is_not_wanted_again():
    """A recording that is ready is answered at once, whatever comes."""
    _, client = cloning()
    upload(client, DATA)
    client.say(Sample(request="again", sample=sample_of(DATA), size=320))
    assert (client.last(SampleHeld).request, client.last(SampleHeld).ready) == ("again", True)


def test_all_who_ask_while_it_is_looked_at_are_answered_once():
    """Who asks again before the helper is done is answered when it is."""
    stage, client = cloning()
    stage.facts = None
    other = stage.client()
    upload(client, DATA)
    for each, request in ((client, "u300"), (other, "o")):
        each.say(Sample(request=request, sample=sample_of(DATA), size=320))
    stage.check(GOOD)
    assert [held.request for held in client.got(SampleHeld) if held.ready] == ["u300"]
    assert [held.request for held in other.got(SampleHeld)] == ["o"]
    stage.core.sample_checked(1000, sample_of(DATA), GOOD, "", stage.now)  # once more: nothing


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [(None, "It is not read as audio.", "not read"), (replace(GOOD, peak=-80.0), "", "no sound")],
)
def test_what_is_no_recording_is_refused_and_gone(facts, reason, words):
    """A recording that cannot be read or used is refused with the reason, and leaves nothing behind."""
    stage, client = cloning()
    stage.facts = None
    upload(client, DATA)
    stage.check(facts, reason)
    assert client.last(Error).code == "invalid"
    assert words in client.last(Error).message
    assert not stage.files
    assert not stage.core.world.uploads


def test_a_full_disk_refuses_by_name():
    """A piece that cannot be written is an error of the disk."""
    stage, client = cloning()
    stage.disk_full = True
    upload(client, DATA[:50])
    assert client.last(Error).code == "storage"
    stage.core.sample_written(1000, sample_of(DATA), 5, "", stage.now)  # nobody asked


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("invalid", {"sample": "../../etc/passwd"}),
        ("invalid", {"offset": 300}),
        ("too_long", {"size": 0}),
        ("too_long", {"size": 2**40}),
    ],
)
def test_what_cannot_be_is_refused(code, fields):
    """A name that is no SHA-256, a piece beyond the end and a size beyond the limits are refused."""
    stage, client = cloning()
    client.say(Sample(**{"request": "r", "sample": sample_of(DATA), "size": 320, **fields}), b"x" * 100)
    assert (client.last(Error).code, client.last(Error).request) == (code, "r")
    assert not stage.files


def test_another_size_is_a_conflict():
    """The same name with another size is a mistake of the caller's."""
    _, client = cloning()
    upload(client, DATA)
    client.say(Sample(request="r", sample=sample_of(DATA), size=321), b"x")
    assert client.last(Error).code == "conflict"


def test_without_a_disk_there_are_no_voices():
    """A daemon that keeps nothing takes no recordings and no voices."""
    _, client = cloning(durable=False)
    upload(client, DATA)
    assert client.last(Error).code == "storage"
    assert ask(client, "add", "anna").code == "storage"


def test_users_have_a_share_of_the_disk():
    """Where a user's recordings would take more than its share, or more than there is for all, they are refused."""
    _, client = cloning(limits=Limits(voice_bytes_per_user=500))
    add(client, "anna", DATA)
    upload(client, DATA + b"x")
    assert client.last(Error).code == "queue_full"
    stage, client = cloning(limits=Limits(voice_bytes=500))
    upload(client, DATA)
    upload(stage.client(uid=2000), DATA)
    assert stage.core.world.uploads.keys() == {(1000, sample_of(DATA))}


def test_recordings_without_a_voice_are_few(monkeypatch):
    """A user who only uploads is stopped."""
    monkeypatch.setattr("voicebus.daemon.core.samples.UPLOADS", 2)
    _, client = cloning()
    for number in range(3):
        upload(client, b"%d" % number * 50)
    assert client.last(Error).code == "queue_full"


def test_recordings_are_fetched_by_their_owner_only(monkeypatch):
    """A recording goes out in runs, to its owner; anybody else's is not found."""
    monkeypatch.setattr("voicebus.daemon.core.samples.FETCH_BYTES", 200)
    stage, client = cloning()
    upload(client, DATA)
    data = b""
    while len(data) < len(DATA):
        client.say(Fetch(request="f", sample=sample_of(DATA), offset=len(data)))
        message, body = client.inbox[-1]
        assert isinstance(message, Fetched)
        assert (message.size, message.offset) == (320, len(data))
        data += body
    assert data == DATA
    stranger = stage.client(uid=2000)
    for who, offset in ((stranger, 0), (client, 320)):
        who.say(Fetch(request="f", sample=sample_of(DATA), offset=offset))
        assert who.last(Error).code == "not_found"


def test_what_no_voice_has_goes_after_a_while():
    """A recording that nobody touches and no voice has is removed; one of a voice stays."""
    stage, client = cloning()
    add(client, "anna", DATA)
    upload(client, b"unused" * 20)
    upload(client, b"half" * 50, piece=150)
    stage.pass_time(1000.0, step=1.0)
    assert set(stage.files) == {f"voices/1000/{sample_of(DATA)}.sample"}
    assert stage.core.world.uploads.keys() == {(1000, sample_of(DATA))}
