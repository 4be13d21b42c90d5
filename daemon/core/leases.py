"""Slots of workers: giving one an attempt, stopping it, getting the slot back.

Owns: `Worker.leases`. Must not know: why an attempt is started or stopped, and what becomes of its segment. Invariant:
an attempt holds its slot from WORK until DONE, FAILED or STOPPED, or until its worker's session is over; so no worker
ever has more attempts than slots.
"""

from __future__ import annotations

from ...bus.messages import Grant, Quit, Stop
from .effects import Kill
from .lifecycle import WORKER, move
from .state import Attempt, Worker
from .world import World

WINDOW_S = 8.0
"""How much audio a worker may send ahead of the log's consent. Long enough that a fast engine seldom waits (a grant
costs a round trip of 0.3 ms, in which espeak makes 0.3 s of audio), short enough to bound memory."""


def window(rate: int) -> int:
    """The window in samples."""
    return int(WINDOW_S * rate)


def grant(world: World, attempt: Attempt) -> None:
    """Let an attempt go on sending, a window ahead of what it has sent."""
    worker = world.workers[attempt.worker]
    attempt.granted = attempt.take.samples + window(attempt.rate)
    world.to_worker(worker.peer, Grant(session=worker.session, attempt=attempt.name, up_to=attempt.granted))


def stop(world: World, attempt: Attempt, why: str, now: float) -> None:
    """Ask the worker to stop an attempt; its slot stays taken until it says so."""
    if attempt.stopping is None:
        worker = world.workers[attempt.worker]
        attempt.stopping = now
        attempt.why = why
        if worker.session:
            world.to_worker(worker.peer, Stop(session=worker.session, attempt=attempt.name))


def release(world: World, worker: Worker, attempt: Attempt) -> None:
    """The slot is free again."""
    worker.leases.pop(attempt.name, None)
    world.unsettled.add(worker.provider)


def kill(world: World, worker: Worker, why: str) -> None:
    """End a worker's process; it is not asked. An external one only loses its session."""
    worker.ours = why
    worker.reason = why
    move(WORKER, worker, "kill")
    if not worker.external:
        world.effects.append(Kill(worker.id))


def dismiss(world: World, worker: Worker, now: float) -> None:
    """Let a connected worker finish what it has and leave."""
    move(WORKER, worker, "quit")
    worker.quit_at = now
    world.to_worker(worker.peer, Quit(session=worker.session))
