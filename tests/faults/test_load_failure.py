"""A provider cannot be loaded."""

from __future__ import annotations

import sys

import pytest

from voicebus.bus.errors import VoicebusError

from .listening import TONE, Heard, exact, sentences
from .service import until

CONFIG = f"""
[providers.broken]
module = "voicebus.workers.tone"
settings = {{ load_error = "the model is not there: get it with voicebus fetch" }}
[providers.crashing]
command = ["{sys.executable}", "-c", "import sys; sys.exit('no such library: libspeech.so')"]
[providers.misconfigured]
command = ["{sys.executable}", "-c", "import sys; sys.exit(78)"]
[providers.absent]
command = ["/no/such/program"]
[providers.mute]
module = "voicebus.workers.tone"
settings = {{ silent_test = true }}
[providers.slow]
module = "voicebus.workers.tone"
load_s = 0.3
settings = {{ load_s = 30 }}
[providers.tone]
module = "voicebus.workers.tone"
settings = {{ {TONE} }}
[providers.espeak]
workers = 0
[defaults]
chain = ["broken", "tone"]
[restart]
intensity = 2
base_s = 0.02
max_s = 0.1
"""
REASONS = {
    "broken": "the model is not there: get it with voicebus fetch",
    "crashing": "no such library: libspeech.so",
    "misconfigured": "cannot work as it is configured",
    "absent": "could not be started",
    "mute": "",
    "slow": "was not ready within 0.3 s",
}


@pytest.mark.parametrize("provider", REASONS)
def test_after_a_few_tries_it_is_left_alone(service, client, provider):
    """More deaths before being ready than allowed are the end; the state says fatal, and the reason what is wrong, in
    words that a person can act on."""

    def fatal():
        return [row for row in client.workers() if row["provider"] == provider and row["state"] == "fatal"]

    (row,) = until(fatal, f"the end of {provider}", 20)
    assert REASONS[provider] in row["reason"], row
    assert row["restarts"] == (0 if provider == "misconfigured" else 2)
    (listed,) = [row for row in client.providers() if row["provider"] == provider]
    assert listed["reason"] == row["reason"]
    assert listed["ready"] == 0


def test_the_chain_goes_on(service, client):
    """A chain whose first entry cannot be loaded is said by the next, with a notice of why."""
    until(lambda: any(row["state"] == "fatal" and row["provider"] == "broken" for row in client.workers()), "the end")
    text = sentences(2)
    service.ready(client, "tone")
    heard = Heard(client.speak(text)).listen()
    exact(client, heard, text)
    assert "the model is not there" in heard.notices[0].data["reason"]


def test_with_nobody_else_the_job_fails_with_the_reason(service, client):
    """Who asks for that provider alone is told what is wrong with it, soon."""
    until(lambda: any(row["state"] == "fatal" and row["provider"] == "broken" for row in client.workers()), "the end")
    with pytest.raises(VoicebusError) as failed:
        Heard(client.speak("Hello there.", provider="broken")).listen()
    assert "the model is not there" in failed.value.message
