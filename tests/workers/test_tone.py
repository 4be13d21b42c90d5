"""The tone engine is an oracle: its audio is known beforehand, to the last sample."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.workers._tone_audio import BLOCK, Tone
from voicebus.workers.engine import Chunk, EngineError, Mark, Request
from voicebus.workers.tone import ToneEngine, expected, length, spoken

NO_MARKERS = st.text(max_size=30).filter(lambda text: "{{" not in text)


def engine_of(**settings):
    engine = ToneEngine()
    engine.load(settings, lambda percent, note: None)
    return engine


def made(engine, text, **fields):
    items = list(engine.synthesize(Request(text, "low", **fields)))
    return b"".join(item.pcm for item in items if isinstance(item, Chunk)), items


@settings(deadline=None)
@given(NO_MARKERS, st.floats(0.001, 0.5), st.integers(8000, 48000))
def test_the_engine_makes_what_is_expected(text, chunk_s, sample_rate):
    """Whatever the chunks and the rate, the audio is what `expected` says."""
    engine = engine_of(chunk_s=chunk_s, sample_rate=sample_rate)
    assert made(engine, text)[0] == expected(text, sample_rate=sample_rate)


@settings(deadline=None)
@given(st.integers(0, 3 * BLOCK), st.integers(0, 3 * BLOCK))
def test_any_part_can_be_made_alone(start, count):
    """A part of the audio is the same, made alone or cut from the whole."""
    whole = Tone("some text").samples(0, 6 * BLOCK)
    assert Tone("some text").samples(start, start + count) == whole[2 * start : 2 * (start + count)]


def test_every_tenth_of_a_second_is_different():
    """No run of samples occurs twice, in one text or in two: a shift, a repeat or a mixture does not go unseen."""
    runs = set()
    for text in ("one", "two", "one "):
        pcm = expected(text, seconds_per_char=5.0)
        runs |= {pcm[at : at + 200] for at in range(0, len(pcm) - 200, 200)}
        runs.add(text)
    count = sum(len(range(0, 2 * length(text, seconds_per_char=5.0) - 200, 200)) for text in ("one", "two", "one "))
    assert len(runs) == count + 3


def test_voice_seed_and_salt_make_other_audio():
    """What should be heard as different is different."""
    variants = [{}, {"voice": "high"}, {"seed": 1}, {"salt": "a"}, {"pitch": 2.0}, {"volume": 0.5}]
    assert len({expected("text", **variant) for variant in variants}) == len(variants)


def test_it_is_fast():
    """Unpaced, minutes of audio take less than a hundredth of their length."""
    engine = engine_of(seconds_per_char=1.0)
    began = time.process_time()
    pcm, _ = made(engine, "x" * 120)
    assert len(pcm) == 2 * 120 * 24000
    assert time.process_time() - began < 1.2


def test_markers_are_not_spoken():
    """Markers are left out of the text and of the audio, whether they are obeyed or not."""
    text = "one {{mark here}}two {{truncate 0.1}}three"
    assert spoken(text) == "one two three"
    assert made(engine_of(markers=False), text)[0] == expected("one two three")


def test_marks_point_into_the_text_as_it_was():
    """Word marks have their range in the text with its markers, and a sample of the audio without them."""
    text = "one {{mark here}}two"
    marks = [item for item in made(engine_of(), text)[1] if isinstance(item, Mark)]
    assert [text[mark.start : mark.start + mark.length] for mark in marks if mark.kind == "word"] == ["one", "two"]
    assert [mark.sample for mark in marks if mark.name == "here"] == [length("one ")]


@pytest.mark.parametrize(
    ("text", "share"), [("a text {{truncate 0.5}}", 1.0), ("{{truncate 0.5}}a text of some length", 0.5)]
)
def test_truncated_audio_ends_early_without_a_word(text, share):
    """After truncate the audio ends at that fraction of it, unless it has been made already."""
    pcm, _ = made(engine_of(), text)
    assert len(pcm) == 2 * round(share * length(text))
    assert expected(text).startswith(pcm)


def test_silence_begins_where_its_marker_stands():
    """From the marker on there are only zeros, of the same length."""
    pcm, _ = made(engine_of(), "one{{silence}} two")
    cut = 2 * length("one")
    assert pcm[:cut] == expected("one two")[:cut]
    assert pcm[cut:] == bytes(2 * length(" two"))


def test_errors_are_raised_where_they_stand():
    """The audio before an error's marker comes, then the error with its class."""
    items = []
    with pytest.raises(EngineError) as caught:
        items.extend(engine_of().synthesize(Request("one{{error quota}}", "low")))
    assert caught.value.code == "quota"
    with pytest.raises(EngineError, match="knows no marker"):
        made(engine_of(), "{{nonsense}}")


def test_memory_grows_and_stays():
    """`hold_mb` and grow take memory that is really touched."""
    # In a process of its own: in this one, memory that other tests gave back may be used again.
    script = """
from voicebus.workers.runtime import rss
from voicebus.workers.tone import engine as make
from voicebus.workers.engine import Request
before, engine = rss(), make()
engine.load({"hold_mb": 20}, lambda percent, note: None)
list(engine.synthesize(Request("a{{grow 30}}", engine.voices()[0].name)))
print(rss() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 40_000_000


def test_the_pace_is_kept():
    """With a factor, audio takes that share of its length to make."""
    engine = engine_of(factor=0.5, seconds_per_char=0.1)
    began = time.monotonic()
    made(engine, "abcd")
    assert 0.19 < time.monotonic() - began < 2.0


def test_an_unknown_voice_is_refused():
    """Only the listed voices speak."""
    with pytest.raises(EngineError, match="no voice"):
        list(engine_of(voices=["a"]).synthesize(Request("x", "low")))
