"""What espeak-ng is given to say, and what its positions mean.

Owns: the cleaning of text, and the reading of the library's events as marks. Must not know: ctypes, voices. Invariant:
cleaned text has exactly the length of the original, so that positions in the one are positions in the other.
"""

from __future__ import annotations

import re

from ._espeak_library import MARK, SENTENCE, WORD, Event
from .engine import Mark

# Control characters: 0x01 begins a command to the synthesizer, 0 ends the text. Tabs and line ends are text.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# `<audio>` names a file, which the library would open (a crash, if it is no WAV) or hand to a shell.
_AUDIO = re.compile(r"""<\s*/?\s*audio\b(?:"[^"]*"|'[^']*'|[^'">])*>?""", re.IGNORECASE)
_TAG = re.compile(r"""<(?:"[^"]*"|'[^']*'|[^'">])*>?""")
_ENTITY = re.compile(r"&#?\w{1,32};")


def clean(text: str, *, ssml: bool) -> str:
    """The text without what must not reach the library, each such character replaced by a space."""
    text = _CONTROL.sub(" ", text)
    return _AUDIO.sub(lambda found: " " * len(found[0]), text) if ssml else text


class Marker:
    """Reads the events of one utterance as marks.

    Positions are those of the request's text, SSML or not: the library counts the tags along (its releases before
    1.52 do not; a position that falls into a tag or beyond the text is left out, as 0 and 0). A number is spoken in
    several words, of which only the first has a range of its own, so it gets one mark. Of a sentence only the
    beginning is known: its length is 0.
    """

    def __init__(self, text: str, *, ssml: bool) -> None:
        self._text = text
        self._end = 0
        self._tags = _spans(_TAG, text) if ssml else []
        self._entities = _spans(_ENTITY, text) if ssml else []

    def read(self, event: Event) -> Mark | None:
        """The mark that an event stands for, if any."""
        sample = max(0, event.sample)
        if event.type == MARK:
            return Mark("mark", sample, name=event.name)
        start, length = self._range(event.position - 1, event.length)
        if event.type == SENTENCE:
            return Mark("sentence", sample, start)
        if event.type != WORD or start < self._end or not self._text[start : start + length].strip():
            return None
        self._end = start + length
        return Mark("word", sample, start, length)

    def _range(self, start: int, length: int) -> tuple[int, int]:
        for begin, end in self._entities:
            # Of `&amp;` the library gives the last character.
            if begin <= start < end:
                return begin, max(end - begin, length)
        inside = any(begin <= start < end for begin, end in self._tags)
        if inside or not 0 <= start <= len(self._text):
            return 0, 0
        return start, min(length, len(self._text) - start)


def _spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [found.span() for found in pattern.finditer(text)]
