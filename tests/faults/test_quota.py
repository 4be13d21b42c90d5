"""A small share of the disk for audio, used up by real jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebus.bus.errors import JobFailed

from .listening import TONE, Heard, exact, sentences
from .service import until

SHARE = 200_000
TAKE = 30_000
"""More than a sentence of these tests takes: 80 characters of 0.02 s at 8000 samples a second."""

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE} }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
[limits]
disk_bytes = {SHARE}
memory_job_bytes = {2 * TAKE}
"""


def used(service) -> int:
    """Bytes of all journals, as the file system counts them."""
    total = 0
    for path in Path(service.state, "logs").iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # dropped while we looked
            continue
    return total


def test_finished_audio_goes_first(service, client):
    """Job after job fits, because the oldest that are finished and unread are forgotten; the newest is kept."""
    for number in range(8):
        text = sentences(4, 3, start=10 * number)
        exact(client, Heard(client.speak(text, pace="render", job=f"j{number}")).listen(), text)
        assert used(service) <= SHARE + 2 * TAKE
    kept = {row["job"] for row in client.jobs()}
    assert "j7" in kept
    assert "j0" not in kept
    status = client.status()
    assert status["takes_limit"] == SHARE
    assert abs(status["takes_bytes"] - used(service)) < 0.1 * SHARE


def test_a_job_that_cannot_fit_says_so(service, client):
    """A book that is larger than the share waits, says what for, and ends as `disk_full`; its sentences are not lost on
    anybody else: a short text is spoken meanwhile, and what is kept in memory as well. Then there is room again."""
    book = sentences(30, 3, start=100)
    heard = Heard(client.speak(book, pace="render", job="book"))
    until(lambda: client.status()["crowded"], "the end of the room")
    for options in ({}, {"keep": "nothing"}):
        short = sentences(1, 3, start=200)
        exact(client, Heard(client.speak(short, **options)).listen(), short)
    with pytest.raises(JobFailed, match=r"limits\.disk_bytes") as raised:
        heard.listen()
    assert raised.value.code == "disk_full"
    assert any(notice.kind == "waiting" and "disk_bytes" in notice.data["reason"] for notice in heard.notices)
    assert used(service) <= SHARE + 2 * TAKE + 2 * TAKE
    after = sentences(2, 3, start=300)
    exact(client, Heard(client.speak(after, pace="render")).listen(), after)
    assert used(service) <= SHARE + 2 * TAKE
