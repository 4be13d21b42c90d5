"""Where a text is cut into segments.

Owns: the boundaries of one job's segments, found while its text comes. Must not know: jobs, providers, what a segment
is for. Invariant: every character that is not white space is in exactly one span, the spans are in order, and a
boundary once given out is never changed.

Memory is the text not yet split, which is at most the last piece and one sentence. Cost is proportional to the text:
the sentence splitter sees a window of bounded size.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from sentencex import get_sentence_boundaries

from .languages import detect_language, primary, speakable
from .pronunciations import Pronunciations, Respelled

__all__ = ["Pronunciations", "Respelled", "Span", "Splitter", "detect_language", "speakable"]

Span = tuple[int, int]
"""Start and end in code points from the beginning of the job's text."""

_WINDOW = 1024
"""Characters that the sentence splitter sees at once. Its cost per character grows with the sentences in there."""

_FIRST_CHARS = 20
"""A first span shorter than this sounds torn off, and is over before the next one is ready."""

# Behind these a listener expects a pause. A comma or colon between digits is none, hence the white space behind it;
# full-width punctuation needs none.
_CLAUSE = re.compile(
    r"""
    (?: [,;:!?،؛؟।॥] | \.{2,} | \s[-–—]+ ) ["'”’»)\]]* (?=\s)
    | [—…]+ ["'”’»)\]]*
    | [、，；：。！？]+ [」』”’）]*
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s+")
_BLACK = re.compile(r"\S")

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_VIRAMA = 9


class Splitter:
    """Cuts a text into sentences while it comes.

    language: BCP 47, of the text; unknown ones are cut by general rules. limit: the most characters in a span.
    first_limit: the most in the first span, for engines that give out nothing before a segment is finished, so that
    something is heard soon; it then ends at a clause already. start: where in the job's text the first piece begins.

    A sentence is given out once something follows it ("$3." may go on as "$3.50"). Two things end it earlier: a
    piece that ends with a newline, so that the output of a command is spoken line by line, and `finish`. One that
    is too long is cut behind the last punctuation between its clauses, else at the last white space, else anywhere
    but inside what is seen as one character (unless that alone is too long).

    The text is plain: tags of SSML would be cut like words. Lone surrogates, which UTF-8 cannot carry, are an error.
    """

    def __init__(self, language: str, *, limit: int, first_limit: int | None = None, start: int = 0) -> None:
        self._language = primary(language) or "en"
        self._limit = max(limit, 1)
        self._first_limit = first_limit if first_limit is None else min(max(first_limit, 1), self._limit)
        self._window = max(_WINDOW, 2 * self._limit)
        self._tail = ""
        self._base = start
        self._spans: list[Span] = []
        self._finished = False

    @property
    def unsplit(self) -> int:
        """Where the text begins of which no boundaries are known yet."""
        return self._base

    def feed(self, piece: str, *, last: bool = False) -> None:
        """More text; `finish` at once, if it is the last. Raises ValueError after that."""
        if self._finished:
            raise ValueError("the text was finished")
        self._finished = last
        self._tail += piece
        self._split(final=last or piece.endswith(("\n", "\r", "\u2029")))

    def finish(self) -> None:
        """There is no more text. Doing it twice does no harm."""
        self._finished = True
        self._split(final=True)

    def take(self) -> list[Span]:
        """The spans found since the last call, in order."""
        spans, self._spans = self._spans, []
        return spans

    def _split(self, *, final: bool) -> None:
        """Give out what is certain of the tail, which is all of it if `final`."""
        text, at = self._tail, 0
        while (found := _BLACK.search(text, at)) is not None:
            begin = at = found.start()
            stop = min(begin + self._window, len(text))
            last = stop == len(text)
            for end in self._sentence_ends(text, begin, stop, complete=final and last):
                self._give(text, at, end)
                at = end
            if last:
                at = self._give_overlong(text, at, stop, unfinished=True)
                break
            if at == begin:
                at = self._give_overlong(text, begin, stop, unfinished=True)
            if at == begin:
                # Few words and a great deal of white space fill the window.
                self._emit(text, begin, stop)
                at = stop
        else:
            at = len(text)
        self._tail = text[at:]
        self._base += at

    def _sentence_ends(self, text: str, begin: int, stop: int, *, complete: bool) -> Iterator[int]:
        """Where the sentences in a window end; the last one only if nothing can follow it (`complete`)."""
        for boundary in _boundaries(self._language, text[begin:stop]):
            end = begin + boundary["end_index"]
            if complete if end >= stop else not _joins(text, end, begin):
                yield end

    def _give(self, text: str, start: int, end: int) -> None:
        """Give out a range, in parts if it is too long, without the white space around it."""
        start = self._give_overlong(text, start, end, unfinished=False)
        self._emit(text, start, end)

    def _give_overlong(self, text: str, start: int, end: int, *, unfinished: bool) -> int:
        """Give out parts of a range until the rest is within the limit. Returns where the rest begins."""
        end = start + len(text[start:end].rstrip())
        while True:
            found = _BLACK.search(text, start, end)
            if found is None:
                return start
            cut = self._cut(text, found.start(), end, unfinished=unfinished)
            if cut is None:
                return start
            self._emit(text, start, cut)
            start = cut

    def _emit(self, text: str, start: int, end: int) -> None:
        span = text[start:end]
        left = len(span) - len(span.lstrip())
        length = len(span.strip())
        if length:
            self._spans.append((self._base + start + left, self._base + start + left + length))
            self._first_limit = None

    def _cut(self, text: str, start: int, end: int, *, unfinished: bool) -> int | None:
        """Where to cut a range that is too long, or an unfinished first one that could begin already; else None."""
        limit = self._first_limit or self._limit
        least = start + min(_FIRST_CHARS, limit) if self._first_limit else start + 1
        most = start + limit
        if end <= most and not (unfinished and self._first_limit):
            return None
        clauses = (found.end() for found in _CLAUSE.finditer(text, start, min(most + 1, end)))
        cut = max(
            (at for at in clauses if least <= at <= most and at < end and not _joins(text, at, start)),
            default=None,
        )
        if cut is not None or end <= most:
            return cut
        spaces = (found.start() for found in _SPACE.finditer(text, start, most + 1))
        return max(spaces, default=None) or _hard_cut(text, start, most)


def _boundaries(language: str, text: str) -> list[dict[str, int]]:
    """What the library finds. Some texts with no-break spaces in them make it panic (it counts in bytes, and lands
    inside of one), which is not even an `Exception`: it is asked again about a text of the same length in ASCII."""
    try:
        found: list[dict[str, int]] = get_sentence_boundaries(language, text)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        plain = "".join(char if char.isascii() else " " if char.isspace() else "x" for char in text)
        found = get_sentence_boundaries(language, plain)
    return found


def _hard_cut(text: str, start: int, most: int) -> int:
    """The last place to cut, up to `most`, that is not inside what is seen as one character."""
    cut = most
    while cut > start and _joins(text, cut, start):
        cut -= 1
    return cut if cut > start else most


def _joins(text: str, at: int, start: int) -> bool:
    """Whether the character there is seen as one with the one before it; nothing before `start` matters.

    The cases of UAX 29 that are met in texts: combining marks, joiners, skin tones, tags, flags, jamo, conjuncts.
    """
    char, before = text[at], text[at - 1]
    if before.isspace():
        return False
    if before == _ZWJ or char in (_ZWJ, _ZWNJ) or unicodedata.category(char)[0] == "M":
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f" or "\u1160" <= char <= "\u11ff":
        return True
    if _is_flag(char):
        letters = 0
        while at - letters > start and _is_flag(text[at - letters - 1]):
            letters += 1
        return letters % 2 == 1
    return unicodedata.combining(before) == _VIRAMA and char.isalpha()


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
