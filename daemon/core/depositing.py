"""The pieces in which a job comes from an archive.

Owns: what may follow upon what, and the checks that keep a job from an archive to what one made here could be. Must not
know: who sends them, when a job is there (`importing`). Invariant: a take goes into the journal when all of its audio
has come, as one record; what is refused has changed nothing but the job that is on its way, which ends with it.
"""

from __future__ import annotations

from collections.abc import Callable

from ...bus.archived import ArchivedJob, ArchivedSegment
from ...bus.codec import decode_archived_segment
from ...bus.errors import BadMessage
from . import keeping, readers
from .catalogue import Problem
from .effects import WriteTake
from .state import Segment, Take
from .world import Importing, World

PLACED = ("whole", "skipped")


def sounds(told: ArchivedJob) -> bool:
    """Whether audio will come."""
    return told.audio != "missing"


def crowded(world: World, uid: int, size: int) -> Problem | None:
    """Why so many bytes more of audio cannot be kept."""
    limits = world.settings.limits
    own = limits.disk_bytes_per_user
    if world.disk + size > limits.disk_bytes:
        text = f"The audio on disk would be over its limit of {limits.disk_bytes} bytes (limits.disk)"
    elif own and world.disk_of[uid] + size > own:
        text = f"Your audio on disk would be over its limit of {own} bytes"
    else:
        return None
    return Problem("queue_full", f"{text}: remove something from the history, or have the limit raised.")


def _text(world: World, importing: Importing, body: bytes) -> Problem | None:
    job, limits = importing.job, world.settings.limits
    if job.segments:
        return Problem("invalid", "The text has to come before the segments.")
    if job.text.length + len(body) > limits.text_bytes:
        return Problem("too_long", f"The text would be over {limits.text_bytes} bytes.")
    if world.text_chars + len(body) > limits.texts_bytes:
        return Problem("queue_full", "The texts that are in work are at their limit together; try again later.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Problem("invalid", "The text is not UTF-8.")
    job.text.append(text)
    world.text_chars += len(text)
    return None


def _segment(world: World, importing: Importing, body: bytes) -> Problem | None:
    try:
        row = decode_archived_segment(body)
    except BadMessage as error:
        return Problem("invalid", f"Segment {len(importing.job.segments)}: {error.message}")
    if why := _wrong(world, importing, row):
        return Problem("invalid", f"Segment {row.segment}: {why}.")
    job = importing.job
    segment = Segment(row.segment, row.start, row.start + row.length, row.state)
    segment.tries, segment.stops, segment.deaths = row.tries, row.stops, row.deaths
    segment.trail = list(row.trail)
    job.segments.append(segment)
    if row.state in PLACED:
        segment.offset = job.length
        job.placed += 1
    if row.state == "whole":
        segment.take, segment.attempt = _take(row), row.attempt
        importing.takes.add(row.attempt)
        job.length += row.samples
        if sounds(importing.told):
            importing.current = segment
            return _audio(world, importing, b"")
    return None


def _wrong(world: World, importing: Importing, row: ArchivedSegment) -> str:
    """What is wrong with a segment, "" if nothing is."""
    job, told = importing.job, importing.told
    before = job.segments[-1].end if job.segments else 0
    if importing.current is not None:
        return "the audio of the one before has not come to its end"
    if row.segment != len(job.segments) or row.segment >= told.segments:
        return f"{len(job.segments)} of {told.segments} have come"
    if not row.length or row.start < before or row.start + row.length > job.text.length:
        return "it has no place in the text"
    if row.state in PLACED and job.placed < len(job.segments):
        return "one before it has no audio"
    if row.state != "whole":
        return "" if not row.samples else "it is not whole and has audio"
    if not row.attempt or row.attempt in importing.takes:
        return "its take has no name of its own"
    if job.length + row.samples > told.samples:
        return "there is more audio than the record says"
    if 2 * row.samples > world.settings.limits.memory_bytes:
        return f"its audio is too long to be taken in; at most {world.settings.limits.memory_bytes} bytes are"
    if any(mark.start + mark.length > row.length for mark in row.marks):
        return "a timing is of text outside of it"
    return ""


def _take(row: ArchivedSegment) -> Take:
    return Take(
        row.attempt,
        row.provider,
        row.version,
        row.voice,
        samples=row.samples,
        marks=list(row.marks),
        whole=True,
        seed=row.seed,
        peak=row.peak,
        rms=row.rms,
        first_audio_s=row.first_audio_s,
        work_s=row.work_s,
        made_s=row.made_s,
    )


def _audio(world: World, importing: Importing, body: bytes) -> Problem | None:
    job, segment = importing.job, importing.current
    if segment is None:
        return Problem("invalid", "There is audio that belongs to no segment.")
    take = segment.take
    assert take is not None
    missing = 2 * take.samples - importing.came
    if len(body) % 2 or len(body) > missing:
        return Problem("invalid", f"Segment {segment.number}: its audio is longer than the record says.")
    if world.memory + len(body) > world.settings.limits.memory_bytes:
        return Problem("queue_full", "There is no memory left for more audio just now; try again in a moment.")
    take.chunks.append(body)
    importing.came += len(body)
    job.memory += len(body)
    world.memory += len(body)
    return _write(world, importing, segment, take) if len(body) == missing else None


def _write(world: World, importing: Importing, segment: Segment, take: Take) -> Problem | None:
    """A take has come to its end: into the journal with it."""
    job = importing.job
    if (full := crowded(world, job.key[0], 2 * take.samples)) is not None:
        return full
    marks = readers.rows(take.marks)
    importing.current, importing.came = None, 0
    take.marks_bytes = len(marks)
    job.writing[take.name] = segment
    job.has_audio_log = True
    world.effects.append(WriteTake(job.log, take.name, keeping.take_meta(job, segment, take), marks, take.chunks))
    return None


PIECES: dict[str, Callable[[World, Importing, bytes], Problem | None]] = {
    "text": _text,
    "segment": _segment,
    "audio": _audio,
}
"""What is done with each kind; returns why it cannot be."""
