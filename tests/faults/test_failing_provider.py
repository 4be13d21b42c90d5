"""The first provider of a chain fails in the middle of a text; the second goes on."""

from __future__ import annotations

import pytest

from .listening import CHAR_S, Heard, placed, sentences, sounds

RATE = 16000
CONFIG = f"""
[providers.first]
module = "voicebus.workers.tone"
rate = {RATE}
settings = {{ sample_rate = {RATE}, seconds_per_char = {CHAR_S}, factor = 0.05 }}
[providers.second]
module = "voicebus.workers.tone"
rate = {RATE}
settings = {{ sample_rate = {RATE}, seconds_per_char = {CHAR_S}, factor = 0.05 }}
[providers.espeak]
workers = 1
[defaults]
chain = ["first", "espeak"]
"""
TEXT = f"{sentences(2)} This one cannot {{{{error quota}}}} be said any more. {sentences(2, start=6)}"


@pytest.mark.parametrize(("provider", "whole"), [("first", False), ("second", True)])
def test_the_rest_comes_from_the_next(service, client, provider, whole):
    """The job goes on within the utterance, at the rate that it began with; notices say who goes on and why, the
    segments and the result say who spoke, and nothing is said twice or by two."""
    service.ready(client, "espeak")
    service.ready(client, provider)
    speech = client.speak(TEXT, whole=whole, chain=[provider, "espeak:en-gb"])
    heard = Heard(speech).listen()
    rows = placed(client, speech.job, heard.pcm, TEXT)
    assert [row["provider"] for row, _ in rows] == [provider, provider, "espeak", "espeak", "espeak"]
    assert {row["voice"] for row, _ in rows[2:]} == {"en-gb"}
    for row, sound in rows[:2]:
        assert sound in list(sounds(row, TEXT, [""], RATE, 1.0))
    for row, sound in rows[2:]:
        assert 0.03 < len(sound) / 2 / RATE / row["length"] < 0.16, row
    assert heard.takes == {row["segment"]: row["attempt"] for row, _ in rows}
    assert (speech.rate, speech.result.rate) == (RATE, RATE)
    assert heard.kinds() == ["started", "moved"]
    moved = heard.notices[-1]
    assert (moved.segment, moved.data["provider"], moved.data["voice"]) == (2, "espeak", "en-gb")
    assert moved.data["reason"] == f"{provider}: quota (as the text says)"
    assert {said["provider"]: said["segments"] for said in speech.result.speakers} == {provider: 2, "espeak": 3}
    assert bool(heard.rewinds) != whole
    row = next(row for row in client.providers() if row["provider"] == provider)
    assert row["breaker"] != "closed"
    assert "quota" in row["reason"]
