"""What becomes of commits.

Owns: the consequences of a record being durable, or not. Must not know: how it is made so. Invariant: what waited for a
record happens once it is durable and never otherwise; a job that could not be accepted leaves nothing behind but the
word to whoever asked for it; the end of a job is tried again until it is written.
"""

from __future__ import annotations

from collections.abc import Callable

from ...bus.messages import Pin, Submit
from . import asking, deleting, ending, importing, leases, log, packing, readers, recordings, schedule, voices
from .records import JobSaved, Outcome
from .state import Job
from .world import Pending, World

AGAIN_S = 1.0
"""Pause before the end of a job is written again: a disk that is full now has room sooner or later."""


def settled(world: World, outcome: Outcome, now: float) -> None:
    """A commit has come to its end."""
    pending = world.commits.pop(outcome.ticket, None)
    if pending is None:
        return
    job = world.jobs.get(pending.job)
    if job is not None and job.order != pending.order:
        job = None  # it was given up meanwhile, and another has its name
    if pending.kind == "voice":
        voices.settled(world, pending, outcome, now)
    elif pending.kind == "delete":
        _deleted(world, job, outcome)
    elif pending.kind == "packed":
        packing.settled(world, job, outcome, now)
    elif pending.kind == "import":
        importing.settled(world, pending, outcome, now)
    elif outcome.state == "done":
        _done(world, pending, job, now)
        world.effects.extend(pending.afterwards)
    else:
        if outcome.state == "failed":
            world.count("commits that failed", outcome.reason)
        _IN_VAIN[pending.kind](world, pending, job, outcome, now)


def again(world: World, now: float) -> None:
    """Try once more to write what could not be written."""
    due = [pending for at, pending in world.again if at <= now]
    if due:
        world.again = [(at, pending) for at, pending in world.again if at > now]
        for pending in due:
            pending.since = now
            world.commit(pending)


def _done(world: World, pending: Pending, job: Job | None, now: float) -> None:
    world.effects.extend(pending.effects)
    if job is None or pending.kind == "pin":
        return
    if pending.kind == "end":
        ending.committed(world, job, now)
        if job.deleters:
            deleting.erase(world, job, now)
    else:
        job.committed = True
        job.committed_chars = max(job.committed_chars, pending.chars)
        if job.recording is not None:
            recordings.ready(world, job)
            schedule.update(world, job)
        readers.pump_all(world, job)
        ending.finish_if_done(world, job, now)


def _deleted(world: World, job: Job | None, outcome: Outcome) -> None:
    """Gone is gone, whoever did it."""
    assert job is not None
    if outcome.state == "failed":
        world.count("commits that failed", outcome.reason)
        deleting.not_erased(world, job, outcome)
    else:
        deleting.erased(world, job)


def _not_accepted(world: World, pending: Pending, job: Job | None, outcome: Outcome, now: float) -> None:
    """The job is not taken on. If that is because there is one of that name, from before this daemon, the SUBMIT is
    answered by that one."""
    record = pending.record
    assert isinstance(record, JobSaved) and job is not None
    _give_up(world, job, now)
    if outcome.state == "exists":
        body = record.text if record.recorded is None else record.recorded
        asking.look_up(world, pending.job, pending.tell, record.submit, body)
    elif outcome.state == "deleted":
        text = f"The job {record.id} was deleted; its name is not free yet."
        world.error(pending.tell, "deleted", text, job=record.id, answers=Submit)
    else:
        text = f"The job could not be written down: {outcome.reason}. keep=nothing works without."
        world.error(pending.tell, "storage", text, job=record.id, retry_after=AGAIN_S, answers=Submit)


def _give_up(world: World, job: Job, now: float) -> None:
    """Take back a job of which nobody has heard anything yet."""
    schedule.dequeue(world, job)
    for attempt in list(job.attempts.values()):
        leases.stop(world, attempt, "the job was not accepted", now)
        job.attempts.pop(attempt.name)
        assert attempt.segment is not None
        log.drop(world, job, attempt.segment, "")
    for segment in list(job.writing.values()):
        log.drop(world, job, segment, "")
    for peer in list(job.readers):
        readers.unsubscribe(world, job, peer, now)
    world.text_chars -= job.text.length
    log.discard(world, job)


def _text_not_kept(world: World, pending: Pending, job: Job | None, outcome: Outcome, now: float) -> None:
    if job is not None:
        job.torn = True
    if job is not None and not job.over:
        what = "recording" if job.submit.kind == "transcribe" else "text"
        text = f"A piece of the {what} could not be written down: {outcome.reason}. keep=nothing works without."
        ending.end(world, job, "failed", "storage", text, now)


def _end_not_kept(world: World, pending: Pending, job: Job | None, outcome: Outcome, now: float) -> None:
    """Nobody may be told before it is written: a daemon that is started anew would go on with the job."""
    if job is not None:
        world.again.append((now + AGAIN_S, pending))


def _pin_not_kept(world: World, pending: Pending, job: Job | None, outcome: Outcome, now: float) -> None:
    name = pending.job[1]
    if outcome.state == "missing":
        world.error(pending.tell, "not_found", f"There is no job {name!r}.", job=name, answers=Pin)
    else:
        text = f"{name} could not be pinned: {outcome.reason}"
        world.error(pending.tell, "storage", text, job=name, retry_after=AGAIN_S, answers=Pin)


_IN_VAIN: dict[str, Callable[[World, Pending, Job | None, Outcome, float], None]] = {
    "job": _not_accepted,
    "text": _text_not_kept,
    "end": _end_not_kept,
    "pin": _pin_not_kept,
}
