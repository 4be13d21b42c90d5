"""Jobs from the caller's side: submitted, fed with text, cancelled, forgotten.

Owns: the life of a job from SUBMIT until its end is decided, and the bounds on what is taken on. Must not know:
workers. Invariant: the same SUBMIT or piece again is answered again and changes nothing; another body under the same
name is refused; what is refused has left no trace.
"""

from __future__ import annotations

from ...bus.codec import JOB_NAME, encode
from ...bus.messages import (
    Accepted,
    Append,
    Appended,
    Attach,
    Cancel,
    CancelAll,
    CancelledAll,
    Credit,
    Detach,
    End,
    Keep,
    Submit,
)
from ...bus.wording import counted
from . import bringing, cutting, ending, keeping, log, own, packing, quotas, readers, recordings, routing, schedule
from .catalogue import Problem
from .languages import detect_language
from .records import JobSaved, TextClosed
from .segmentation import Splitter
from .settings import HIGHEST_RATE, LOWEST_RATE
from .state import Client, Entry, Job, JobKey
from .world import World

WAIT_S = 1.0
"""Shortest hint for when to try again."""


def submit(world: World, client: Client, message: Submit, body: bytes, now: float) -> None:
    """Take a job on, or say why not."""
    message.keep = message.keep or world.settings.history.keep
    key = (client.uid, message.job)
    existing = world.jobs.get(key)
    if existing is not None:
        _again(world, client, existing, message, body)
        return
    problem = _unfit(world, client, message, now)
    text = ""
    if problem is None:
        problem, text = bringing.body_of(world, message, body)
    language = _language(world, client.uid, message, text)
    chain = routing.chain_for(world, client.uid, message.chain, message.kind) if problem is None else []
    if isinstance(chain, Problem):
        problem = chain
    elif problem is None:
        problem = routing.refusal(world, chain, message, language)
    if problem is not None:
        retry = _retry_after(world) if problem.code in ("queue_full", "unavailable", "storage") else 0.0
        world.error(client.peer, problem.code, problem.message, job=message.job, retry_after=retry, answers=message)
        return
    assert not isinstance(chain, Problem)
    job = _create(world, client, message, language, chain, now)
    record = bringing.take_in(world, job, text, body)
    if message.read != "none":
        readers.subscribe(world, client, job, message.read, message.credit)
    else:
        job.alone_since = now
    _begin(world, client, job, record, now)


def _create(world: World, client: Client, message: Submit, language: str, chain: list[Entry], now: float) -> Job:
    key = (client.uid, message.job)
    world.order += 1
    job = Job(
        key=key,
        client=schedule.client_key(client),
        submit=message,
        order=world.order,
        language=language,
        chain=chain,
        splitter=splitter(world, chain, language, message.pace),
        log=f"{world.epoch}-{world.order}",
        in_memory=message.keep == "nothing",
        rate=message.rate or world.providers[chain[0].provider].rate if message.kind == "speak" else 0,
        accepted_at=now,
        text_at=now,
    )
    world.jobs[key] = world.unfinished[key] = world.logs[job.log] = job
    return job


def splitter(world: World, chain: list[Entry], language: str, pace: str) -> Splitter:
    """What cuts a job's text from its beginning on. Where somebody waits for the first sound of an engine that gives
    out nothing before a segment is finished, that is a short one."""
    limits = world.settings.limits
    catalogue = world.providers[chain[0].provider].catalogue
    streams = catalogue is None or bool(catalogue.capabilities.get("streams", True))
    first = None if streams or pace == "render" else limits.first_segment_chars
    return Splitter(language, limit=limits.segment_chars, first_limit=first)


def _begin(world: World, client: Client, job: Job, record: JobSaved, now: float) -> None:
    """Dispatch does not wait for the commit; the answer, and all audio, does."""
    nobody = routing.route(world, job, now)
    pending = keeping.pending(job, "job", record, now, tell=client.peer)
    accepted = Accepted(1, "", job.id, False, job.told, job.rate, 1, _stays(world, job))
    world.after(pending, client.peer, accepted)
    world.commit(pending)
    if not job.submit.complete:
        _written_by(world, client, job)
    if nobody:
        ending.end(world, job, "failed", "unavailable", nobody, now)
    else:
        schedule.update(world, job)


def _stays(world: World, job: Job) -> Keep:
    """What will stay of a job; without a store nothing outlives the daemon, whatever was asked for."""
    return job.submit.keep if world.durable or job.in_memory else "job"


def _written_by(world: World, client: Client, job: Job) -> None:
    """The rest of the text is this client's to send; the next daemon has to know whom to wait for."""
    job.author = schedule.client_key(client)
    keeping.note(world, job, "author", pid=client.pid)


def _again(world: World, client: Client, job: Job, message: Submit, body: bytes) -> None:
    if _parameters(message) != _parameters(job.submit) or not job.is_piece(0, body):
        what = "recording" if message.kind == "transcribe" else "text"
        world.error(
            client.peer,
            "conflict",
            f"There is a job {job.id!r} already, with another {what} or other settings.",
            job=job.id,
            answers=message,
        )
        return
    answer = Accepted(1, "", job.id, True, job.told, job.rate, job.pieces, _stays(world, job))
    world.behind("text", job, client.peer, answer)
    if message.read == "none" or client.peer in job.readers:
        return
    if not readers.kept(job, 0, 0):
        world.error(client.peer, "gone", readers.forgotten(job), job=job.id, answers=message)
    elif packing.closed(job):
        packing.open_for(world, client, job, Attach(job=job.id, read=message.read, credit=message.credit))
    else:
        readers.pump(world, job, readers.subscribe(world, client, job, message.read, message.credit))
        schedule.update(world, job)


def _parameters(message: Submit) -> bytes:
    """What, apart from the text, makes two SUBMITs the same: not who reads how, nor how patiently."""
    return encode(
        Submit(
            1, "", message.job, message.kind, message.chain, message.language, message.complete, message.ssml,
            message.rate, message.style, message.priority, message.pace, message.keep, 0.0, message.seed, "none", 0,
            message.skip_bad, message.hearing,
        )
    )  # fmt: skip


def _unfit(world: World, client: Client, message: Submit, now: float) -> Problem | None:
    """What is wrong with a request, apart from its text and chain."""
    limits = world.settings.limits
    if world.draining:
        return Problem("unavailable", "The daemon is stopping; try again in a moment.")
    if not JOB_NAME.match(message.job):
        return Problem("invalid", "A job's name has 1 to 64 characters of A-Z a-z 0-9 _ . -")
    if len(message.chain) > 32:
        return Problem("invalid", "A chain has at most 32 entries.")
    mine = sum(1 for job in world.unfinished.values() if job.client == schedule.client_key(client))
    if len(world.unfinished) >= limits.jobs or mine >= limits.jobs_per_client:
        whose = " of yours" if mine >= limits.jobs_per_client else ""
        waiting = counted(max(mine, 1), f"job{whose} is", f"jobs{whose} are")
        return Problem("queue_full", f"{waiting} waiting already; try again later.")
    if world.text_chars >= limits.texts_bytes:
        return Problem("queue_full", bringing.TEXTS_FULL)
    if (full := quotas.job_refusal(world, client.uid, on_disk=message.keep != "nothing")) is not None:
        return full
    style = message.style
    for name, value, low, high in (
        ("rate", style.rate, 0.25, 6.0),
        ("pitch", style.pitch, 0.5, 2.0),
        ("volume", style.volume, 0.0, 2.0),
        ("patience", message.patience_s, 0.0, 86400.0),
    ):
        if not low <= value <= high:
            return Problem("invalid", f"{name} is {value:g}; it goes from {low:g} to {high:g}.")
    if message.rate and not LOWEST_RATE <= message.rate <= HIGHEST_RATE:
        return Problem(
            "invalid", f"rate is {message.rate} samples a second; it goes from {LOWEST_RATE} to {HIGHEST_RATE}."
        )
    if message.ssml and not message.complete:
        return Problem("unsupported", "SSML cannot come in pieces: it is one document.")
    if message.keep != "nothing" and (why := keeping.refusal(world, now)):
        return Problem("storage", why)
    return None


def _retry_after(world: World) -> float:
    """When a place in the queue may be free: after the shortest rest of work of any job, roughly."""
    rest = [
        (job.text.length - job.segments[job.placed].start) * 0.065
        for job in world.unfinished.values()
        if job.placed < len(job.segments)
    ]
    return round(max(WAIT_S, min(min(rest, default=WAIT_S), 60.0)), 1)


def _language(world: World, uid: int, message: Submit, text: str) -> str:
    if message.kind == "transcribe":
        return "" if message.language == "auto" else message.language
    if message.language == "auto":
        return detect_language(text[:2000], ()) or world.settings.language
    return message.language or own.language(world, uid, message.chain) or world.settings.language


# ------------------------------------------------------------------------------------------------------------ text


def append(world: World, client: Client, job: Job, message: Append, body: bytes, now: float) -> None:
    """One more piece of text. A piece that has come before is answered again; one out of turn is told what is next."""
    have = job.pieces - 1
    if job.torn or (job.over and message.n > have):
        _over(world, client, job, message)
        return
    if 1 <= message.n <= have:
        if not job.is_piece(message.n, body):
            text = f"Piece {message.n} of {job.id} came before with other words."
            world.error(client.peer, "conflict", text, job=job.id, answers=message)
        else:
            world.behind("text", job, client.peer, Appended(job=job.id, n=message.n))
        return
    unfit = bringing.unfit_piece if job.recording is None else recordings.unfit_piece
    problem = unfit(world, job, message.n, have, body)
    if problem is not None:
        retry = _retry_after(world) if problem.code == "queue_full" else 0.0
        world.error(client.peer, problem.code, problem.message, job=job.id, retry_after=retry, answers=message)
        return
    job.text_at = now
    if job.author != schedule.client_key(client):
        _written_by(world, client, job)
    pending = keeping.pending(job, "text", bringing.added(world, job, message.n, body), now)
    world.after(pending, client.peer, Appended(job=job.id, n=message.n))
    world.commit(pending)
    schedule.update(world, job)


def _over(world: World, client: Client, job: Job, message: Append | End) -> None:
    """No more text is taken. That is told once the end of the job is written: a daemon that is started anew before that
    goes on with it, and wants the rest of its text from a caller who must not have thrown it away."""
    if job.terminal is not None:
        world.error(client.peer, "ended", f"The job {job.id} is over.", job=job.id, answers=message)


def end_text(world: World, client: Client, job: Job, message: End, body: bytes, now: float) -> None:
    """The text is complete."""
    have = job.pieces
    answer = Appended(job=job.id, n=message.n, ended=True)
    if job.torn:
        _over(world, client, job, message)
    elif job.complete and message.n == have:
        world.behind("text", job, client.peer, answer)
    elif job.over:
        _over(world, client, job, message)
    elif message.n != have:
        text = f"{have} pieces of {job.id} have come, not {message.n}."
        world.error(client.peer, "out_of_order", text, job=job.id, answers=message)
    else:
        cutting.finish(job)
        pending = keeping.pending(job, "text", TextClosed(job.order, message.n), now)
        world.after(pending, client.peer, answer)
        world.commit(pending)
        schedule.update(world, job)


# ------------------------------------------------------------------------------------------------------ reading


def attach(world: World, client: Client, job: Job, message: Attach, body: bytes, now: float) -> None:
    """Read a job that is there; one that is just being deleted, when it is known what came of that."""
    if job.deleters and job.terminal is not None:
        job.bereft.append(client.peer)
    elif packing.closed(job) and message.read != "none":
        packing.open_for(world, client, job, message)
    elif readers.attach(world, client, job, message) is not None:
        schedule.update(world, job)


def credit(world: World, client: Client, message: Credit, body: bytes, now: float) -> None:
    """A reader's consent to more."""
    job = world.jobs.get((client.uid, message.job))
    reader = job.readers.get(client.peer) if job is not None else None
    if job is None or reader is None:
        _not_reading(world, client, job, message)
        return
    readers.credit(world, job, reader, message)
    log.release_heard(world, job)
    if not job.over:
        schedule.update(world, job)


def _not_reading(world: World, client: Client, job: Job | None, message: Credit) -> None:
    """A connection that broke and came back is another one to ZeroMQ, and has lost its readings without a word. What
    comes late for a job that is over is only counted."""
    world.counters["credit without reading"] += 1
    if job is not None and job.terminal is None:
        text = f"You do not read {job.id}: attach to it again."
        world.error(client.peer, "not_reading", text, job=job.id, answers=message)


def detach(world: World, client: Client, job: Job, message: Detach, body: bytes, now: float) -> None:
    """Stop reading; the job goes on."""
    client_left(world, {job.key}, client.peer, now)


# ----------------------------------------------------------------------------------------------------- cancelling


def cancel(world: World, client: Client, job: Job, message: Cancel, body: bytes, now: float) -> None:
    """End a job because its owner wants so. A job that is over answers with how it ended."""
    if job.terminal is not None:
        world.to_client(client.peer, job.terminal)
        readers.unsubscribe(world, job, client.peer, now)
    elif job.verdict is not None:
        readers.unsubscribe(world, job, client.peer, now)
        world.behind("end", job, client.peer, job.verdict)
    else:
        ending.end(world, job, "cancelled", "cancelled", "Cancelled by its owner.", now, tell=client.peer)


def cancel_all(world: World, client: Client, message: CancelAll, body: bytes, now: float) -> None:
    """End all jobs of a uid."""
    mine = [job for key, job in world.unfinished.items() if key[0] == client.uid and not job.over]
    for job in mine:
        ending.end(world, job, "cancelled", "cancelled", "Cancelled with all others.", now)
    answer = CancelledAll(request=message.request, count=len(mine))
    ends = [pending for pending in world.commits.values() if pending.kind == "end" and pending.job[0] == client.uid]
    # Behind the last that has to be written down: the others are through by then.
    last = max(reversed(ends), key=lambda pending: pending.record is not None, default=None)
    if last is None:
        world.to_client(client.peer, answer)
    else:
        world.after(last, client.peer, answer, at_last=True)


# ----------------------------------------------------------------------------------------------------- leaving


def client_left(world: World, keys: set[JobKey], peer: bytes, now: float) -> None:
    """A client is gone: its readings end, its jobs do not."""
    for key in sorted(keys):
        job = world.jobs[key]
        readers.unsubscribe(world, job, peer, now)
        if not job.over:
            schedule.update(world, job)
