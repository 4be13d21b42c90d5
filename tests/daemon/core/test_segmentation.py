"""Where a text is cut, and how soon."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.daemon.core import segmentation
from voicebus.daemon.core.segmentation import Splitter

FAMILY = "👨\u200d👩\u200d👧"


def spans(pieces, language="en", *, limit=600, first_limit=None, start=0):
    splitter = Splitter(language, limit=limit, first_limit=first_limit, start=start)
    found = []
    for piece in pieces:
        splitter.feed(piece)
        found += splitter.take()
    splitter.finish()
    return found + splitter.take()


def sentences(*pieces, **options):
    text = "".join(pieces)
    return [text[start:end] for start, end in spans(pieces, **options)]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Dr. Smith paid $3.50.", "Then he left."]),
        ("en-GB", ["See e.g. Fig. 3 for details.", "Version 2.0.1 is out!", "Visit example.com now."]),
        ("de-AT", ["Am 3. Mai kommt Dr. Müller z.B. nach Berlin.", "Gut!"]),
        ("es", ["¿Cómo está Ud.?", "El Sr. Pérez llegó.", "¡Hola!"]),
        ("ar", ["مرحبا بالعالم.", "كيف حالك؟", "أنا بخير."]),
        ("hi", ["नमस्ते दुनिया।", "आप कैसे हैं?", "मैं ठीक हूँ।"]),
        ("tlh", ["A first one.", "A second one."]),
        ("", ["A first one.", "A second one."]),
    ],
)
def test_sentences_are_found(language, expected) -> None:
    """Abbreviations, numbers, dates and addresses do not end a sentence; regional and unknown languages work too."""
    assert sentences(" ".join(expected), language=language) == expected


@pytest.mark.parametrize("language", ["zh", "cmn", "zh-Hans-CN", "ja"])
def test_sentences_without_spaces_are_found(language) -> None:
    """Full-width full stops end a sentence although no space follows."""
    assert sentences("你好，世界。今天天气很好！你呢？", language=language) == [
        "你好，世界。",
        "今天天气很好！",
        "你呢？",
    ]


def test_ranges_count_code_points() -> None:
    """Characters outside the basic plane, and those made of several code points, shift nothing."""
    text = f"Hi 👍🏽 there. {FAMILY} Yes! 𝕳ello. e\u0301 ok."
    expected = ["Hi 👍🏽 there.", f"{FAMILY} Yes!", "𝕳ello.", "e\u0301 ok."]
    assert sentences(text) == expected
    assert sentences(*text) == expected


def test_a_text_at_which_the_library_panics_is_cut_all_the_same() -> None:
    """A no-break space before a full stop, over which the sentence library falls, costs no more than that place."""
    text = "Point B\xa0. Then on. 好 And é."
    assert "".join(sentences(text)).replace(" ", "") == text.replace(" ", "")
    assert sentences(text)[-1] == "好 And é."


def test_another_error_of_the_library_is_not_swallowed(monkeypatch) -> None:
    """Only the panic is met; an interrupt, or a mistake of ours, goes its way."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(segmentation, "get_sentence_boundaries", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sentences("One. Two.")


def test_a_sentence_waits_for_what_follows() -> None:
    """A full stop at the end of what has come may be inside a number: nothing is given out until more comes."""
    splitter = Splitter("en", limit=600)
    splitter.feed("It cost $3.")
    assert splitter.take() == []
    splitter.feed("50 then. Now")
    assert splitter.take() == [(0, 19)]
    assert splitter.unsplit == 20
    splitter.finish()
    assert splitter.take() == [(20, 23)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2029"])
def test_a_line_is_a_sentence_when_it_comes_alone(end) -> None:
    """A newline at the end of a piece lets everything before it go, so that a command's output is spoken by line."""
    splitter = Splitter("en", limit=600)
    splitter.feed(f"building thing one{end}")
    assert splitter.take() == [(0, 18)]


def test_lines_within_a_piece_are_one_sentence() -> None:
    """Text that was broken into lines by an editor is read over the breaks; an empty line is a paragraph."""
    assert sentences("This goes\non here.\n\nNext") == ["This goes\non here.", "Next"]


def test_white_space_alone_is_no_segment() -> None:
    """Spaces and empty lines around and between sentences belong to no span."""
    assert sentences("  \n\n ", "\t One. \n\n\n  Two.  ", " \n") == ["One.", "Two."]
    assert sentences("", " ", "\n") == []


def test_text_may_begin_in_the_middle_of_a_job() -> None:
    """What was left unsplit before a restart is split again in the same coordinates."""
    assert spans(["One. Two."], start=100) == [(100, 104), (105, 109)]


def test_nothing_comes_after_the_end() -> None:
    """Finishing twice is harmless; feeding after it is a mistake of the caller."""
    splitter = Splitter("en", limit=600)
    splitter.finish()
    splitter.finish()
    with pytest.raises(ValueError, match="finished"):
        splitter.feed("x")


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("one two, three four five six", 20, ["one two,", "three four five six"]),
        ("one two three four", 10, ["one two", "three four"]),
        ("one 1,000,000 two", 10, ["one", "1,000,000", "two"]),
        ("one two - three four", 12, ["one two -", "three four"]),
        ("wait…for it then go", 12, ["wait…", "for it then", "go"]),
        ("说一二三，四五六七八九", 8, ["说一二三，", "四五六七八九"]),
        ("a" * 25, 10, ["a" * 10, "a" * 10, "a" * 5]),
        (FAMILY * 3, 12, [FAMILY * 2, FAMILY]),
        ("🇩🇪🇫🇷🇮🇹", 5, ["🇩🇪🇫🇷", "🇮🇹"]),
        ("👍🏽👍🏽👍🏽", 3, ["👍🏽"] * 3),
        ("e\u0301" * 3, 3, ["e\u0301"] * 3),
        ("\u1112\u1161\u11ab" * 2, 5, ["\u1112\u1161\u11ab"] * 2),
        ("क्षक्ष", 5, ["क्ष", "क्ष"]),
        ("a" + "\u0301" * 9, 4, ["a\u0301\u0301\u0301", "\u0301" * 4, "\u0301" * 2]),
        ("a bc", 0, ["a", "b", "c"]),
    ],
)
def test_what_is_too_long_is_cut_where_it_hurts_least(text, limit, expected) -> None:
    """Behind a clause, else at white space, else anywhere but within a character as people see it."""
    assert sentences(text, limit=limit) == expected
    assert sentences(*text, limit=limit) == expected


def test_a_full_stop_is_never_parted_from_its_accent() -> None:
    """A mark that belongs to the sign that ends a sentence stays with it."""
    assert sentences("A。\u0301b") == ["A。\u0301b"]


def test_the_first_segment_is_short_where_that_is_asked() -> None:
    """With a limit for the first span it ends at a clause, so that something can be heard soon; later ones do not."""
    text = "Well, I think that it is so, but who knows what will come of it when all is said and done by all."
    first, second = sentences(text, first_limit=60)
    assert first == "Well, I think that it is so,"
    assert sentences(f"{text} {text}", first_limit=60)[1:] == [second, text]
    assert sentences(text) == [text]


def test_the_first_segment_does_not_wait_for_its_sentence() -> None:
    """Where the first span is to be short it is given out at the first clause that is long enough."""
    splitter = Splitter("en", limit=600, first_limit=80)
    splitter.feed("Well, I think that it is so,")
    assert splitter.take() == []
    splitter.feed(" but")
    assert splitter.take() == [(0, 28)]
    splitter.feed(" who knows, dear people of the world, what")
    assert splitter.take() == []


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Yes. " + "word " * 50, "Yes."),
        ("word " * 50, "word word word word word word word word"),
        ("No, " + "a" * 100, "No,"),
        ("a" * 100, "a" * 40),
    ],
)
def test_the_first_segment_is_short_even_without_a_clause(text, first) -> None:
    """A short sentence is whole; without a clause a space will do, and without a space the limit."""
    assert sentences(text, first_limit=40)[0] == first


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        ("The quick brown fox. " * 20 + "\n\n") * 400,
        "word " * 40_000,
        "a" + " " * 200_000 + "b",
        "\n" * 200_000,
        "🇩🇪" * 50_000,
        "你好，世界。" * 20_000,
    ],
    ids=["one word", "prose", "one sentence", "a gap", "newlines", "flags", "chinese"],
)
@pytest.mark.parametrize("size", [200_000, 997])
def test_the_cost_is_in_proportion_to_the_text(text, size, monkeypatch) -> None:
    """However long a text and whatever is in it, the sentence splitter sees each character a few times."""
    seen = 0
    real = segmentation.get_sentence_boundaries

    def counting(language, window):
        nonlocal seen
        seen += len(window)
        assert len(window) <= 1200
        return real(language, window)

    monkeypatch.setattr(segmentation, "get_sentence_boundaries", counting)
    spans([text[at : at + size] for at in range(0, len(text), size)])
    assert seen <= 4 * len(text)


ALPHABET = st.sampled_from(
    [
        *"aB3 .,!?;:\n\t\"')…—-。，é",
        "\u2029",
        "\u00a0",
        "\r\n",
        ". ",
        "\n\n",
        "e\u0301",
        FAMILY,
        "👍🏽",
        "𝕳",
        "क्षि",
        "❗\ufe0f",
    ]
)
TEXTS = st.lists(st.lists(ALPHABET, max_size=40).map("".join), max_size=8)


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["en", "zh", "hi", ""]), st.integers(8, 60), st.none() | st.integers(8, 40))
def test_no_character_is_lost_or_said_twice(pieces, language, limit, first_limit) -> None:
    """Spans are in order, within their limit, without white space around, and hold every character but white space."""
    text = "".join(pieces)
    found = spans(pieces, language, limit=limit, first_limit=first_limit)
    assert all(start < end <= start + limit for start, end in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    assert all(text[start:end] == text[start:end].strip() for start, end in found)
    inside = {at for start, end in found for at in range(start, end)}
    assert all(at in inside for at, char in enumerate(text) if not char.isspace())
    if first_limit is not None and found:
        assert found[0][1] - found[0][0] <= first_limit


@settings(deadline=None)
@given(TEXTS, st.integers(8, 60), st.none() | st.integers(8, 40))
def test_no_visible_character_is_torn(pieces, limit, first_limit) -> None:
    """Where two spans touch, no accent, joiner, selector or skin tone begins the second."""
    text = "".join(pieces)
    for before, after in pairwise(spans(pieces, limit=limit, first_limit=first_limit)):
        if before[1] == after[0]:
            assert unicodedata.category(text[after[0]])[0] != "M"
            assert text[after[0]] not in "\u200d🏽"
            assert text[after[0] - 1] != "\u200d"


@settings(deadline=None)
@given(TEXTS, st.integers(8, 60))
def test_when_spans_are_taken_makes_no_difference(pieces, limit) -> None:
    """Boundaries that were given out stay: fetching them late or early gives the same, and the rest stays small."""
    splitter = Splitter("en", limit=limit)
    for piece in pieces:
        splitter.feed(piece)
        assert len(splitter._tail) <= 1200
    splitter.finish()
    assert splitter.take() == spans(pieces, limit=limit)
    assert splitter._tail == ""
    assert splitter.unsplit == sum(map(len, pieces))
