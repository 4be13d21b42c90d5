"""One attempt to transcribe: rows in order, a recording fetched, what cannot be."""

from __future__ import annotations

import threading
import wave

import pytest

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_heard
from voicebus.workers.engine import About, EngineError, Passage, Reached, Transcriber, Word
from voicebus.workers.fetching import Fetches
from voicebus.workers.minutes import Minutes

from ..faults.recordings import wav


class Listener(Transcriber):
    """Remembers what it was asked."""

    name, version, sample_rate = "listener", "1", 16000

    def load(self, settings, progress):
        pass

    def capabilities(self):
        raise NotImplementedError

    def transcribe(self, recording):
        self.asked = recording
        self.data = recording.audio.read()
        recording.reached(0.5)
        recording.reached(0.6)
        yield About(2.0, "en")


def minutes(**fields):
    """An attempt, what it posts, and the fetches that it uses."""
    posted = []
    changed = threading.Condition()

    def post(message, body):
        posted.append((message, bytes(body)))
        if isinstance(message, m.Need):
            fetches.fed(*answers.pop(0))

    fetches = Fetches(changed, post)
    answers = []
    work = m.Work(1, "e", "s", "a1", "transcribe", "small", "de", **fields)
    return Minutes(work, b"what came before \xc3", post, fetches), posted, answers


def rows(posted):
    return [(message.n, message.at_s, decode_heard(body) if body else None) for message, body in posted]


def test_rows_are_numbered_and_told_as_they_come():
    """Each row has its number and how far it reaches; progress without a row has the number of the next; and DONE says
    how many there were."""
    attempt, posted, _ = minutes()
    attempt.add(About(9.0004, "en", 0.91234567, 7.5))
    attempt.add(Reached(1.0))
    attempt.add(Passage(1.0, 2.0, " Hello", 0.5, "en", (Word(1.0, 1.5, " Hello", 2.0),)))
    attempt.done(0.25)
    *told, (done, _) = posted
    assert rows(told) == [
        (0, 0.0, m.HeardRow("about", 0.0, 9.0, "", "en", 0.9123, [], 7.5)),
        (1, 1.0, None),
        (1, 2.0, m.HeardRow("passage", 1.0, 2.0, " Hello", "en", 0.5, [m.WordRow(1.0, 1.5, " Hello", 1.0)])),
    ]
    assert (done.attempt, done.samples, done.work_s) == ("a1", 2, 0.25)


@pytest.mark.parametrize(
    "items",
    [
        [Passage(0.0, 1.0, "before About")],
        [About(9.0), About(9.0)],
        [About(9.0), Passage(0.0, 2.0, "x"), Passage(1.0, 3.0, "before the end of the one before")],
        [About(9.0), Passage(2.0, 1.0, "ends before it begins")],
        [About(9.0), Passage(float("nan"), 1.0, "at no time")],
        [About(float("inf"))],
        [About(9.0), Passage(0.0, 1.0, "x" * 300_000)],
        [About(9.0), "text"],
    ],
)
def test_what_is_out_of_order_is_the_engine_s_mistake(items):
    """An engine that yields what cannot be has crashed, by name; it is not sent, since it would end the worker."""
    attempt, _, _ = minutes()
    for item in items[:-1]:
        attempt.add(item)
    with pytest.raises(EngineError) as failed:
        attempt.add(items[-1])
    assert failed.value.code == "crash"


def test_nothing_before_the_place_to_go_on_from():
    """An attempt that goes on takes no passage from before."""
    attempt, posted, _ = minutes(from_s=5.0)
    attempt.add(About(9.0))
    attempt.add(Passage(5.0, 6.0, "x"))
    assert posted[0][0].at_s == 5.0
    attempt, _, _ = minutes(from_s=5.0)
    attempt.add(About(9.0))
    with pytest.raises(EngineError, match=r"behind one that ends at 5\.000 s"):
        attempt.add(Passage(4.0, 6.0, "x"))


def test_the_engine_gets_the_recording_and_all_wishes():
    """The bytes are fetched by the attempt's key and handed on as a file, with what was asked for."""
    hearing = m.Hearing(words=True, translate=True, vad=False, prompt="names")
    attempt, posted, answers = minutes(hearing=hearing, from_s=3.0, style=m.Style(options={"beam_size": 2}))
    answers.append((m.Feed(1, "e", "s", "input:a1", 0, 5), b"bytes"))
    engine = Listener()
    items = attempt.items(engine)
    assert next(items) == About(2.0, "en")
    asked = engine.asked
    assert (engine.data, asked.model, asked.language, asked.from_s) == (b"bytes", "small", "de", 3.0)
    assert (asked.words, asked.translate, asked.vad, asked.prompt) == (True, True, False, "names")
    assert (asked.before, asked.options) == ("what came before \ufffd", {"beam_size": 2})
    assert not asked.stopped()
    attempt.stopped = True
    assert asked.stopped()
    progress = [message for message, _ in posted if isinstance(message, m.Heard)]
    assert [message.at_s for message in progress] == [0.5]
    items.close()
    attempt.close()
    assert asked.audio.closed


@pytest.mark.parametrize("spooled", [True, False])
def test_the_recording_is_one_that_wave_reads(monkeypatch, spooled):
    """The standard library's `wave` asks a file for its mode, and takes the recording, in memory or on the disk."""
    monkeypatch.setattr("voicebus.workers.minutes.SPOOL_BYTES", 1_000_000 if spooled else 10)
    data = wav()
    attempt, _, answers = minutes()
    answers.append((m.Feed(1, "e", "s", "input:a1", 0, len(data)), data))
    engine = Listener()
    items = attempt.items(engine)
    next(items)
    engine.asked.audio.seek(0)
    with wave.open(engine.asked.audio) as file:
        assert (file.getframerate(), file.getnchannels()) == (24000, 1)
    items.close()
    attempt.close()


def test_a_stop_while_it_is_fetched_ends_it():
    """An attempt that is stopped before its recording is there yields nothing."""
    attempt, _, answers = minutes()
    answers.append((m.Feed(1, "e", "s", "input:a1", 0, 9), b"byte"))
    attempt.stopped = True
    assert list(attempt.items(Listener())) == []


def test_a_recording_that_is_gone_is_nobody_s_fault():
    """Where the daemon does not have the bytes, the attempt fails, and no provider is to blame."""
    attempt, _, answers = minutes()
    answers.append((m.Feed(1, "e", "s", "input:a1", missing="It was removed."), b""))
    with pytest.raises(EngineError, match="It was removed") as failed:
        list(attempt.items(Listener()))
    assert failed.value.code == "invalid_input"


def test_no_room_for_a_recording_is_said(monkeypatch):
    """Where the recording cannot be laid down, that is said, with the folder."""
    import tempfile

    class Full(tempfile.SpooledTemporaryFile):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("voicebus.workers.minutes._Spool", Full)
    attempt, _, answers = minutes()
    answers.append((m.Feed(1, "e", "s", "input:a1", 0, 5), b"bytes"))
    with pytest.raises(EngineError, match="no room for the recording in") as failed:
        list(attempt.items(Listener()))
    assert failed.value.code == "unavailable"
