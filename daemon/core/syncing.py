"""Audio that is written, but may not be on the disk yet.

Owns: how much there is of it, and which log is being brought to the disk. Must not know: how that is done, and what it
means for the end of a job (the storage thread syncs its log once more before that). Invariant: at most one log is being
synced; above the limit no worker gets credit for more audio until the disk has caught up. A system with too much that
waits for its disk holds up whoever writes next, and that would be the thread that serves everybody.
"""

from __future__ import annotations

from .effects import SyncLog
from .world import World

BEGIN = 4
"""Syncing begins at this part of the limit, so that a disk that keeps up makes nobody wait."""


def written(world: World, log: str, size: int) -> None:
    """So many bytes have been added to a journal."""
    world.unsynced[log] += size
    world.unsynced_bytes += size
    _begin(world)


def forget(world: World, log: str) -> None:
    """A journal is on the disk, or gone."""
    world.unsynced_bytes -= world.unsynced.pop(log, 0)


def room(world: World) -> bool:
    """Whether workers may make more audio."""
    return world.unsynced_bytes <= world.settings.limits.unsynced_bytes


def synced(world: World, log: str) -> None:
    """The journal that was being synced is done with: what had been written to it by then no longer counts."""
    syncing, world.syncing = world.syncing, None
    assert syncing is not None
    if log in world.unsynced:
        size = min(syncing[1], world.unsynced[log])
        world.unsynced[log] -= size
        world.unsynced_bytes -= size
    _begin(world)


def _begin(world: World) -> None:
    if world.syncing is None and BEGIN * world.unsynced_bytes > world.settings.limits.unsynced_bytes:
        log = max(world.unsynced, key=lambda log: world.unsynced[log])
        world.syncing = (log, world.unsynced[log])
        world.effects.append(SyncLog(log))
