"""Listening with numbers: what was heard of a job, and whether it is what the text sounds like.

Owns: the judgement. Invariant: nothing is believed of the daemon's word alone; every sample that a reader got is
compared with what the engine makes (`tone`) or has to belong to exactly one take of its segment (any engine).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

from voicebus.clients.events import Event, Frame, Notice, Rewound, Segment
from voicebus.clients.sync import Client, Speech
from voicebus.workers import tone

RATE = 8000
CHAR_S = 0.02
TONE = f"sample_rate = {RATE}, seconds_per_char = {CHAR_S}"
"""Settings of tone for these tests: a sentence is short, and quickly computed."""

ESPEAK_CHAR_S = (0.03, 0.16)
"""What espeak takes for a character at its usual speed; a sentence outside was cut off or said twice."""


class Heard:
    """What came of a speech: every sample in its place, rewinds carried out, breaks of the rules refused at once.
    announced: whether each take has to be, which cannot be had where messages are lost."""

    def __init__(self, speech: Speech, *, announced: bool = True) -> None:
        self.speech = speech
        self.announced = announced
        self.pcm = bytearray()
        self.takes: dict[int, str] = {}
        self.said: dict[int, Segment] = {}
        self.notices: list[Notice] = []
        self.rewinds: list[Rewound] = []
        self._take = ""

    @property
    def samples(self) -> int:
        """How many samples are heard for good, as things stand."""
        return len(self.pcm) // 2

    def listen(self, on_event: Callable[[Event], object] = lambda _event: None) -> Heard:
        """Read to the end."""
        for event in self.speech:
            self.take(event)
            on_event(event)
        return self

    def take(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Frame():
                assert event.offset == self.samples, f"{event.offset} after {self.samples}"
                assert self.takes.setdefault(event.segment, event.take) == event.take, "a segment of two takes"
                assert not self.announced or self.said[event.segment].take == event.take, "a take not announced"
                self.pcm += event.pcm
            case Rewound():
                assert event.offset <= self.samples
                del self.pcm[2 * event.offset :]
                self.takes = {number: take for number, take in self.takes.items() if number < event.segment}
                self.rewinds.append(event)
            case Segment():
                self.said[event.number] = event
            case Notice():
                self.notices.append(event)

    def kinds(self) -> list[str]:
        """The kinds of the notices, in order."""
        return [notice.kind for notice in self.notices]


def killing(
    heard: Heard, whom: Callable[[], list[int]], *, when: Callable[[Heard], object] = lambda _heard: True
) -> tuple[Callable[[Event], None], list[int]]:
    """An `on_event` that kills, once, when there is audio and `when` says so; and the list of whom it killed."""
    killed: list[int] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Frame) and not killed and when(heard):
            killed.extend(whom())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    return on_event, killed


def placed(client: Client, job: str, pcm: bytes, text: str) -> list[tuple[dict[str, Any], bytes]]:
    """A job's segments with the audio that was heard of each: all of the text, once, in order, and all of the audio."""
    rows = client.segments(job)
    end_of_text = end_of_audio = 0
    found = []
    for number, row in enumerate(rows):
        assert (row["segment"], row["state"], row["offset"]) == (number, "whole", end_of_audio), row
        assert not text[end_of_text : row["start"]].strip(), "text was left out"
        end_of_text, end_of_audio = row["start"] + row["length"], row["offset"] + row["samples"]
        found.append((row, bytes(pcm[2 * row["offset"] : 2 * end_of_audio])))
    assert not text[end_of_text:].strip(), "the end of the text was left out"
    assert 2 * end_of_audio == len(pcm)
    return found


def takes_agree(heard: Heard, rows: Iterable[tuple[dict[str, Any], bytes]]) -> None:
    """What was heard of each segment is the take that is in the log."""
    assert heard.takes == {row["segment"]: row["attempt"] for row, _ in rows}


def exact(
    client: Client,
    heard: Heard | bytes,
    text: str,
    *,
    job: str = "",
    salts: Iterable[str] = ("",),
    rate: int = RATE,
    speed: float = 1.0,
) -> list[dict[str, Any]]:
    """All that was heard is, sample by sample, what tone makes of the text: each segment whole and from one worker.
    salts: what the workers that spoke may have put into it. Returns the segments' rows."""
    pcm, job = (heard.pcm, heard.speech.job) if isinstance(heard, Heard) else (heard, job)
    rows = placed(client, job, pcm, text)
    for row, sound in rows:
        assert row["provider"] == "tone", row
        assert sound in list(sounds(row, text, salts, rate, speed)), f"segment {row} is not what tone makes of it"
    if isinstance(heard, Heard):
        takes_agree(heard, rows)
    return [row for row, _ in rows]


def sounds(row: dict[str, Any], text: str, salts: Iterable[str], rate: int, speed: float) -> Iterable[bytes]:
    """What tone may make of a segment: workers differ."""
    words = text[row["start"] : row["start"] + row["length"]]
    for salt in salts:
        yield tone.expected(words, sample_rate=rate, seconds_per_char=CHAR_S, rate=speed, seed=row["seed"], salt=salt)


def plausible(
    client: Client, heard: Heard | bytes, text: str, *, job: str = "", rate: int = 22050, speed: float = 1.0
) -> list[dict[str, Any]]:
    """Espeak cannot be foretold: all is there, in order, one take a segment, each about as long as its text."""
    pcm, job = (heard.pcm, heard.speech.job) if isinstance(heard, Heard) else (heard, job)
    rows = placed(client, job, pcm, text)
    for row, sound in rows:
        per_char = len(sound) / 2 / rate * speed / row["length"]
        assert row["provider"] == "espeak", row
        assert ESPEAK_CHAR_S[0] < per_char < ESPEAK_CHAR_S[1], f"{per_char:.3f} s for a character: {row}"
        assert max(sound) > 0, "silence"
    if isinstance(heard, Heard):
        takes_agree(heard, rows)
    return [row for row, _ in rows]


def sentences(count: int, words: int = 8, *, start: int = 0) -> str:
    """A text of so many sentences, all of them different."""
    return " ".join(
        f"Sentence {start + number} speaks of {' and '.join(f'thing {number + word}' for word in range(words))}."
        for number in range(count)
    )
