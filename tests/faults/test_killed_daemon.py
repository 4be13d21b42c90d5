"""The daemon is killed: its workers end by themselves, and clients say plainly what happened."""

from __future__ import annotations

import pytest

from voicebus.bus.errors import Disconnected
from voicebus.clients.events import Frame

from .listening import TONE, Heard, sentences
from .service import until_dead

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
