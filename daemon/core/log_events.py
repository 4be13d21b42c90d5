"""What the core hears of logs: what came of writing, syncing and packing them.

Owns: which rule hears of which. Must not know: the rules. Invariant: as of `core`.
"""

from __future__ import annotations

from collections.abc import Callable

from . import ending, importing, log, packing, syncing
from .world import World


class LogEvents:
    """A part of `Core`."""

    world: World
    _settle: Callable[[float], None]

    def take_written(self, name: str, take: str, pcm_at: int, marks_at: int, now: float) -> None:
        """A whole take is in its journal."""
        job = self.world.logs.get(name)
        if job is not None and take in job.writing:
            written = job.writing[take].take
            size = 2 * written.samples + written.marks_bytes + log.RECORD_BYTES if written is not None else 0
            log.written(self.world, job, take, pcm_at, marks_at, size)
            ending.finish_if_done(self.world, job, now)
        else:
            importing.written(self.world, name, take, pcm_at, marks_at, now)
        self._settle(now)

    def take_lost(self, name: str, take: str, reason: str, now: float) -> None:
        """A whole take could not be written."""
        job = self.world.logs.get(name)
        self.world.count("takes that could not be written", reason)
        if job is not None and not job.over:
            segment = job.writing.get(take)
            if segment is not None:
                log.drop(self.world, job, segment, reason)
            advice = "Where the disk is full, free some space; keep=nothing works without."
            text = f"The audio could not be written: {reason}. {advice}"
            ending.end(self.world, job, "failed", "disk_full", text, now)
        elif job is None:
            importing.lost(self.world, name, take, reason)
        self._settle(now)

    def synced(self, name: str, reason: str, now: float) -> None:
        """A journal has been brought to the disk, or why not. The system reports a loss once only, so a job whose
        journal has one ends with it: the next attempt would look like a success."""
        syncing.synced(self.world, name)
        job = self.world.logs.get(name)
        if reason:
            self.world.count("journals that could not be synced", reason)
        if reason and job is not None and not job.over:
            text = f"The audio could not be brought to the disk: {reason}. keep=nothing works without."
            ending.end(self.world, job, "failed", "storage", text, now)
        importing.synced(self.world, name, reason, now)
        self._settle(now)

    def packed(self, log: str, size: int, reason: str, now: float) -> None:
        """A log has been packed, or why not."""
        packing.packed(self.world, log, size, reason, now)
        self._settle(now)

    def unpacked(self, log: str, size: int, reason: str, now: float) -> None:
        """A log has been unpacked, or why not."""
        packing.unpacked(self.world, log, size, reason, now)
        self._settle(now)
