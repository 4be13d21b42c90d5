"""Recordings that are to be transcribed, from the caller's piece to the worker's bytes.

Owns: `Job.recording` until somebody listens to it: its pieces, their bounds, where they are kept and how long. Must not
know: what is in them (nothing is decoded here), who transcribes. Invariant: a piece is acknowledged only when it is in
the job's input log, or in memory where nothing is to be kept; the log is there as long as the job is not over, so that
another worker, or another daemon, can begin anew.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from zlib import crc32

from ...bus.messages import Submit
from . import quotas
from .catalogue import Problem
from .contents import Recording
from .effects import DropInput
from .feeding import SOURCES, Source
from .records import JobSaved, TextAdded
from .state import Attempt, Job, Segment, Worker
from .world import World

SUFFIX = ".input"
"""Of the files with recordings, beside the journals."""

TEXTS = ("job", "text")
"""Commits that a recording waits for."""


def file_of(log: str) -> str:
    """The name of a log's recording, below the state directory."""
    return f"logs/{log}{SUFFIX}"


# ------------------------------------------------------------------------------------------- what the caller sends


def unfit(world: World, message: Submit, body: bytes) -> Problem | None:
    """What is wrong with a request to transcribe, apart from what is the same for every job."""
    if message.ssml or message.skip_bad:
        return Problem("unsupported", "A recording has no ssml and no segments to skip.")
    if message.complete and not body:
        return Problem("empty_text", "There is nothing to hear: the recording is empty.")
    in_memory = message.keep == "nothing" or not world.durable
    return _too_long(world, len(body), in_memory=in_memory)


def unfit_piece(world: World, job: Job, n: int, have: int, body: bytes) -> Problem | None:
    """What is wrong with one more piece of a recording."""
    recording = job.recording
    assert recording is not None
    if job.complete:
        return Problem("ended", f"The recording of {job.id} is complete; nothing can be added.")
    if n != have + 1:
        return Problem("out_of_order", f"Send piece {have + 1} of {job.id} first.")
    if not recording.in_memory and world.disk >= world.settings.limits.disk_bytes:
        return Problem("queue_full", "The disk's share for audio is used up (limits.disk_bytes); try again later.")
    if not recording.in_memory and quotas.disk_full(world, job.key[0]):
        return Problem("queue_full", "Your audio on disk is at its limit; try again when some of your jobs are over.")
    return _too_long(world, recording.size + len(body), in_memory=recording.in_memory)


def _too_long(world: World, size: int, *, in_memory: bool) -> Problem | None:
    limits = world.settings.limits
    most = min(limits.input_bytes, limits.memory_job_bytes) if in_memory else limits.input_bytes
    if size <= most:
        return None
    where = "kept in memory (keep=nothing, or there is no store) " if in_memory else ""
    name = "limits.memory_job_bytes" if most < limits.input_bytes else "limits.input_bytes"
    return Problem("too_long", f"A recording {where}may have {most} bytes ({name}); this one has more. Cut it up.")


def begin(world: World, job: Job, body: bytes) -> JobSaved:
    """The first piece has come with the job. Returns what is to be written down of both."""
    job.recording = Recording(job.in_memory or not world.durable, held=True)
    job.submit.first = note(body)
    job.complete = job.submit.complete
    job.committed_chars = UNBOUNDED
    text, data = _take(world, job, body)
    return JobSaved(job.order, *job.key, job.log, job.language, job.rate, job.submit, text, recorded=data)


UNBOUNDED = 2**53
"""No row of a transcript is beyond the text that is committed: there is none."""


def add(world: World, job: Job, n: int, body: bytes) -> TextAdded:
    """Piece `n` has come. Returns what is to be written down."""
    assert job.recording is not None
    at = job.recording.size
    text, data = _take(world, job, body)
    return TextAdded(job.order, n, text, job.log, at, data)


def _take(world: World, job: Job, body: bytes) -> tuple[bytes, bytes | None]:
    """Take a piece in: its note, and the bytes if they go to the disk."""
    recording = job.recording
    assert recording is not None
    recording.sums.append((len(body), crc32(body)))
    if recording.in_memory:
        recording.starts.append(recording.size)
        recording.data.append(body)
        job.memory += len(body)
        world.memory += len(body)
    else:
        world.charge(job.key[0], len(body))
    recording.charged += len(body)
    recording.size += len(body)
    return note(body).encode(), None if recording.in_memory else body


def note(body: bytes) -> str:
    """What is kept of a piece beside its bytes, to know it again: its length and a checksum."""
    return f"{len(body)}-{crc32(body):08x}"


def noted(note: str) -> tuple[int, int]:
    """Length and checksum from what was noted."""
    length, _, checksum = note.partition("-")
    return int(length or 0), int(checksum or "0", 16)


# ------------------------------------------------------------------------------------------------------ what follows


def ready(world: World, job: Job) -> None:
    """A commit is done: once all of the recording is where it belongs, somebody may listen to it."""
    if job.recording is None or not job.complete or job.cut or job.segments or job.over:
        return
    if not any(pending.order == job.order and pending.kind in TEXTS for pending in world.commits.values()):
        job.segments.append(Segment(0, 0, 0))


def let_go(world: World, job: Job) -> None:
    """Nobody will listen to the recording any more."""
    recording = job.recording
    if recording is None or not recording.held:
        return
    if recording.in_memory:
        job.memory -= recording.charged
        world.memory -= recording.charged
        recording.data.clear()
        recording.starts.clear()
    else:
        world.charge(job.key[0], -recording.charged)
        world.effects.append(DropInput(job.log))
    recording.charged, recording.held = 0, False


def _find(world: World, worker: Worker, rest: str, offset: int, now: float | None) -> Source | str:
    """The recording that an attempt of this worker is to hear. Asking for more of it is progress."""
    attempt = worker.leases.get(rest)
    job = attempt.job if attempt is not None else None
    if attempt is None or job is None or job.recording is None or attempt.stopping is not None:
        return "This attempt is over."
    if now is not None and offset > attempt.asked:
        attempt.asked, attempt.progress_at = offset, now
    recording, sent = job.recording, partial(_sent, attempt)
    if not recording.in_memory:
        return Source(recording.size, file_of(job.log), sent=sent)
    return Source(recording.size, read=lambda at, end: _range(recording, at, end), sent=sent)


def _sent(attempt: Attempt, end: int) -> None:
    attempt.fed = max(attempt.fed, end)


def _range(recording: Recording, at: int, end: int) -> bytes:
    index = bisect_right(recording.starts, at) - 1
    parts = []
    while index < len(recording.data) and recording.starts[index] < end:
        begin = recording.starts[index]
        parts.append(recording.data[index][max(at - begin, 0) : end - begin])
        index += 1
    return b"".join(parts)


SOURCES["input"] = _find
