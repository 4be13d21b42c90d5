"""Transcripts: what a worker hears in a recording, row by row, from WORK to the last.

Owns: an attempt to transcribe, the rows it brings, and where the next one goes on. Must not know: how recordings come
(`recordings`), who reads (`readers`), how attempts fail. Invariant: a row that is in the log is final; an attempt that
breaks off costs no row, and the next one goes on where the last row ends, with the language that was found; so a reader
gets each part of the recording once.

In a job's log a row is a take of one "sample": the offset of a row is its number, and everything that holds for reading
audio (attaching, credit, REWIND after a power cut) holds for transcripts. The last segment, whose end nobody knows yet,
is what an attempt works on; rows are put in before it.
"""

from __future__ import annotations

from ...bus.codec import decode_heard
from ...bus.errors import BadMessage
from ...bus.messages import UNLIMITED, Heard, HeardRow, Work
from . import ending, keeping, log
from .contents import Recording
from .failing import Failure
from .pronunciations import Respelled
from .state import Attempt, Job, ProviderState, Segment, Take, Worker
from .world import World

MOST_ROWS = 100_000
"""Rows of one transcript: a row a second for more than a day."""

MOST_CHARS = 16 * 1024 * 1024
"""Characters of one transcript."""

CONTEXT_CHARS = 400
"""So much of what was heard goes to an attempt that goes on, which is as much as a model looks back."""

BYTES_S = 16_000
"""Bytes of a recording in a second, before anybody knows: between compressed speech and plain PCM."""

SLACK_S = 0.002
"""A row may begin so much before the end of the one before: times are rounded."""

NOTICE_S = 0.5
"""Between two notices of how far it has come."""


# ------------------------------------------------------------------------------------------------------- starting


def attempt_for(
    world: World, provider: ProviderState, worker: Worker, job: Job, segment: Segment, now: float
) -> Attempt:
    """An attempt to go on with a recording. No frame of audio fits into it: its next number is none."""
    recording = job.recording
    assert recording is not None
    length_s = recording.length_s or recording.size / BYTES_S
    rest_s = max(length_s - segment.start / 1000, 1.0)
    take = Take(world.attempt_name(), provider.name, provider.version, job.entry.resolved)
    return Attempt(
        take.name, worker.id, job, segment, take, 1, now, now, UNLIMITED, int(rest_s) + 1, Respelled(""), seq=-1
    )


def work(worker: Worker, attempt: Attempt) -> tuple[Work, bytes]:
    """What its worker is told."""
    job, segment = attempt.job, attempt.segment
    assert job is not None and job.recording is not None and segment is not None
    message = Work(
        session=worker.session,
        attempt=attempt.name,
        kind="transcribe",
        voice=attempt.take.voice,
        language=job.recording.language or job.language,
        style=job.submit.style,
        seed=keeping.seed(job, segment),
        hearing=job.submit.hearing,
        from_s=segment.start / 1000,
        size=job.recording.size,
    )
    return message, job.recording.tail(CONTEXT_CHARS).encode()


# ------------------------------------------------------------------------------------------- what a worker says


def heard(world: World, worker: Worker, message: Heard, body: bytes, now: float) -> str:
    """A row has come, or the word that some more of the recording is dealt with. Returns what is wrong with it."""
    attempt = worker.leases.get(message.attempt)
    if attempt is None or attempt.stopping is not None:
        world.counters["stale frames"] += 1
        return ""
    job, segment = attempt.job, attempt.segment
    if job is None or segment is None or job.recording is None:
        return "a row of a transcript for what is to be spoken"
    if message.n != attempt.rows:
        return f"row {message.n} of a transcript, expected {attempt.rows}"
    _progress(worker, attempt, now)
    if not body:
        _tell(world, job, job.recording, message.at_s, now)
        return ""
    attempt.rows += 1
    try:
        row = decode_heard(body)
    except BadMessage as error:
        return str(error)
    if row.kind == "about":
        return _about(world, job, job.recording, attempt, row, body)
    return _passage(world, job, job.recording, attempt, row, body)


def _progress(worker: Worker, attempt: Attempt, now: float) -> None:
    attempt.begun = True
    if attempt.first_at is None:
        attempt.first_at = now
        worker.first_audio_s = worker.first_audio_s or now - attempt.sent_at
    else:
        worker.gap_s += 0.1 * (now - attempt.progress_at - worker.gap_s)
    attempt.progress_at = now


def _tell(world: World, job: Job, recording: Recording, at_s: float, now: float) -> None:
    """Tell the readers how far it has come, now and then."""
    if now - recording.noticed_at >= NOTICE_S:
        recording.noticed_at = now
        world.notice(job, "progress", seconds=at_s, length=recording.length_s)


def _about(world: World, job: Job, recording: Recording, attempt: Attempt, row: HeardRow, body: bytes) -> str:
    """What the recording is. Of a job that goes on it is known; what a later attempt says of it changes nothing."""
    if attempt.rows != 1:
        return "a row about the recording that is not the first"
    if not recording.about:
        learn(recording, row)
        _put(world, job, attempt, 0, body)
    return ""


def _passage(world: World, job: Job, recording: Recording, attempt: Attempt, row: HeardRow, body: bytes) -> str:
    segment = attempt.segment
    assert segment is not None
    if not recording.about:
        return "a passage before the row about the recording"
    if row.end < row.start or row.start < segment.start / 1000 - SLACK_S:
        return f"a passage from {row.start:.3f} to {row.end:.3f} s, where {segment.start / 1000:.3f} s were dealt with"
    if len(job.segments) > MOST_ROWS or recording.text_chars + len(row.text) > MOST_CHARS:
        return "a transcript without end"
    learn(recording, row)
    _put(world, job, attempt, max(round(row.end * 1000), segment.start), body)
    # What comes now is another part of the recording, for which nobody is to blame yet.
    segment.deaths = segment.tries_here = segment.stops = 0
    return ""


def learn(recording: Recording, row: HeardRow) -> None:
    """Keep of a row what whoever goes on has to know."""
    if row.kind == "about":
        recording.about = True
        recording.language, recording.length_s = row.language, row.end
    else:
        recording.texts.append(row.text)
        recording.text_chars += len(row.text)


def _put(world: World, job: Job, attempt: Attempt, end: int, body: bytes) -> None:
    """Put a row into the log, before the segment that the attempt goes on with."""
    going_on = attempt.segment
    assert going_on is not None
    number = going_on.number
    name = f"{attempt.name}:{number}"
    row = Segment(number, going_on.start, end, "leased", attempt=name, tries=going_on.tries)
    row.take = Take(name, attempt.take.provider, attempt.take.version, attempt.take.voice)
    row.take.chunks, row.take.starts, row.take.samples = [body], [0], 1
    job.segments.insert(number, row)
    going_on.number, going_on.start, going_on.end = number + 1, end, end
    going_on.offset = -1
    job.fresh += 1
    job.made += 1
    job.memory += len(body)
    world.memory += len(body)
    log.complete(world, job, row)


def flaw(attempt: Attempt, rows: int) -> Failure | None:
    """What is wrong with an attempt that says that it is done, None if nothing is."""
    job = attempt.job
    assert job is not None and job.recording is not None
    recording = job.recording
    if attempt.fed < recording.size:
        here = f"it was sent {attempt.fed} of {recording.size} bytes"
        return Failure("unheard", f"done with a recording of which {here}")
    if rows != attempt.rows:
        return Failure("truncated", f"{attempt.rows} of {rows} rows of the transcript came")
    if not recording.about:
        return Failure("truncated", "nothing was said about the recording")
    return None


def done(world: World, job: Job, now: float) -> None:
    """All of the recording is dealt with: what was still to be heard is nothing."""
    job.segments.pop()
    job.fresh = len(job.segments)
    job.cut = True
    keeping.note(world, job, "heard")
    log.advance(world, job)
    ending.finish_if_done(world, job, now)
