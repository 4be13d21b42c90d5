"""A worker writes megabytes to its standard error."""

from __future__ import annotations

from pathlib import Path

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, once_dir = "@ONCE@" }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
LOG_BYTES = 1_000_000


def test_it_is_read_and_kept_small(service, client):
    """Ten megabytes stop neither the worker nor the daemon; of all that its log has no more than it can bear."""
    service.ready(client, "tone", 2)
    text = f"This one {{{{spam 10240}}}} cannot stop talking. {sentences(3)}"
    heard = Heard(client.speak(text)).listen()
    rows = exact(client, heard, text)
    assert [row["tries"] for row in rows] == [1] * len(rows)
    assert Path(client.status()["log_file"]).stat().st_size < LOG_BYTES
    service.ready(client, "tone", 2)


def test_the_last_words_of_a_worker_are_kept(service, client):
    """What a worker wrote before it died stands in its row: the last lines, cut to size."""
    service.ready(client, "tone", 2)
    text = "This one {{spam 1024}} cannot stop talking {{exit 9}} and dies of it."
    exact(client, Heard(client.speak(text)).listen(), text)
    (tail,) = [row["stderr"] for row in client.workers() if row["stderr"]]
    assert 0 < len(tail) <= 50
    assert {len(line) for line in tail} == {500}
