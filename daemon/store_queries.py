"""Questions about what is kept, and their answers.

Owns: what can be asked, what the rows hold, and the cursors of pages. Must not know: threads, who asks beyond the uid.
Invariant: an answer is of the asker's uid only; a page fits into a body, and the next one goes on where it ends,
whatever was added or deleted meanwhile.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any, cast

import apsw
import msgspec

from ..bus.codec import BODY_BYTES, PAGE_ROWS, encode
from .core.keeping import job_seed
from .core.records import Found, Wanted
from .store_records import decode_submit, saved_job, was_deleted
from .store_words import match

Row = dict[str, Any]

PAGE_BYTES = BODY_BYTES - 4096
"""Of the rows of a page."""

_COLUMNS = (
    "id, state, code, created, finished, samples, final_rate, segments, skipped, speakers, language, keep, pinned,"
    " audio, disk, opening, number"
)
_NAMES = (
    *(
        "job",
        "state",
        "code",
        "created",
        "finished",
        "samples",
        "rate",
        "segments",
        "skipped",
        "speakers",
        "language",
        "keep",
    ),
    *("pinned", "audio", "bytes", "text"),
)
_NARROW = ("text", "sort", "voice", "provider", "state", "since", "until", "pinned", "keep", "job")
_ASKED = (
    "kind", "chain", "language", "ssml", "rate", "style", "priority", "pace", "keep", "patience_s", "seed", "skip_bad",
    "hearing",
)  # fmt: skip
_YES = {"1": 1, "yes": 1, "true": 1, "on": 1, "0": 0, "no": 0, "false": 0, "off": 0}


class Unanswerable(Exception):
    """A question that makes no sense; the message says why, to whoever asked."""


def answer(db: apsw.Connection, ticket: int, wanted: Wanted) -> Found:
    """Raises Unanswerable, apsw.Error."""
    if wanted.what == "job":
        saved = saved_job(db, wanted.uid, wanted.id)
        return Found(ticket, saved=saved, deleted=saved is None and was_deleted(db, wanted.uid, wanted.id))
    if wanted.what == "history":
        rows, following = _history(db, wanted)
        if "job" in wanted.where:
            rows = [_more(db, wanted, row) for row in rows]
        return Found(ticket, rows=tuple(rows), following=following)
    if wanted.what == "plain":
        return _plain(db, ticket, wanted)
    if wanted.what == "text":
        return _text(db, ticket, wanted)
    raise Unanswerable(f"The store knows nothing of {wanted.what!r}.")


# ---------------------------------------------------------------------------------------------------------- lists


def _history(db: apsw.Connection, wanted: Wanted) -> tuple[list[Row], str]:
    """Jobs that are over, newest first or, for a search, best first; and the cursor of the next page."""
    if unknown := sorted(wanted.where.keys() - set(_NARROW)):
        raise Unanswerable(f"The history cannot be narrowed by {unknown[0]!r}; it can by {', '.join(_NARROW)}.")
    best = _sort(wanted) == "best"
    begin = _cursor(wanted.cursor, "b" if best else "n")
    conditions, values = _conditions(wanted)
    source, number = "jobs", "number"
    if "text" in wanted.where:
        source, number = "words CROSS JOIN jobs ON number = words.rowid", "words.rowid"
        conditions.append("words MATCH ?")
        values.append(_words(wanted.where["text"]))
    if begin is not None and not best:
        conditions.append(f"{number} < ?")
        values.append(begin)
    order = f"words.rank, {number} DESC" if best else f"{number} DESC"
    skip = (begin or 0) if best else 0
    limit = max(1, min(wanted.limit, PAGE_ROWS))
    # Only our own words are put together here; what was asked for is bound.
    query = f"SELECT {_COLUMNS} FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
    page, last, more = _page(db.execute(query, (*values, limit + 1, skip)), limit)
    following = f"b{skip + len(page)}" if best else f"n{last}"
    return page, following if more else ""


def _more(db: apsw.Connection, wanted: Wanted, row: Row) -> Row:
    """What is told of a job only when it is asked for by name: how it ended in words, and all that is needed to ask
    for the same again."""
    query = "SELECT message, trail, submit, log FROM jobs WHERE uid = ? AND id = ?"
    message, trail, encoded, log = cast(
        "tuple[str, str, bytes, str]", db.execute(query, (wanted.uid, row["job"])).fetchone()
    )
    submit = decode_submit(encoded)
    request = msgspec.structs.asdict(submit) | {"language": row["language"]}
    request["chain"] = [{"provider": choice.provider, "voice": choice.voice} for choice in submit.chain]
    request["style"] = msgspec.structs.asdict(submit.style)
    request["hearing"] = msgspec.structs.asdict(submit.hearing)
    more = {"message": message, "trail": json.loads(trail), "seed": job_seed(submit, log)}
    return {**row, **more, "request": {name: request[name] for name in _ASKED}}


def _words(typed: str) -> str:
    if not (found := match(typed)):
        raise Unanswerable("There is no word in what is searched for.")
    return found


def _sort(wanted: Wanted) -> str:
    found = wanted.where.get("sort", "newest")
    if found not in {"newest", "best"}:
        raise Unanswerable(f"The history is sorted by 'newest' or 'best', not by {found!r}.")
    return found if "text" in wanted.where else "newest"


def _cursor(cursor: str, kind: str) -> int | None:
    """Where the page before ended; None for the first page."""
    if not cursor:
        return None
    if cursor[0] != kind or not cursor[1:].isascii() or not cursor[1:].isdigit() or len(cursor) > 19:
        raise Unanswerable("That is not a cursor of a page before.")
    return int(cursor[1:])


def _conditions(wanted: Wanted) -> tuple[list[str], list[Any]]:
    """What each row must be, in SQL, and the values for that."""
    where = wanted.where
    conditions: list[str] = ["uid = ?", "state IS NOT NULL"]
    values: list[Any] = [wanted.uid]
    if "job" in where:
        conditions.append("id = ?")
        values.append(where["job"])
    for name in ("state", "keep"):
        if name in where:
            conditions.append(f"{name} = ?")
            values.append(where[name])
    if "pinned" in where:
        if where["pinned"].lower() not in _YES:
            raise Unanswerable(f"pinned is 'yes' or 'no', not {where['pinned']!r}.")
        conditions.append("pinned = ?")
        values.append(_YES[where["pinned"].lower()])
    for name, comparison in (("since", ">="), ("until", "<")):
        if name in where:
            conditions.append(f"created {comparison} ?")
            values.append(_moment(name, where[name]))
    spoken = [name for name in ("voice", "provider") if name in where]
    if spoken:
        same = " AND ".join(f"{name} = ?" for name in spoken)
        conditions.append(f"number IN (SELECT job FROM spoken WHERE {same})")  # noqa: S608 - our own words
        values += [where[name] for name in spoken]
    return conditions, values


def _moment(name: str, text: str) -> float:
    """Seconds since 1970, of a number, or of a date in ISO 8601: without a zone that of this machine, and with no time
    of day the day's begin, for `until` its end."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text)
        if name == "until" and len(text) <= len("2026-01-31"):
            moment += dt.timedelta(days=1)
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise Unanswerable(f"{name} is a date such as 2026-01-31 or 2026-01-31T18:30, not {text!r}.") from None


def _page(rows: Iterator[tuple[Any, ...]], limit: int) -> tuple[list[Row], int, bool]:
    """The rows that fit into a page, the number of the last, and whether there are more."""
    page: list[Row] = []
    size, last = 0, 0
    for *values, number in rows:
        row = dict(zip(_NAMES, values, strict=True))
        row["speakers"], row["pinned"] = json.loads(row["speakers"]), bool(row["pinned"])
        size += len(encode(row))
        if len(page) == limit or (page and size > PAGE_BYTES):
            return page, last, True
        page.append(row)
        last = number
    return page, last, False


def _plain(db: apsw.Connection, ticket: int, wanted: Wanted) -> Found:
    """Jobs of anybody whose audio is not packed, of those that have been over for long enough, in order."""
    query = (
        "SELECT number, uid, id, log, disk FROM jobs INDEXED BY jobs_plain WHERE state IS NOT NULL AND audio = 'kept'"
        " AND samples > 0 AND number > ? AND finished <= unixepoch('now', 'subsec') - ? ORDER BY number LIMIT ?"
    )
    rows = db.execute(query, (int(wanted.cursor), float(wanted.where["age_s"]), wanted.limit))
    return Found(ticket, rows=tuple(dict(zip(("order", "uid", "id", "log", "disk"), row, strict=True)) for row in rows))


# ---------------------------------------------------------------------------------------------------------- texts


def _text(db: apsw.Connection, ticket: int, wanted: Wanted) -> Found:
    """A job's text: rows of piece and text, which put together are the whole. A long piece comes in several rows."""
    number = db.execute("SELECT number FROM jobs WHERE uid = ? AND id = ?", (wanted.uid, wanted.id)).get
    if number is None:
        deleted = was_deleted(db, wanted.uid, wanted.id)
        return Found(
            ticket, deleted=deleted, reason="" if deleted else f"There is no job {wanted.id!r}.", code="not_found"
        )
    n, at = _place(wanted.cursor)
    rows: list[Row] = []
    room, most = PAGE_BYTES - 32 * PAGE_ROWS, max(1, min(wanted.limit, PAGE_ROWS))
    for piece, text in db.execute("SELECT n, text FROM pieces WHERE job = ? AND n >= ? ORDER BY n", (number, n)):
        begin = at if piece == n else 0
        end = _cut(text, begin + room)
        if len(rows) == most or (end == begin and begin < len(text)):
            return Found(ticket, rows=tuple(rows), following=f"t{piece}.{begin}")
        rows.append({"n": piece, "text": text[begin:end].decode("utf-8", "replace")})
        room -= end - begin
        if end < len(text):
            return Found(ticket, rows=tuple(rows), following=f"t{piece}.{end}")
    return Found(ticket, rows=tuple(rows))


def _place(cursor: str) -> tuple[int, int]:
    n, _, at = cursor.removeprefix("t").partition(".")
    if not cursor:
        return 0, 0
    return _cursor("t" + n, "t") or 0, _cursor("t" + at, "t") or 0


def _cut(text: bytes, end: int) -> int:
    """Where a run that ends at `end` at the latest may end: not inside a character."""
    if end >= len(text):
        return len(text)
    while end > 0 and text[end] & 0xC0 == 0x80:
        end -= 1
    return end
