"""Recordings are transcribed by real workers, which die, hang and fail; so does the daemon.

The engine is a script (`voicebus.workers.scribe`) whose transcript is a function of the bytes, so that each row can be
told from every other.
"""

from __future__ import annotations

import random

import pytest

from voicebus.clients.events import About, Notice
from voicebus.clients.sync import Client
from voicebus.workers import scribe

CONFIG = """
[providers.whisper]
module = "voicebus.workers.scribe"
workers = 2
settings = { factor = 0.02, once_dir = "ONCE" }
[providers.whisper.env]
"""


def recording(seed: int, size: int = 30_000) -> bytes:
    """Bytes in which no marker stands."""
    return random.Random(seed).randbytes(size).replace(b"{", b"(")


def marked(data: bytes, number: int, marker: bytes) -> bytes:
    """The same with a marker in the middle of a passage."""
    at = number * 1000 + 500
    return data[:at] + marker + data[at + len(marker) :]


def checked(transcript, data, *, rows=None):
    """Every passage, once, in order, with what is in its bytes."""
    count = scribe.passages(data)
    assert [passage.number for passage in transcript.passages] == list(range(1, count + 1))
    assert [(passage.start, passage.end) for passage in transcript.passages] == [(n, n + 1) for n in range(count)]
    assert transcript.text == scribe.expected(data).strip()
    assert transcript.about.duration == max(count, 1)
    assert transcript.result.state == "finished"


@pytest.fixture
def service(launch):
    def configured(root_once: str) -> str:
        return CONFIG.replace("ONCE", root_once)

    started = launch(CONFIG.replace("ONCE", ""))
    started.write(configured(str(started.once)))
    return started


def test_a_recording_is_transcribed(service):
    """Every passage comes once, in order, with its times, and what the recording is comes before."""
    with Client(endpoint=service.endpoint, start=False) as client:
        data = recording(1)
        transcription = client.transcribe(data)
        events = list(transcription)
        assert isinstance(next(e for e in events if not isinstance(e, Notice)), About)
        checked(transcription.transcript, data)
