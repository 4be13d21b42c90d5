"""Who is served next.

Owns: the queues of the providers. Must not know: what an attempt is made of, what becomes of it. Invariant: a job is in
the queue of its current provider exactly while it has a segment that may be made now; classes are served in order, but
each gets a segment in `class_share_s`; within a class, users get audio in equal shares, and each user's clients do; a
client's own jobs come in order of acceptance.
"""

from __future__ import annotations

import heapq
from itertools import islice

from ...bus.messages import PRIORITIES
from . import cutting, own, quotas, readers
from .lifecycle import JOB, move
from .state import Attempt, Client, ClientKey, Job, ProviderState, Queue, Segment, Worker
from .world import World

URGENT = ("important", "message")
"""Classes whose jobs may stop the work of a later class."""

STOPS = 2
"""How often a segment is stopped for something urgent before it is left in peace."""

FEW = 8
"""Attempts that are looked at to see how busy a worker is: with hundreds of slots, looking at all of them for each
segment that is given out held up the loop for half a second when 300 jobs came at once."""

SOON_S = 0.1
"""A slot that will be free so soon is waited for instead of stopping anybody."""


def wanting(world: World, job: Job) -> bool:
    """Whether the job has a segment that may be made now."""
    if job.over or not (job.again or job.fresh < len(job.segments)):
        return False
    return bool(job.again) or (_has_room(world, job) and _is_asked_for(world, job))


def crowded_out(world: World, job: Job) -> bool:
    """Whether all that keeps a job from going on is that its log has no room to grow."""
    if job.over or job.again or job.fresh >= len(job.segments):
        return False
    return not _has_room(world, job) and _is_asked_for(world, job)


def _has_room(world: World, job: Job) -> bool:
    """Whether a job's log may grow. What somebody listens to may go somewhat beyond the disk's share: a book that fills
    it must not silence what is said meanwhile."""
    limits = world.settings.limits
    if job.in_memory:
        return job.memory < limits.memory_job_bytes
    beyond = max(limits.disk_bytes // 8, limits.memory_job_bytes) if job.submit.pace == "listen" else 0
    if job.submit.pace == "render" and quotas.disk_full(world, job.key[0]):
        return False
    return world.disk < limits.disk_bytes + beyond


def _is_asked_for(world: World, job: Job) -> bool:
    """Whether more of a job is to be made: all of one that is rendered, else so far ahead of who listens."""
    if job.submit.pace == "render":
        return True
    if not readers.listeners(job):
        return False
    ahead = world.settings.limits.look_ahead_s * (job.rate or 22050)
    return job.made + _under_way(job) - readers.heard_up_to(job) < ahead


def _under_way(job: Job) -> int:
    return sum(max(attempt.expected - attempt.take.samples, 0) for attempt in job.attempts.values())


def update(world: World, job: Job) -> None:
    """Put the job into its provider's queue, or take it out, as it has work to give."""
    wants = wanting(world, job)
    provider = job.entry.provider
    if job.queued_at_provider and (not wants or job.queued_at_provider != provider):
        dequeue(world, job)
    if wants and not job.queued_at_provider:
        queue = world.providers[provider].queues.setdefault(job.submit.priority, Queue())
        queue.clients.setdefault(job.client, {})[job.key] = job
        job.queued_at_provider = provider
        move(JOB, job, "ask")
        world.unsettled.add(provider)
    elif wants:
        world.unsettled.add(provider)
    elif not job.over and not job.attempts:
        move(JOB, job, "starve")


def dequeue(world: World, job: Job) -> None:
    """Take a job out of its queue."""
    queue = world.providers[job.queued_at_provider].queues.get(job.submit.priority) if job.queued_at_provider else None
    job.queued_at_provider = ""
    if queue is None:
        return
    jobs = queue.clients.get(job.client, {})
    jobs.pop(job.key, None)
    if not jobs:
        queue.clients.pop(job.client, None)
    if not queue.clients:
        queue.since = None
        queue.forget()


def anybody_waits(provider: ProviderState) -> bool:
    """Whether any job wants a slot. Asked first, since finding the best slot means looking at all attempts."""
    return any(queue.clients for queue in provider.queues.values())


def waiting_jobs(provider: ProviderState) -> int:
    """How many jobs want a slot."""
    return sum(len(jobs) for queue in provider.queues.values() for jobs in queue.clients.values())


def next_job(world: World, provider: ProviderState, now: float) -> tuple[Job | None, bool]:
    """The job whose segment is made next at this provider, and whether that is its class's share only."""
    chosen = None
    shared = False
    share = world.settings.limits.class_share_s
    for priority in PRIORITIES:
        queue = provider.queues.get(priority)
        job = _next_of(world, queue, now) if queue is not None else None
        if queue is None or job is None:
            continue
        if queue.since is None:
            queue.since = now
        if chosen is None:
            chosen = queue, job
        elif now - queue.since >= share:
            chosen, shared = (queue, job), True
            break
    if chosen is None:
        return None, False
    queue, job = chosen
    queue.since = now
    return job, shared


def _next_of(world: World, queue: Queue, now: float) -> Job | None:
    for client in sorted(queue.clients, key=queue.turn) if len(queue.clients) > 1 else queue.clients:
        jobs = queue.clients[client].values()
        ready = [job for job in jobs if job.not_before <= now and own.startable(world, job.entry)]
        if ready:
            return min(ready, key=lambda job: job.order)
    return None


def charge(provider: ProviderState, job: Job, seconds: float) -> None:
    """A client's share of its class has grown by so much audio, and its user's."""
    provider.queues[job.submit.priority].charge(job.client, seconds)


def take_segment(job: Job) -> Segment:
    """The first segment of a wanting job that nobody makes; one that was lost comes before new ones."""
    if job.again:
        return job.segments[heapq.heappop(job.again)]
    segment = job.segments[job.fresh]
    job.fresh += 1
    cutting.ahead(job)
    return segment


def give_back(job: Job, segment: Segment) -> None:
    """A segment has lost its attempt and waits again."""
    heapq.heappush(job.again, segment.number)


def withdraw(job: Job, segment: Segment) -> None:
    """A segment is not to be made again."""
    job.again.remove(segment.number)
    heapq.heapify(job.again)


def free_worker(world: World, provider: ProviderState) -> Worker | None:
    """The worker to take: of those with a free slot, the one that is expected to be first (`wait_s`)."""
    free = [worker for name in provider.workers if (worker := world.workers[name]).free > 0]
    return min(free, key=lambda worker: (wait_s(worker), len(worker.leases), worker.factor), default=None)


def wait_s(worker: Worker) -> float:
    """How long until a worker's first sound, as far as is known: what it has in hand, and its usual start. Of many
    attempts in hand a few stand for all."""
    few = list(islice(worker.leases.values(), FEW))
    queued = sum(max(attempt.expected - attempt.take.samples, 0) / max(attempt.rate, 1) for attempt in few)
    return queued * len(worker.leases) / max(len(few), 1) * worker.factor + worker.first_audio_s


def due_s(world: World, attempt: Attempt) -> float:
    """How long an attempt will still hold its slot."""
    worker = world.workers[attempt.worker]
    return max(attempt.expected - attempt.take.samples, 0) / max(attempt.rate, 1) * (worker.factor or 1.0)


def victim(world: World, provider: ProviderState, now: float) -> Attempt | None:
    """Which attempt to stop so that an urgent job is heard at once; None where nothing urgent waits, a slot is about
    to be free, or everybody has been stopped often enough. Unheard takes first, then the least advanced."""
    urgent = next((p for p in URGENT if (queue := provider.queues.get(p)) and _next_of(world, queue, now)), None)
    if urgent is None:
        return None
    running = [attempt for name in provider.workers for attempt in world.workers[name].leases.values()]
    if any(attempt.stopping is not None or (attempt.job is None and attempt.making is None) for attempt in running):
        return None
    rank = PRIORITIES.index(urgent)
    lower = [
        attempt
        for attempt in running
        if attempt.job is not None
        and attempt.segment is not None
        and PRIORITIES.index(attempt.job.submit.priority) > max(rank, PRIORITIES.index("message"))
        and attempt.segment.stops < STOPS
        and not attempt.shared
        and world.workers[attempt.worker].state == "ready"
    ]
    if not lower or any(attempt.first_at is not None and due_s(world, attempt) < SOON_S for attempt in running):
        return None
    return min(lower, key=lambda a: (_heard(a), a.take.samples))


def _heard(attempt: Attempt) -> bool:
    job, segment = attempt.job, attempt.segment
    return job is not None and segment is not None and readers.touched(job, segment)


def client_key(client: Client) -> ClientKey:
    """Whom fair share counts as one."""
    return client.uid, client.pid


def place_in_queue(world: World, job: Job) -> int:
    """How many jobs of the same or an earlier class were accepted before this one and wait at its provider."""
    rank = PRIORITIES.index(job.submit.priority)
    return sum(
        1
        for priority, queue in world.providers[job.entry.provider].queues.items()
        for jobs in queue.clients.values()
        for other in jobs.values()
        if other.order < job.order and PRIORITIES.index(priority) <= rank
    )
