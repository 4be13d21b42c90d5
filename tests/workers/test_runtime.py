"""An engine on the bus: a real socket, the engine in a thread of this process."""

from __future__ import annotations

import sys
import threading

import pytest
from worker_broker import WAIT_S

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_map
from voicebus.workers.engine import Capabilities, Chunk, Engine, EngineError, Request, Voice
from voicebus.workers.tone import ToneEngine, expected

TEXT = "A sentence to be spoken."


class Scripted(Engine):
    """Makes a chunk for each time it is let to; `reached` tells that it waits."""

    name, version, sample_rate = "scripted", "1", 1000

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.closed: list[str] = []
        self.threads: set[int] = set()
        self.done = threading.Event()
        self.many = threading.Event()

    def load(self, settings, progress):
        self.threads.add(threading.get_ident())

    def voices(self):
        return [Voice("one")]

    def capabilities(self):
        return Capabilities()

    def synthesize(self, request: Request):
        self.threads.add(threading.get_ident())
        try:
            for at in range(10 if request.text != "endless" else 10**9):
                if at == 2000:
                    self.many.set()
                yield Chunk(b"\x10\x10" * 300)
        finally:
            self.closed.append(request.text)
            self.done.set()


def test_ready_lists_voices_and_capabilities(broker, local):
    """READY comes after the self-test, with what was measured, and lists what the engine can do."""
    local(ToneEngine)
    ready, body = broker.ready()
    assert (ready.rate, ready.slots) == (24000, 1)
    assert ready.first_audio_s > 0
    assert ready.factor > 0
    listed = decode_map(body)
    assert [voice["name"] for voice in listed["voices"]] == ["low", "high"]
    assert listed["capabilities"]["marks"] == ["word", "mark"]
    assert listed["engine"] == {"name": "tone", "version": "1"}
    assert listed["device"] == {"kind": "cpu"}


def test_an_attempt_arrives_whole(broker, local):
    """BEGUN, frames in order, marks and DONE: the audio is what the engine made, to the last sample."""
    local(ToneEngine)
    broker.ready()
    broker.work("a", TEXT)
    pcm, marks, last = broker.take("a")
    assert pcm == expected(TEXT)
    assert last.samples == len(pcm) // 2
    assert last.peak > 1000
    assert [TEXT[mark.start : mark.start + mark.length] for mark in marks] == ["A", "sentence", "to", "be", "spoken"]


def test_the_request_s_parameters_reach_the_engine(broker, local):
    """Voice, seed and style of WORK change the audio as the engine says."""
    local(ToneEngine)
    broker.ready()
    style = m.Style(rate=2.0, pitch=1.5, volume=0.5)
    broker.work("a", TEXT, voice="high", seed=3, style=style)
    wanted = expected(TEXT, voice="high", seed=3, rate=2.0, pitch=1.5, volume=0.5)
    assert broker.take("a")[0] == wanted


def test_another_rate_is_resampled(broker, local):
    """WORK's rate is what comes, whatever the engine's own."""
    local(ToneEngine)
    broker.ready()
    broker.work("a", TEXT, rate=48000)
    pcm, _, last = broker.take("a")
    assert last.samples == len(pcm) // 2 == len(expected(TEXT))


def test_nothing_is_sent_past_the_credit(broker, local):
    """Frames stop exactly at the credit, and go on with the next GRANT."""
    local(ToneEngine)
    broker.ready()
    broker.work("a", TEXT, credit=1001)
    broker.wait(m.Begun)
    got = 0
    for up_to in (1001, 1002, 9000, m.UNLIMITED):
        broker.say(m.Grant(attempt="a", up_to=up_to))
        while got < min(up_to, len(expected(TEXT)) // 2):
            _, body = broker.wait(m.Chunk, skip=(m.TakeMarks,))
            got += len(body) // 2
        assert got <= up_to
    broker.wait(m.Done, skip=(m.TakeMarks,))


def test_stop_ends_an_attempt_that_waits_for_credit(broker, local):
    """An attempt without credit is stopped at once, its iterator is closed, and the next one runs."""
    engine = Scripted()
    local(lambda: engine)
    broker.ready()
    broker.work("a", "endless", credit=500, voice="one")
    broker.wait(m.Begun)
    broker.wait(m.Chunk)
    broker.say(m.Stop(attempt="a"))
    assert broker.wait(m.Stopped, skip=(m.Chunk,))[0].attempt == "a"
    assert engine.closed[-1] == "endless"
    broker.work("b", "short", voice="one")
    assert len(broker.take("b")[0]) == 6000


def test_stop_of_an_unknown_attempt_is_answered(broker, local):
    """STOP for an attempt that the worker does not have is answered STOPPED."""
    local(ToneEngine)
    broker.ready()
    broker.say(m.Stop(attempt="nobody's"))
    assert broker.wait(m.Stopped)[0].attempt == "nobody's"


@pytest.mark.parametrize(
    ("text", "code", "retry"),
    [
        ("x {{error rate_limited 7}}", "rate_limited", 7.0),
        ("x {{memory}}", "out_of_memory", 0.0),
        ("x {{raise}}", "crash", 0.0),
        ("x {{odd}}", "crash", 0.0),
    ],
)
def test_what_an_engine_raises_is_a_failure_with_a_class(broker, local, text, code, retry):
    """Errors of the engine end the attempt with their class, and the worker goes on."""
    local(ToneEngine)
    broker.ready()
    broker.work("a", text)
    failed = broker.take("a")[2]
    assert (type(failed), failed.code, failed.retry_after) == (m.Failed, code, retry)
    broker.work("b", TEXT)
    assert broker.take("b")[0] == expected(TEXT)


def test_an_engine_that_wants_to_exit_fails_its_attempt(broker, local):
    """A SystemExit out of an engine's depths is a crash of the attempt, not a worker that beats on without engine."""

    class Leaves(Scripted):
        def synthesize(self, request):
            if request.text == "leave":
                sys.exit(3)
            yield from super().synthesize(request)

    local(Leaves)
    broker.ready()
    broker.work("a", "leave", voice="one")
    assert broker.take("a")[2].code == "crash"
    broker.work("b", "short", voice="one")
    assert len(broker.take("b")[0]) == 6000


def test_a_worker_without_its_engine_thread_ends(broker, local, monkeypatch, capsys):
    """When the engine thread itself breaks, the worker does not go on beating: it ends with the reason."""
    worker = local(ToneEngine)
    broker.ready()
    monkeypatch.setattr("voicebus.workers.take.Take.done", lambda self, work_s: 1 / 0)
    broker.work("a", TEXT)
    assert worker.join() == 1
    assert "engine thread has ended: ZeroDivisionError" in capsys.readouterr().err


def test_text_that_is_none_is_refused(broker, local):
    """A body that is not UTF-8 fails as invalid input."""
    local(ToneEngine)
    broker.ready()
    broker.say(m.Work(attempt="a", voice="low", credit=m.UNLIMITED), b"\xff\xfe")
    assert broker.take("a")[2].code == "invalid_input"


def test_a_probe_speaks_its_text_or_the_self_test(broker, local):
    """A probe is an attempt like any other; without a text it is the engine's own test."""
    local(ToneEngine)
    broker.ready()
    broker.work("a", "two", kind="probe")
    assert broker.take("a")[0] == expected("two")
    broker.work("b", "", kind="probe")
    assert broker.take("b")[0] == expected("one")


def test_greet_voids_the_attempt_and_keeps_the_engine(broker, local):
    """After GREET the worker registers anew and is ready without loading again; the old attempt says no more."""
    engine = Scripted()
    local(lambda: engine)
    broker.ready()
    broker.work("a", "endless", credit=500, voice="one")
    broker.wait(m.Begun)
    sent = 0
    while sent < 500:  # until it waits for credit, so that nothing is under way
        chunk, body = broker.wait(m.Chunk)
        sent = chunk.offset + len(body) // 2
    broker.say(m.Greet())
    broker.epoch = "e2"
    broker.welcome()
    broker.wait(m.Ready)
    assert engine.done.wait(WAIT_S)
    broker.work("b", "short", voice="one")
    assert len(broker.take("b")[0]) == 6000
    assert len(engine.threads) == 1


def test_attempts_of_several_slots_run_side_by_side(broker, local):
    """With two slots, an attempt without credit does not hold up the other."""
    engine = Scripted(slots=2)
    local(lambda: engine)
    broker.ready()
    broker.work("a", "first", credit=500, voice="one")
    broker.wait(m.Begun)
    got = 0
    while got < 500:
        got += len(broker.wait(m.Chunk)[1]) // 2
    broker.work("b", "second", voice="one")
    assert len(broker.take("b")[0]) == 6000
    broker.say(m.Grant(attempt="a", up_to=m.UNLIMITED))
    while got < 3000:
        got += len(broker.wait(m.Chunk)[1]) // 2
    assert broker.wait(m.Done)[0].samples == 3000
    broker.work("c", "endless", credit=0, voice="one")
    broker.wait(m.Begun)
    broker.say(m.Stop(attempt="c"))
    assert broker.wait(m.Stopped)[0].attempt == "c"


def test_beats_come_while_the_engine_waits(broker, local):
    """Beats go on at the daemon's interval, and say what the worker is doing and how much memory it has."""
    local(ToneEngine)
    broker.ready(beat_s=0.05)
    assert broker.wait(m.Beat, skip=())[0].state == "ready"
    broker.work("a", "{{wait 0.5}}" + TEXT)
    broker.wait(m.Begun)
    beat = broker.wait(m.Beat)[0]
    assert beat.state == "busy"
    assert beat.rss > 1_000_000


@pytest.mark.parametrize("odd", [False, True])
def test_beats_tell_the_device_s_memory(broker, local, odd):
    """Beats say how much of its device's memory the engine has, as it says itself; one that cannot say it now, or says
    nonsense, still beats."""
    engine = Scripted()
    engine.memory = (lambda: "much") if odd else (lambda: 12345)
    local(lambda: engine)
    broker.ready(beat_s=0.05)
    assert broker.wait(m.Beat, skip=())[0].vram == (0 if odd else 12345)


def test_quit_finishes_and_leaves(broker, local):
    """QUIT lets the running attempt end, then the worker leaves with 0."""
    worker = local(ToneEngine)
    broker.ready()
    broker.work("a", TEXT, credit=10)
    broker.wait(m.Begun)
    broker.say(m.Quit())
    broker.work("b", TEXT)
    assert broker.wait(m.Failed, skip=(m.Chunk, m.TakeMarks))[0].attempt == "b"
    broker.say(m.Grant(attempt="a", up_to=m.UNLIMITED))
    assert broker.wait(m.Done, skip=(m.Chunk, m.TakeMarks))[0].attempt == "a"
    assert worker.join() == 0


@pytest.mark.parametrize("settings", [{"load_error": "no model in /models"}, {"silent_test": True}])
def test_an_engine_that_cannot_be_used_never_becomes_ready(broker, local, settings, capsys):
    """A load that fails, and a self-test without sound, end the worker with 1 and the reason."""
    worker = local(ToneEngine)
    broker.welcome(settings=settings)
    assert worker.join() == 1
    words = capsys.readouterr().err
    assert settings.get("load_error", "made no sound") in words


def test_a_load_tells_its_progress(broker, local):
    """While the engine loads, beats say how far it is."""
    local(ToneEngine)
    broker.welcome(beat_s=0.02, settings={"load_s": 0.5})
    percents = set()
    while not isinstance((message := broker.recv()[0]), m.Ready):
        if isinstance(message, m.Beat) and message.percent >= 0:
            percents.add(message.percent)
            assert (message.state, message.note) == ("loading", "pretending")
    assert len(percents) > 2


def test_a_long_take_arrives_whole(broker, local):
    """Minutes of audio, made much faster than they are read, arrive to the last sample."""
    local(ToneEngine)
    broker.ready(settings={"seconds_per_char": 10.0})
    broker.work("a", "x" * 20)
    assert broker.take("a")[0] == expected("x" * 20, seconds_per_char=10.0)


def test_a_flood_is_held_up_at_the_pipe(broker, local):
    """An engine with endless credit and nobody who reads makes only what fits into the pipes."""
    engine = Scripted()
    local(lambda: engine)
    broker.ready()
    broker.work("a", "endless", voice="one")
    broker.wait(m.Begun)
    assert not engine.many.wait(1.0)
    broker.say(m.Stop(attempt="a"))
    assert broker.wait(m.Stopped, skip=(m.Chunk,))[0].attempt == "a"


def test_an_unknown_voice_is_refused(broker, local):
    """A voice that the engine does not have fails as invalid input."""
    local(ToneEngine)
    broker.ready()
    broker.work("a", TEXT, voice="no such")
    assert broker.take("a")[2].code == "invalid_input"


def test_engine_errors_carry_their_words():
    """An EngineError has code, message and retry_after."""
    error = EngineError("quota", "used up", 3.0)
    assert (error.code, error.message, error.retry_after, str(error)) == ("quota", "used up", 3.0, "used up")
