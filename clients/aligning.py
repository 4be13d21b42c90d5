"""Word timings of audio that is there, from what a recogniser heard in it.

Owns: which heard word is which word of the text, and the times of those that were not heard. Must not know: audio,
jobs, who listened. Invariant: a pure function; its words are in the order of the text, their times never go back and
lie in the audio of their segment, and each says how it came by its time.

Each segment is matched for itself, with the words whose middle is in its part of the audio (where one begins, a
recogniser may be off by a little, and a segment ends with some silence). So a word that comes again and again is not
taken for one far away, and the work grows with the text and not with its square.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise

from .events import Mark, Passage, Segment, Word

METHOD = "align"
"""What `Mark.method` says of a word that was heard; its confidence is the recogniser's."""

BETWEEN, UNHEARD = "estimate", 0.3
"""Method and confidence of a word that was not, and has its place between those that were."""

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(rf"[{_IDEOGRAPHS}]|[^\s{_IDEOGRAPHS}\-‐‑–—/|…]+")
_MARKUP = re.compile(r"<!--.*?-->|<[^>]*>|&#?\w+;", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word of the text. start: in code points; said: without case and punctuation."""

    start: int
    length: int
    said: str


@dataclass(frozen=True, slots=True)
class _Sound:
    """A word as it was heard. start, end: seconds."""

    start: float
    end: float
    said: str
    confidence: float

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


def unmarked(text: str) -> str:
    """The text of SSML with spaces in place of its markup, so that each word stays where it is."""
    return _MARKUP.sub(lambda found: " " * len(found[0]), text)


def aligned(text: str, segments: Sequence[Segment], heard: Iterable[Word], samples: int, rate: int) -> list[Mark]:
    """A mark of kind "word" for each word of the text that is in one of the segments.

    text: of the job. segments: those that were spoken, in order. heard: the words of a transcript of the audio.
    samples: the length of the audio. rate: samples a second.
    """
    if samples <= 0 or rate <= 0:
        return []
    sounds = sorted((sound for word in heard for sound in _sounds(word)), key=lambda sound: sound.middle)
    middles = [sound.middle for sound in sounds]
    bounds = [*(segment.offset / rate for segment in segments), samples / rate]
    marks: list[Mark] = []
    for segment, (begin, end) in zip(segments, pairwise(bounds), strict=True):
        near = sounds[bisect_left(middles, begin) : bisect_left(middles, end)]
        for piece, seconds, confidence, method in _timed(list(_pieces_in(text, segment)), near, begin, end):
            at = min(int(seconds * rate + 0.5), samples - 1)
            marks.append(Mark("word", at, at / rate, piece.start, piece.length, "", confidence, segment.number,
                              segment.take, method))  # fmt: skip
    return marks


def passages(text: str, marks: Sequence[Mark], seconds: float, language: str) -> list[Passage]:
    """The text as a transcript of its own audio: a passage for each segment, with its words. seconds: of the audio."""
    texts = [text[mark.start : after.start] for mark, after in pairwise(marks)]
    texts += [text[mark.start :] for mark in marks[-1:]]
    ends = [*(mark.seconds for mark in marks[1:]), seconds]
    words = [
        Word(mark.seconds, end, said, mark.confidence) for mark, end, said in zip(marks, ends, texts, strict=False)
    ]
    found: list[Passage] = []
    for _, group in groupby(zip(marks, words, strict=True), key=lambda pair: pair[0].segment):
        part = tuple(word for _, word in group)
        said, sure = "".join(word.text for word in part), sum(word.confidence for word in part) / len(part)
        found.append(Passage(len(found) + 1, part[0].start, part[-1].end, said, sure, language, part, "", ""))
    return found


# ---------------------------------------------------------------------------------------------------------- the words


def _pieces(text: str) -> Iterator[_Piece]:
    """The words of a text: what letters and digits are in, without the signs around it."""
    for run in _RUN.finditer(text):
        kept = [at for at, sign in enumerate(run[0]) if _is_said(sign)]
        if kept:
            said = "".join(run[0][at] for at in kept)
            yield _Piece(run.start() + kept[0], kept[-1] - kept[0] + 1, _plain(said))


def _is_said(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "LMN"


def _plain(said: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", said).casefold())


def _pieces_in(text: str, segment: Segment) -> Iterator[_Piece]:
    for piece in _pieces(text[segment.start : segment.start + segment.length]):
        yield _Piece(segment.start + piece.start, piece.length, piece.said)


def _sounds(word: Word) -> Iterator[_Sound]:
    """What was heard as one, cut as the text is; each part has its share of the time."""
    pieces = list(_pieces(word.text))
    each = max(word.end - word.start, 0.0) / max(sum(piece.length for piece in pieces), 1)
    at = word.start
    for piece in pieces:
        end = at + each * piece.length
        yield _Sound(at, end, piece.said, min(max(word.confidence, 0.0), 1.0))
        at = end


# ---------------------------------------------------------------------------------------------------------- the times

_Timed = tuple[_Piece, float, float, str]
"""A word, when it begins in seconds, confidence, method."""


def _timed(pieces: Sequence[_Piece], near: Sequence[_Sound], begin: float, end: float) -> Iterator[_Timed]:
    """When the words of a segment begin, which sounds from `begin` to `end`."""
    hits = _hits(pieces, near)
    at = left = begin
    waiting: list[_Piece] = []
    for number, piece in enumerate(pieces):
        hit = hits.get(number)
        if hit is None:
            waiting.append(piece)
            continue
        at = min(max(hit.start, at), end)
        yield from _between(waiting, min(left, at), at)
        yield piece, at, hit.confidence, METHOD
        waiting, left = [], min(max(hit.end, at), end)
    yield from _between(waiting, left, end)


def _hits(pieces: Sequence[_Piece], near: Sequence[_Sound]) -> Mapping[int, _Sound]:
    """The heard word of each word that was heard, by its number. No word is junk, however often it comes."""
    matcher = SequenceMatcher(None, [piece.said for piece in pieces], [sound.said for sound in near], autojunk=False)
    blocks = matcher.get_matching_blocks()
    return {block.a + i: near[block.b + i] for block in blocks for i in range(block.size)}


def _between(pieces: Sequence[_Piece], begin: float, end: float) -> Iterator[_Timed]:
    """Words that share a time by their letters."""
    each = (end - begin) / max(sum(piece.length for piece in pieces), 1)
    done = 0
    for piece in pieces:
        yield piece, begin + each * done, UNHEARD, BETWEEN
        done += piece.length
