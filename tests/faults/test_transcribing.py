"""Recordings are transcribed by real workers, which die, hang and fail; so does the daemon.

The engine is a script (`voicebus.workers.scribe`) whose transcript is a function of the bytes, so that each row can be
told from every other.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal

import pytest

from voicebus.bus.errors import InvalidRequest, JobCancelled, JobFailed, NotFound
from voicebus.clients.aio import AsyncClient
from voicebus.clients.events import About, Frame, Notice, Passage
from voicebus.workers import scribe

from .leaks import until
from .service import Service

CONFIG = """
[providers.whisper]
module = "voicebus.workers.scribe"
workers = 2
first_chunk_s = 1.0
chunk_s = 1.0
settings = { factor = 0.02, once_dir = "@ONCE@" }
[providers.tone]
module = "voicebus.workers.tone"
settings = { sample_rate = 8000, seconds_per_char = 0.02 }
[defaults]
chain = ["tone"]
[restart]
base_s = 0.05
max_s = 0.2
[breaking]
failures = 50
[limits]
input_bytes = 8_000_000
"""


def recording(seed: int, size: int = 30_000) -> bytes:
    """Bytes in which no marker stands."""
    return random.Random(seed).randbytes(size).replace(b"{", b"(")


def marked(data: bytes, number: int, marker: bytes) -> bytes:
    """The same with a marker in the middle of a passage."""
    at = number * 1000 + 500
    return data[:at] + marker + data[at + len(marker) :]


def checked(transcript, data: bytes, **how) -> None:
    """Every passage, once, in order, with what is in its bytes."""
    count = scribe.passages(data)
    assert [passage.number for passage in transcript.passages] == list(range(1, count + 1))
    assert [(passage.start, passage.end) for passage in transcript.passages] == [(n, n + 1) for n in range(count)]
    assert transcript.text == scribe.expected(data, **how).strip()
    assert transcript.about.duration == max(count, 1)
    assert transcript.result.state == "finished"


def inputs(service: Service) -> list[str]:
    """The recordings that are on the disk."""
    return [path.name for path in (service.state / "logs").iterdir() if path.suffix == ".input"]


def heard(transcription, count: int) -> list[Passage]:
    """The first passages of a transcription."""
    found = []
    for event in transcription:
        if isinstance(event, Passage):
            found.append(event)
            if len(found) == count:
                break
    return found


# ------------------------------------------------------------------------------------------------- when all goes well


def test_a_recording_is_transcribed(service, client):
    """What the recording is comes first, then every passage once, in order, with its times; and nothing is kept of the
    recording itself once that is over."""
    data = recording(1)
    transcription = client.transcribe(data)
    events = [event for event in transcription if not isinstance(event, Notice)]
    about = events[0]
    assert isinstance(about, About)
    assert (about.language, about.provider, about.model, about.speech) == ("en", "whisper", "plain", 30.0)
    checked(transcription.transcript, data)
    assert transcription.result.code == ""
    assert not inputs(service)


def test_options_reach_the_engine(client):
    """Words are timed, the language and the model are as asked for, and a translation is one."""
    data = recording(2, 3000)
    got = client.transcribe(data, words=True, language="de", model="other", translate=True).wait()
    assert (got.language, got.about.confidence, got.about.model) == ("de", 1.0, "other")
    assert got.text == scribe.expected(data, model="other").strip().upper()
    first = got.passages[0]
    assert [(word.start, word.end, word.confidence) for word in first.words] == [(0.0, 0.5, 0.5)]
    assert first.confidence == 0.75
    assert not client.transcribe(data).wait().passages[0].words


@pytest.mark.slow
@pytest.mark.parametrize("size", [1_048_576, 1_048_577, 7_000_000])
def test_a_long_recording_goes_in_pieces(launch, tmp_path, size):
    """A recording that is more than one message comes to the worker byte for byte, from a file or from a stream, and
    however it is kept."""
    service = launch(CONFIG.replace("factor = 0.02", "factor = 0, bytes_per_passage = 350_000"))
    client = service.client()
    data = recording(3, size)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    want = scribe.expected(data, size=350_000).strip()
    for source, keep in ((path, "history"), (io.BytesIO(data), "nothing"), (data, "job")):
        assert client.transcribe(source, keep=keep).wait().text == want, keep
    assert not inputs(service)


def test_silence_is_an_empty_transcript(client):
    """Where nobody speaks the job finishes, without passages, and says so."""
    got = client.transcribe(b"SILENCE" + recording(4)).wait()
    assert (got.text, got.passages) == ("", [])
    assert (got.result.state, got.result.code) == ("finished", "no_speech")
    assert "No speech" in got.result.message


def test_what_is_no_audio_is_refused_by_name(client):
    """Bytes that are no recording fail as that, at the first worker."""
    transcription = client.transcribe(b"NOT AUDIO")
    with pytest.raises(JobFailed, match="no recording") as failed:
        transcription.wait()
    assert failed.value.code == "invalid_input"


def test_what_nobody_can_do_is_refused_by_name(client):
    """A model that is not there, an engine that does not hear, one that does not speak, an option, nothing at all."""
    for options, words in (
        ({"model": "large"}, "no model 'large'"),
        ({"provider": "tone"}, "does not transcribe"),
        ({"provider": "espeak"}, "does not transcribe"),
        ({"options": {"colour": 1}}, "the option colour"),
    ):
        with pytest.raises((InvalidRequest, JobFailed), match=words):
            client.transcribe(recording(5), **options).wait()
    with pytest.raises((InvalidRequest, JobFailed), match="does not speak"):
        client.speak("Hello.", provider="whisper").wait()
    with pytest.raises(InvalidRequest, match="empty"):
        client.transcribe(b"")


def test_a_recording_over_the_limit_is_refused(service, client):
    """More than the limit is refused by name, whether it comes at once or in pieces, and leaves nothing."""
    with pytest.raises(InvalidRequest, match=r"8000000 bytes \(limits.input_bytes\)") as refused:
        client.transcribe(recording(6, 8_000_001)).wait()
    assert refused.value.code == "too_long"
    client.cancel_all()
    until(lambda: not inputs(service), "the removal of the recording")


# --------------------------------------------------------------------------------------------- what is kept of it


def test_the_record_says_all(service, client):
    """The history has the transcript's text, which can be searched, who heard it, and what was asked for."""
    data = recording(7, 5000)
    transcription = client.transcribe(data, keep="history", prompt="numbers", words=True)
    text = transcription.wait().text
    [row] = client.history(text=text.split()[3])
    assert row["job"] == transcription.job
    segments = client.segments(transcription.job)
    assert [(s["start"], s["length"], s["provider"], s["voice"]) for s in segments[1:]] == [
        (1000 * n, 1000, "whisper", "plain") for n in range(5)
    ]
    assert "".join(client.text(transcription.job)) == text


def test_a_transcript_is_read_again(service, client):
    """A transcript of a job that is over is read again by anybody of the same user, from any row, from the disk too."""
    data = recording(8, 6000)
    transcription = client.transcribe(data, keep="history")
    checked(transcription.wait(), data)
    checked(service.client().transcript(transcription.job).wait(), data)
    rest = service.client().transcript(transcription.job, 4).wait()
    assert [passage.number for passage in rest.passages] == [4, 5, 6]


def test_a_deleted_job_leaves_nothing(service, client):
    """Deleting a job in mid-transcription ends it and removes the recording and what was heard."""
    transcription = client.transcribe(recording(9, 200_000), keep="history")
    heard(transcription, 2)
    client.delete(transcription.job)
    assert not inputs(service)
    with pytest.raises(NotFound):
        client.kept(transcription.job)


# ----------------------------------------------------------------------------------------------------- several readers


def test_two_listeners_hear_the_same(service, client):
    """Whoever comes later reads the same rows from the beginning."""
    data = recording(10)
    transcription = client.transcribe(data)
    heard(transcription, 3)
    other = service.client().transcript(transcription.job)
    checked(other.wait(), data)
    checked(transcription.wait(), data)


def test_a_client_that_comes_back_goes_on(service, client):
    """A client that leaves and comes back names the last row that it has, and gets the rest; the job went on."""
    data = recording(11)
    transcription = client.transcribe(data)
    last = heard(transcription, 5)[-1]
    take = transcription._reading.line.take
    number = transcription._reading.line.end
    transcription.close()
    rest = service.client().transcript(transcription.job, number, take=take).wait()
    assert last.number <= number
    assert [p.number for p in rest.passages] == list(range(number, 31))
    assert rest.result.state == "finished"


def test_a_row_that_is_not_in_the_log_is_taken_back(service, client):
    """Who names rows that the log does not hold is sent back, row by row, to where both agree."""
    data = recording(12, 6000)
    transcription = client.transcribe(data)
    transcription.wait()
    got = service.client().transcript(transcription.job, 4, take="another:3").wait()
    assert [p.number for p in got.passages] == [1, 2, 3, 4, 5, 6]
    got = service.client().transcript(transcription.job, 40, take="another:39").wait()
    assert [p.number for p in got.passages] == [1, 2, 3, 4, 5, 6]


def test_with_asyncio(service):
    """The client for asyncio does the same."""

    async def scene():
        data = recording(13, 5000)
        async with AsyncClient(endpoint=service.endpoint, start=False) as client:
            transcription = await client.transcribe(data)
            checked(await transcription.wait(), data)
            again = await client.transcript(transcription.job, 3)
            assert [p.number async for p in again if isinstance(p, Passage)] == [3, 4, 5]

    asyncio.run(scene())


# ------------------------------------------------------------------------------------------------------ what goes wrong


def test_another_worker_goes_on(service, client):
    """When the worker is killed in mid-transcription, another goes on where the last row ends: none is lost, none comes
    twice, and what the recording is is told once."""
    data = recording(14)
    service.ready(client, "whisper", 2)
    transcription = client.transcribe(data)
    got = heard(transcription, 5)
    for pid in service.busy(client, "whisper"):
        os.kill(pid, signal.SIGKILL)
    events = [event for event in transcription if not isinstance(event, Notice)]
    assert not any(isinstance(event, About) for event in events)
    checked(transcription.transcript, data)
    takes = {row["attempt"].partition(":")[0] for row in client.segments(transcription.job)}
    assert len(takes) == 2
    assert got[0].number == 1


@pytest.mark.parametrize("how", ["exit 3", "segfault", "error out_of_memory", "raise", "hang"])
def test_a_failure_costs_no_row(client, how):
    """Whatever way a worker fails, once, in the middle: the transcript is whole."""
    marker = f"{{{{{how}}}}}".encode()
    data = marked(recording(15, 10_000), 4, marker)
    checked(client.transcribe(data).wait(), data)


def test_a_place_that_brings_down_two_workers_ends_the_job(service, client):
    """A part of the recording that two workers die of is not tried on a third; what was heard before stays."""
    service.ready(client, "whisper", 2)
    data = recording(16, 10_000)
    once = b"{{exit 3}}{{exit 4}}"
    transcription = client.transcribe(marked(data, 4, once))
    with pytest.raises(JobFailed, match=r"from 4\.0 s on") as failed:
        transcription.wait()
    assert failed.value.code == "quarantined"
    assert [p.number for p in transcription.transcript.passages] == [1, 2, 3, 4]


def test_each_place_has_its_own_tries(service, client):
    """Workers that die at different places of one recording do not make it a bad one."""
    data = recording(17, 10_000)
    for number in (2, 4, 6):
        data = marked(data, number, b"{{exit 3}}")
    checked(client.transcribe(data).wait(), data)


def test_cancelling_stops_the_worker(service, client):
    """A job that is cancelled is over at once, its worker free, its recording gone."""
    transcription = client.transcribe(recording(18, 500_000))
    heard(transcription, 2)
    client.cancel(transcription.job)
    with pytest.raises(JobCancelled):
        service.client().transcript(transcription.job).wait()
    service.ready(client, "whisper", 2)
    assert not inputs(service)


def test_speech_is_not_held_up_by_a_recording(service, client):
    """While recordings of megabytes go to workers, what is spoken is heard as if they were not there."""
    busy = [service.client().transcribe(recording(19 + n, 7_000_000)) for n in range(2)]
    for _ in range(5):
        frames = [event for event in client.speak("Hello there, all of you.") if isinstance(event, Frame)]
        assert sum(frame.samples for frame in frames) == 24 * 160
    for transcription in busy:
        transcription.cancel()
    service.ready(client, "whisper", 2)


def test_garbage_from_a_file_that_cannot_be_read(service, client):
    """What the caller's own file raises comes out where he waits, and the job is cancelled."""

    class Torn(io.BytesIO):
        def read(self, size=-1):
            if self.tell() >= 3_000_000:
                raise OSError("the stick was pulled out")
            return super().read(size)

    transcription = client.transcribe(Torn(recording(20, 6_000_000)))
    with pytest.raises(OSError, match="stick"):
        transcription.wait()
    until(lambda: not inputs(service), "the end of the job")


# ------------------------------------------------------------------------------------------ the daemon's death


@pytest.mark.slow
def test_the_next_daemon_goes_on(launch):
    """A daemon that is killed in mid-transcription has lost nothing: the next one goes on where the last row ends, with
    the recording as it came, and the client that comes back misses no row and gets none twice."""
    service = launch(CONFIG)
    client = service.client(reconnect_s=30)
    data = recording(21, 40_000)
    transcription = client.transcribe(data, keep="history")
    got = heard(transcription, 6)
    service.kill()
    service.start_again()
    transcription.wait()
    checked(transcription.transcript, data)
    assert got[0].number == 1
    takes = {row["attempt"].partition(".")[0] for row in client.segments(transcription.job)}
    assert len(takes) == 2
    assert not inputs(service)


@pytest.mark.slow
def test_a_daemon_killed_while_a_recording_comes_loses_no_piece(launch):
    """What was acknowledged of a recording is on the disk; the rest is sent again to the next daemon."""
    service = launch(CONFIG)
    client = service.client(reconnect_s=30)
    data = recording(22, 7_000_000).replace(b"\0", b"\1")
    size = 7_000_000 // 5
    service.write(CONFIG.replace("factor = 0.02", f"factor = 0.02, bytes_per_passage = {size}"))

    class Slow(io.BytesIO):
        """Kills the daemon when half of it was read."""

        killed = False

        def read(self, count=-1):
            if self.tell() >= 4_000_000 and not self.killed:
                self.killed = True
                until(lambda: inputs(service), "the first piece on the disk")
                service.kill()
                service.start_again()
            return super().read(count)

    transcription = client.transcribe(Slow(data), keep="history")
    transcription.wait_kept()
    got = transcription.wait()
    assert got.text == scribe.expected(data, size=size).strip()
    assert not inputs(service)


@pytest.mark.slow
def test_a_daemon_that_leaves_in_order_goes_on_later(launch):
    """A daemon that is asked to stop in mid-transcription leaves the recording for the next one."""
    service = launch(CONFIG)
    client = service.client(reconnect_s=30)
    data = recording(23, 100_000)
    transcription = client.transcribe(data, keep="history")
    heard(transcription, 3)
    service.signal(signal.SIGTERM)
    service.process.wait(20)
    assert len(inputs(service)) == 1
    service._start([])
    checked(transcription.wait(), data)
