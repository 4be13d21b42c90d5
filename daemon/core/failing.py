"""How attempts fail, and what follows.

Owns: the consequences of a failure: who hears of it, who is to blame, who tries next. Must not know: how failures are
found (`attempts`, `deadlines`, `supervise`). Invariant: a segment that lost its attempt is back in its job's queue,
left out, or the end of its job; a second try is a new attempt with its own name, never hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...bus.errors import FAILURES
from . import ending, keeping, leases, log, routing, schedule
from .failures import RULES, Rule
from .lifecycle import SEGMENT, move
from .state import Attempt, Job, ProviderState, Segment
from .world import World

PASSING = ("rate_limited", "unavailable")
"""Classes of failure that pass by themselves: where no other entry is left, the job waits as long as its patience."""

AGAIN_S = 1.0
"""Shortest pause before the last entry of a chain is asked again."""


@dataclass(slots=True)
class Failure:
    """How an attempt ended badly. code: a class of `bus.errors.FAILURES`. told: its worker lived to tell it, so that no
    death can be laid to the text."""

    code: str
    message: str = ""
    retry_after: float = 0.0
    told: bool = False

    def __str__(self) -> str:
        return self.message or FAILURES.get(self.code, self.code)


def void(world: World, attempt: Attempt, reason: str, now: float) -> None:
    """Take an attempt's segment back while its worker still has to stop it."""
    leases.stop(world, attempt, reason, now)
    return_segment(world, attempt, reason)


def return_segment(world: World, attempt: Attempt, reason: str) -> None:
    """The attempt's take is lost, and its segment waits again."""
    job, segment = attempt.job, attempt.segment
    assert job is not None and segment is not None
    del job.attempts[attempt.name]
    log.drop(world, job, segment, reason)
    schedule.give_back(job, segment)
    schedule.update(world, job)


def fail(world: World, attempt: Attempt, failure: Failure, now: float) -> None:
    """An attempt has ended badly: who hears of it, who is to blame, and who tries next."""
    worker = world.workers[attempt.worker]
    provider = world.providers[worker.provider]
    rule = RULES[failure.code]
    worker.last_failure = f"{failure.code}: {failure}"
    tell_breaker(world, provider, rule, failure, now)
    if attempt.job is None or attempt.segment is None:
        probed(world, provider, attempt, failure, now)
        return
    job, segment = attempt.job, attempt.segment
    line = f"{provider.name}: {failure.code} ({failure})"
    segment.trail.append(line)
    segment.tries_here += rule.tries > 0
    segment.deaths += rule.blames and not failure.told and (attempt.begun or failure.code == "hang")
    segment.reseeds += rule.reseeds
    return_segment(world, attempt, line)
    world.count("failed attempts", line)
    counts = {"deaths": segment.deaths, "tries": segment.tries, "reseeds": segment.reseeds}
    keeping.note(world, job, "failed", segment, trail=segment.trail[-8:], **counts)
    if segment.deaths >= 2:
        _give_up(world, job, segment, "quarantined", f"It brought down two workers. {line}", now)
    elif rule.action == "stop" and job.position + 1 >= len(job.chain):
        _give_up(world, job, segment, failure.code, line, now)
    elif rule.action != "again" or (rule.tries and segment.tries_here > rule.tries):
        _next_entry(world, job, segment, failure, line, now)
    else:
        world.notice(job, "again", segment.number, provider=provider.name, reason=line)


def tell_breaker(world: World, provider: ProviderState, rule: Rule, failure: Failure, now: float) -> None:
    """Let a provider's breaker hear of a failure, as its rule says."""
    if rule.breaker == "trips":
        provider.breaker.trip(now, failure.retry_after)
    elif rule.breaker == "counts":
        provider.breaker.failure(now)
    if not provider.breaker.allows(now):
        provider.reason = f"{failure.code}: {failure}"
        world.reroute.add(provider.name)


def _next_entry(world: World, job: Job, segment: Segment, failure: Failure, line: str, now: float) -> None:
    """This entry of the chain will not do it; go on with the next, or wait where that is all that is left."""
    if failure.code in PASSING and job.position + 1 >= len(job.chain) and _patient(job, now):
        pause = max(failure.retry_after, AGAIN_S)
        job.not_before = now + pause
        if line not in job.trail:
            job.trail.append(line)
        world.notice(job, "waiting", segment.number, provider=job.entry.provider, reason=line, seconds=pause)
        return
    nobody = routing.move_down(world, job, line, now)
    if nobody:
        _give_up(world, job, segment, failure.code, nobody, now)
        return
    for other in list(job.attempts.values()):
        void(world, other, line, now)
    schedule.update(world, job)


def _patient(job: Job, now: float) -> bool:
    """Whether a job still waits for its last entry; it has since that failed it for the first time in a row."""
    if job.failing_since is None:
        job.failing_since = now
    return now - job.failing_since < job.submit.patience_s


def _give_up(world: World, job: Job, segment: Segment, code: str, message: str, now: float) -> None:
    """Nobody can say this segment: leave it out where the caller wants that, else the job fails."""
    event = "quarantine" if code == "quarantined" else "skip"
    schedule.withdraw(job, segment)
    if job.submit.skip_bad:
        move(SEGMENT, segment, "skip")
        keeping.note(world, job, "skipped", segment, reason=message)
        world.notice(job, "skipped", segment.number, reason=message)
        log.advance(world, job)
        schedule.update(world, job)
        ending.finish_if_done(world, job, now)
    else:
        move(SEGMENT, segment, event)
        where = f"Segment {segment.number + 1} of {len(job.segments)} could not be said."
        if job.recording is not None:
            seconds = segment.start / 1000
            where = f"The recording could not be transcribed{f' from {seconds:.1f} s on' if seconds else ''}."
        ending.end(world, job, "failed", code, f"{where} {message}", now)


def probed(world: World, provider: ProviderState, attempt: Attempt, failure: Failure | None, now: float) -> None:
    """A probe has ended: the provider may serve again, or not yet."""
    provider.probe = ""
    if failure is None:
        provider.breaker.success(now)
        provider.reason = ""
        world.reroute.add(provider.name)
    elif failure.code != "killed":
        provider.breaker.failure(now)
    world.unsettled.add(provider.name)
