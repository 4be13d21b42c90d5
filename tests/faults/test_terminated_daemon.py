"""The daemon is asked to leave in the middle of a long text."""

from __future__ import annotations

import signal
import threading

import pytest

from voicebus.bus.errors import DaemonError, JobFailed
from voicebus.clients.events import Frame

from .listening import TONE, Heard, sentences, sounds

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.1 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TEXT = sentences(60)


def test_readers_get_what_was_made(launch):
    """Sentences in hand are finished, both a quick and a slow reader get all that is whole, exactly, and then the
    reason; the daemon leaves with 0 and nothing is left of it."""
    service = launch(CONFIG)
    client, other = service.client(), service.client(reconnect_s=0.5)
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT))
    second = Heard(other.attach(heard.speech.job))
    told = []

    def on_event(event):
        if isinstance(event, Frame) and not told and event.segment == 2:
            told.append(client.segments(heard.speech.job))
            service.signal(signal.SIGTERM)

    def listen(one, on_event):
        with pytest.raises(JobFailed) as failed:
            one.listen(on_event)
        assert failed.value.code == "daemon_stopped"

    thread = threading.Thread(target=listen, args=(second, lambda event: None))
    thread.start()
    listen(heard, on_event)
    thread.join(10)
    assert service.process.wait(10) == 0
    assert bytes(heard.pcm) == bytes(second.pcm)
    assert heard.samples == heard.speech.result.samples
    _is_a_beginning(heard, told[0])
    assert len(heard.takes) >= 3
    with pytest.raises(DaemonError):
        other.speak("Too late.")


def _is_a_beginning(heard, rows):
    """What was heard is whole segments of the text from the start."""
    at = 0
    for row in rows:
        if at == heard.samples:
            return
        (sound,) = sounds(row | {"trail": []}, TEXT, [""], 8000, 1.0)
        assert heard.pcm[2 * at : 2 * at + len(sound)] == sound
        at += len(sound) // 2
    raise AssertionError("not the end of a segment")
