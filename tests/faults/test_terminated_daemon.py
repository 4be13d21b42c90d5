"""The daemon is asked to leave in the middle of a long text."""

from __future__ import annotations

import signal
import threading

import pytest

from voicebus.bus.errors import Disconnected, JobFailed
from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences, sounds

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


def test_readers_get_what_was_made_and_the_next_daemon_goes_on(launch):
    """Sentences in hand are finished, a reader gets all that is whole, exactly, and the daemon leaves with 0. The next
    one goes on with what is left, and whoever waited hears it to its end as if nothing had been."""
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

    def impatient():
        with pytest.raises(Disconnected):
            second.listen()
        service.start_again()

    thread = threading.Thread(target=impatient)
    thread.start()
    heard.listen(on_event)
    thread.join(10)
    _is_a_beginning(second, client.segments(heard.speech.job))
    assert len(second.takes) >= 3
    assert "leaving" in heard.kinds()
    exact(client, heard, TEXT)
    assert heard.speech.result.complete


def test_what_is_not_kept_ends_with_the_daemon(launch):
    """A job of which nothing is kept fails with the reason, behind the sentences that were in hand."""
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT, keep="nothing"))
    asked = []

    def on_event(event):
        if isinstance(event, Frame) and event.segment == 2 and not asked:
            asked.append(service.signal(signal.SIGTERM))

    with pytest.raises(JobFailed) as failed:
        heard.listen(on_event)
    assert failed.value.code == "daemon_stopped"
    assert service.process.wait(10) == 0
    assert heard.samples == heard.speech.result.samples > 0


def _is_a_beginning(heard, rows):
    """What was heard is whole segments of the text from the start."""
    at = 0
    for row in rows:
        if at == heard.samples:
            return
        (sound,) = sounds(row, TEXT, [""], 8000, 1.0)
        assert heard.pcm[2 * at : 2 * at + len(sound)] == sound
        at += len(sound) // 2
    raise AssertionError("not the end of a segment")
