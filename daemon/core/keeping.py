"""What is written down of a job, and when nothing can be.

Owns: the records of jobs, made from the state. Must not know: what becomes of a commit (`outcomes`). Invariant: a job
of which nothing is to be kept leaves no record.
"""

from __future__ import annotations

from zlib import crc32

from ...bus.messages import Submit
from .contents import Recording
from .effects import WriteNote
from .records import JobEnded, Record, SegmentSaved
from .state import Job, Segment, Take
from .world import Pending, World

SLOW_S = 1.0
"""A commit that takes longer than this means that the disk does not keep up: new jobs are refused by name until it
does, instead of being accepted later and later."""

SEED_BITS = 0x7FFFFFFF

SEED_MARK = ".seed"
"""Stands before the seed in the name of a journal whose job had it elsewhere."""


def pending(job: Job, kind: str, record: Record, now: float, *, tell: bytes = b"") -> Pending:
    """What waits for a record of this job."""
    return Pending(kind, job.key, job.order, now, None if job.in_memory else record, job.text.length, tell)


def refusal(world: World, now: float) -> str:
    """Why nothing that has to be kept can be taken on now, "" if it can."""
    since = next((waiting.since for waiting in world.commits.values() if waiting.record is not None), now)
    if world.durable and now - since > SLOW_S:
        return (
            f"The disk has not taken what was to be kept for {now - since:.1f} s. Try again in a moment; "
            "keep=nothing works without it."
        )
    return ""


def seed(job: Job, segment: Segment) -> int:
    """The seed of a segment: of the job's own, or of one that is the same whenever this job is made."""
    return (job_seed(job.submit, job.log) + segment.number + 7919 * segment.reseeds) & SEED_BITS


def job_seed(submit: Submit, log: str) -> int:
    """The seed of a job: what its caller said, or one that its journal's name gives. That of a job from an archive says
    which it was."""
    if submit.seed is not None:
        return submit.seed
    said = log.partition(SEED_MARK)[2]
    return int(said) if said else crc32(log.encode()) & SEED_BITS


def note(world: World, job: Job, what: str, segment: Segment | None = None, **more: object) -> None:
    """Write down what a later daemon has to know, where there is a journal to write it in."""
    if not job.in_memory:
        job.has_audio_log = True
        where = place(job, segment) if segment is not None else {}
        world.effects.append(WriteNote(job.log, {"note": what, **where, **more}))


def place(job: Job, segment: Segment) -> dict[str, object]:
    """Which text a record is about: where it stands, and a checksum of its words. A piece that was not durable when the
    daemon died comes again, and need not be the same."""
    return {"start": segment.start, "end": segment.end, "crc": checksum(job, segment.start, segment.end)}


def checksum(job: Job, start: int, end: int) -> int:
    """Of a range of a job's text."""
    return crc32(job.text.slice(start, end).encode())


def take_meta(job: Job, segment: Segment, take: Take) -> dict[str, object]:
    """What stands beside a take in its journal: all that a later daemon needs to go on from it."""
    return {
        "job": job.id,
        "uid": job.key[0],
        "segment": segment.number,
        **place(job, segment),
        "language": job.language,
        "rate": job.rate,
        "take": take.name,
        "provider": take.provider,
        "version": take.version,
        "voice": take.voice,
        "origin": take.origin,
        "samples": take.samples,
        "seed": take.seed,
        "peak": take.peak,
        "rms": take.rms,
        "first_audio_s": take.first_audio_s,
        "work_s": take.work_s,
        "made_s": take.made_s,
        "tries": segment.tries,
        "stops": segment.stops,
        "deaths": segment.deaths,
        "trail": segment.trail[-8:],
        **(_heard(job.recording, segment) if job.recording is not None else {}),
    }


def _heard(recording: Recording, segment: Segment) -> dict[str, object]:
    """What stands beside a row of a transcript: all that whoever goes on has to know without reading the row."""
    if segment.number == 0:
        return {"row": 0, "language": recording.language, "length_s": recording.length_s}
    return {"row": segment.number, "text": recording.texts[segment.number - 1]}


def ended(job: Job, finished: float = 0.0) -> JobEnded:
    """The end of a job whose verdict is given, with who said each segment. finished: as in the record."""
    verdict = job.verdict
    assert verdict is not None
    return JobEnded(
        job.order,
        job.log,
        verdict.state,
        verdict.code,
        verdict.message,
        job.rate,
        verdict.samples if job.recording is None else 0,  # rows are no audio, and nothing to be packed
        verdict.skipped,
        job.disk,
        tuple(verdict.speakers),
        tuple(_saved(segment, segment.number < job.placed) for segment in job.segments),
        tuple(job.trail[-20:]),
        finished,
        heard="".join(job.recording.texts).strip().encode() if job.recording is not None else None,
    )


def _saved(segment: Segment, placed: bool) -> SegmentSaved:
    take = segment.take
    tries = (segment.tries, segment.stops, segment.deaths, tuple(segment.trail[-8:]))
    if take is None or not placed:
        state = segment.state if placed or segment.state == "quarantined" else "unmade"
        return SegmentSaved(segment.number, segment.start, segment.end, state, "", "", "", "", *_NO_TAKE, *tries)
    return SegmentSaved(
        segment.number,
        segment.start,
        segment.end,
        "whole",
        take.name,
        take.provider,
        take.version,
        take.voice,
        take.seed,
        take.samples,
        take.pcm_at,
        take.marks_at,
        take.marks_bytes,
        take.peak,
        take.rms,
        take.first_audio_s,
        take.work_s,
        take.made_s,
        *tries,
    )


_NO_TAKE = (0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)
