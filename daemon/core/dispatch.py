"""Attempts that begin: free slots are given to whoever is next.

Owns: WORK, and what is noted of an attempt when it is sent. Must not know: who is next (`schedule`), what a worker says
of it later (`attempts`). Invariant: an attempt has a name that was never used before, a slot of its worker, and a
segment that no other attempt has, or none where it is for us.
"""

from __future__ import annotations

from ...bus.messages import Work
from . import attempts, failing, keeping, leases, own, prompts, readers, schedule, transcripts
from .lifecycle import JOB, SEGMENT, move
from .pronunciations import Respelled
from .state import Attempt, Job, ProviderState, Segment, Take, Worker
from .world import World

PROBE_TEXT = "one two"
"""Our own words, with which a provider is tried out before callers' words go there again."""


def fill(world: World, provider: ProviderState, now: float) -> None:
    """Give a provider's free slots to whoever is next; stop something for urgent work that finds none."""
    if world.draining or not (schedule.anybody_waits(provider) or probe_due(provider, now)):
        return
    while (worker := schedule.free_worker(world, provider)) is not None:
        if probe_due(provider, now):
            probe(world, provider, worker, now)
            continue
        if not provider.breaker.allows(now):
            return
        job, shared = schedule.next_job(world, provider, now)
        if job is None:
            return
        own.renew(job.entry, provider)
        if not own.equipped(world, job.entry):
            prompts.start(world, provider, worker, job, now)
            continue
        segment = schedule.take_segment(job)
        start(world, provider, worker, job, segment, now)
        if segment.attempt in worker.leases:
            worker.leases[segment.attempt].shared = shared
        schedule.update(world, job)
    attempt = schedule.victim(world, provider, now)
    if attempt is not None:
        preempt(world, attempt, now)


def probe_due(provider: ProviderState, now: float) -> bool:
    """Whether a provider that rests may be tried out."""
    at = provider.breaker.next_probe(now)
    return at is not None and at <= now and not provider.probe


def start(world: World, provider: ProviderState, worker: Worker, job: Job, segment: Segment, now: float) -> None:
    """Send a segment to a worker."""
    if not job.rate and job.recording is None:
        job.rate = provider.rate
        readers.announce_rate(world, job)
    make = _to_speak if job.recording is None else transcripts.attempt_for
    attempt = make(world, provider, worker, job, segment, now)
    move(SEGMENT, segment, "lease")
    move(JOB, job, "lease")
    segment.attempt, segment.take = attempt.name, attempt.take
    job.starved_since = None
    if job.recording is None and not attempt.said.text.strip():
        attempts.whole(world, job, segment, now)
        return
    worker.leases[attempt.name] = job.attempts[attempt.name] = attempt
    worker.idle_since = now
    segment.tries += 1
    job.tries += 1
    schedule.charge(provider, job, attempt.expected / attempt.rate)
    _send(world, worker, attempt, job, segment)
    _announce(world, provider, worker, job, segment)


def _to_speak(world: World, provider: ProviderState, worker: Worker, job: Job, segment: Segment, now: float) -> Attempt:
    source = job.text.slice(segment.start, segment.end)
    said = Respelled(source) if job.submit.ssml else world.pronunciations.respell(source)
    take = Take(world.attempt_name(), provider.name, provider.version, job.entry.spoken)
    take.seed, take.origin = keeping.seed(job, segment), own.origin(job.entry)
    expected = int((segment.end - segment.start) * provider.char_s / job.submit.style.rate * job.rate) + 1
    granted = leases.window(job.rate)
    return Attempt(take.name, worker.id, job, segment, take, job.rate, now, now, granted, expected, said)


def _send(world: World, worker: Worker, attempt: Attempt, job: Job, segment: Segment) -> None:
    if job.recording is not None:
        world.to_worker(worker.peer, *transcripts.work(worker, attempt))
        return
    work = Work(
        session=worker.session,
        attempt=attempt.name,
        voice=job.entry.resolved,
        language=job.language,
        rate=job.rate,
        ssml=job.submit.ssml,
        style=own.style(job.entry, job.submit.style),
        seed=attempt.take.seed,
        credit=attempt.granted,
        prompt=job.entry.prompt,
        seeded=job.submit.seed is not None,
    )
    world.to_worker(worker.peer, work, attempt.said.text.encode())


def _announce(world: World, provider: ProviderState, worker: Worker, job: Job, segment: Segment) -> None:
    """Tell the readers who speaks, when that has changed, and how fast he is: a player of a slow engine waits."""
    name, voice = speaker = (provider.name, job.entry.spoken)
    if job.spoken != speaker:
        kind = "started" if job.spoken == ("", "") else "moved"
        reason = job.trail[-1] if job.trail else ""
        job.spoken = speaker
        world.notice(
            job,
            kind,
            segment.number,
            provider=name,
            version=provider.version,
            voice=voice,
            reason=reason,
            factor=worker.factor,
            first_audio_s=worker.first_audio_s,
        )


def probe(world: World, provider: ProviderState, worker: Worker, now: float) -> None:
    """Try a provider out with our own words, after its breaker was open."""
    assert provider.catalogue is not None
    name = world.attempt_name()
    rate = provider.rate
    take = Take(name, provider.name, provider.version, "")
    said = Respelled(PROBE_TEXT)
    attempt = Attempt(name, worker.id, None, None, take, rate, now, now, leases.window(rate), rate, said)
    worker.leases[name] = attempt
    provider.probe = name
    voice = provider.catalogue.resolve("", world.settings.language)
    world.to_worker(
        worker.peer,
        Work(
            session=worker.session,
            attempt=name,
            kind="probe",
            voice=voice if isinstance(voice, str) else "",
            rate=rate,
            credit=attempt.granted,
        ),
        said.text.encode() if provider.catalogue.voices else b"",
    )


def preempt(world: World, attempt: Attempt, now: float) -> None:
    """Stop an attempt for something urgent. That is no failure, and its segment is first in line afterwards."""
    assert attempt.job is not None and attempt.segment is not None
    attempt.segment.stops += 1
    attempt.job.stops += 1
    failing.void(world, attempt, "something urgent was said first", now)
