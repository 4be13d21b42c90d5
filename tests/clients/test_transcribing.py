"""The reading of a job that transcribes: rows in, events out, whatever happens between."""

from __future__ import annotations

import io

import pytest

from voicebus.bus.codec import BODY_BYTES, encode
from voicebus.bus.errors import InvalidRequest
from voicebus.bus.messages import (
    Accepted,
    Append,
    Appended,
    Attach,
    Attached,
    HeardRow,
    Hearing,
    Notice,
    Rewind,
    Terminal,
    Transcript,
    WordRow,
)
from voicebus.clients.events import About, Passage, Rewound, Word
from voicebus.clients.transcribing import attached_reading, opened, reading_for


def reading(data: bytes = b"a recording", *, complete: bool = True, **options):
    """A reading whose job was accepted."""
    made = reading_for(data, {"job": "j", **options}, 0.0, complete=complete)
    made.outbox.clear()
    made.receive(Accepted(job="j", pieces=1, keep="job"), b"", 0.0)
    return made


def row(made, n: int, take: str = "", **fields) -> None:
    body = HeardRow("about", end=9.0, language="de") if n == 0 else HeardRow("passage", n - 1.0, float(n), f" {n}")
    made.receive(Transcript(job="j", n=n, take=take or f"t{n}", provider="w", model="m"), encode(body), 0.0)


def test_what_is_asked_for_is_said():
    """The options of transcribing become a SUBMIT of that kind."""
    made = reading_for(
        b"x",
        {
            "model": "large",
            "provider": "w",
            "words": True,
            "translate": True,
            "vad": False,
            "prompt": "p",
            "language": "de",
        },
        0.0,
        complete=True,
    )
    submit, body = made.outbox[0]
    assert (submit.kind, submit.pace, submit.complete, body) == ("transcribe", "render", True, b"x")
    assert submit.hearing == Hearing(words=True, translate=True, vad=False, prompt="p")
    assert [(choice.provider, choice.voice) for choice in submit.chain] == [("w", "large")]


@pytest.mark.parametrize("options", [{"prompt": "x" * 4001}, {"language": 5}, {"priority": "odd"}])
def test_what_cannot_be_is_refused(options):
    """A value that cannot be is refused before anything is sent."""
    with pytest.raises(InvalidRequest):
        reading_for(b"x", options, 0.0, complete=True)


def test_unknown_options_and_empty_recordings():
    """An option that there is not is a mistake of the program; a recording without a byte is refused."""
    with pytest.raises(TypeError, match="no option 'voice'; there are provider, model"):
        reading_for(b"x", {"voice": "anna"}, 0.0, complete=True)
    with pytest.raises(InvalidRequest, match="empty"):
        reading_for(b"", {}, 0.0, complete=True)


def test_rows_become_events():
    """The first row is what the recording is, the others passages, and the end is their number."""
    made = reading()
    row(made, 0)
    words = [WordRow(0.0, 0.5, " one", 0.9)]
    made.receive(
        Transcript(job="j", n=1, take="t1", provider="w", model="m"),
        encode(HeardRow("passage", 0.0, 1.0, " one", "de", 0.5, words)),
        0.0,
    )
    made.receive(Terminal(job="j", samples=2, segments=2), b"", 0.0)
    assert made.events == [
        About(9.0, "de", 0.0, None, "w", "m"),
        Passage(1, 0.0, 1.0, " one", 0.5, "de", (Word(0.0, 0.5, " one", 0.9),), "w", "m"),
    ]
    assert made.result.state == "finished"


def test_notices_are_told_of_a_recording():
    """Nobody speaks, and no sentence is said again, where a recording is transcribed; what is the same is told so."""
    told = {
        "started": "whisper listens with small",
        "moved": "whisper goes on with small: crash",
        "again": "whisper listens again from where it broke off: crash",
        "waiting": "waiting until whisper is available: crash",
    }
    for made in (reading(), attached_reading("j", 0, "", 0.0)):
        for kind, text in told.items():
            data = {"provider": "whisper", "voice": "small", "reason": "" if kind == "started" else "crash"}
            made.receive(Notice(job="j", kind=kind, data=data), b"", 0.0)
            assert made.events.pop().text == text


def test_a_gap_is_an_error():
    """A row that is missing, and an end before the last row, end the reading by name."""
    made = reading()
    row(made, 1)
    assert "misses" in made.error.message
    made = reading()
    row(made, 0)
    made.receive(Terminal(job="j", samples=5), b"", 0.0)
    assert made.error.code == "protocol"


def test_a_row_that_cannot_be_read_is_an_error():
    """Bytes that are no row end the reading."""
    made = reading()
    made.receive(Transcript(job="j", n=0, take="t0"), b"\xc1", 0.0)
    assert made.error.code == "bad_message"


def test_a_lost_connection_is_taken_up_at_the_next_row():
    """After a new greeting the next row is asked for, naming the last; what came of the reading before is not heard
    twice."""
    made = reading()
    row(made, 0)
    row(made, 1)
    made.resume(1.0, reborn=True)
    [attach] = [message for message, _ in made.outbox if isinstance(message, Attach)]
    assert (attach.offset, attach.take) == (2, "t1")
    row(made, 2)
    made.receive(Attached(job="j", offset=2), b"", 1.0)
    row(made, 2)
    assert [event.number for event in made.events if isinstance(event, Passage)] == [1, 2]


def test_rows_that_a_power_cut_took_are_taken_back():
    """Where the daemon does not hold what was named, the reading goes back to where both agree."""
    made = reading()
    for n in range(4):
        row(made, n)
    made.resume(1.0, reborn=True)
    made.outbox.clear()
    made.receive(Rewind(job="j", segment=2, offset=2, take="t3", reason="this take is not in the log"), b"", 1.0)
    assert made.events[-1] == Rewound(2, 2, "this take is not in the log", "t3")
    [attach] = [message for message, _ in made.outbox if isinstance(message, Attach)]
    assert (attach.offset, attach.take) == (2, "t1")
    made.receive(Attached(job="j", offset=2), b"", 1.0)
    row(made, 2, "u2")
    assert made.events[-1].number == 2


def test_an_answer_that_comes_twice_does_no_harm():
    """A request that was repeated is answered twice, and its rows come twice: they are heard once."""
    made = reading()
    row(made, 0)
    row(made, 1)
    made.receive(Attached(job="j", offset=0), b"", 0.0)
    row(made, 0)
    row(made, 1)
    row(made, 2)
    assert [type(event).__name__ for event in made.events] == ["About", "Passage", "Passage"]


def test_bytes_are_cut_anywhere():
    """A recording is cut by size alone: bytes that would be the inside of a character in a text are nothing special."""
    made = reading(b"x", complete=False)
    made.append(b"\x80" * (BODY_BYTES + 10), 0.0)
    sizes = []
    for n in (1, 2):
        sizes += [len(body) for message, body in made.outbox if isinstance(message, Append)]
        made.outbox.clear()
        made.receive(Appended(job="j", n=n), b"", 0.0)
    assert sum(sizes) == BODY_BYTES + 10
    assert max(sizes) == BODY_BYTES


def test_sources(tmp_path):
    """A path is opened and ours to close, bytes are a file, and a file of the caller's stays his."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    for source, ours in ((path, True), (str(path), True), (b"abc", True), (io.BytesIO(b"abc"), False)):
        file, closes = opened(source)
        assert (file.read(), closes) == (b"abc", ours)
        file.close()
