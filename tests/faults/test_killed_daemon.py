"""The daemon is killed: its workers end by themselves, clients say plainly what happened, and the next one goes on."""

from __future__ import annotations

import pytest

from voicebus.bus.errors import Conflict, Disconnected
from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences
from .service import until, until_dead

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.3 }}
[defaults]
chain = ["tone"]
"""


def test_no_worker_is_left_and_the_client_says_what_happened(launch):
    """Workers end in the middle of a sentence; whoever listens gets Disconnected once the daemon stayed away for as
    long as he wanted to wait, with a sentence that says so."""
    service = launch(CONFIG)
    client = service.client(reconnect_s=0.5)
    service.ready(client, "tone", 2)
    service.ready(client, "espeak", 2)
    workers = {row["pid"] for row in client.workers()}
    assert len(workers) == 4
    heard = Heard(client.speak(sentences(10)))

    def on_event(event):
        if isinstance(event, Frame) and service.process.poll() is None:
            assert service.busy(client, "tone")
            service.kill()

    with pytest.raises(Disconnected) as lost:
        heard.listen(on_event)
    until_dead(workers)
    assert "daemon" in lost.value.message
    assert lost.value.code == "disconnected"
    with pytest.raises(Disconnected):
        client.status()
    with pytest.raises(Disconnected):
        client.speak("Anybody there?")


def test_the_next_daemon_goes_on_and_the_caller_hears_nothing_of_it(launch):
    """Killed again and again in the middle of a long text: the caller's iteration just continues, every sentence is in
    the result once, whole and in order; another reader finds the same, and it has ended exactly once."""
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone", 2)
    text = sentences(14)
    heard = Heard(client.speak(text))
    killed = []

    def on_event(event):
        if isinstance(event, Frame) and event.segment in (2, 5, 9) and event.segment not in killed:
            killed.append(event.segment)
            service.kill()
            service.start_again()

    heard.listen(on_event)
    assert killed == [2, 5, 9]
    exact(client, heard, text)
    again = Heard(client.attach(heard.speech.job)).listen()
    assert bytes(again.pcm) == bytes(heard.pcm)
    assert again.speech.result.samples == heard.samples


def test_queued_jobs_run_and_finished_ones_stay_finished(launch):
    """What was accepted and not begun is spoken by the next daemon, whoever is there; what had ended is found with its
    audio and is not spoken again."""
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone", 2)
    done = Heard(client.speak("This one is done.")).listen()
    for number in range(3):
        client.speak(sentences(2, start=10 * number), job=f"queued-{number}", pace="render")
    until(lambda: len(client.jobs()) == 4)
    service.kill()
    service.start_again()
    later = service.client()
    for number in range(3):
        heard = Heard(later.attach(f"queued-{number}")).listen()
        exact(later, heard, sentences(2, start=10 * number))
    again = Heard(later.attach(done.speech.job)).listen()
    assert bytes(again.pcm) == bytes(done.pcm)
    with pytest.raises(Conflict):
        Heard(later.speak("Other words.", job=done.speech.job)).listen()
    same = Heard(later.speak("This one is done.", job=done.speech.job)).listen()
    assert bytes(same.pcm) == bytes(done.pcm)
    assert sum(row["jobs_done"] for row in later.workers()) <= 6
