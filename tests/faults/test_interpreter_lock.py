"""The engine holds the interpreter lock, so that no thread of its worker runs: no beat, no end of standard input seen
by Python."""

from __future__ import annotations

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact
from .service import until_dead

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
first_chunk_s = 0.6
chunk_s = 0.6
settings = {{ {TONE}, once_dir = "@ONCE@" }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TEXT = "This one holds {{hold_gil 60}} the lock of the interpreter."


def test_it_is_found_by_its_deadline_and_killed(service, client):
    """The worker is killed when it made nothing for too long, and another says the sentence."""
    before = {row["pid"] for row in service.ready(client, "tone", 2)}
    heard = Heard(client.speak(TEXT)).listen()
    (row,) = exact(client, heard, TEXT)
    assert row["trail"][0].startswith("tone: hang")
    (dead,) = before - {row["pid"] for row in service.ready(client, "tone", 1)}
    until_dead([dead])


def test_it_dies_with_the_daemon(launch):
    """When the daemon is killed, even such a worker ends: by the signal that the end of its standard input sends."""
    service = launch(CONFIG.replace("= 0.6", "= 60"))
    client = service.client()
    workers = {row["pid"] for row in service.ready(client, "tone", 2)}
    heard = Heard(client.speak(TEXT))
    for event in heard.speech:
        if isinstance(event, Frame):
            break
    assert service.busy(client, "tone")
    service.kill()
    until_dead(workers)
