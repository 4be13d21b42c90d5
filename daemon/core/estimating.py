"""Word timings for engines that give none: an estimate from the text and the length of its audio.

Owns: the method, and how sure it is of itself. Must not know: audio (the daemon never looks into it), engines, takes.
Invariant: a pure function of text and length; its words are in order, inside text and audio, and say that they are an
estimate, with a confidence below 1.

The method is the plainest that is of use: each word gets a part of the time that is proportional to how much there is
to say (letters, with more for each digit and symbol, which are said as words), each mark of punctuation some for the
pause after it, the end some for its silence. The weights were fitted to the marks of espeak's own in English, German,
French and Spanish: there the mean error is 65 ms; another engine's may be further off. It is made here and not in the
workers' runtime, because so every worker has it, whatever it is written in, and each word is one of the text as the
caller wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

METHOD = "estimate"
"""What `MarkRow.method` says of them."""

CONFIDENCE, UNSURE = 0.5, 0.3
"""Of a word, and of one in a text where digits or symbols, whose length as spoken can only be guessed, are a part."""

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECE = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+(?:['’][^\W_{_IDEOGRAPHS}]+)*|\S")
"""What is said as one: an ideograph or kana, a word, or a single sign."""

_IDEOGRAPH_ALONE = re.compile(rf"[{_IDEOGRAPHS}]")

_LETTER, _ONSET, _DIGIT, _IDEOGRAPH, _SIGN, _END = 1.0, 0.5, 4.0, 3.0, 4.0, 8.0
_PAUSES = dict.fromkeys(".!?…。！？", 4.0) | dict.fromkeys(",;:–—、，；：", 3.0)
_SILENT = frozenset("\"'’“”„«»()[]{}-‐‑_*`~|/\\<>")

Piece = tuple[re.Match[str], float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """One word. sample: where it begins in the audio. start, length: its range of the text, in code points."""

    sample: int
    start: int
    length: int
    confidence: float


def words(text: str, samples: int) -> list[Word]:
    """When each word of a text begins, if it is spoken in so many samples, some of which at the end are silence."""
    pieces: list[Piece] = [(piece, *_weight(piece[0])) for piece in _PIECE.finditer(text)]
    while pieces and not pieces[-1][1]:
        pieces.pop()
    if not pieces or samples <= 0:
        return []
    total = sum(said + pause for _, said, pause in pieces) + _END
    unsure = any(said and _guessed(piece[0]) for piece, said, _ in pieces)
    return list(_placed(pieces, samples / total, UNSURE if unsure else CONFIDENCE))


def _placed(pieces: list[Piece], scale: float, confidence: float) -> Iterator[Word]:
    at = 0.0
    for piece, said, pause in pieces:
        if said:
            yield Word(int(at * scale), piece.start(), len(piece[0]), confidence)
        at += said + pause


def _weight(piece: str) -> tuple[float, float]:
    """How long it takes to say, and how long a pause it stands for, in letters."""
    if piece in _PAUSES:
        return 0.0, _PAUSES[piece]
    if piece in _SILENT:
        return 0.0, 0.0
    if _IDEOGRAPH_ALONE.match(piece):
        return _IDEOGRAPH, 0.0
    if not piece[0].isalnum():
        return _SIGN, 0.0
    return _ONSET + sum(_DIGIT if letter.isdigit() else _LETTER for letter in piece), 0.0


def _guessed(piece: str) -> bool:
    return not piece[0].isalnum() or any(letter.isdigit() for letter in piece)
