"""Lists, in pages.

Owns: what each list's rows hold, and what of it is kept from users whose daemon it is not. Must not know: how anything
came to be as it is. Invariant: asking changes nothing; a client sees its own uid's jobs only; nothing that another
user's text, or an engine's words about it, could be in is told to anybody but the daemon's own user and root; a page
fits into a body.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ...bus.codec import BODY_BYTES, encode
from ...bus.messages import Page, Query
from . import listing
from .routing import condition
from .state import Client, Job, ProviderState, Segment, Worker
from .world import World

Row = dict[str, Any]

OF_STORE = frozenset({"history", "text"})
"""Lists that only the store has."""

PAGE_ROWS = 1000
"""Most rows of a page."""


def answer(world: World, client: Client, message: Query, now: float) -> None:
    """Send one page of a list."""
    rows = _rows(world, client, message, now)
    if isinstance(rows, str):
        code = "not_found" if message.what == "segments" else "invalid"
        world.error(client.peer, code, rows, request=message.request)
        return
    if message.cursor and not (message.cursor.isascii() and message.cursor.isdigit()):
        world.error(client.peer, "invalid", "That is not a cursor of a page before.", request=message.request)
        return
    start = int(message.cursor[:12] or "0")
    body, count, more = _page(rows, start, max(1, min(message.limit, PAGE_ROWS)))
    following = str(start + count) if more else ""
    world.to_client(client.peer, Page(request=message.request, what=message.what, next=following), body)


def _page(rows: Iterator[Row], start: int, limit: int) -> tuple[bytes, int, bool]:
    """The rows from `start` on that fit: the body, how many they are, and whether there are more."""
    page: list[Row] = []
    size = 0
    for index, row in enumerate(rows):
        if index < start:
            continue
        length = len(encode(row))
        if len(page) >= limit or (page and size + length > BODY_BYTES - 1024):
            return encode(page), len(page), True
        page.append(row)
        size += length
    return encode(page), len(page), False


def _rows(world: World, client: Client, message: Query, now: float) -> Iterator[Row] | str:
    where = message.where
    if message.what == "status":
        return iter([status(world, client.uid, now)])
    operates = operator(world, client.uid)
    if message.what == "workers":
        return (_worker(worker) if operates else {**_worker(worker), **_HIDDEN} for worker in world.workers.values())
    if message.what == "providers":
        return (_provider(world, provider, operates, now) for provider in world.providers.values())
    if message.what == "voices":
        return listing.voices(world, client.uid, where)
    if message.what == "jobs":
        mine = (job for key, job in world.jobs.items() if key[0] == client.uid)
        return (_job(job, now) for job in mine if where.get("state", job.told) == job.told)
    if message.what == "segments":
        job = world.jobs.get((client.uid, where.get("job", "")))
        return map(_segment, _shown(job)) if job is not None else f"There is no job {where.get('job', '')!r}."
    lists = "status, workers, providers, voices, jobs, segments, history and text"
    return f"There is no list {message.what!r}; there are {lists}."


_HIDDEN: Row = {"reason": "", "last_failure": "", "stderr": []}
"""Of a worker's row, what an engine said: another user's text may be in it."""


def operator(world: World, uid: int) -> bool:
    """Whether all may be told to this user: root, and whose daemon it is."""
    return uid in (0, world.info.get("uid", 0))


def status(world: World, uid: int, now: float) -> Row:
    """The daemon in one row, as this user may see it."""
    operates = operator(world, uid)
    states: Counter[str] = Counter(job.told for key, job in world.jobs.items() if operates or key[0] == uid)
    names = ("queued", "running", "waiting", "finished", "failed", "cancelled")
    row = {
        **world.info,
        "protocol": 1,
        "epoch": world.epoch,
        "uptime_s": now - world.started_at,
        "state": "draining" if world.draining else "serving",
        "clients": len(world.clients),
        "jobs": {name: states[name] for name in names},
        "unfinished": len(world.unfinished),
        "takes_bytes": world.disk if operates else world.disk_of[uid],
        "takes_limit": world.settings.limits.disk_bytes,
        "crowded": world.disk >= world.settings.limits.disk_bytes,
        "memory_bytes": world.memory,
        "counters": dict(world.counters),
        "problems": [{"where": p.where, "line": p.line, "reason": p.reason} for p in world.settings.problems],
    }
    if not operates:
        row.update(counters={}, problems=[], config="", log_file="", state_dir="")
    return row


def _worker(worker: Worker) -> Row:
    running = sum(attempt.stopping is None for attempt in worker.leases.values())
    return {
        "worker": worker.id,
        "provider": worker.provider,
        "version": worker.version,
        "pid": worker.pid,
        "state": "busy" if worker.state == "ready" and worker.leases else worker.state,
        "reason": worker.reason,
        "restarts": worker.restarts,
        "recycled": worker.recycled,
        "last_failure": worker.last_failure,
        "jobs_done": worker.jobs_done,
        "rss": worker.rss,
        "vram": worker.vram,
        "device": worker.told,
        "factor": worker.factor,
        "first_audio_s": worker.first_audio_s,
        "load_s": worker.load_s,
        "slots": worker.slots,
        "running": running,
        "percent": worker.percent,
        "note": worker.note,
        "stderr": worker.stderr,
    }


def _provider(world: World, provider: ProviderState, operates: bool, now: float) -> Row:
    workers = [world.workers[name] for name in provider.workers]
    catalogue, found = provider.catalogue, condition(world, provider, now)
    asleep = found.state == "starting" and all(worker.state == "asleep" for worker in workers)
    why = "it is started when it is asked for" if asleep else found.why
    failing = next((worker.last_failure for worker in workers if worker.state == "backoff" and worker.last_failure), "")
    if failing and found.state == "starting":
        why = f"{why}; the last time: {failing}"
    probe_at = provider.breaker.next_probe(now)
    return {
        "provider": provider.name,
        "state": "asleep" if asleep else found.state,
        "workers": len(workers),
        "ready": sum(worker.state == "ready" for worker in workers),
        "asleep": sum(worker.state == "asleep" for worker in workers),
        "version": provider.version,
        "voices": len(catalogue.voices) if catalogue else 0,
        "rate": provider.rate,
        "breaker": provider.breaker.state,
        "retry_in_s": max(probe_at - now, 0.0) if probe_at is not None else 0.0,
        "capabilities": catalogue.capabilities if catalogue else {},
        "reason": provider.reason or why if operates else _OUTSIDE[found.state],
    }


_OUTSIDE = {
    "ready": "",
    "starting": "it is not ready yet",
    "away": "it may come back",
    "out": "it is out of order; whoever runs the service can see why",
}
"""How a provider is, without an engine's words."""


def _job(job: Job, now: float) -> Row:
    verdict = job.terminal
    return {
        "job": job.id,
        "kind": job.submit.kind,
        "state": job.told,
        "code": verdict.code if verdict else "",
        "message": verdict.message if verdict else "",
        "priority": job.submit.priority,
        "pace": job.submit.pace,
        "keep": job.submit.keep,
        "language": job.language,
        "rate": job.rate,
        "segments": len(job.segments),
        "done": job.placed,
        "samples": job.length,
        "made": job.made,
        "heard": job.heard,
        "listeners": sum(reader.mode != "none" for reader in job.readers.values()),
        "pieces": job.pieces,
        "complete": job.cut,
        "provider": job.spoken[0],
        "voice": job.spoken[1],
        "age_s": now - job.accepted_at,
        "stops": job.stops,
        "tries": job.tries,
    }


def _shown(job: Job) -> Iterator[Segment]:
    """The segments of a job; once it is over, as they are kept, so that a list does not change with a restart."""
    for segment in job.segments:
        kept = segment.number < job.placed or segment.state == "quarantined" or job.terminal is None
        yield segment if kept else replace(segment, state="unmade", take=None, offset=-1)


def _segment(segment: Segment) -> Row:
    take = segment.take
    whole = segment.state == "whole" and take is not None
    return {
        "segment": segment.number,
        "start": segment.start,
        "length": segment.end - segment.start,
        "state": "leased" if segment.state == "writing" else segment.state,
        "provider": take.provider if take else "",
        "version": take.version if take else "",
        "voice": take.voice if take else "",
        "attempt": take.name if take else "",
        "seed": take.seed if take else 0,
        "peak": take.peak if take else 0,
        "rms": take.rms if take else 0.0,
        "first_audio_s": take.first_audio_s if take else 0.0,
        "work_s": take.work_s if take else 0.0,
        "made_s": take.made_s if take else 0.0,
        "tries": segment.tries,
        "stops": segment.stops,
        "deaths": segment.deaths,
        "offset": segment.offset,
        "samples": take.samples if whole and take else 0,
        "trail": segment.trail[-20:],
    }
