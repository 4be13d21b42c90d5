"""Words that are spelled differently for the engine."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.daemon.core.segmentation import Pronunciations

LIST = {"SQL": "sequel", "New York": "big apple", "C++": "see plus plus", "York": "town", "kubectl": "cube control"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I use SQL.", "I use sequel."),
        ("sql, Sql", "sequel, sequel"),
        ("MySQL and SQLite", "MySQL and SQLite"),
        ("new\n  york, York", "big apple, town"),
        ("C++ is not C+++", "see plus plus is not see plus plus+"),
        ("SQL\u0301 and \u0301SQL", "SQL\u0301 and \u0301SQL"),
        ("", ""),
    ],
)
def test_whole_words_are_replaced(text, expected) -> None:
    """In any case and with any white space, but never a part of a longer word; phrases go before words."""
    assert Pronunciations(LIST).apply(text) == expected


def test_replacements_are_not_replaced_again() -> None:
    """Two words may be exchanged for each other."""
    assert Pronunciations({"a": "b", "b": "a", "  ": "x", "": "y"}).apply("a b  c") == "b a  c"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_an_empty_list_changes_nothing(text) -> None:
    """Without listed words a text comes out as it went in, and so does every range of it."""
    respelled = Pronunciations({}).respell(text)
    assert respelled.text == text
    assert respelled.source(0, len(text)) == (0, len(text))


@pytest.mark.parametrize(
    ("said", "source"),
    [("I", "I"), ("use", "use"), ("see", "C++"), ("plus plus", "C++"), ("see plus plus", "C++"), ("and", "and"),
     ("sequel", "SQL"), ("plus and seq", "C++ and SQL"), (" and ", " and "), ("all", "all")],
)  # fmt: skip
def test_a_range_leads_back_to_the_words_that_were_written(said, source) -> None:
    """Any part of a replacement stands for the whole word it replaced; what is around it is exact."""
    text = "I use C++ and SQL for all"
    respelled = Pronunciations(LIST).respell(text)
    start, length = respelled.source(respelled.text.index(said), len(said))
    assert text[start : start + length] == source


@settings(deadline=None)
@given(st.lists(st.sampled_from(["SQL", "x", "New York", " ", ",", "C++", "é"]), max_size=12), st.data())
def test_every_range_leads_somewhere(words, data) -> None:
    """A range of the new text leads to a range within the source, and all of it to all of it."""
    text = "".join(words)
    respelled = Pronunciations({**LIST, "x": ""}).respell(text)
    start = data.draw(st.integers(0, len(respelled.text)))
    length = data.draw(st.integers(0, len(respelled.text) - start))
    begin, count = respelled.source(start, length)
    assert 0 <= begin <= begin + count <= len(text)
    assert respelled.source(0, len(respelled.text))[0] == 0 or not respelled.text or respelled.edits[0][1] == 0
