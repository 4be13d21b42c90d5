"""A worker is stopped, and perhaps goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences
from .service import until, until_dead

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
chunk_s = 1.0
beat_s = 0.2
settings = {{ {TONE}, factor = 0.2 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TEXT = sentences(1)


def test_stopped_for_good_it_is_replaced(service, client):
    """A stopped worker counts as hung after its deadline; it is killed, although it does not notice signals."""
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT))
    stopped = []

    def on_event(event):
        if isinstance(event, Frame) and not stopped:
            stopped.extend(service.busy(client, "tone"))
            os.kill(stopped[0], signal.SIGSTOP)

    heard.listen(on_event)
    (row,) = exact(client, heard, TEXT)
    assert row["trail"][0].startswith("tone: hang")
    until_dead(stopped)
    service.ready(client, "tone", 2)


def test_stopped_for_a_moment_it_goes_on(service, client):
    """A pause within the deadline costs nothing but the time: the same take goes on."""
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT))
    stopped = []

    def on_event(event):
        if isinstance(event, Frame) and not stopped:
            stopped.extend(service.busy(client, "tone"))
            os.kill(stopped[0], signal.SIGSTOP)
            until(lambda: "T (stopped)" in Path(f"/proc/{stopped[0]}/status").read_text(), "the stop")
            os.kill(stopped[0], signal.SIGCONT)

    heard.listen(on_event)
    (row,) = exact(client, heard, TEXT)
    assert (row["tries"], heard.rewinds) == (1, [])


def test_an_idle_worker_that_is_stopped_gets_no_work(service, client):
    """Missing beats make it suspect; work goes to the other, and once it is heard of again it serves again."""
    pid = service.ready(client, "tone", 2)[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: [row for row in client.workers() if row["pid"] == pid and row["state"] == "suspect"], "suspicion")
    heard = Heard(client.speak(TEXT)).listen()
    (row,) = exact(client, heard, TEXT)
    assert row["tries"] == 1
    os.kill(pid, signal.SIGCONT)
    assert pid in {row["pid"] for row in service.ready(client, "tone", 2)}
