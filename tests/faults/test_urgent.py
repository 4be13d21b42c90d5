"""Something urgent comes while a book is being read by the only worker."""

from __future__ import annotations

import threading

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
settings = {{ {TONE}, factor = 0.15 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
BOOK = sentences(8)
TIMES = 4


def test_it_is_said_at_once_and_the_book_is_exact(service, client):
    """Each urgent text is heard within a fraction of a second, in the middle of a sentence that takes longer; the
    book loses no sample, and no sentence of it is stopped more than twice."""
    service.ready(client, "tone")
    book = Heard(client.speak(BOOK, pace="render"))
    urgent, waits = service.client(), []
    due, over = threading.Semaphore(0), threading.Event()

    def interrupt():
        for number in range(TIMES):
            due.acquire()
            text = f"Urgent thing {number}."
            heard = Heard(urgent.speak(text, priority="important")).listen()
            exact(urgent, heard, text)
            waits.append(heard.speech.result.first_audio_s)
        over.set()

    thread = threading.Thread(target=interrupt)
    thread.start()

    def on_event(event):
        if isinstance(event, Frame) and event.segment % 2 and event.offset % 3 == 0:
            due.release()

    book.listen(on_event)
    due.release(TIMES)
    thread.join(15)
    assert over.is_set()
    rows = exact(client, book, BOOK)
    assert max(waits) < 1.0, waits
    assert any(row["stops"] for row in rows)
    assert all(row["stops"] <= 2 and not row["deaths"] for row in rows)
