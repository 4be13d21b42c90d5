"""Words that were heard, matched with the words of a text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicebus.clients.aligning import aligned, passages, unmarked
from voicebus.clients.events import Segment, Word

RATE = 1000


def whole(text: str) -> list[Segment]:
    return [Segment(0, "take", 0, 0, len(text), "p", "v")]


def heard(*words: tuple[float, str]) -> list[Word]:
    """Words of half a second each."""
    return [Word(start, start + 0.5, f" {said}", 0.9) for start, said in words]


def times(text: str, words: list[Word], seconds: float = 10.0) -> list[tuple[str, float, str]]:
    """Each word of the text, when it is, and by which method."""
    marks = aligned(text, whole(text), words, int(seconds * RATE), RATE)
    return [(text[mark.start : mark.start + mark.length], mark.seconds, mark.method) for mark in marks]


def test_what_was_heard_has_its_time():
    """Case and punctuation, straight or curly apostrophes, and points in an abbreviation are no difference; the range
    is that of the word without the signs around it."""
    text = "»Hello, World!« It’s the U.S.A. — café."
    words = heard((1.0, "hello"), (2.0, "world."), (3.0, "it's"), (4.0, "The"), (5.0, "USA,"), (6.0, "cafe\u0301"))
    said = ["Hello", "World", "It’s", "the", "U.S.A", "café"]
    assert times(text, words) == [(word, n + 1.0, "align") for n, word in enumerate(said)]
    [first, *_] = aligned(text, whole(text), words, 10_000, RATE)
    assert (first.kind, first.start, first.length, first.offset) == ("word", 1, 5, 1000)
    assert (first.confidence, first.segment, first.take) == (0.9, 0, "take")


def test_missing_words_are_between_their_neighbours():
    """Words that were not heard share the time between the end of the one before and the next, by their letters."""
    assert times("one aa bbbb two", heard((1.0, "one"), (4.5, "two"))) == [
        ("one", 1.0, "align"),
        ("aa", 1.5, "estimate"),
        ("bbbb", 2.5, "estimate"),
        ("two", 4.5, "align"),
    ]
    [_, between, *_] = aligned("one aa two", whole("one aa two"), heard((1.0, "one"), (3.0, "two")), 5000, RATE)
    assert between.confidence == 0.3


def test_missing_words_at_the_edges():
    """Before the first that was heard and behind the last, the ends of the audio are the neighbours."""
    assert times("aa bb cc", heard((4.0, "bb")), 9.0) == [
        ("aa", 0.0, "estimate"),
        ("bb", 4.0, "align"),
        ("cc", 4.5, "estimate"),
    ]


def test_extra_and_other_words():
    """What was heard and is not in the text has no mark; what was heard otherwise is placed between what was not."""
    words = heard((0.5, "well"), (1.0, "red"), (2.0, "grin"), (3.0, "um"), (4.0, "blue"))
    assert times("red green blue", words) == [("red", 1.0, "align"), ("green", 1.5, "estimate"), ("blue", 4.0, "align")]


def test_numbers():
    """A number matches as it is written; one that was heard as words has the place between its neighbours."""
    assert times("in 1999 or 3.5", heard((1.0, "in"), (2.0, "1999"), (3.0, "or"), (4.0, "3.5"))) == [
        ("in", 1.0, "align"),
        ("1999", 2.0, "align"),
        ("or", 3.0, "align"),
        ("3.5", 4.0, "align"),
    ]
    spelt = heard((1.0, "in"), (2.0, "nineteen"), (2.5, "ninety-nine"), (3.0, "or"))
    assert times("in 1999 or", spelt)[1] == ("1999", 1.5, "estimate")


def test_compounds_and_ideographs():
    """What was heard as one and is several in the text is cut, with time by letters; ideographs are words each."""
    assert times("ab-cdef", [Word(1.0, 2.5, "ab-cdef", 0.5)]) == [("ab", 1.0, "align"), ("cdef", 1.5, "align")]
    assert times("你好。", [Word(1.0, 2.0, "你好", 0.5)]) == [("你", 1.0, "align"), ("好", 1.5, "align")]


def test_nothing():
    """No text, no audio or no words heard is no error: there is nothing to mark, or nothing but estimates."""
    assert times("", heard((1.0, "a"))) == []
    assert times("... !", heard((1.0, "a"))) == []
    assert times("a", heard((1.0, "a")), 0.0) == []
    assert aligned("a", [], heard((1.0, "a")), 1000, RATE) == []
    assert times("ab cd", [], 4.0) == [("ab", 0.0, "estimate"), ("cd", 2.0, "estimate")]


def test_a_word_is_of_its_segment():
    """A sentence that is said twice is matched each time with what was heard there; words of a part of the text that
    was left out have no mark; what was heard a little early begins with its segment."""
    text = "go on. skipped. go on."
    segments = [Segment(0, "t0", 0, 0, 7, "p", "v"), Segment(2, "t2", 5000, 16, 6, "p", "v")]
    marks = aligned(text, segments, heard((4.8, "go"), (6.0, "on")), 8000, RATE)
    assert [(mark.start, mark.method, mark.segment, mark.take) for mark in marks] == [
        (0, "estimate", 0, "t0"),
        (3, "estimate", 0, "t0"),
        (16, "align", 2, "t2"),
        (19, "align", 2, "t2"),
    ]
    assert [mark.seconds for mark in marks[2:]] == [5.0, 6.0]


def test_markup_is_not_said():
    """Tags and entities are blank, and every word stays where it was."""
    text = '<speak>One <!-- <b> --> &amp; <mark name="x"/>two</speak>'
    plain = unmarked(text)
    assert plain.split() == ["One", "two"] and len(plain) == len(text)
    assert plain.index("two") == text.index("two")


def test_the_text_as_a_transcript():
    """Each segment is a passage of the text as it was written, its words end where the next begin."""
    text = "Go on, please. Stop!"
    segments = [Segment(0, "a", 0, 0, 15, "p", "v"), Segment(1, "b", 4000, 15, 5, "p", "v")]
    marks = aligned(text, segments, heard((1.0, "go"), (2.0, "on"), (3.0, "please"), (4.5, "stop")), 6000, RATE)
    first, second = passages(text, marks, 6.0, "en")
    assert (first.text, first.start, first.end, first.language) == ("Go on, please. ", 1.0, 4.5, "en")
    assert [(word.text, word.start, word.end) for word in first.words[:2]] == [("Go ", 1.0, 2.0), ("on, ", 2.0, 3.0)]
    assert (second.text, second.start, second.end, second.number) == ("Stop!", 4.5, 6.0, 2)
    assert passages(text, [], 6.0, "en") == []


SAID = st.sampled_from(["a", "the", "The,", "no", "42", "x-y", "你", "...", "e\u0301t"])


@given(
    sentences=st.lists(st.tuples(st.lists(SAID, max_size=8), st.integers(0, 4000)), max_size=5),
    sounds=st.lists(st.tuples(st.floats(-1, 30), st.floats(-1, 3), SAID, st.floats(-1, 2)), max_size=30),
    cut=st.integers(1, 4000),
)
def test_times_never_go_back_and_stay_inside(sentences, sounds, cut):
    """Whatever was heard and when, each word of the text has one mark, in order, in the audio of its segment."""
    text, at, segments = "", 0, []
    for number, (words, samples) in enumerate(sentences):
        part = "".join(f"{word} " for word in words)
        segments.append(Segment(number, f"t{number}", at, len(text), len(part), "p", "v"))
        text, at = text + part, at + samples
    samples = at + cut
    words = [Word(start, start + length, said, sure) for start, length, said, sure in sounds]
    marks = aligned(text, segments, words, samples, RATE)
    count = sum({"...": 0, "x-y": 2}.get(word, 1) for said, _ in sentences for word in said)
    assert len(marks) == count
    assert [mark.offset for mark in marks] == sorted(mark.offset for mark in marks)
    assert [mark.start for mark in marks] == sorted({mark.start for mark in marks})
    ends = [*(segment.offset for segment in segments[1:]), samples]
    for mark in marks:
        assert segments[mark.segment].offset <= mark.offset <= ends[mark.segment] and mark.offset < samples
        assert 0.0 <= mark.confidence <= 1.0 and mark.method in ("align", "estimate")
