"""What one user may take of a daemon that serves several.

Owns: how much of each thing a uid has, and the refusal where that is its limit. Must not know: what jobs are made of,
who asks. Invariant: what a user has is counted from what is there, but for audio on disk, whose sums by user (kept by
`World.charge_disk`) always add up to the whole; a limit of 0 is none, and costs nothing.
"""

from __future__ import annotations

from ...bus.wording import counted
from .catalogue import Problem
from .world import World


def client_refusal(world: World, uid: int) -> str:
    """Why this user may not have another client now; "" if it may."""
    limit = world.settings.limits.clients_per_user
    if not limit or sum(client.uid == uid for client in world.clients.values()) < limit:
        return ""
    clients = counted(limit, "client")
    return f"You have {clients} connected, which is the limit for one user; close some, or try again later."


def job_refusal(world: World, uid: int, *, on_disk: bool) -> Problem | None:
    """Why this user may not have another job now. on_disk: the job's audio would be written."""
    limits = world.settings.limits
    if limits.jobs_per_user and sum(key[0] == uid for key in world.unfinished) >= limits.jobs_per_user:
        waiting = counted(limits.jobs_per_user, "job of yours is", "jobs of yours are")
        return Problem("queue_full", f"{waiting} waiting already, the limit for one user; try again later.")
    if on_disk and disk_full(world, uid):
        return Problem(
            "queue_full",
            f"Your audio on disk is at its limit of {limits.disk_bytes_per_user} bytes; try again when some of your "
            "jobs are over, or with keep=nothing.",
        )
    return text_refusal(world, uid)


def text_refusal(world: World, uid: int) -> Problem | None:
    """Why this user may not bring more text now."""
    limit = world.settings.limits.texts_bytes_per_user
    if not limit or sum(job.text.length for key, job in world.unfinished.items() if key[0] == uid) < limit:
        return None
    return Problem(
        "queue_full", "The texts of your jobs that are not over are at the limit for one user; try again later."
    )


def disk_full(world: World, uid: int) -> bool:
    """Whether this user's audio on disk is at its limit."""
    limit = world.settings.limits.disk_bytes_per_user
    return bool(limit) and world.disk_of[uid] >= limit
