"""The audio log of a job: its takes in the order of the text.

Owns: the way of a take from growing over whole to written and in place, and what it costs in memory and on disk. Must
not know: workers, chains, clients (readers are told through `readers`). Invariant: a segment that is "whole" and
before `Job.placed` is final: it has one take, one offset, and neither ever changes; only takes after that can be lost.
"""

from __future__ import annotations

from . import keeping, readers, recordings, syncing
from .effects import DropLog, WriteTake
from .lifecycle import SEGMENT, move
from .state import Job, Segment, Take
from .world import World

RECORD_BYTES = 64
"""What a record in a journal takes besides its parts, roughly; only for the sum."""


def grow(world: World, job: Job, segment: Segment, take: Take, chunk: bytes) -> None:
    """Add a chunk to a growing take; live readers get it at once if it is the one in place."""
    at = take.samples
    take.starts.append(at)
    take.chunks.append(chunk)
    size = len(chunk)
    take.samples = at + (size >> 1)
    job.made += size >> 1
    job.memory += size
    world.memory += size
    if segment.number == job.placed:
        if segment.offset < 0:
            segment.offset = job.length
        readers.forward(world, job, segment, take, at, chunk)


def complete(world: World, job: Job, segment: Segment) -> None:
    """A take is whole: write it, or keep it where it is if nothing is to be kept."""
    take = segment.take
    assert take is not None
    take.whole = True
    move(SEGMENT, segment, "done")
    job.writing[take.name] = segment
    if job.in_memory:
        written(world, job, take.name, 0, 0, 0)
        return
    # Of a transcript the row stands where a take has its marks, and there is no PCM.
    marks, pcm = (take.chunks[0], []) if job.recording is not None else (readers.rows(take.marks), take.chunks)
    job.has_audio_log = True
    take.marks_bytes = len(marks)
    world.effects.append(WriteTake(job.log, take.name, keeping.take_meta(job, segment, take), marks, pcm))


def written(world: World, job: Job, name: str, pcm_at: int, marks_at: int, size: int) -> None:
    """A whole take is in its journal: it can leave memory, and what comes next can be heard."""
    segment = job.writing.pop(name)
    take = segment.take
    assert take is not None
    move(SEGMENT, segment, "written")
    if not job.in_memory:
        readers.take_whole(world, job, segment, take)
        take.pcm_at, take.marks_at, take.stored = pcm_at, marks_at, True
        forget_chunks(world, job, take)
        take.marks = []
        world.charge_disk(job, size)
        syncing.written(world, job.log, size)
    advance(world, job)


def advance(world: World, job: Job) -> None:
    """Put in place what can be, and let readers go on."""
    while job.placed < len(job.segments):
        segment = job.segments[job.placed]
        if segment.state == "whole" and segment.take is not None:
            segment.offset = job.length
            job.length += segment.take.samples
        elif segment.state == "skipped":
            segment.offset = job.length
        else:
            if segment.take is not None:
                segment.offset = job.length
            break
        job.placed += 1
    readers.pump_all(world, job)


def forget_chunks(world: World, job: Job, take: Take) -> None:
    """Let go of a take's audio in memory."""
    size = sum(map(len, take.chunks))
    job.memory -= size
    world.memory -= size
    take.chunks = []
    take.starts = []


def drop(world: World, job: Job, segment: Segment, reason: str) -> None:
    """A take that is not final is lost; whoever heard some of it goes back to the segment's start."""
    take = segment.take
    assert take is not None
    move(SEGMENT, segment, "void")
    segment.attempt = ""
    job.writing.pop(take.name, None)
    job.made -= take.samples
    forget_chunks(world, job, take)
    readers.rewind(world, job, segment, take, reason)
    segment.take = None
    segment.offset = -1


def release_heard(world: World, job: Job) -> None:
    """A log in memory lets go of what all its listeners have heard, so that long speech fits."""
    if not job.in_memory or job.recording is not None or job.memory <= world.settings.limits.memory_job_bytes // 2:
        return
    slowest = min((reader.heard for reader in readers.listeners(job)), default=0)
    while job.released < job.placed:
        segment = job.segments[job.released]
        take = segment.take
        if take is not None:
            if segment.offset + take.samples > slowest:
                break
            forget_chunks(world, job, take)
        job.released += 1


def forget(world: World, job: Job) -> None:
    """Let go of a job that is over. What the store keeps of it stays on disk and is found when somebody asks for it."""
    world.finished.pop(job.key, None)
    _leave_memory(world, job)
    if not world.durable or job.in_memory:
        drop_journal(world, job)


def discard(world: World, job: Job) -> None:
    """Nothing is to be left of a job: it was deleted, or never came to be."""
    world.finished.pop(job.key, None)
    world.unfinished.pop(job.key, None)
    world.leaving.pop(job.key, None)
    _leave_memory(world, job)
    drop_journal(world, job)


def _leave_memory(world: World, job: Job) -> None:
    world.jobs.pop(job.key, None)
    recordings.let_go(world, job)
    for segment in job.segments:
        if segment.take is not None and segment.take.chunks:
            forget_chunks(world, job, segment.take)
    world.logs.pop(job.log, None)


def drop_journal(world: World, job: Job) -> None:
    """Remove a job's audio from the disk, in whatever form."""
    world.charge_disk(job, -job.disk)
    syncing.forget(world, job.log)
    if job.has_audio_log:
        job.has_audio_log = False
        world.effects.append(DropLog(job.log))
