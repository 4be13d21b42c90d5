"""Word timings from nothing but a text and a length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicebus.daemon.core.estimating import CONFIDENCE, UNSURE, words
from voicebus.workers.engine import Chunk, Mark, Request
from voicebus.workers.espeak import EspeakEngine

TEXTS = (
    "The second one, which has a comma in it, is somewhat longer.",
    "It was a bright cold day in April, and the clocks were striking thirteen.",
    "Nobody expected the committee to publish its recommendations before the end of the summer; still, they did.",
)


@given(st.text(max_size=200), st.integers(min_value=-10, max_value=10**9))
def test_whatever_the_text_its_words_are_inside_and_in_order(text, samples) -> None:
    """Ranges do not overlap and are of the text, times do not fall and are of the audio, and nobody claims to know."""
    found = words(text, samples)
    end = at = 0
    for word in found:
        assert end <= word.start < word.start + word.length <= len(text)
        assert at <= word.sample < samples
        assert 0 < word.confidence < 1
        end, at = word.start + word.length, word.sample


def test_what_is_said_as_a_word_is_one() -> None:
    """Words with apostrophes, signs that are spoken, and single ideographs; punctuation is none."""
    text = "It's 5 % \u2013 \u201cno\u201d, \u6771\u4eac!"
    found = [text[word.start : word.start + word.length] for word in words(text, 48000)]
    assert found == ["It's", "5", "%", "no", "\u6771", "\u4eac"]


def test_nothing_to_say_has_no_words() -> None:
    """Nor has a text without any audio."""
    assert words("", 100) == words("... -- !", 100) == words("one", 0) == []


def test_digits_and_signs_make_it_less_sure() -> None:
    """How long they are when spoken is guessed, and moves every other word."""
    assert {word.confidence for word in words("All is well.", 100)} == {CONFIDENCE}
    assert {word.confidence for word in words("All 3 are well.", 100)} == {UNSURE}
    assert {word.confidence for word in words("All & sundry.", 100)} == {UNSURE}


def test_it_is_near_what_an_engine_knows() -> None:
    """Against espeak's own marks the words of ordinary sentences are less than a tenth of a second off on average, and
    none is off by as much as half a second."""
    engine = EspeakEngine()
    engine.load({}, lambda _percent, _note: None)
    off = []
    for text in TEXTS:
        items = list(engine.synthesize(Request(text, "en-us")))
        samples = sum(len(item.pcm) // 2 for item in items if isinstance(item, Chunk))
        known = {item.start: item.sample for item in items if isinstance(item, Mark) and item.kind == "word"}
        found = [word for word in words(text, samples) if word.start in known]
        assert len(found) > 10
        off += [abs(word.sample - known[word.start]) / engine.sample_rate for word in found]
    engine.close()
    assert sum(off) / len(off) < 0.1
    assert max(off) < 0.5
