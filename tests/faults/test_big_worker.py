"""A worker that holds gigabytes is killed: the kernel takes its time to say so, its silence counts first."""

from __future__ import annotations

import os
import signal
import time

from voicebus.clients.events import Frame, Rewound

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
fence_s = 0.1
beat_s = 0.2
settings = {{ {TONE}, factor = 0.3, hold_mb = 600 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TEXT = sentences(1, 12)  # one sentence: a spare has nothing to do


def stopped(pids):
    """Stop processes, as a big one is while the kernel takes its memory apart: silent, and not yet known as dead."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def test_its_silence_moves_the_sentence(service, client):
    """A spare takes the sentence over after a missed chunk, long before the deadline for a hang, and before the
    exit is known; the worker is not blamed."""
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT))
    silent, at = [], {}

    def on_event(event):
        if isinstance(event, Frame) and not silent:
            silent.extend(service.busy(client, "tone"))
            stopped(silent)
            at["stopped"] = time.monotonic()
        if isinstance(event, Rewound):
            at.setdefault("rewound", time.monotonic())

    heard.listen(on_event)
    rows = exact(client, heard, TEXT)
    assert at["rewound"] - at["stopped"] < 1.2
    assert client.status()["counters"]["fenced attempts"] >= 1
    assert not any(row["deaths"] for row in rows)
    os.kill(silent[0], signal.SIGKILL)
    service.ready(client, "tone", 2)


def test_killed_in_mid_sentence(service, client):
    """Killed outright, whichever is noticed first, the sentence is said once by another."""
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT))
    killed = []

    def on_event(event):
        if isinstance(event, Frame) and not killed:
            killed.extend(service.busy(client, "tone"))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    heard.listen(on_event)
    exact(client, heard, TEXT)
    assert heard.rewinds
