"""How jobs end.

Owns: `Job.verdict` and `Job.terminal`. Must not know: how audio is made. Invariant: a verdict is given once; nobody is
told of it before it is committed; a reader hears it behind its last frame, except that a cancellation overtakes audio.
"""

from __future__ import annotations

from collections import Counter

from ...bus.messages import Terminal
from ...bus.wording import counted, plural
from . import keeping, leases, log, packing, quotas, readers, recordings, schedule, syncing
from .lifecycle import JOB, move
from .state import Job
from .world import TEXT_CHARS, World


def finish_if_done(world: World, job: Job, now: float) -> None:
    """End a job whose text is complete and whose segments are all in place."""
    if job.over or not job.cut or job.placed < len(job.segments) or not job.committed:
        return
    skipped = sum(segment.state == "skipped" for segment in job.segments)
    if job.recording is not None:
        silent = not job.recording.texts
        message = "No speech was found in the recording." if silent else ""
        end(world, job, "finished", "no_speech" if silent else "", message, now)
        return
    if not job.segments:
        end(world, job, "failed", "empty_text", "There was nothing to say in the text.", now)
    elif skipped == len(job.segments):
        end(world, job, "failed", "failed", "Nobody could say any of it: " + "; ".join(job.trail), now)
    else:
        were = plural(skipped, "was", "were")
        message = f"{skipped} of {counted(len(job.segments), 'segment')} {were} left out." if skipped else ""
        end(world, job, "finished", "incomplete" if skipped else "", message, now)


def end(world: World, job: Job, state: str, code: str, message: str, now: float, *, tell: bytes = b"") -> None:
    """Decide a job's end: stop what is being made for it, and commit. tell: who asked for it and is not a reader."""
    move(JOB, job, "end")
    schedule.dequeue(world, job)
    for attempt in list(job.attempts.values()):
        leases.stop(world, attempt, state, now)
        job.attempts.pop(attempt.name)
        assert attempt.segment is not None
        log.drop(world, job, attempt.segment, message or state)
    for segment in list(job.writing.values()):
        log.drop(world, job, segment, message or state)
    message = message[:TEXT_CHARS]
    job.verdict = Terminal(
        job=job.id,
        state=state,  # type: ignore[arg-type]
        code=code,
        message=message,
        samples=job.length,
        segments=len(job.segments),
        skipped=sum(segment.state == "skipped" for segment in job.segments),
        speakers=speakers(job),
    )
    pending = keeping.pending(job, "end", keeping.ended(job), now)
    if tell and tell not in job.readers:
        world.after(pending, tell, job.verdict)
    world.commit(pending)


def committed(world: World, job: Job, now: float) -> None:
    """The end is durable: now it may be told."""
    assert job.verdict is not None
    job.state = job.verdict.state
    job.terminal = job.verdict
    recordings.let_go(world, job)
    syncing.forget(world, job.log)
    world.text_chars -= job.text.length
    job.text.forget()
    job.uncut.clear()
    world.unfinished.pop(job.key, None)
    world.finished[job.key] = job
    if job.state == "cancelled":
        for peer in list(job.readers):
            world.to_client(peer, job.terminal)
            readers.unsubscribe(world, job, peer, now)
    else:
        readers.pump_all(world, job)
    packing.job_ended(world, now)
    trim(world)


def speakers(job: Job) -> list[dict[str, object]]:
    """Who said how many segments."""
    said: Counter[tuple[str, str, str]] = Counter()
    for segment in job.segments[: job.placed]:
        if segment.state == "whole" and segment.take is not None:
            said[segment.take.provider, segment.take.version, segment.take.voice] += 1
    return [{"provider": p, "version": version, "voice": v, "segments": n} for (p, version, v), n in said.items()]


def trim(world: World) -> None:
    """Forget the oldest finished jobs that nobody reads, beyond what is to be kept."""
    limits = world.settings.limits
    surplus = len(world.finished) - limits.finished_jobs
    roomy = world.disk < limits.disk_bytes and not limits.disk_bytes_per_user
    if surplus <= 0 and roomy and world.memory <= limits.memory_bytes:
        return
    # What was asked to stay for good goes last.
    for job in sorted(world.finished.values(), key=lambda job: job.submit.keep == "history"):
        # What the store keeps takes its room until it expires there.
        full = not world.durable and world.disk >= limits.disk_bytes
        crowded = world.memory > limits.memory_bytes
        if surplus <= 0 and not full and not crowded and not limits.disk_bytes_per_user:
            return
        full = full or (not world.durable and quotas.disk_full(world, job.key[0]))
        useful = surplus > 0 or (full and job.disk > 0) or (crowded and job.memory > 0)
        if useful and not (job.readers or job.openers or job.deleters or job.expired):
            packing.let_go(world, job)
            surplus -= 1
