"""The daemon itself is stopped for seconds, and goes on."""

from __future__ import annotations

import os
import selectors
import signal

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
chunk_s = 0.6
first_chunk_s = 0.6
beat_s = 0.2
stop_s = 0.5
settings = {{ {TONE}, factor = 0.1 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
STOP_S = 3.0


def test_it_judges_nobody(service, client):
    """Deadlines do not run while the daemon stands still: nobody is suspected, killed or started again, no sentence
    is made twice, and the audio is exact."""
    text = sentences(8)
    before = {row["pid"] for row in service.ready(client, "tone", 2)}
    heard = Heard(client.speak(text))
    stops = []

    def on_event(event):
        if isinstance(event, Frame) and not stops and heard.samples > 4000:
            stops.append(service.process.pid)
            service.signal(signal.SIGSTOP)
            os.waitid(os.P_PID, service.process.pid, os.WSTOPPED | os.WNOWAIT)
            with selectors.DefaultSelector() as nothing:
                nothing.select(STOP_S)  # the length of the stop is what is tried
            service.signal(signal.SIGCONT)

    heard.listen(on_event)
    assert stops
    rows = exact(client, heard, text)
    assert [row["tries"] for row in rows] == [1] * len(rows)
    assert not heard.rewinds
    workers = service.ready(client, "tone", 2)
    assert {row["pid"] for row in workers} == before
    assert not any(row["restarts"] or row["last_failure"] for row in workers)
