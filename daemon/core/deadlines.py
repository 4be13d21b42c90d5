"""Progress is health: when an attempt counts as hung, and what is done then.

Owns: the deadlines of attempts. Must not know: how processes are ended. Invariant: no deadline runs while it is the
daemon that owes credit; who misses one loses the attempt at once, whatever his beats say.
"""

from __future__ import annotations

from . import failing, leases, prompts
from .failing import Failure
from .state import Attempt, Worker
from .world import World

FENCES = 2
"""How often a segment is moved from a silent worker on suspicion; after that it is the whole deadline that counts, so
that a text which silences every engine is found out."""

WINDOW_S = 30.0
"""Seconds of a recording that Whisper listens to at once."""

HEARING_TIMES = 8
"""So many times as long as a window usually takes one may take: a model that doubts itself begins anew, five times."""

HEARING_MAX_S = 600.0
"""Longest silence of an attempt to transcribe."""

BIG_BYTES = 256 * 1024 * 1024
"""From this size on a worker's death is reported late (65 to 80 ms a GB), so that silence has to count first."""


def deadline(world: World, worker: Worker, attempt: Attempt) -> float | None:
    """When an attempt counts as hung; None while it waits for us."""
    if attempt.stopping is not None:
        return attempt.stopping + max(worker.settings.stop_s, _hearing_s(worker, attempt))
    if attempt.take.samples >= attempt.granted:
        return None
    if attempt.first_at is None:
        first_s = max(worker.settings.first_chunk_s, 4 * worker.first_audio_s, _hearing_s(worker, attempt))
        return attempt.progress_at + first_s
    if _fenced(world, worker, attempt):
        return attempt.progress_at + max(worker.settings.fence_s, 4 * worker.gap_s)
    return attempt.progress_at + max(_longest_gap(worker), _hearing_s(worker, attempt))


def _hearing_s(worker: Worker, attempt: Attempt) -> float:
    """How long an attempt to transcribe may be silent: a model listens to a window at a time, and says nothing while it
    does, nor can it be stopped there. So it is where a voice prompt is made, in one go."""
    if attempt.making is not None:
        return worker.settings.prompt_s
    if attempt.job is None or attempt.job.recording is None:
        return 0.0
    return min(HEARING_TIMES * WINDOW_S * worker.factor, HEARING_MAX_S)


def _longest_gap(worker: Worker) -> float:
    return max(worker.settings.chunk_s, 8 * worker.gap_s)


def _fenced(world: World, worker: Worker, attempt: Attempt) -> bool:
    """Whether silence alone moves this attempt: a spare of the same provider must be there to take it."""
    if attempt.job is not None and attempt.job.recording is not None:
        return False
    if worker.rss < BIG_BYTES or attempt.first_at is None or attempt.segment is None:
        return False
    others = (name for name in world.providers[worker.provider].workers if name != worker.id)
    return attempt.segment.fences < FENCES and any(world.workers[name].free > 0 for name in others)


def overdue(world: World, worker: Worker, now: float) -> None:
    """Deal with the attempts of a worker whose deadline has passed."""
    for attempt in list(worker.leases.values()):
        at = deadline(world, worker, attempt)
        if at is None or at > now:
            continue
        silent_s = now - attempt.progress_at
        if attempt.stopping is not None:
            _hung(world, worker, f"did not stop within {worker.settings.stop_s:g} s ({attempt.why})")
            leases.release(world, worker, attempt)
        elif attempt.segment is not None and silent_s < _longest_gap(worker) and _fenced(world, worker, attempt):
            attempt.segment.fences += 1
            world.count("fenced attempts", f"{worker.id} was silent for {silent_s * 1000:.0f} ms")
            failing.void(world, attempt, f"{worker.provider} fell silent", now)
        else:
            _hung(world, worker, f"made no progress for {silent_s:.1f} s")
            leases.release(world, worker, attempt)
            prompts.fail(world, attempt, Failure("hang", worker.ours), now)
        if worker.state == "stopping":
            break
    if worker.state == "stopping":
        lose(world, worker, Failure("hang", worker.ours), now, blame=False)


def _hung(world: World, worker: Worker, why: str) -> None:
    worker.last_failure = f"hang: {why}"
    leases.kill(world, worker, why)


def lose(world: World, worker: Worker, failure: Failure, now: float, *, blame: bool = True) -> None:
    """A worker's session is over, and with it all its attempts."""
    for attempt in list(worker.leases.values()):
        leases.release(world, worker, attempt)
        if attempt.stopping is not None:
            continue
        if blame and attempt.begun:
            prompts.fail(world, attempt, failure, now)
        elif attempt.job is None:
            prompts.lost(world, attempt, failure, now)
        else:
            failing.return_segment(world, attempt, f"{worker.provider}: {failure}")
