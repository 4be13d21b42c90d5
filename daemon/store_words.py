"""What is put into the search index of a text, and what a person's words ask of it.

Owns: how texts are prepared for FTS5 and how a search is written in its language. Must not know: the database.
Invariant: whatever a person types is words to be found, never a command of the query language.
"""

from __future__ import annotations

import re

MOST_WORDS = 32
"""Of one search; the rest of what was typed is not looked at."""

# Scripts written without spaces: Thai, Lao, Burmese, Khmer; kana, Han. FTS5 would take a sentence for one word.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff])"
)


def for_index(text: str) -> str:
    """A text as it is indexed: each character of a script without spaces is a word."""
    return _UNSPACED.sub(r" \1 ", text)


def match(typed: str) -> str:
    """What was typed, in the language of FTS5: all words must be there, the last may go on. "" if there is none."""
    words = [word for word in typed.replace("\0", " ").split() if any(map(str.isalnum, word))][:MOST_WORDS]
    # Quoted, a word is a phrase: "don't" becomes don followed by t, and a run of Han its characters in order.
    quoted = ['"' + for_index(word).replace('"', '""') + '"' for word in words]
    return " ".join(quoted) + " *" if quoted else ""
