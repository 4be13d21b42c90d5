"""Workers are killed at random, over and over, while a long text is said."""

from __future__ import annotations

import contextlib
import os
import random
import signal

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, plausible, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.02 }}
[defaults]
chain = ["tone"]
"""
KILLS = 20


def test_every_sentence_comes_once_whole_and_in_order(service, client):
    """After twenty kills in the middle of work, of one worker or of both, every sample is there and the job is
    finished."""
    dice = random.Random(20)
    text = sentences(50)
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(text, patience=60))
    kills = 0
    next_at = 0

    def on_event(event):
        nonlocal kills, next_at
        if not isinstance(event, Frame) or kills == KILLS or event.offset < next_at:
            return
        busy = service.busy(client, "tone")
        for pid in busy if dice.random() < 0.2 else busy[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        next_at = event.offset + dice.randrange(40_000)

    heard.listen(on_event)
    assert kills >= KILLS
    rows = exact(client, heard, text)
    assert heard.rewinds
    assert sum(row["tries"] for row in rows) > len(rows)
    assert not any(row["deaths"] for row in rows)
    assert heard.speech.result.complete


def test_espeak_killed_again_and_again(service, client):
    """The same with espeak: whatever was killed when, each sentence is heard once, as one take."""
    dice = random.Random(7)
    text = sentences(40)
    service.ready(client, "espeak", 2)
    heard = Heard(client.speak(text, provider="espeak", patience=60))
    kills = 0

    def on_event(event):
        nonlocal kills
        if isinstance(event, Frame) and kills < KILLS and dice.random() < 0.1:
            alive = [row["pid"] for row in client.workers() if row["provider"] == "espeak" and row["pid"]]
            for pid in dice.sample(alive, min(1, len(alive))):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1

    heard.listen(on_event)
    assert kills >= 5
    plausible(client, heard, text)
    assert heard.speech.result.complete
