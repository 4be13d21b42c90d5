"""The player on miniaudio's null device, which plays to nobody in real time, and its buffer without any device."""

import threading

import miniaudio
import pytest

from voicebus.bus.errors import JobCancelled, JobFailed
from voicebus.bus.messages import Accepted, Audio, Cancel, Notice, Rewind, Submit, Terminal
from voicebus.clients import sound
from voicebus.clients.events import Frame
from voicebus.clients.playing import Buffer, Player
from voicebus.clients.sound import NoSoundDevice
from voicebus.clients.sync import Client

from .scripted import RATE, pcm


@pytest.fixture
def client(daemon):
    with Client(endpoint=daemon.endpoint) as client:
        yield client


def buffer_with(*chunks):
    buffer = Buffer(1000)
    buffer.open = True
    offset = 0
    for value, samples in chunks:
        buffer.put(offset, memoryview(pcm(value, samples)))
        offset += samples
    return buffer


def test_samples_come_out_in_order() -> None:
    """The device gets what was put in, cut as it wants it, and `heard` follows."""
    buffer = buffer_with((1, 5), (2, 5))
    assert buffer.take(3) == pcm(1, 3)
    assert buffer.take(4) == pcm(1, 2) + pcm(2, 2)
    assert buffer.heard == 7
    assert buffer.seconds == 0.003


def test_an_empty_buffer_is_an_underrun_once() -> None:
    """Too few samples are followed by silence, counted once, and then it waits to be opened again."""
    buffer = buffer_with((1, 5))
    assert buffer.take(8) == pcm(1, 5) + pcm(0, 3)
    assert buffer.take(8) == pcm(0, 8)
    assert (buffer.underruns, buffer.open) == (1, False)


def test_the_end_is_no_underrun() -> None:
    """Silence behind the last sample is no lack of it."""
    buffer = buffer_with((1, 5))
    buffer.ended = True
    buffer.take(8)
    assert buffer.underruns == 0


def test_what_is_void_is_dropped() -> None:
    """A rewind drops what was not played behind its offset, also inside a chunk, and sets back what was heard."""
    buffer = buffer_with((1, 5), (2, 5), (3, 5))
    buffer.take(2)
    buffer.drop(7)
    buffer.ended = True
    assert buffer.take(10) == pcm(1, 3) + pcm(2, 2) + pcm(0, 5)
    buffer.drop(4)
    assert buffer.heard == 4


def test_playing_to_the_end(client, daemon) -> None:
    """`play` returns when the last sample was given to the device, and tells the daemon what was heard."""
    daemon.segments = [(RATE // 4, "t1"), (RATE // 4, "t2")]
    seen = []
    speech = client.speak("Hello.")
    player = Player(speech, backend="null", on_event=seen.append)
    result = player.run()
    assert result.state == "finished"
    assert player.heard == RATE // 2
    assert player.underruns == 0
    assert sum(event.samples for event in seen if isinstance(event, Frame)) == RATE // 2


def test_volume(client, daemon) -> None:
    """A factor is applied to the samples, which do not wrap around."""
    player = Player(client.speak("Hello."), backend="null", volume=2.0)
    assert bytes(player._scaled(memoryview(pcm(300, 4) + pcm(30000, 1)))) == pcm(600, 4) + pcm(32767, 1)


def test_interrupting_is_silence_then_cancel(client, daemon) -> None:
    """An exception while playing closes the device, cancels the job and goes on."""
    daemon.segments = [(60 * RATE, "t1")]

    def interrupt(event):
        if isinstance(event, Frame):
            raise KeyboardInterrupt

    player = Player(client.speak("Long."), backend="null", on_event=interrupt)
    with pytest.raises(KeyboardInterrupt):
        player.run()
    assert player._device is None
    daemon.expect(Cancel)


def test_stopping_from_another_thread(client, daemon) -> None:
    """`cancel` from anywhere ends the playing without an error."""
    daemon.segments = [(60 * RATE, "t1")]
    speech = client.speak("Long.")
    begun = threading.Event()
    thread = threading.Thread(target=lambda: speech.play(backend="null", on_event=lambda _: begun.set()))
    thread.start()
    assert begun.wait(5.0)
    speech.cancel()
    thread.join(5.0)
    assert not thread.is_alive()


def test_a_cancellation_from_elsewhere_is_silence_at_once(client, daemon) -> None:
    """When somebody else cancels the job, what was buffered is not played, and the playing ends with JobCancelled."""
    told = {}

    def begin(peer, message, _):
        told.update(peer=peer, job=message.job)
        daemon.send(peer, Accepted(job=message.job, rate=RATE, pieces=1))
        for second in range(30):
            daemon.send(peer, Audio(job=message.job, take="t", offset=second * RATE), pcm(1, RATE))

    def cancel(event):
        if event.offset == 29 * RATE:
            end = Terminal(job=told["job"], state="cancelled", code="cancelled", message="Cancelled.")
            daemon.do(lambda: daemon.send(told["peer"], end))

    daemon.on[Submit] = begin
    player = Player(client.speak("Long."), backend="null", on_event=cancel)
    with pytest.raises(JobCancelled):
        player.run()
    assert player.heard < 10 * RATE
    assert player._buffer.seconds == 0
    assert player._device is None


def test_pausing(client, daemon) -> None:
    """A paused player gives silence and keeps its place; `resume` goes on to the end."""
    daemon.segments = [(RATE // 4, "t1")]
    speech = client.speak("Hello.")
    paused = threading.Event()

    def pause_once(event):
        if isinstance(event, Frame) and not paused.is_set():
            speech.pause()
            paused.set()
            assert speech._player.paused

    thread = threading.Thread(target=lambda: speech.play(backend="null", on_event=pause_once))
    thread.start()
    assert paused.wait(5.0)
    thread.join(0.3)
    assert thread.is_alive()
    speech.resume()
    thread.join(5.0)
    assert not thread.is_alive()
    assert speech._player.heard == RATE // 4


def test_a_sentence_is_said_again(client, daemon) -> None:
    """After a rewind the segment is heard from its beginning."""

    def twice(peer, message, _):
        job = message.job
        daemon.send(peer, Accepted(job=job, rate=RATE, pieces=1))
        daemon.send(peer, Audio(job=job, take="t1", offset=0), pcm(1, 1000))
        daemon.send(peer, Rewind(job=job, take="t1", offset=0, reason="crash"))
        daemon.send(peer, Audio(job=job, take="t2", offset=0), pcm(2, 2000))
        daemon.send(peer, Terminal(job=job, samples=2000, segments=1))

    daemon.on[Submit] = twice
    player = Player(client.speak("Hello."), backend="null")
    player.run()
    assert player.heard == 2000


def test_a_job_that_fails_is_played_first(client, daemon) -> None:
    """What is whole is heard before the failure is raised."""

    def fail(peer, message, _):
        daemon.send(peer, Accepted(job=message.job, rate=RATE, pieces=1))
        daemon.send(peer, Audio(job=message.job, take="t"), pcm(1, 1000))
        daemon.send(peer, Terminal(job=message.job, state="failed", code="crash", message="No.", samples=1000))

    daemon.on[Submit] = fail
    player = Player(client.speak("Hello."), backend="null")
    with pytest.raises(JobFailed):
        player.run()
    assert player.heard == 1000


def test_a_device_that_is_gone(client, daemon) -> None:
    """When the device goes away the player pauses, loses nothing, and goes on after `resume`."""
    daemon.segments = [(RATE // 2, "t1")]
    speech = client.speak("Hello.")
    player = Player(speech, backend="null")
    unplugged = threading.Event()

    def unplug(event):
        if isinstance(event, Frame) and not unplugged.is_set():
            player._device_stopped()
            unplugged.set()

    player._on_event = unplug
    thread = threading.Thread(target=player.run)
    thread.start()
    assert unplugged.wait(5.0)
    thread.join(0.3)
    assert player.paused
    player.resume()
    thread.join(5.0)
    assert player.heard == RATE // 2


def test_no_such_device(client) -> None:
    """A device that is not there is an error that names those that are."""
    with pytest.raises(NoSoundDevice, match="no sound device 'toaster'"):
        Player(client.speak("Hello."), backend="null", device="toaster").run()


def test_no_device_at_all(client, monkeypatch) -> None:
    """Without any device the error says how to write a file, in words only."""
    monkeypatch.setattr(sound, "backends", lambda _: [miniaudio.Backend.WASAPI])
    with pytest.raises(NoSoundDevice, match=r"play on \([a-z ]+\)\. Write a file"):
        Player(client.speak("Hello.")).run()
    assert sound.devices() == []


def test_a_slow_engine_is_waited_for(client, daemon) -> None:
    """Where the daemon tells that the engine is slower than speech, playing begins when it can go on to the end."""
    told = {}

    def slow(peer, message, _):
        job = message.job
        daemon.send(peer, Accepted(job=job, rate=RATE, pieces=1))
        daemon.send(peer, Notice(job=job, kind="started", data={"factor": 2.0, "first_audio_s": 0.1}))
        daemon.send(peer, Audio(job=job, take="t", offset=0), pcm(1, RATE // 4))
        told.update(peer=peer, job=job)

    daemon.on[Submit] = slow
    speech = client.speak("x" * 30)  # about two seconds
    came = threading.Event()
    player = Player(speech, backend="null", on_event=lambda event: isinstance(event, Frame) and came.set())
    thread = threading.Thread(target=player.run)
    thread.start()
    assert came.wait(5.0)
    thread.join(0.2)
    assert (player.heard, player.underruns) == (0, 0)
    daemon.do(lambda: daemon.send(told["peer"], Audio(job=told["job"], take="t", offset=RATE // 4), pcm(1, RATE)))
    daemon.do(lambda: daemon.send(told["peer"], Terminal(job=told["job"], samples=RATE // 4 + RATE)))
    thread.join(10.0)
    assert (player.heard, player.underruns) == (RATE // 4 + RATE, 0)
