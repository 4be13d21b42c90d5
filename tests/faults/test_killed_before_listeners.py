"""The speaking worker is killed before two listeners, of whom one may be slow."""

from __future__ import annotations

import os
import signal
import threading

from voicebus.clients.events import Frame

from .listening import RATE, TONE, Heard, exact, killing, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.15 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TEXT = sentences(4)


def test_two_listeners_hear_the_same(service, client):
    """Both are rewound to the same place, and both have every sample in the end."""
    service.ready(client, "tone", 2)
    first = Heard(client.speak(TEXT, pace="render"))
    other = service.client()
    second = Heard(other.attach(first.speech.job))
    on_event, killed = killing(first, lambda: service.busy(client, "tone"), when=lambda heard: second.samples)
    thread = threading.Thread(target=second.listen)
    thread.start()
    first.listen(on_event)
    thread.join(15)
    assert killed
    for heard in (first, second):
        exact(client, heard, TEXT)
        assert heard.speech.result.complete
    assert {rewind.offset for rewind in first.rewinds} == {rewind.offset for rewind in second.rewinds}
    assert first.rewinds


def test_a_listener_who_had_nothing_of_it_hears_nothing_of_it(service, client):
    """One who reads slowly, and stands before the sentence that broke off, is never rewound; nor does he keep the
    other from hearing everything at once."""
    service.ready(client, "tone", 2)
    fast = Heard(client.speak(TEXT, pace="render"))
    other = service.client()
    slow = Heard(other.attach(fast.speech.job, whole=True))
    on_event, killed = killing(fast, lambda: service.busy(client, "tone"), when=lambda heard: heard.samples > RATE)
    fast.listen(on_event)
    assert killed and fast.rewinds
    assert not slow.samples
    slow.listen()
    assert not slow.rewinds
    exact(client, slow, TEXT)
    exact(client, fast, TEXT)


def test_a_listener_who_reads_in_the_middle_of_the_replacement(service, client):
    """One who joins when the sentence is being said again hears it whole, from the second take."""
    service.ready(client, "tone", 2)
    first = Heard(client.speak(TEXT, pace="render"))
    joined = []

    def on_event(event):
        if isinstance(event, Frame) and not first.rewinds and not joined:
            for pid in service.busy(client, "tone"):
                os.kill(pid, signal.SIGKILL)
        if first.rewinds and not joined:
            joined.append(Heard(service.client().attach(first.speech.job)))

    first.listen(on_event)
    joined[0].listen()
    exact(client, first, TEXT)
    exact(client, joined[0], TEXT)
