"""Jobs that wait: for text, for a listener, for a worker, for room.

Owns: how long each kind of waiting lasts, what readers are told meanwhile, and how it ends. Must not know: how a job is
taken on. Invariant: whatever a job waits for, it goes on by itself when that comes, or ends with a reason.
"""

from __future__ import annotations

from typing import Any

from . import ending, quotas, readers, routing, schedule
from .state import Job
from .world import World

NO_ROOM = "the disk's share for audio is used up (limits.disk_bytes)"
"""Why a job waits whose log may not grow."""

CROWDED_S = 10.0
"""How long the logs may be at their limit before a job gives way."""


def sweep(world: World, now: float) -> None:
    """Jobs that wait for somebody who does not come, once a second."""
    limits = world.settings.limits
    present = {schedule.client_key(client) for client in world.clients.values()}
    for job in list(world.unfinished.values()):
        if job.over:
            continue
        if job.author in present:
            job.text_at = now
        if readers.listeners(job):
            job.alone_since = None
        elif job.alone_since is None:
            job.alone_since = now
        stalled = not job.complete and not job.uncut and job.placed == len(job.segments) and not job.attempts
        if stalled and now - job.text_at > limits.text_wait_s:
            ending.end(world, job, "failed", "text_incomplete", "The rest of the text never came.", now)
        elif _abandoned(world, job, now):
            ending.end(world, job, "cancelled", "abandoned", "Nobody was listening.", now)
        else:
            _keep_going(world, job, now)
    _make_room(world, now)


def _abandoned(world: World, job: Job, now: float) -> bool:
    """Whether nobody has listened for too long to a job that needs somebody: one that is made for its listener, or one
    that is kept in memory and fills it."""
    if job.alone_since is None or now - job.alone_since <= world.settings.limits.abandon_s:
        return False
    return job.submit.pace == "listen" or (job.in_memory and schedule.crowded_out(world, job))


def _make_room(world: World, now: float) -> None:
    """Jobs that together need more than the disk's share would wait for each other for ever; then the youngest gives
    way, one that somebody listens to only where no other can. The same within the share of one user."""
    ending.trim(world)
    full: dict[int | None, str] = {
        uid: "limits.disk_bytes_per_user" for uid in world.disk_of if quotas.disk_full(world, uid)
    }
    if world.disk >= world.settings.limits.disk_bytes:
        full[None] = "limits.disk_bytes"
    world.crowded = {whose: world.crowded.get(whose, now) for whose in full}
    for whose, limit in full.items():
        if now - world.crowded[whose] > CROWDED_S and _give_way(world, whose, limit, now):
            world.crowded[whose] = now


def _give_way(world: World, uid: int | None, limit: str, now: float) -> bool:
    """End the youngest job, of one user or of all, that is written to the disk; False if there is none."""
    writers = [
        job for key, job in world.unfinished.items() if not job.over and not job.in_memory and uid in (None, key[0])
    ]
    rendered = [job for job in writers if job.submit.pace == "render"]
    stuck = rendered or [job for job in writers if schedule.crowded_out(world, job)]
    if stuck:
        text = (
            f"The logs of all jobs{' of yours' * (uid is not None)} have reached their limit ({limit}) and nothing can "
            "be forgotten. Raise it, or render one thing after the other."
        )
        ending.end(world, max(stuck, key=lambda job: job.order), "failed", "disk_full", text, now)
    return bool(stuck)


def _keep_going(world: World, job: Job, now: float) -> None:
    if job.queued_at_provider and not job.attempts:
        if job.starved_since is None:
            job.starved_since = now
        reroute(world, job, now)
        if not job.over:
            _explain(world, job, now)
    else:
        schedule.update(world, job)
        if schedule.crowded_out(world, job) and not job.in_memory:
            _tell(world, job, NO_ROOM, "waiting", provider=job.entry.provider, reason=NO_ROOM)


def reroute(world: World, job: Job, now: float) -> None:
    """Look again where the job can go on."""
    if job.over or job.attempts:
        return
    if job.starved_since is None and job.queued_at_provider:
        job.starved_since = now
    nobody = routing.route(world, job, now)
    if nobody:
        ending.end(world, job, "failed", job.entry.code or "unavailable", nobody, now)
    else:
        schedule.update(world, job)


def _explain(world: World, job: Job, now: float) -> None:
    """Tell the readers what a job waits for, when that has changed."""
    provider = world.providers[job.entry.provider]
    workers = [world.workers[name] for name in provider.workers]
    loading = [w for w in workers if w.state in ("spawned", "connected")]
    if any(worker.state == "ready" for worker in workers):
        place = schedule.place_in_queue(world, job)
        what, kind = f"queued {place}", "queued"
        data: dict[str, Any] = {"provider": provider.name, "place": place}
    elif loading:
        percent = max(worker.percent for worker in loading)
        what, kind = f"loading {percent:.0f}", "loading"
        data = {"provider": provider.name, "percent": percent, "note": loading[0].note}
    else:
        reason = provider.reason or next((worker.reason for worker in workers), "")
        what, kind = f"waiting {reason}", "waiting"
        data = {"provider": provider.name, "reason": reason}
    _tell(world, job, what, kind, **data)


def _tell(world: World, job: Job, what: str, kind: str, **data: Any) -> None:
    """Tell the readers once, for as long as it is the same."""
    if what != job.noticed:
        job.noticed = what
        world.notice(job, kind, -1, **data)
