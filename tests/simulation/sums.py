"""Sums over the core's state: whether it is what its parts say.

Owns: nothing. Must not know: how the state came to be. Invariant: reads, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .oracle import Wrong

if TYPE_CHECKING:
    from voicebus.daemon.core.state import Job
    from voicebus.daemon.core.world import World


def expect(true: object, what: str) -> None:
    """Raise Wrong unless so."""
    if not true:
        raise Wrong(what)


def check(world: World) -> None:
    """Memory, places, leases and queues are what jobs and workers say."""
    chunks = sum(map(_job, world.jobs.values()))
    expect(world.memory == chunks, f"memory is said to be {world.memory}, there are {chunks} bytes")
    unsynced = sum(world.unsynced.values())
    expect(world.unsynced_bytes == unsynced, f"{world.unsynced_bytes} bytes are said to be unsynced, not {unsynced}")
    expect(set(world.unsynced) <= set(world.logs), "a log that is gone is said to be unsynced")
    leased = {name for worker in world.workers.values() for name in worker.leases}
    for worker in world.workers.values():
        expect(len(worker.leases) <= worker.slots, f"{worker.id} has more leases than slots")
        expect(bool(worker.session) == (world.by_peer.get(worker.peer) is worker), f"{worker.id} and its session")
    for job in world.unfinished.values():
        expect(set(job.attempts) <= leased, f"{job.id} has attempts that nobody has")
    _makings(world)
    queued = {
        key
        for provider in world.providers.values()
        for queue in provider.queues.values()
        for jobs in queue.clients.values()
        for key in jobs
    }
    said = {job.key for job in world.jobs.values() if job.queued_at_provider}
    expect(queued == said, f"queues hold {sorted(queued)}, jobs say {sorted(said)}")


def _makings(world: World) -> None:
    """Of each voice prompt one worker makes one, unless it was told to stop."""
    made = [
        (attempt.making, attempt.name)
        for worker in world.workers.values()
        for attempt in worker.leases.values()
        if attempt.making is not None and attempt.stopping is None
    ]
    said = [(key, making.attempt) for key, making in world.makings.items() if making.attempt]
    expect(sorted(made) == sorted(said), f"prompts are being made by {made}, and are said to be by {said}")


def _job(job: Job) -> int:
    offset = 0
    for segment in job.segments[: job.placed]:  # no words before they are needed: most of the time went into these
        if segment.offset != offset:
            raise Wrong(f"segment {segment.number} of {job.id} is not in its place")
        offset += segment.take.samples if segment.take is not None else 0
    expect(job.length == offset, f"{job.id} is {job.length} samples long, its segments are {offset}")
    chunks = sum(map(len, job.recording.data)) if job.recording is not None else 0
    for segment in job.segments:
        if segment.take is not None and segment.take.chunks:
            chunks += sum(map(len, segment.take.chunks))
        if (segment.state == "leased") != (segment.attempt in job.attempts):
            raise Wrong(f"{job.id}: {segment}")
    return chunks


def nothing_left(world: World) -> None:
    """Nobody works, nothing waits."""
    expect(not world.unfinished, f"jobs that never ended: {[(j.key, j.state) for j in world.unfinished.values()]}")
    for what in ("commits", "again", "questions", "lookups", "hungry", "late_commits", "effects", "feeding"):
        expect(not getattr(world, what), f"{what} is not empty: {getattr(world, what)}")
    expect(not any(making.attempt or making.storing for making in world.makings.values()), "prompts are being made")
    expect(not (world.changing or world.removing), f"voices are being changed: {list(world.changing)}")
    for worker in world.workers.values():
        # A provider that is being probed just now has a lease for it, which is nobody's work.
        held = [name for name, lease in worker.leases.items() if lease.job is not None or lease.making is not None]
        expect(not held, f"{worker.id} holds {held}")
        expect(not worker.external or worker.state != "stopping", f"{worker.id} is on its way out for ever")
    for provider in world.providers.values():
        own = [name for name in provider.workers if not world.workers[name].external]
        wanted = provider.settings.workers
        expect(len(own) == wanted, f"{provider.name} is to have {wanted} workers, and has {own}")
        for queue in provider.queues.values():
            expect(not queue.clients, f"somebody is queued at {provider.name}")
    for job in world.jobs.values():
        expect(not job.writing and not job.attempts, f"{job.id} is still being made")
        expect(not job.readers, f"{job.id} is over and has readers {list(job.readers)}")
    expect(world.text_chars == 0, f"{world.text_chars} characters of text are said to be in memory")
    expect(len(world.logs) == len(world.jobs), f"{len(world.logs)} logs of {len(world.jobs)} jobs")
