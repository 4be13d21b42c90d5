"""What is kept for too long, or takes too much room, goes.

Owns: when the store is asked to remove what is past its time, and what follows in memory and on the disk. Must not
know: dates, tables, files. Invariant: what is pinned, not over, or being read stays; a file goes
only after its job's row.
"""

from __future__ import annotations

import math

from . import log, packing, quotas
from .effects import DropLog, Expire
from .records import Found, Retention
from .state import Job
from .world import Question, World

EACH_S = 600.0
"""How often the store is asked, while there is room on the disk."""

PRESSED_S = 10.0
"""The same, while there is none and nothing more could be removed."""

FREE = 0.9
"""So much of the disk's share may be in use once room has been made: a job more must not need the same again."""


def sweep(world: World, now: float) -> None:
    """Once a second: see whether it is time."""
    for key in [key for key, job in world.leaving.items() if not _used(job)]:
        log.discard(world, world.leaving.pop(key))
    limits = world.settings.limits
    full = [uid for uid in world.disk_of if quotas.disk_full(world, uid)]
    pressed = world.disk >= limits.disk_bytes or bool(full)
    due = world.expire_at if not pressed else min(world.expire_at, world.press_at)
    if not world.durable or world.draining or now < due:
        return
    world.expire_at = world.press_at = math.inf  # until the answer
    world.ticket += 1
    world.questions[world.ticket] = Question("expired", (0, ""))
    world.effects.append(Expire(world.ticket, _policy(world, full)))


def _policy(world: World, full: list[int]) -> Retention:
    """full: the users whose own share is used up."""
    history, limits = world.settings.history, world.settings.limits
    of_each = int(FREE * limits.disk_bytes_per_user)
    return Retention(
        job_keep_s=history.job_keep_s,
        history_age_s=history.keep_days * 86_400.0,
        history_bytes=history.keep_bytes,
        free_bytes=world.disk - int(FREE * limits.disk_bytes) if world.disk >= limits.disk_bytes else 0,
        free_of=tuple((uid, world.disk_of[uid] - of_each) for uid in full),
        spared=tuple(sorted(job.order for job in world.finished.values() if _used(job))),
    )


def _used(job: Job) -> bool:
    return bool(job.readers or job.openers or job.deleters)


def expired(world: World, found: Found, now: float) -> None:
    """The store has removed these."""
    world.expire_at = now + EACH_S
    world.press_at = now if found.rows else now + PRESSED_S
    if found.reason:
        world.count("retention that failed", found.reason)
    for row in found.rows:
        world.counters["jobs past their time"] += 1
        job = world.jobs.get((row["uid"], row["id"]))
        if job is None or job.order != row["order"]:
            packing.call_off(world, row["log"])
            world.charge(row["uid"], -row["disk"])
            world.effects.append(DropLog(row["log"]))
        elif _used(job):  # since the question was put, if only by him whose DELETE is on its way
            job.expired = True
            world.leaving[job.key] = job
        else:
            packing.call_off(world, job.log)
            log.discard(world, job)
