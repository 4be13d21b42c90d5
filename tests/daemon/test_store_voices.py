"""Users' own voices in the database."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import Consent, SampleSpec, VoiceSpec
from voicebus.daemon.core.records import SampleFacts, SampleSaved, VoiceRemoved, VoiceRenamed, VoiceSaved

from .stores import Desk

SAMPLE = "a" * 64
FACTS = SampleFacts(5.0, 24000, 1, "WAV")


@pytest.fixture
def desk(tmp_path):
    """A store in an empty directory."""
    desk = Desk(tmp_path / "jobs.db")
    yield desk
    desk.store.close()


def voice(name: str = "anna", text: str = "Xylophone.", uid: int = 1000) -> VoiceSaved:
    """A cloned voice whose transcript is this."""
    spec = VoiceSpec(samples=[SampleSpec(SAMPLE, text)], consent=Consent("me", "It is mine."))
    return VoiceSaved(uid, name, spec, (SampleSaved(SAMPLE, 5, FACTS),))


def test_a_voice_comes_back_as_it_was_with_the_date(desk):
    """All of a voice is found again, dated when it was written down; each user has its own of the same name."""
    assert desk.commit(voice(), voice(uid=2000)) == ["done", "done"]
    found = desk.store.voices()
    assert [each.uid for each in found] == [1000, 2000]
    assert found[0] == voice().dated(desk.clock.now)
    assert (found[0].created, found[0].spec.consent.at) == (desk.clock.now, desk.clock.now)


def test_what_a_voice_was_is_in_no_file(desk):
    """When a voice was changed or removed, its old words are gone from every file before that is told."""
    desk.commit(voice(text="Xylophone."))
    desk.commit(voice("Anna", text="Bassoon."))
    assert len(desk.store.voices()) == 1
    assert not [name for name, data in desk.files().items() if b"xylo" in data.lower()]
    desk.commit(VoiceRemoved(1000, "ANNA"))
    assert desk.store.voices() == []
    assert not [name for name, data in desk.files().items() if b"bassoon" in data.lower()]
    assert desk.commit(VoiceRemoved(1000, "anna")) == ["missing"]


def test_a_renamed_voice_keeps_its_date(desk):
    """A voice has one name at a time; one that is not there cannot be renamed."""
    desk.commit(voice())
    (before,) = desk.store.voices()
    desk.clock.now += 100
    renamed = VoiceSaved(1000, "berta", before.spec, before.samples, "anna", before.created)
    assert desk.commit(VoiceRenamed("anna", renamed)) == ["done"]
    assert desk.store.voices() == [renamed]
    assert desk.commit(VoiceRenamed("anna", renamed)) == ["missing"]


def test_recordings_reach_the_disk_before_their_voice(desk, tmp_path):
    """A voice whose recordings cannot be brought to the disk is not written down."""
    asked = []

    def sync(uid, samples):
        asked.append((uid, samples))
        raise OSError(5, "Input/output error")

    desk.store._writer._sync_samples = sync
    assert desk.commit(voice()) == ["failed"]
    assert asked == [(1000, (SAMPLE,))]
    assert desk.store.voices() == []
