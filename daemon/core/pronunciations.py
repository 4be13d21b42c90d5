"""Words that are to be spelled differently before an engine sees them.

Owns: finding and replacing listed words, and the way back from the new text to the old. Must not know: segments,
marks on the wire, where the list comes from. Invariant: text that has no listed word comes out as it went in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Respelled:
    """A text after replacement. edits: for each replacement in order, where it stands in `text`, its length there,
    and where the word stood in the source, and its length there; all in code points."""

    text: str
    edits: tuple[tuple[int, int, int, int], ...] = ()

    def source(self, start: int, length: int) -> tuple[int, int]:
        """The range (start, length) of the source that a range of `text` came from.

        A range that touches any part of a replacement covers the whole word that was replaced: engines that say
        "SQL" as "sequel" time one word, and those that say "S Q L" time the same word three times.
        """
        begin = self._back(start, after=False)
        end = self._back(start + length, after=True)
        return begin, max(end - begin, 0)

    def _back(self, at: int, *, after: bool) -> int:
        shift = 0
        for new, new_length, old, old_length in self.edits:
            if at < new or (after and at == new):
                break
            if at < new + new_length or (after and at == new + new_length):
                return old + old_length if after else old
            shift = old + old_length - new - new_length
        return at + shift


class Pronunciations:
    """A list of words and how to spell them. Whole words only, in any case; a word may be a phrase (its spaces match
    any white space) or hold punctuation, and the longest phrase goes before single words. A replacement is not
    looked through again. Scripts without spaces have no whole words but between punctuation.

    Words are whole only in a whole text. Pieces of a stream may break off inside one, so the place for this is each
    segment, when it is sent to an engine: segments, records and marks then keep counting in the caller's text, to
    which `respell` gives the way back, and a changed list moves no boundary. Replacing piece by piece instead makes
    all ranges count in the replaced text, and misses words that two pieces share. Not for SSML, whose tags are words
    as well.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        # Single words are looked up, so that a long list costs no more than a short one; phrases are tried in turn.
        self._words = {word.strip().casefold(): new for word, new in words.items() if _WORD.fullmatch(word.strip())}
        phrases = [word for word in words if word.strip() and not _WORD.fullmatch(word.strip())]
        phrases.sort(key=len, reverse=True)
        self._phrases = [words[phrase] for phrase in phrases]
        choices = [rf"(?<!\w)({_pattern(phrase)})(?!\w)" for phrase in phrases]
        self._find = re.compile("|".join([*choices, _WORD.pattern]), re.IGNORECASE)

    def apply(self, text: str) -> str:
        """The text with all listed words replaced."""
        return self.respell(text).text

    def respell(self, text: str) -> Respelled:
        """As `apply`, with the way back to the source."""
        parts: list[str] = []
        edits: list[tuple[int, int, int, int]] = []
        done = length = 0
        for found in self._find.finditer(text) if self._words or self._phrases else ():
            start, end = found.span()
            spelling = self._spelling(found)
            if spelling is None or _is_mark(text[end : end + 1]) or _is_mark(text[max(start - 1, 0) : start]):
                continue
            length += start - done
            edits.append((length, len(spelling), start, end - start))
            parts += [text[done:start], spelling]
            length += len(spelling)
            done = end
        return Respelled("".join([*parts, text[done:]]), tuple(edits))

    def _spelling(self, found: re.Match[str]) -> str | None:
        if found.lastindex is None:
            return self._words.get(found.group().casefold())
        return self._phrases[found.lastindex - 1]


def _pattern(phrase: str) -> str:
    return r"\s+".join(re.escape(part) for part in phrase.split())


def _is_mark(char: str) -> bool:
    """Whether it is an accent or vowel sign, which belongs to the word beside it although `re` says otherwise."""
    return bool(char) and unicodedata.category(char)[0] == "M"
