"""Records into rows, and rows into jobs again.

Owns: which rows a record becomes, and which records are refused. Must not know: threads, transactions (whoever calls
has begun one), files. Invariant: a record is applied wholly or raises; the first end of a job stands, and the pieces
of its text have no gap.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, fields
from typing import Any, TypeAlias

import apsw
import msgspec

from ..bus.codec import encode
from ..bus.messages import Submit
from .core.personal import voice_key
from .core.records import (
    JobDeleted,
    JobEnded,
    JobImported,
    JobPacked,
    JobPinned,
    JobSaved,
    Record,
    SavedJob,
    SegmentSaved,
    TextAdded,
    TextClosed,
    VoiceRemoved,
    VoiceRenamed,
    VoiceSaved,
)
from .store_words import for_index

OPENING = 200
"""Characters of a text that a list shows."""

Apply: TypeAlias = Callable[[apsw.Connection, Any, float], str]

decode_submit = msgspec.msgpack.Decoder(Submit).decode
"""A request as it was kept."""

_decode_voice = msgspec.msgpack.Decoder(VoiceSaved).decode

_SEGMENT = ", ".join(f'"{field.name}"' for field in fields(SegmentSaved))
_PLACES = ", ".join("?" * (len(fields(SegmentSaved)) + 1))


class Refused(Exception):
    """A record that does not fit what is there; the message says why."""


def apply(db: apsw.Connection, record: Record, now: float, *, brief: bool = False) -> str:
    """Put a record into the database; the state of its outcome. now: seconds since 1970. brief: with no more than has
    to be there at once (`index_one` does the rest). Raises Refused, apsw.Error."""
    if brief and isinstance(record, JobEnded):
        return _ended(db, record, now, brief=True)
    return _APPLY[type(record)](db, record, now)


def _saved(db: apsw.Connection, job: JobSaved, now: float) -> str:
    # Few statements: each lets the interpreter's lock go, and may wait for it while the loop is busy.
    done = db.execute(
        "INSERT INTO jobs (number, uid, id, log, language, rate, submit, keep, created, pieces)"
        " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM deleted WHERE uid = ? AND id = ?)"
        " ON CONFLICT (uid, id) DO NOTHING RETURNING number",
        (
            *(job.order, job.uid, job.id, job.log, job.language, job.rate, encode(job.submit), job.submit.keep),
            *(min(job.created or now, now), 1 if job.submit.complete else None, job.uid, job.id),
        ),
    ).fetchall()
    if not done:
        return "exists" if _number(db, job.uid, job.id) is not None else "deleted"
    db.execute("INSERT INTO pieces VALUES (?, 0, ?)", (job.order, job.text))
    return "done"


def _number(db: apsw.Connection, uid: int, name: str) -> int | None:
    found: int | None = db.execute("SELECT number FROM jobs WHERE uid = ? AND id = ?", (uid, name)).get
    return found


def _text_state(db: apsw.Connection, number: int) -> tuple[int, int | None, str | None] | None:
    """How many pieces a job has, how many there are to be, and how it ended; None: no such job."""
    found: tuple[int, int | None, str | None] | None = db.execute(
        "SELECT (SELECT max(n) + 1 FROM pieces WHERE job = number), pieces, state FROM jobs WHERE number = ?", (number,)
    ).fetchone()
    return found


def _added(db: apsw.Connection, piece: TextAdded, now: float) -> str:
    found = _text_state(db, piece.order)
    if found is None:
        return "missing"
    have, whole, state = found
    if piece.n < have:
        return "done"
    if piece.n > have or whole is not None or state is not None:
        raise Refused(f"piece {piece.n} does not follow the {have} pieces that job number {piece.order} has")
    db.execute("INSERT INTO pieces VALUES (?, ?, ?)", (piece.order, piece.n, piece.text))
    return "done"


def _closed(db: apsw.Connection, closed: TextClosed, now: float) -> str:
    found = _text_state(db, closed.order)
    if found is None:
        return "missing"
    have, whole, state = found
    if whole is None and have == closed.n and state is None:
        db.execute("UPDATE jobs SET pieces = ? WHERE number = ?", (closed.n, closed.order))
    elif whole != closed.n:
        raise Refused(f"the text of job number {closed.order} cannot end after {closed.n} pieces: there are {have}")
    return "done"


def _ended(db: apsw.Connection, end: JobEnded, now: float, *, brief: bool = False) -> str:
    found = _text_state(db, end.order)
    if found is None:
        return "missing"
    if found[2] is not None:
        raise Refused(f"job number {end.order} is over already: {found[2]}")
    if end.heard is not None:
        # The notes on a recording's pieces have served; its text is what was heard.
        db.execute("DELETE FROM pieces WHERE job = ? AND n > 0", (end.order,))
        db.execute("UPDATE pieces SET text = ? WHERE job = ?", (end.heard, end.order))
    text = text_of(db, end.order)
    db.execute(
        "UPDATE jobs SET state = ?, code = ?, message = ?, final_rate = ?, samples = ?, skipped = ?, disk = ?,"
        " segments = ?, speakers = ?, trail = ?, opening = ?, finished = ? WHERE number = ?",
        (
            *(end.state, end.code, end.message, end.rate, end.samples, end.skipped, end.disk, len(end.segments)),
            *(
                json.dumps(end.speakers),
                json.dumps(end.trail),
                text[:OPENING],
                min(end.finished or now, now),
                end.order,
            ),
        ),
    )
    rows = ((end.order, *astuple(segment)[:-1], json.dumps(segment.trail)) for segment in end.segments)
    db.executemany(f"INSERT INTO segments (job, {_SEGMENT}) VALUES ({_PLACES})", rows)  # noqa: S608 - our own names
    spoken = {(who.get("voice", ""), who.get("provider", ""), end.order) for who in end.speakers}
    db.executemany("INSERT INTO spoken VALUES (?, ?, ?)", spoken)
    if brief:
        db.execute("INSERT INTO meta VALUES (?, ?)", (f"{_UNINDEXED}{end.order}", end.order))
    else:
        _index(db, end.order, text)
    return "done"


_UNINDEXED = "words of "
"""Begins the names of notes on jobs whose words are not in the index yet."""


def _index(db: apsw.Connection, number: int, text: str) -> None:
    db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, for_index(text)))


def unindexed(db: apsw.Connection) -> int | None:
    """A job that is over and whose words are not in the index yet."""
    found: int | None = db.execute(
        "SELECT value FROM meta WHERE name >= ? AND name < ? LIMIT 1", (_UNINDEXED, _UNINDEXED + ":")
    ).get
    return found


def index_one(db: apsw.Connection, number: int) -> None:
    """Put the words of such a job into the index, so that it is found by them. Raises apsw.Error."""
    if _forget_unindexed(db, number):
        _index(db, number, text_of(db, number))


def _forget_unindexed(db: apsw.Connection, number: int) -> bool:
    db.execute("DELETE FROM meta WHERE name = ?", (f"{_UNINDEXED}{number}",))
    return bool(db.changes())


def _imported(db: apsw.Connection, job: JobImported, now: float) -> str:
    state = _saved(db, job.job, now)
    if state != "done":
        return state
    db.executemany(
        "INSERT INTO pieces VALUES (?, ?, ?)", ((job.job.order, n, job.texts[n]) for n in range(1, len(job.texts)))
    )
    _ended(db, job.ended, now)
    db.execute(
        "UPDATE jobs SET pieces = ?, pinned = ?, audio = ? WHERE number = ?",
        (len(job.texts), int(job.pinned), job.audio, job.job.order),
    )
    return "done"


def _deleted(db: apsw.Connection, job: JobDeleted, now: float) -> str:
    number = _number(db, job.uid, job.id)
    if number is not None:
        remove(db, number, now)
        return "done"
    name = (job.uid, job.id)
    return "deleted" if db.execute("SELECT 1 FROM deleted WHERE uid = ? AND id = ?", name).get else "missing"


def _pinned(db: apsw.Connection, job: JobPinned, now: float) -> str:
    db.execute("UPDATE jobs SET pinned = ? WHERE uid = ? AND id = ?", (int(job.pinned), job.uid, job.id))
    return "done" if db.changes() else "missing"


def _packed(db: apsw.Connection, job: JobPacked, now: float) -> str:
    query = "UPDATE jobs SET audio = 'packed', disk = ? WHERE number = ? AND state IS NOT NULL AND audio = 'kept'"
    db.execute(query, (job.bytes, job.order))
    return "done" if db.changes() else "missing"


def _voice(db: apsw.Connection, voice: VoiceSaved, now: float) -> str:
    """Put a voice in place of what it was; of that nothing is to stay in the files."""
    row = (*voice_key(voice.uid, voice.name), encode(voice.dated(now)))
    _gone(db, voice.uid, voice.name)
    db.execute("INSERT INTO voices VALUES (?, ?, ?)", row)
    return "done"


def _voice_renamed(db: apsw.Connection, renamed: VoiceRenamed, now: float) -> str:
    if not _gone(db, renamed.voice.uid, renamed.old):
        return "missing"
    row = (*voice_key(renamed.voice.uid, renamed.voice.name), encode(renamed.voice.dated(now)))
    db.execute("INSERT INTO voices VALUES (?, ?, ?)", row)
    return "done"


def _voice_removed(db: apsw.Connection, voice: VoiceRemoved, now: float) -> str:
    return "done" if _gone(db, voice.uid, voice.name) else "missing"


def _gone(db: apsw.Connection, uid: int, name: str) -> bool:
    db.execute("DELETE FROM voices WHERE uid = ? AND key = ?", voice_key(uid, name))
    if not db.changes():
        return False
    db.execute("INSERT OR IGNORE INTO meta VALUES ('purge', 1)")
    return True


_APPLY: dict[type, Apply] = {
    JobSaved: _saved,
    TextAdded: _added,
    TextClosed: _closed,
    JobEnded: _ended,
    JobDeleted: _deleted,
    JobPinned: _pinned,
    JobPacked: _packed,
    VoiceSaved: _voice,
    VoiceRenamed: _voice_renamed,
    VoiceRemoved: _voice_removed,
    JobImported: _imported,
}


def remove(db: apsw.Connection, number: int, now: float) -> None:
    """Take a job's rows away, and leave its name; what is still in the files then is `store_purge`'s."""
    over = db.execute("SELECT state FROM jobs WHERE number = ?", (number,)).get is not None
    if over and not _forget_unindexed(db, number):
        text = for_index(text_of(db, number))
        db.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (number, text))
    db.execute(
        "INSERT OR REPLACE INTO deleted SELECT uid, id, ? FROM jobs WHERE number = ?",
        (now, number),
    )
    db.execute("DELETE FROM jobs WHERE number = ?", (number,))
    db.execute("INSERT OR IGNORE INTO meta VALUES ('purge', 1)")


def text_of(db: apsw.Connection, number: int) -> str:
    """A job's whole text."""
    return b"".join(pieces(db, number)).decode("utf-8", "replace")


def pieces(db: apsw.Connection, number: int) -> tuple[bytes, ...]:
    """The pieces of a job's text, as they came."""
    return tuple(row[0] for row in db.execute("SELECT text FROM pieces WHERE job = ? ORDER BY n", (number,)))


# -------------------------------------------------------------------------------------------------- rows into jobs

_JOB = (
    "SELECT number, uid, id, log, language, rate, submit, pieces, pinned, created, audio, state, code, message,"
    " final_rate, samples, skipped, disk, speakers, trail, finished FROM jobs "
)


def saved_job(db: apsw.Connection, uid: int, name: str) -> SavedJob | None:
    """A job by its name, with its text and how it ended."""
    row = db.execute(_JOB + "WHERE uid = ? AND id = ?", (uid, name)).fetchone()
    return _saved_job(db, row) if row is not None else None


def unfinished(db: apsw.Connection) -> list[SavedJob]:
    """All jobs that are not over, in order of acceptance."""
    rows = db.execute(_JOB + "INDEXED BY jobs_unfinished WHERE state IS NULL ORDER BY number").fetchall()
    return [_saved_job(db, row) for row in rows]


def next_order(db: apsw.Connection) -> int:
    """A number that no job ever had."""
    last: int | None = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").get
    return (last or 0) + 1


def logs(db: apsw.Connection) -> dict[str, str]:
    """The names of all logs that belong to a job, with the form of their audio."""
    return dict(db.execute("SELECT log, audio FROM jobs INDEXED BY jobs_logs"))


def voices(db: apsw.Connection) -> list[VoiceSaved]:
    """All voices of users' own."""
    return [_decode_voice(row[0]) for row in db.execute("SELECT voice FROM voices ORDER BY uid, key")]


def audio_bytes(db: apsw.Connection) -> dict[int, int]:
    """By uid, the bytes of audio of all jobs that are over."""
    return dict(db.execute("SELECT uid, sum(disk) FROM jobs WHERE state IS NOT NULL GROUP BY uid"))


def was_deleted(db: apsw.Connection, uid: int, name: str) -> bool:
    """Whether there was a job of that name, which is not free yet."""
    return db.execute("SELECT 1 FROM deleted WHERE uid = ? AND id = ?", (uid, name)).get is not None


def _saved_job(db: apsw.Connection, row: tuple[Any, ...]) -> SavedJob:
    number, uid, name, log, language, rate, submit, whole, pinned, created, audio, state, *end = row
    texts = pieces(db, number)
    return SavedJob(
        job=JobSaved(number, uid, name, log, language, rate, decode_submit(submit), texts[0]),
        texts=texts,
        complete=whole is not None,
        ended=_job_ended(db, number, log, state, *end[:-1]) if state is not None else None,
        pinned=bool(pinned),
        created=created,
        finished=end[-1] or 0.0,
        audio=audio,
    )


def _job_ended(db: apsw.Connection, number: int, log: str, state: str, *row: Any) -> JobEnded:
    code, message, rate, samples, skipped, disk, speakers, trail = row
    found = db.execute(f"SELECT {_SEGMENT} FROM segments WHERE job = ? ORDER BY number", (number,))  # noqa: S608
    return JobEnded(
        *(number, log, state, code, message, rate, samples, skipped, disk),
        speakers=tuple(json.loads(speakers)),
        segments=tuple(SegmentSaved(*(*values[:-1], tuple(json.loads(values[-1])))) for values in found),
        trail=tuple(json.loads(trail)),
    )
