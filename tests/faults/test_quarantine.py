"""A text that brings down whoever says it."""

from __future__ import annotations

import threading

import pytest

from voicebus.bus.errors import JobFailed

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 3
chunk_s = 0.5
settings = {{ {TONE}, factor = 0.02 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
[restart]
base_s = 0.05
[breaking]
failures = 1000
"""


@pytest.mark.parametrize("marker", ["{{segfault}}", "{{hang}}"])
def test_it_does_not_tour_the_fleet(service, client, marker):
    """After two workers it is quarantined, and its job fails with that name; a third is never asked, and jobs of
    others are said as if nothing were."""
    service.ready(client, "tone", 3)
    restarts = sum(row["restarts"] for row in client.workers())
    other = service.client()
    book = sentences(60, start=200)
    beside = Heard(other.speak(book))
    thread = threading.Thread(target=beside.listen)
    thread.start()
    text = f"{sentences(1)} This is the one {marker} that kills. {sentences(1, start=9)}"
    heard = Heard(client.speak(text))
    with pytest.raises(JobFailed) as failed:
        heard.listen()
    assert failed.value.code == "quarantined"
    assert "brought down two workers" in failed.value.message
    _, bad, _ = client.segments(heard.speech.job)
    assert (bad["state"], bad["deaths"], bad["tries"]) == ("quarantined", 2, 2)
    thread.join(20)
    exact(other, beside, book)
    service.ready(client, "tone", 3)
    assert sum(row["restarts"] for row in client.workers()) == restarts + 2


def test_it_can_be_left_out(service, client):
    """With `skip_bad` the rest is said, and the result says that something is missing."""
    service.ready(client, "tone", 3)
    text = f"{sentences(1)} This is the one {{{{exit 1}}}} that kills. {sentences(1, start=9)}"
    heard = Heard(client.speak(text, skip_bad=True)).listen()
    result = heard.speech.result
    assert (result.state, result.code, result.skipped) == ("finished", "incomplete", 1)
    assert not result.complete
    rows = client.segments(heard.speech.job)
    assert [row["state"] for row in rows] == ["whole", "skipped", "whole"]
    assert "skipped" in heard.kinds()
    assert heard.samples == rows[0]["samples"] + rows[2]["samples"] == result.samples
