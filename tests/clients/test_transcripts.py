"""Transcripts as files."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from voicebus.clients.events import About, Passage, Result, Rewound, Word
from voicebus.clients.transcribing import Transcript
from voicebus.clients.transcripts import as_map, srt, txt, vtt

WORDS = (Word(3600.0, 3600.4, " A", 0.9), Word(3600.4, 3601.0, " word", 0.8))


def transcript(*passages: Passage) -> Transcript:
    made = Transcript()
    made.put(About(3661.5, "en", 0.9, 12.0, "whisper", "small"))
    for passage in passages:
        made.put(passage)
    made.result = Result("j1", "finished")
    return made


def passage(number: int = 1, start: float = 0.0, end: float = 1.5, text: str = " Hello there.", words=()) -> Passage:
    return Passage(number, start, end, text, 0.75, "en", words, "whisper", "small")


def test_plain_text_is_a_passage_a_line():
    """Each passage is a line, without the space before it; one of blanks is none."""
    assert txt(transcript(passage(), passage(2, text=" "), passage(3, text=" Bye."))) == "Hello there.\nBye.\n"
    assert transcript(passage(), passage(2, text=" Bye.")).text == "Hello there. Bye."


def test_the_map_says_all():
    """JSON has the text, the recording, who heard it, and each passage; words only where there are any."""
    told = as_map(transcript(passage(), passage(2, 3600.0, 3601.0, " A word", WORDS)))
    assert json.loads(json.dumps(told)) == told
    assert (told["text"], told["language"], told["duration"], told["speech"]) == (
        "Hello there. A word",
        "en",
        3661.5,
        12.0,
    )
    assert (told["provider"], told["model"], told["job"], told["code"]) == ("whisper", "small", "j1", "")
    assert "words" not in told["segments"][0]
    assert told["segments"][1]["words"][1] == {"start": 3600.4, "end": 3601.0, "text": " word", "confidence": 0.8}
    assert as_map(Transcript())["segments"] == []


def test_subtitles_have_their_form():
    """SubRip counts and has commas in its times; WebVTT has a head, points, and markup that is escaped."""
    made = transcript(passage(text=" <i>Hello</i> & all"), passage(2, 3600.0, 3661.5, " Bye."))
    assert srt(made) == (
        "1\n00:00:00,000 --> 00:00:01,500\n<i>Hello</i> & all\n\n2\n01:00:00,000 --> 01:01:01,500\nBye.\n"
    )
    assert vtt(made) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n&lt;i&gt;Hello&lt;/i&gt; &amp; all\n\n"
        "01:00:00.000 --> 01:01:01.500\nBye.\n"
    )
    assert srt(Transcript()) == ""


def test_a_long_passage_is_cut():
    """Subtitles longer than two lines are cut between words: by their timings, or by length where there are none."""
    text = " ".join(["word"] * 60)
    by_length = srt(transcript(passage(end=30.0, text=text)))
    assert by_length.count(" --> ") == 4
    assert "00:00:00,000 --> 00:00:08" in by_length
    words = tuple(Word(n / 2, n / 2 + 0.5, " word", 1.0) for n in range(60))
    by_words = srt(transcript(passage(end=30.0, text=text, words=words)))
    assert by_words.count(" --> ") == 4
    assert by_words.startswith("1\n00:00:00,000 --> 00:00:08,000\n")
    assert by_words.endswith("--> 00:00:30,000\n" + " ".join(["word"] * 12) + "\n")


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 100), st.text(max_size=300)), max_size=5))
def test_no_subtitle_is_empty_and_no_time_goes_back(parts):
    """Whatever is said, each subtitle has a text and ends no earlier than it begins."""
    made = transcript(*(passage(n + 1, start, start + length, text) for n, (start, length, text) in enumerate(parts)))
    for block in filter(None, srt(made).split("\n\n")):
        lines = block.split("\n")
        begin, _, end = lines[1].partition(" --> ")
        assert begin <= end
        assert lines[2].strip()


def test_what_was_taken_back_is_gone():
    """A transcript forgets what a `Rewound` took back, and the recording itself with the first row."""
    made = transcript(passage(1), passage(2), passage(3))
    made.put(Rewound(2, 2, "the power went"))
    assert [p.number for p in made.passages] == [1]
    made.put(Rewound(0, 0, "the power went"))
    assert (made.passages, made.about) == ([], None)
