"""The engine hangs: it beats, and makes nothing."""

from __future__ import annotations

import time

from voicebus.clients.events import Frame, Rewound

from .listening import TONE, Heard, exact, sentences

CHUNK_S = 0.6
CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
chunk_s = {CHUNK_S}
first_chunk_s = {CHUNK_S}
settings = {{ {TONE}, once_dir = "@ONCE@" }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
[restart]
base_s = 0.05
[breaking]
failures = 10
"""


def test_a_hang_is_found_by_its_deadline(service, client):
    """A worker that stops in mid-sentence is found after the deadline between two chunks, killed and replaced, and
    its sentence is said by another."""
    before = {row["pid"] for row in service.ready(client, "tone", 2)}
    text = f"{sentences(1)} This one hangs {{{{hang}}}} in the middle of it."
    heard = Heard(client.speak(text))
    at = {}

    def on_event(event):
        at[type(event)] = time.monotonic()
        if isinstance(event, Rewound):
            at["quiet"] = at[Rewound] - at[Frame]

    heard.listen(on_event)
    rows = exact(client, heard, text)
    assert CHUNK_S * 0.8 < at["quiet"] < CHUNK_S + 1.5
    assert rows[1]["trail"][0].startswith("tone: hang (made no progress for 0.")
    assert rows[1]["deaths"] == 1
    after = {row["pid"] for row in service.ready(client, "tone", 2)}
    assert len(before - after) == 1


def test_a_hang_before_the_first_sound(service, client):
    """One that never begins is found by the deadline for the first chunk; nobody is rewound."""
    service.ready(client, "tone", 2)
    text = "{{hang}}There is no sound of this at first."
    heard = Heard(client.speak(text)).listen()
    (row,) = exact(client, heard, text)
    assert row["trail"][0].startswith("tone: hang")
    assert not heard.rewinds
    assert heard.kinds() == ["started", "again"]


def test_a_wait_within_the_deadline_is_no_hang(service, client):
    """A slow engine is left in peace."""
    service.ready(client, "tone", 2)
    text = "This one takes {{wait 0.3}} its time."
    heard = Heard(client.speak(text)).listen()
    (row,) = exact(client, heard, text)
    assert row["tries"] == 1
