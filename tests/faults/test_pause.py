"""A listener pauses: he gives no credit, and costs nothing."""

from __future__ import annotations

import selectors

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences
from .service import until

PAUSE_S = 3.0
CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
chunk_s = 0.5
first_chunk_s = 0.5
settings = {{ {TONE} }}
[limits]
look_ahead_s = 5
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
BOOK = sentences(80)
OTHER = sentences(2)


def test_it_goes_on_where_it_was(service, client):
    """While he pauses the job waits, made as far ahead as is allowed, without a worker; nobody is judged, others are
    served; then it goes on, exactly, without a rewind."""
    service.ready(client, "tone")
    book = Heard(client.speak(BOOK))
    events = iter(book.speech)
    for event in events:
        book.take(event)
        if isinstance(event, Frame) and event.segment == 1:
            break
    with selectors.DefaultSelector() as nothing:
        nothing.select(PAUSE_S)  # the length of the pause is what is tried
    other = service.client()
    exact(other, Heard(other.speak(OTHER)).listen(), OTHER)
    (job,) = until(lambda: client.jobs(state="waiting"), "waiting")
    assert job["done"] < 20
    for event in events:
        book.take(event)
    rows = exact(client, book, BOOK)
    assert not book.rewinds
    assert [row["tries"] for row in rows] == [1] * len(rows)
    assert not client.workers()[0]["restarts"]
