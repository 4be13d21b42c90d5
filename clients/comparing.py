"""Whether what is said to be said in a recording is what a recogniser heard there.

Owns: the comparison, and from where on it is told. Must not know: how anything was heard. Invariant: capitals,
punctuation and how accents are put together do not count; a recogniser's small mistakes are no reason to speak up.
"""

from __future__ import annotations

import unicodedata
from difflib import SequenceMatcher

ALIKE = 0.7
"""Two texts of the same recording are mostly above, of two recordings mostly below: an engine that is told other words
than are said speaks them into what it says later."""


def likeness(given: str, heard: str) -> float:
    """How much two texts have in common, 0 to 1."""
    return SequenceMatcher(None, _letters(given), _letters(heard), autojunk=False).ratio()


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(char if char.isalnum() else " " for char in plain).split())
