"""The search index: what is put into it of a text, what a person's words ask of it, and how it forgets.

Owns: how texts are prepared for FTS5, how a search is written in its language, and what FTS5 keeps of a word that is in
no text any more. Must not know: jobs, transactions. Invariant: whatever a person types is words to be found, never a
command of the query language. `for_index` is part of what is on disk: a row is taken out by the same text that it was
put in with, so whoever changes it makes the index anew, in a migration.
"""

from __future__ import annotations

import re

import apsw

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


_STEP = 64  # pages to merge at once


def stale(db: apsw.Connection) -> bool:
    """Whether the index holds a word that is in no text.

    With ``secure-delete`` FTS5 takes a word out of its lists, but the tree above them keeps the begin of each list's
    first word, for as long as the list is there.
    """
    db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, words, instance)")
    # A term has a letter before it that names its index.
    begins = db.execute("SELECT DISTINCT substr(CAST(term AS BLOB), 2) FROM words_idx").fetchall()
    return any(isinstance(begin, bytes) and begin and not _is_begin_of_a_word(db, begin) for (begin,) in begins)


def _is_begin_of_a_word(db: apsw.Connection, begin: bytes) -> bool:
    # As bytes: it may end inside a character.
    query = "SELECT CAST(term AS BLOB) FROM vocabulary WHERE term >= CAST(? AS TEXT) LIMIT 1"
    first: bytes | None = db.execute(query, (begin,)).get
    return first is not None and first.startswith(begin)


def renew(db: apsw.Connection) -> None:
    """Write the index anew, with the words of today only. Raises apsw.Error, nothing being changed."""
    with db:
        # A second segment: one that is alone is not written anew.
        db.execute("INSERT INTO words (rowid, text) VALUES (-1, 'a'); INSERT INTO words (words) VALUES ('flush')")
        _merge(db, -_STEP)
        while _merge(db, _STEP):
            pass
        db.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', -1, 'a')")


def _merge(db: apsw.Connection, pages: int) -> bool:
    """Some of a merge of all segments, to be begun with a negative number; whether there was something to do."""
    before = db.total_changes()
    db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
    return db.total_changes() - before > 1
