"""No false success: silence and truncated audio are failures with a name."""

from __future__ import annotations

import pytest

from voicebus.bus.errors import JobFailed

from .listening import TONE, Heard, placed, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE} }}
[providers.solo]
module = "voicebus.workers.tone"
settings = {{ {TONE} }}
[providers.lucky]
module = "voicebus.workers.tone"
settings = {{ {TONE}, once_dir = "@ONCE@" }}
[defaults]
chain = ["tone"]
[breaking]
failures = 1000
"""


def practised(service, client, provider, text, count=20):
    """Have a provider say a text so often that it is known how long a text usually takes there."""
    service.ready(client, provider)
    speech = client.speak(text, provider=provider, pace="render")
    speech.wait()
    assert len(client.segments(speech.job)) >= count


@pytest.mark.parametrize(("marker", "code"), [("{{silence}}", "silent"), ("{{truncate 0.1}}", "truncated")])
def test_it_fails_by_name(service, client, marker, code):
    """What stays silent, or is far too short, twice, ends the job with the name of what happened; what was heard of
    it is taken back, and the sentences before it stand."""
    if code == "truncated":
        practised(service, client, "tone", sentences(24))
    text = f"{sentences(1)} {marker}This one is long enough for anybody to know how long it takes to be said."
    heard = Heard(client.speak(text))
    with pytest.raises(JobFailed) as failed:
        heard.listen()
    assert failed.value.code == code
    assert "Segment 2 of 2 could not be said" in failed.value.message
    first, second = client.segments(heard.speech.job)
    assert (second["tries"], len(second["trail"]), second["deaths"]) == (2, 2, 0)
    assert heard.samples == first["samples"]
    assert heard.speech.result.samples == heard.samples


@pytest.mark.parametrize(("marker", "code"), [("{{silence}}", "silent"), ("{{truncate 0.1}}", "truncated")])
def test_another_throw_of_the_dice(service, client, marker, code):
    """It is tried once more with another seed, and when that goes well nothing is missing."""
    if code == "truncated":
        practised(service, client, "lucky", sentences(24, start=100))
    text = f"{marker}This one is long enough for anybody to know how long it takes to be said, {code} or not."
    service.ready(client, "lucky")
    heard = Heard(client.speak(text, provider="lucky")).listen()
    ((row, sound),) = placed(client, heard.speech.job, heard.pcm, text)
    assert row["tries"] == 2
    assert row["trail"][0].startswith(f"lucky: {code}")
    assert heard.kinds() == ["started", "again"]
    assert sound


@pytest.mark.parametrize("marker", ["{{silence}}", "{{error unavailable}}", "{{error invalid_input}}", "{{raise}}"])
def test_the_next_entry_of_the_chain_says_it(service, client, marker):
    """A provider that cannot say a sentence hands it on; the caller is told who goes on and why, and what was heard
    is taken back."""
    service.ready(client, "solo")
    service.ready(client, "espeak")
    text = f"{sentences(1)} {marker}This one cannot be said by everybody. {sentences(1, start=7)}"
    heard = Heard(client.speak(text, chain=["solo", "espeak"])).listen()
    rows = client.segments(heard.speech.job)
    assert [row["provider"] for row in rows] == ["solo", "espeak", "espeak"]
    moved = [notice for notice in heard.notices if notice.kind == "moved"]
    assert [notice.data["provider"] for notice in moved] == ["espeak"]
    assert moved[0].data["reason"].startswith("solo: ")
    assert heard.samples == rows[2]["offset"] + rows[2]["samples"]
    assert heard.takes == {row["segment"]: row["attempt"] for row in rows}
