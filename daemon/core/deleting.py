"""Jobs that are to be gone for good, and jobs that are to stay.

Owns: the order in which a job disappears. Must not know: files and tables. Invariant: readers get the terminal first,
then the audio and the words go, then the answer.
"""

from __future__ import annotations

from ...bus.messages import Delete, Deleted, Pin, Pinned
from . import ending, keeping
from .records import JobDeleted, JobPinned
from .state import Client, Job
from .world import World


def delete(world: World, client: Client, job: Job, message: Delete, body: bytes, now: float) -> None:
    """Remove a job with all that is kept of it; one that is not over is cancelled first."""
    if not job.over:
        ending.end(world, job, "cancelled", "deleted", "Deleted by its owner.", now)
    pending = keeping.pending(job, "delete", JobDeleted(*job.key), now, tell=client.peer)
    world.after(pending, client.peer, Deleted(job=job.id))
    world.commit(pending)


def pin(world: World, client: Client, job: Job, message: Pin, body: bytes, now: float) -> None:
    """Exempt a job from retention, or not any more."""
    if job.in_memory or not world.durable:
        text = f"Nothing is kept of {job.id} once it is over, so it cannot be pinned."
        world.error(client.peer, "unsupported", text, job=job.id)
        return
    pending = keeping.pending(job, "pin", JobPinned(*job.key, message.pinned), now, tell=client.peer)
    world.after(pending, client.peer, Pinned(job=job.id, pinned=message.pinned))
    world.commit(pending)
