"""How the daemon stops: growing takes end, readers fetch what is made, workers leave, and then it does.

Owns: the order of that. Must not know: signals and processes. Invariant: each step has an end, so a stop cannot hang.
"""

from __future__ import annotations

from . import ending, failing, importing, leases, readers
from .effects import Leave
from .fleet import NO_PROCESS
from .state import Job, Reader, Worker
from .world import World

STEP_S = 5.0
"""Longest time for each of the steps."""


def begin(world: World, now: float) -> None:
    """Stop in an orderly way."""
    world.draining, world.drain_since = "takes", now
    for job in world.unfinished.values():
        if not job.over and world.durable and not job.in_memory:
            world.notice(job, "leaving", seconds=STEP_S)
            _leave_recording(world, job, now)
    importing.stop(world)
    world.report("info", "stopping: takes in hand are finished, readers may fetch what is made")
    go_on(world, now)


def _leave_recording(world: World, job: Job, now: float) -> None:
    """What is heard of a recording stands, row by row, and the rest may be an hour: the next daemon goes on."""
    for attempt in list(job.attempts.values()) if job.recording is not None else ():
        failing.void(world, attempt, "the daemon stops", now)


def go_on(world: World, now: float) -> None:
    """Do the next step if the one before is done."""
    waited = now - world.drain_since
    if world.draining == "takes":
        growing = any(a.stopping is None for w in world.workers.values() for a in w.leases.values())
        if not growing or waited >= STEP_S:
            _end_jobs(world, now)
            world.draining, world.drain_since = "readers", now
    elif world.draining == "readers":
        fetching = any(_fetches(job, reader) for job in world.jobs.values() for reader in job.readers.values())
        if not (fetching or world.commits) or waited >= STEP_S:
            _dismiss(world, now)
            world.draining, world.drain_since = "workers", now
    else:
        _wait_for_workers(world, waited)


def _fetches(job: Job, reader: Reader) -> bool:
    """Whether a reader has something coming yet. Of a job that goes on with the next daemon, all that is made."""
    return job.over or (reader.mode != "none" and readers.position(job, reader) < job.length)


def _end_jobs(world: World, now: float) -> None:
    for job in list(world.unfinished.values()):
        # What is kept goes on with the next daemon.
        if not job.over and (job.in_memory or not world.durable):
            text = "The daemon was stopped before the job was done."
            ending.end(world, job, "failed", "daemon_stopped", text, now)


def _dismiss(world: World, now: float) -> None:
    for worker in list(world.workers.values()):
        if worker.session and worker.state != "stopping":
            leases.dismiss(world, worker, now)
        elif worker.state not in NO_PROCESS:
            leases.kill(world, worker, "the daemon stops")


def _wait_for_workers(world: World, waited: float) -> None:
    running = _running(world)
    if not running or waited >= 2 * STEP_S:
        at_once(world)
    elif waited >= STEP_S:
        for worker in running:
            leases.kill(world, worker, "did not leave when the daemon stopped")


def _running(world: World) -> list[Worker]:
    return [worker for worker in world.workers.values() if not worker.external and worker.state not in NO_PROCESS]


def at_once(world: World) -> None:
    """Leave now, whatever is going on."""
    if not world.left:
        world.left = True
        for worker in _running(world):
            leases.kill(world, worker, "the daemon leaves")
        world.effects.append(Leave(0))
