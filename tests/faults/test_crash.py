"""The engine crashes: by a fault of memory, or with an exit code."""

from __future__ import annotations

import pytest

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.05, once_dir = "@ONCE@" }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
[restart]
base_s = 0.05
[breaking]
failures = 10
"""


@pytest.mark.parametrize(
    ("marker", "what"), [("{{segfault}}", "was ended by signal 11"), ("{{exit 3}}", "exited with code 3")]
)
def test_a_sentence_that_broke_off_comes_again(service, client, marker, what):
    """A crash in the middle of a sentence costs that sentence one more try; its trail and the worker's row say what
    happened."""
    service.ready(client, "tone", 2)
    text = f"{sentences(1)} This one breaks {marker} off here. {sentences(1, start=5)}"
    heard = Heard(client.speak(text)).listen()
    rows = exact(client, heard, text)
    assert [row["tries"] for row in rows] == [1, 2, 1]
    assert [row["deaths"] for row in rows] == [0, 1, 0]
    assert rows[1]["trail"] == [f"tone: crash ({what})"]
    assert heard.speech.result.complete
    assert any(row["last_failure"] == f"crash: {what}" for row in client.workers())
    service.ready(client, "tone", 2)


def test_an_exception_of_the_engine_costs_no_worker(service, client):
    """An engine that raises fails its attempt; the process stays."""
    before = {row["pid"] for row in service.ready(client, "tone", 2)}
    text = "This one is told {{memory}} that there is no memory."
    heard = Heard(client.speak(text)).listen()
    (row,) = exact(client, heard, text)
    assert row["trail"][0].startswith("tone: out_of_memory (")
    assert {row["pid"] for row in service.ready(client, "tone", 2)} == before
