"""Finished jobs are aligned with their text through a real daemon: one script speaks, another one hears.

The script that hears finds "plain", the passage's number and a checksum in each passage, one a second; the text that is
spoken has the first two.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from voicebus.bus.errors import InvalidRequest, NotFound
from voicebus.clients.aio import AsyncClient

from .leaks import until

TONE = """
[providers.tone]
module = "voicebus.workers.tone"
settings = { sample_rate = 8000, seconds_per_char = 0.1 }
[defaults]
chain = ["tone"]
"""
CONFIG = f"""
[providers.whisper]
module = "voicebus.workers.scribe"
settings = {{ bytes_per_passage = 16000, wav = true }}
{TONE}
"""
TEXT = "Plain 0, then comes a plain 1. And this is plain other."
COMMAND = [sys.executable, "-c", "from voicebus.clients.cli import main; main()"]


@pytest.fixture(scope="module")
def job(service):
    """The name of a finished job."""
    client = service.client()
    client.speak(TEXT, job="spoken", pace="render", keep="history", language="en").wait()
    return "spoken"


def checked(marks, row) -> None:
    """What was heard has its time, and all else lies between."""
    words = [TEXT[mark.start : mark.start + mark.length] for mark in marks]
    assert words == TEXT.replace(",", "").replace(".", "").split()
    assert [mark.method for mark in marks[:2]] == ["align", "align"]
    assert (marks[0].seconds, marks[0].confidence) == (0.0, 0.5)
    assert (words[5], marks[5].method, marks[5].seconds) == ("plain", "align", 1.0)
    assert {(mark.method, mark.confidence) for mark in marks} == {("align", 0.5), ("estimate", 0.3)}
    offsets = [mark.offset for mark in marks]
    assert offsets == sorted(offsets) and offsets[-1] < row["samples"]
    assert [mark.seconds for mark in marks] == [offset / row["rate"] for offset in offsets]


def test_a_job_is_aligned(service, client, job):
    """Each word of the text has a mark with the segment and take that said it, and nothing is kept of the listening."""
    before = [row["job"] for row in client.history()]
    marks = client.align(job)
    checked(marks, client.kept(job))
    assert {mark.segment for mark in marks} == {0, 1}
    assert all(mark.take for mark in marks)
    assert [row["job"] for row in client.history()] == before
    assert not [path for path in (service.state / "logs").iterdir() if path.suffix == ".input"]


def test_a_job_is_aligned_with_asyncio(service, job):
    """The other client does the same, and asks whom it is told to ask."""

    async def align():
        async with AsyncClient(endpoint=service.endpoint, start=False) as client:
            with pytest.raises(InvalidRequest, match="does not transcribe"):
                await client.align(job, provider="tone")
            return await client.align(job, provider="whisper", model="plain"), await client.kept(job)

    checked(*asyncio.run(align()))


def test_jobs_that_cannot_be(client):
    """A job that runs, one that was cancelled, one of which nothing is kept, a transcript, and a name that nobody has
    are told apart, with what to do."""
    speech = client.speak("Long. " * 400, job="runs", pace="listen", keep="history")
    with pytest.raises(InvalidRequest, match=r"not finished yet .*align it when it is"):
        client.align("runs")
    speech.close()
    client.cancel("runs")
    with pytest.raises(InvalidRequest, match=r"has not finished \(cancelled\)"):
        client.align("runs")
    client.speak("Gone.", job="gone", pace="render", keep="nothing").wait()
    with pytest.raises(InvalidRequest, match="Nothing is kept of gone; say it again with keep='job'"):
        client.align("gone")
    client.transcribe(b"x" * 100, job="heard", keep="history").wait()
    with pytest.raises(InvalidRequest, match="is a transcript"):
        client.align("heard")
    with pytest.raises(NotFound, match="no job 'nobody'"):
        client.align("nobody")


def test_whoever_gives_up_leaves_nothing(launch):
    """An alignment that is given up while somebody listens ends that too: the recording is not heard to its end."""
    slow = CONFIG.replace("wav = true", "wav = true, factor = 60").replace(
        "settings", "first_chunk_s = 90\nsettings", 1
    )
    service = launch(slow)
    client = service.client()
    client.speak(TEXT, job="a", pace="render", keep="history").wait()

    async def give_up():
        async with AsyncClient(endpoint=service.endpoint, start=False) as other:
            task = asyncio.create_task(other.align("a"))
            await asyncio.to_thread(until, lambda: service.busy(client, "whisper"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(until, lambda: not client.jobs(state="running"), "its end", 5.0)

    asyncio.run(give_up())
    assert not client.jobs(state="waiting") and not client.jobs(state="queued")


def test_nobody_transcribes(launch):
    """Where no provider hears, the error says so."""
    service = launch(TONE)
    client = service.client()
    client.speak("One.", job="a", pace="render", keep="history").wait()
    with pytest.raises(InvalidRequest, match="transcribe"):
        client.align("a")


def test_audio_that_is_gone(launch):
    """A job whose audio is missing from the disk says that, and how to have it again."""
    service = launch(CONFIG)
    client = service.client()
    client.speak("One.", job="a", pace="render", keep="history").wait()
    client.close()
    service.signal(signal.SIGTERM)
    assert service.process.wait(15) == 0
    for path in (service.state / "logs").iterdir():
        path.unlink()
    service.start_again()
    for _ in range(2):  # the first time nobody knows until it is read
        with pytest.raises(InvalidRequest, match="missing from the disk") as caught:
            service.client().align("a")
        assert caught.value.code == "gone"


def test_the_command(service, job, tmp_path):
    """Lines of JSON for each word, subtitles of the text as it was written, and a mistake's exit code and words."""
    environment = os.environ | {
        "VOICEBUS_RUNTIME_DIR": str(service.run),
        "VOICEBUS_STATE_DIR": str(service.state),
        "VOICEBUS_CONFIG": str(service.config),
    }

    def run(*arguments):
        command = [*COMMAND, "history", "align", *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=30, text=True)

    done = run(job)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [row["word"] for row in rows][:3] == ["Plain", "0", "then"]
    assert (rows[0]["method"], rows[0]["start"], rows[5]["seconds"]) == ("align", 0, 1.0)
    assert run(job, "-o", "a.srt").returncode == 0
    subtitles = (tmp_path / "a.srt").read_text()
    assert subtitles.startswith("1\n00:00:00,000 --> ") and "Plain 0, then comes a plain 1.\n" in subtitles
    assert run(job, "--format", "vtt", "-p", "whisper").stdout.startswith("WEBVTT\n")
    assert run(job, "--format", "txt").stdout == "Plain 0, then comes a plain 1.\nAnd this is plain other.\n"
    wrong = run("nobody")
    assert (wrong.returncode, wrong.stdout) == (2, "") and "no job 'nobody' in the history" in wrong.stderr
    assert "names no format" in run(job, "-o", "a.docx").stderr
