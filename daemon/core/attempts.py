"""Attempts: one run of one segment on one worker, until its end.

Owns: what a worker may say about an attempt, and what follows from each way it can end. Must not know: how workers
come and go (`supervise`), who gets which attempt (`dispatch`). Invariant: an attempt ends once; its take is in the log
whole, or gone with a REWIND to whoever heard some of it and its segment back in its job's queue.
"""

from __future__ import annotations

from ...bus.codec import BODY_BYTES, MARKS, decode_marks
from ...bus.errors import FAILURES, BadMessage
from ...bus.messages import Begun, Chunk, Done, Failed, MarkRow, Stopped, TakeMarks
from . import (
    ending,
    estimating,
    failing,
    flaws,
    leases,
    log,
    prompts,
    readers,
    schedule,
    syncing,
    transcripts,
)
from .failing import Failure
from .pronunciations import Respelled
from .state import Attempt, Job, ProviderState, Segment, Worker
from .world import World

SEGMENT_S = 600.0
"""Longest audio of one segment, or four times what was expected: beyond both the engine has run away."""

MARKS_BYTES = BODY_BYTES // 2
"""Most bytes of marks of one take: read back, they go out in one body, somewhat longer where words were respelled."""


def chunk(world: World, worker: Worker, message: Chunk, body: bytes, now: float) -> str:
    """Audio has come. Returns what is wrong with it, "" for nothing. The hot path: one call a frame."""
    attempt = worker.leases.get(message.attempt)
    if attempt is None or attempt.stopping is not None:
        world.counters["stale frames"] += 1
        return ""
    take = attempt.take
    size = len(body)
    samples = take.samples + (size >> 1)
    if (
        message.seq != attempt.seq
        or message.offset != take.samples
        or not size
        or size & 1
        or samples > attempt.granted
    ):
        return f"frame {message.seq} at {message.offset} of {size} bytes, expected {attempt.seq} at {take.samples}"
    if samples > max(SEGMENT_S * attempt.rate, 4 * attempt.expected):
        return f"{samples / attempt.rate:.0f} s of audio for one segment"
    attempt.seq += 1
    if attempt.first_at is None:
        _first_sound(worker, attempt, now)
    else:
        worker.gap_s += 0.1 * (now - attempt.progress_at - worker.gap_s)
    attempt.progress_at = now
    job = attempt.job
    if job is None:
        take.samples = samples
    else:
        assert attempt.segment is not None
        log.grow(world, job, attempt.segment, take, body)
    if attempt.granted - samples < 4 * attempt.rate:
        _grant_more(world, attempt, samples)
    return ""


def _first_sound(worker: Worker, attempt: Attempt, now: float) -> None:
    attempt.first_at = now
    attempt.begun = True
    took = now - attempt.sent_at
    worker.first_audio_s = took if not worker.first_audio_s else worker.first_audio_s * 0.8 + took * 0.2


def _grant_more(world: World, attempt: Attempt, samples: int) -> None:
    if world.memory <= world.settings.limits.memory_bytes and syncing.room(world):
        leases.grant(world, attempt)


def grant_again(world: World, now: float) -> None:
    """Memory has been freed: attempts that were kept waiting may go on, and their deadlines begin anew."""
    for worker in world.workers.values():
        for attempt in worker.leases.values():
            if attempt.stopping is None and attempt.take.samples >= attempt.granted:
                attempt.progress_at = now
                _grant_more(world, attempt, attempt.take.samples)


def begun(world: World, worker: Worker, message: Begun, body: bytes, now: float) -> str:
    """The engine has started on it."""
    attempt = worker.leases.get(message.attempt)
    if attempt is not None:
        attempt.begun = True
        attempt.progress_at = now
    return ""


def take_marks(world: World, worker: Worker, message: TakeMarks, body: bytes, now: float) -> str:
    """Timings have come. Returns what is wrong with them, "" for nothing."""
    attempt = worker.leases.get(message.attempt)
    if attempt is None or attempt.stopping is not None:
        world.counters["stale frames"] += 1
        return ""
    job, segment = attempt.job, attempt.segment
    if job is None or segment is None:
        return ""
    if job.recording is not None:
        return "marks for a recording"
    try:
        rows = decode_marks(body)
    except BadMessage as error:
        return str(error)
    take = attempt.take
    if attempt.said.edits:
        rows = [_in_source(row, attempt.said) for row in rows]
    take.marks_bytes += len(body)
    if len(take.marks) + len(rows) > MARKS or take.marks_bytes > MARKS_BYTES:
        return "too many marks"
    if not all(_sane(row, segment) for row in rows):
        return "marks outside of the text"
    take.marks += rows
    if segment.number == job.placed and segment.offset >= 0:
        readers.marks_came(world, job, segment, take)
    return ""


def _in_source(row: MarkRow, respelled: Respelled) -> MarkRow:
    """A mark of the text as it was sent, as one of the text as the caller wrote it."""
    start, length = respelled.source(row.start, row.length)
    return MarkRow(row.kind, row.sample, start, length, row.name, row.confidence, row.method)


def _sane(row: MarkRow, segment: Segment) -> bool:
    length = segment.end - segment.start
    return row.sample >= 0 and 0 <= row.start <= row.start + row.length <= length and len(row.name) <= 1000


def done(world: World, worker: Worker, message: Done, body: bytes, now: float) -> str:
    """The worker says that the take is whole. It is, if nothing is missing and there is sound where there must be."""
    attempt = worker.leases.get(message.attempt)
    if attempt is None:
        return ""
    leases.release(world, worker, attempt)
    if attempt.stopping is not None:
        return ""
    provider = world.providers[worker.provider]
    if attempt.making is not None:
        return prompts.done(world, worker, attempt, now)
    if attempt.job is None or attempt.segment is None:
        assert provider.catalogue is not None
        silent = message.peak < flaws.SILENT_PEAK and provider.catalogue.capabilities["speak"]
        failing.probed(world, provider, attempt, Failure("silent") if silent else None, now)
        return ""
    hears = attempt.job.recording is not None
    failure = transcripts.flaw(attempt, message.samples) if hears else flaws.flaw(provider, attempt, message)
    if failure is not None:
        failing.fail(world, attempt, failure, now)
        return str(failure) if failure.code == "unheard" else ""
    job, segment = attempt.job, attempt.segment
    _measured(attempt, message, now)
    _learn(provider, worker, attempt, message)
    provider.breaker.success(now)
    job.attempts.pop(attempt.name)
    job.failing_since = None
    if hears:
        transcripts.done(world, job, now)
        schedule.update(world, job)
        return ""
    _estimate(world, provider, attempt)
    whole(world, job, segment, now)
    return ""


def _estimate(world: World, provider: ProviderState, attempt: Attempt) -> None:
    """Give a take the word timings that its engine does not. Not for SSML, whose breaks are in no word's length."""
    job, segment, take = attempt.job, attempt.segment, attempt.take
    assert job is not None and segment is not None and provider.catalogue is not None
    if job.submit.ssml or "word" in provider.catalogue.capabilities["marks"]:
        return
    if any(row.kind == "word" for row in take.marks):  # timed without having claimed it
        return
    rows = [
        MarkRow("word", word.sample, word.start, word.length, "", word.confidence, estimating.METHOD)
        for word in estimating.words(attempt.said.text, take.samples)
    ]
    rows = [_in_source(row, attempt.said) for row in rows] if attempt.said.edits else rows
    take.marks += rows[: MARKS - len(take.marks)]
    if segment.number == job.placed and segment.offset >= 0:
        readers.marks_came(world, job, segment, take)


def whole(world: World, job: Job, segment: Segment, now: float) -> None:
    """A segment's take is complete: into the log with it. One that has no sound in it is a take as well."""
    if segment.number == job.placed and segment.offset < 0:
        segment.offset = job.length
    log.complete(world, job, segment)
    if job.in_memory:
        ending.finish_if_done(world, job, now)
    schedule.update(world, job)


def _measured(attempt: Attempt, message: Done, now: float) -> None:
    take = attempt.take
    take.peak, take.rms, take.work_s = message.peak, message.rms, message.work_s
    take.made_s = now - attempt.sent_at
    if attempt.first_at is not None:
        take.first_audio_s = attempt.first_at - attempt.sent_at


def _learn(provider: ProviderState, worker: Worker, attempt: Attempt, message: Done) -> None:
    worker.jobs_done += 1
    provider.takes += 1
    if attempt.job is not None and attempt.job.recording is not None:
        return
    seconds = attempt.take.samples / attempt.rate
    if seconds > 0.2:
        factor = message.work_s / seconds
        worker.factor = factor if not worker.factor else worker.factor * 0.8 + factor * 0.2
        segment, job = attempt.segment, attempt.job
        assert segment is not None and job is not None
        char_s = seconds * job.submit.style.rate / max(segment.end - segment.start, 1)
        if not job.submit.ssml:
            provider.char_s += 0.1 * (min(char_s, 1.0) - provider.char_s)


def failed(world: World, worker: Worker, message: Failed, body: bytes, now: float) -> str:
    """The worker says that it cannot be done."""
    attempt = worker.leases.get(message.attempt)
    if attempt is None:
        return ""
    leases.release(world, worker, attempt)
    if attempt.stopping is None:
        code = message.code if message.code in FAILURES else "unavailable"
        told = Failure(code, message.message[:500], max(message.retry_after, 0.0), told=True)
        prompts.fail(world, attempt, told, now)
    return ""


def stopped(world: World, worker: Worker, message: Stopped, body: bytes, now: float) -> str:
    """A slot is free again."""
    attempt = worker.leases.get(message.attempt)
    if attempt is not None and attempt.stopping is not None:
        leases.release(world, worker, attempt)
    return ""
