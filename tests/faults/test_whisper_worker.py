"""Whisper behind the bus: a real worker on a tiny random model, killed in the middle of a recording."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
from pathlib import Path

import pytest

from voicebus.bus.errors import JobCancelled, JobFailed
from voicebus.clients.events import Passage

MISSING = importlib.util.find_spec("faster_whisper") is None
pytestmark = [
    pytest.mark.whisper,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(MISSING, reason="no faster_whisper here; `make test-whisper` has it"),
]

CONFIG = """
[providers.whisper]
module = "voicebus.workers.whisper"
workers = 2
load_s = 60
settings = {{ model = "{model}", device = "cpu", threads = 1, temperature = 0.0, max_new_tokens = 24 }}
[providers.espeak]
workers = 1
[restart]
base_s = 0.05
max_s = 0.2
"""
LOADING_S = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny model."""
    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "workers/whisper/tiny.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build(tmp_path_factory.mktemp("whisper") / "tiny-random")


@pytest.fixture
def service(launch, model):
    return launch(CONFIG.format(model=model))


def spoken(client, minutes: float = 0.2) -> bytes:
    """A recording of espeak, made by the same service."""
    file = io.BytesIO()
    text = "The harbour was still asleep, and the gulls had not begun to quarrel over the nets. " * int(minutes * 12)
    client.save(text, file, "wav", provider="espeak", sample_rate=16000, keep="nothing")
    return file.getvalue()


def in_order(passages, start=0.0):
    for number, passage in enumerate(passages, 1):
        assert passage.number == number
        assert start - 0.002 <= passage.start <= passage.end
        start = passage.end


def test_what_is_spoken_is_heard(service):
    """A recording that one provider spoke is transcribed by the other, through the same daemon."""
    client = service.client()
    service.ready(client, "whisper", 2, within=LOADING_S)
    data = spoken(client)
    got = client.transcribe(data, words=True, keep="history").wait()
    in_order(got.passages)
    assert got.text and got.about.model == "tiny-random"
    assert got.about.duration == pytest.approx((len(data) - 44) / 32000, abs=0.01)
    row = client.kept(got.result.job)
    assert row["request"]["kind"] == "transcribe" and row["request"]["hearing"]["words"]
    assert row["speakers"][0]["voice"] == "tiny-random"
    with pytest.raises(JobFailed) as failed:
        client.transcribe(b"This is not audio at all.").wait()
    assert failed.value.code == "invalid_input"


def test_another_worker_goes_on(service):
    """A worker that is killed in the middle of a long recording costs no passage: the other goes on where it was."""
    client = service.client()
    service.ready(client, "whisper", 2, within=LOADING_S)
    data = spoken(client, 3.0)
    transcription = client.transcribe(data, language="en", vad=False)
    killed = False
    for event in transcription:
        if isinstance(event, Passage) and event.number >= 2 and not killed:
            killed = True
            for pid in service.busy(client, "whisper"):
                os.kill(pid, signal.SIGKILL)
    assert killed
    in_order(transcription.transcript.passages)
    takes = {row["attempt"].partition(":")[0] for row in client.segments(transcription.job)}
    assert len(takes) == 2


def test_a_cancelled_recording_frees_its_worker(service):
    """A job that is cancelled in mid-recording ends at once, and its worker is ready without being started again."""
    client = service.client()
    before = {row["pid"] for row in service.ready(client, "whisper", 2, within=LOADING_S)}
    data = spoken(client, 3.0)
    transcription = client.transcribe(data, language="en", vad=False)
    next(event for event in transcription if isinstance(event, Passage))
    client.cancel(transcription.job)
    with pytest.raises(JobCancelled):
        service.client().transcript(transcription.job).wait()
    assert {row["pid"] for row in service.ready(client, "whisper", 2)} == before
