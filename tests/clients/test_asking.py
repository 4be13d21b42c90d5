"""Requests as callers write them: what becomes of the options, and what is refused before anything is sent."""

import pytest

from voicebus.bus.errors import InvalidRequest
from voicebus.bus.messages import Choice
from voicebus.clients import asking
from voicebus.clients.pieces import Pieces, cut


def test_options_become_the_message() -> None:
    """Every option finds its field."""
    submit = asking.submit_for(
        {
            "voice": "v",
            "provider": "p",
            "language": "de",
            "rate": 1.5,
            "pitch": 0.5,
            "volume": 2,
            "punctuation": "some",
            "options": {"x": 1},
            "priority": "important",
            "pace": "render",
            "keep": "nothing",
            "patience": 3,
            "seed": 7,
            "skip_bad": True,
            "sample_rate": 16000,
            "job": "mine",
            "whole": True,
        },
        complete=True,
    )
    assert submit.chain == [Choice("p", "v")]
    assert (submit.job, submit.language, submit.rate, submit.seed, submit.read) == ("mine", "de", 16000, 7, "whole")
    assert (submit.style.rate, submit.style.pitch, submit.style.volume) == (1.5, 0.5, 2.0)
    assert (submit.priority, submit.pace, submit.keep, submit.patience_s) == ("important", "render", "nothing", 3.0)


def test_nothing_said_is_the_daemons_choice() -> None:
    """Without options the chain is empty, the rate the voice's own, and the job has a new name."""
    first, second = asking.submit_for({}, complete=True), asking.submit_for({"voice": None}, complete=False)
    assert (first.chain, first.rate, first.read, first.complete) == ([], 0, "live", True)
    assert first.job != second.job
    assert asking.JOB_NAME.match(first.job)


def test_chains() -> None:
    """An entry of a chain is a Choice, a pair, a provider, or provider:voice."""
    chain = asking.submit_for({"chain": [Choice("a", "b"), ("c", "d"), "e", "f:g:h"]}, complete=True).chain
    assert chain == [Choice("a", "b"), Choice("c", "d"), Choice("e", ""), Choice("f", "g:h")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"job": "a b"}, "1 to 64"),
        ({"job": "a" * 65}, "1 to 64"),
        ({"rate": 7}, "0.25 to 6"),
        ({"rate": "fast"}, "0.25 to 6"),
        ({"pitch": 0.1}, "0.5 to 2"),
        ({"volume": float("nan")}, "0 to 2"),
        ({"sample_rate": 100}, "4000"),
        ({"sample_rate": 1.5}, "4000"),
        ({"priority": "urgent"}, "important"),
        ({"pace": "slow"}, "listen"),
        ({"keep": "all"}, "history"),
        ({"punctuation": "any"}, "some"),
        ({"patience": -1}, "0 to 86400"),
        ({"seed": -1}, "0 to"),
        ({"voice": "x" * 300}, "256"),
        ({"chain": ["a"], "voice": "b"}, "either"),
        ({"chain": ["a"] * 33}, "at most 32"),
        ({"instruct": "x" * 70000}, "65536"),
    ],
)
def test_what_cannot_be_is_refused_here(options, says) -> None:
    """A value out of range is an error that names what can be, before anything is sent."""
    with pytest.raises(InvalidRequest, match=says):
        asking.submit_for(options, complete=True)


def test_an_option_that_is_none() -> None:
    """A misspelt option is a TypeError that lists the right ones."""
    with pytest.raises(TypeError, match="sample_rate"):
        asking.submit_for({"samplerate": 1}, complete=True)


@pytest.mark.parametrize(("text", "code"), [("", "empty_text"), (" \n", "empty_text"), ("a\ud800", "invalid")])
def test_texts_that_cannot_be_sent(text, code) -> None:
    """An empty text and half a character are refused."""
    with pytest.raises(InvalidRequest) as caught:
        asking.checked_text(text, ssml=False)
    assert caught.value.code == code


def test_ssml_has_a_length() -> None:
    """An SSML document over the limit is refused, since it cannot come in pieces."""
    with pytest.raises(InvalidRequest, match="60000"):
        asking.checked_text("x" * 60001, ssml=True)


def test_what_is_no_text() -> None:
    """Bytes are no text."""
    with pytest.raises(TypeError):
        asking.text_bytes(b"abc")


def test_cutting_never_splits_a_character() -> None:
    """A piece ends between two characters, whatever their length."""
    text = "aä€😀" * 10
    data = text.encode()
    for limit in range(4, len(data) + 2):
        end = cut(data, limit)
        assert data[:end].decode() + data[end:].decode() == text
        assert limit - 3 <= end or end == len(data)


def test_words_are_joined_while_pieces_are_on_their_way() -> None:
    """What is added while four pieces are unanswered goes out as one."""
    pieces = Pieces()
    numbers = []
    for word in "abcdefgh":
        pieces.add(word.encode())
        numbers += pieces.fresh()
    assert numbers == [(1, b"a"), (2, b"b"), (3, b"c"), (4, b"d")]
    assert pieces.backlog == 8
    pieces.acknowledge(1)
    assert pieces.fresh() == [(5, b"efgh")]
    assert pieces.unanswered() == [(2, b"b"), (3, b"c"), (4, b"d"), (5, b"efgh")]
    pieces.acknowledge(5)
    assert (pieces.settled, pieces.backlog, pieces.restart()) == (True, 0, False)


def test_pieces_that_are_kept_can_start_over() -> None:
    """With `retain` everything can be sent again from piece 1."""
    pieces = Pieces(retain=True)
    pieces.add(b"one")
    pieces.fresh()
    pieces.acknowledge(1)
    assert pieces.restart()
    assert pieces.unanswered() == [(1, b"one")]
    assert pieces.backlog == 3
