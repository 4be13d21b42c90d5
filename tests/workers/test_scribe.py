"""The scripted transcriber, and an engine that hears on the bus: a real socket, the engine in a thread here."""

from __future__ import annotations

import random

import pytest

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_heard, decode_map
from voicebus.workers.conformance import check
from voicebus.workers.engine import Capabilities, Transcriber
from voicebus.workers.scribe import ScribeEngine, expected

DATA = random.Random(5).randbytes(700_000).replace(b"{", b"(")


def work(broker, attempt, **fields):
    broker.say(m.Work(attempt=attempt, kind="transcribe", voice="plain", **fields))


def feed(broker, data, until=m.Heard):
    """Answer NEEDs with bytes until something else comes; returns that and the NEEDs."""
    needs = []
    while True:
        message, body = broker.wait(m.Need, m.Begun, m.Heard, m.Done, m.Failed, m.Stopped)
        if isinstance(message, m.Begun):
            continue
        if not isinstance(message, m.Need):
            return (message, body), needs
        needs.append(message)
        for at in range(message.offset, min(message.up_to, len(data)), 32768):
            run = data[at : min(at + 32768, message.up_to)]
            broker.say(m.Feed(key=message.key, offset=at, size=len(data)), run)


def test_it_conforms():
    """The scripted engine passes the conformance suite."""
    report = check(ScribeEngine)
    assert report.passed, str(report)


def test_ready_says_that_it_hears(broker, local):
    """An engine that only hears is ready without a voice, after it heard something."""
    local(ScribeEngine)
    ready, body = broker.ready()
    told = decode_map(body)
    assert (ready.rate, told["voices"]) == (16000, [])
    able = told["capabilities"]
    assert (able["speak"], able["transcribe"], able["models"]) == (False, True, ["plain", "other"])


def test_a_recording_comes_by_key_and_goes_out_by_rows(broker, local):
    """The recording is asked for in ranges that follow each other, and heard when it is there, row by row."""
    local(ScribeEngine)
    broker.ready()
    work(broker, "a1")
    (message, body), needs = feed(broker, DATA)
    assert [need.offset for need in needs] == [0, 262144, 524288]
    assert {need.key for need in needs} == {"input:a1"}
    heard = [decode_heard(body)]
    while not isinstance(message, m.Done):
        message, body = broker.wait(m.Heard, m.Done)
        if isinstance(message, m.Heard) and body:
            assert message.n == len(heard)
            heard.append(decode_heard(body))
    assert message.samples == len(heard) == 701
    assert "".join(row.text for row in heard) == expected(DATA)


def test_a_stop_while_the_bytes_are_on_their_way(broker, local):
    """An attempt whose bytes do not come can be stopped at once, and the next one begins."""
    local(ScribeEngine)
    broker.ready()
    work(broker, "a1")
    broker.wait(m.Need, skip=(m.Beat, m.Begun))
    broker.say(m.Stop(attempt="a1"))
    broker.wait(m.Stopped, skip=(m.Beat, m.Need))
    work(broker, "a2")
    (message, _), _ = feed(broker, DATA[:2000])
    assert (message.attempt, message.n) == ("a2", 0)


def test_a_lost_session_ends_the_waiting(broker, local):
    """A worker that is greeted anew stops waiting for the bytes of the session before."""
    local(ScribeEngine)
    broker.ready()
    work(broker, "a1")
    broker.wait(m.Need, skip=(m.Beat, m.Begun))
    broker.say(m.Greet())
    broker.ready()
    work(broker, "b1")
    (message, _), needs = feed(broker, DATA[:2000])
    assert needs[0].key == "input:b1"
    assert message.attempt == "b1"


def test_a_trial_makes_no_sound(broker, local):
    """Asked for a trial, an engine that only hears hears something, and says DONE without a sample."""
    local(ScribeEngine)
    broker.ready()
    broker.say(m.Work(attempt="p1", kind="probe"))
    message, _ = broker.wait(m.Done, skip=(m.Beat, m.Begun))
    assert (message.attempt, message.samples) == ("p1", 0)


def test_several_at_once(broker, local):
    """An engine with slots hears several recordings in turn."""
    local(ScribeEngine)
    broker.ready(settings={"slots": 2})
    work(broker, "a1")
    work(broker, "a2")
    ends, data = set(), DATA[:5000]
    while len(ends) < 2:
        message, _ = broker.wait(m.Need, m.Begun, m.Heard, m.Done)
        if isinstance(message, m.Need):
            broker.say(m.Feed(key=message.key, offset=0, size=len(data)), data)
        elif isinstance(message, m.Done):
            assert message.samples == 6
            ends.add(message.attempt)
    assert ends == {"a1", "a2"}


class Mute(Transcriber):
    """Claims nothing."""

    name, version, sample_rate = "mute", "1", 16000

    def load(self, settings, progress):
        pass

    def capabilities(self):
        return Capabilities(speak=False)

    def transcribe(self, recording):
        yield from ()


class Silent(Mute):
    """Says nothing about what it hears."""

    def capabilities(self):
        return Capabilities(speak=False, transcribe=True)


@pytest.mark.parametrize("engine", [Mute, Silent])
def test_one_that_does_nothing_is_never_ready(broker, local, engine):
    """An engine that neither speaks nor transcribes, or says nothing in its test, ends before it is ready."""
    worker = local(engine)
    broker.welcome()
    assert worker.join() == 1


def test_one_that_hears_does_not_speak():
    """Asked to speak all the same, it refuses."""
    from voicebus.workers.engine import EngineError, Request

    engine = ScribeEngine()
    assert engine.voices() == []
    with pytest.raises(EngineError, match="scribe does not speak"):
        engine.synthesize(Request("x", ""))
    from voicebus.workers.tone import ToneEngine

    with pytest.raises(EngineError, match="tone does not transcribe"):
        ToneEngine().transcribe(engine.trial())
