"""Jobs that are to be gone for good, and jobs that are to stay.

Owns: the order in which a job disappears. Must not know: files and tables. Invariant: readers of
a job that is not over get the terminal, then the audio goes, then the words do, then the answer comes, and only then
whoever still read hears that it is gone; killed at any point, asking again finishes it.
"""

from __future__ import annotations

from ...bus.messages import Delete, Deleted, Pin, Pinned
from . import ending, keeping, log, packing, readers
from .records import JobDeleted, JobPinned, Outcome
from .state import Client, Job
from .world import World

AGAIN_S = 1.0
"""Hint for when to try again what the store could not do."""


def delete(world: World, client: Client, job: Job, message: Delete, body: bytes, now: float) -> None:
    """Remove a job with all that is kept of it; one that is not over is cancelled first."""
    begun = bool(job.deleters)
    if client.peer not in job.deleters:
        job.deleters.append(client.peer)
    if job.terminal is not None and not begun:
        erase(world, job, now)
    elif not job.over:
        ending.end(world, job, "cancelled", "deleted", "Deleted by its owner.", now)


def erase(world: World, job: Job, now: float) -> None:
    """The job is over, which is written down: let its audio go, and then its words."""
    job.bereft += dict.fromkeys((*job.readers, *job.openers))
    for peer in job.bereft:
        readers.unsubscribe(world, job, peer, now)
    packing.call_off(world, job.log)
    log.drop_journal(world, job)
    job.missing = True
    world.commit(keeping.pending(job, "delete", JobDeleted(*job.key), now))


def erased(world: World, job: Job) -> None:
    """Nothing is left on the disk."""
    log.discard(world, job)
    for peer in job.bereft:
        world.error(peer, "deleted", f"The job {job.id} was deleted.", job=job.id)
    for peer in job.deleters:
        world.to_client(peer, Deleted(job=job.id))


def pin(world: World, client: Client, job: Job, message: Pin, body: bytes, now: float) -> None:
    """Exempt a job from retention, or not any more."""
    if job.in_memory or not world.durable:
        text = f"Nothing is kept of {job.id} once it is over, so it cannot be pinned."
        world.error(client.peer, "unsupported", text, job=job.id, answers=message)
        return
    pending = keeping.pending(job, "pin", JobPinned(*job.key, message.pinned), now, tell=client.peer)
    world.after(pending, client.peer, Pinned(job=job.id, pinned=message.pinned))
    world.commit(pending)


def not_erased(world: World, job: Job, outcome: Outcome) -> None:
    """The words are still there; whoever asked may ask again."""
    bereft, deleters, job.deleters, job.bereft = job.bereft, job.deleters, [], []
    text = f"{job.id} could not be deleted: {outcome.reason}"
    for peer in bereft:
        world.error(peer, "storage", text, job=job.id, retry_after=AGAIN_S)
    for peer in deleters:
        world.error(peer, "storage", text, job=job.id, retry_after=AGAIN_S, answers=Delete)
