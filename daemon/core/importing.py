"""Jobs that are over come back from an archive.

Owns: `World.imports` (jobs that are on their way in) and `World.arriving` (those whose record is being written down).
Must not know: archives, formats of audio, files. Invariant: of a job on its way in nobody but its sender hears; it is
there by one record that is written last of all, behind its audio, or there is nothing of it but a journal that belongs
to nobody, which the next start removes.
"""

from __future__ import annotations

from ...bus.archived import ArchivedJob
from ...bus.codec import JOB_NAME, decode_archived_job
from ...bus.errors import BadMessage
from ...bus.messages import Deposit, Deposited, Import, Imported, Submit, Terminal
from ...bus.wording import counted
from . import asking, depositing, ending, keeping, log, packing, quotas, syncing
from .catalogue import Problem
from .records import Found, JobImported, JobSaved, Outcome, Wanted
from .restoring import NO_SPLITTER
from .state import Client, Entry, Job
from .world import Importing, Pending, Question, World

SEGMENTS = 200_000
"""Most segments of a job: a text of 16 MiB in sentences of 80 characters."""

AGAIN_S = 5.0
"""Hint for when to try again what there was no room for."""

# ------------------------------------------------------------------------------------------------------ beginning


def begin(world: World, client: Client, message: Import, body: bytes, now: float) -> None:
    """A client brings a job, in place of one of his that has not come to its end."""
    drop(world, client.peer)
    key = (client.uid, message.job)
    if key in world.jobs:
        world.to_client(client.peer, Imported(job=message.job, outcome="exists"))
        return
    told = _told(body)
    problem = _unfit(world, client.uid, message.job, told, now) if isinstance(told, ArchivedJob) else told
    if problem is not None:
        _refuse(world, client.peer, message.job, problem)
        return
    assert isinstance(told, ArchivedJob)
    job = _job(world, client.uid, message.job, told, now)
    world.ask(Question("import", key, client.peer), Wanted("job", *key))
    world.imports[client.peer] = Importing(job, told, world.ticket, now)


def _told(body: bytes) -> ArchivedJob | Problem:
    try:
        return decode_archived_job(body)
    except BadMessage as error:
        return Problem("invalid", f"The record of the job: {error.message}")


def _unfit(world: World, uid: int, name: str, told: ArchivedJob, now: float) -> Problem | None:
    """Why a job cannot be taken in, as far as that can be known before it comes."""
    if world.draining:
        return Problem("unavailable", "The daemon is stopping; try again in a moment.")
    if not JOB_NAME.match(name):
        return Problem("invalid", "A job's name has 1 to 64 characters of A-Z a-z 0-9 _ . -")
    if not world.durable:
        return Problem("storage", "This daemon keeps nothing on disk, so that there is no history to bring jobs into.")
    if told.segments > SEGMENTS:
        return Problem("too_long", f"{told.segments} sentences; at most {SEGMENTS} are taken in one job.")
    if told.samples and not told.rate:
        return Problem("invalid", "The record names no sample rate for its audio.")
    if len(world.questions) >= asking.QUESTIONS:
        return Problem("queue_full", "Too many questions wait for the store; try again in a moment.")
    if why := keeping.refusal(world, now):
        return Problem("storage", why)
    return depositing.crowded(world, uid, 2 * told.samples if depositing.sounds(told) else 0) or quotas.text_refusal(
        world, uid
    )


def _job(world: World, uid: int, name: str, told: ArchivedJob, now: float) -> Job:
    """The job as it will be. It is in none of the world's lists."""
    world.order += 1
    asked = told.request
    submit = Submit(
        job=name,
        chain=asked.chain,
        language=told.language,
        ssml=asked.ssml,
        rate=asked.rate,
        style=asked.style,
        priority=asked.priority,
        pace=asked.pace,
        keep=told.keep,
        patience_s=asked.patience_s,
        seed=asked.seed,
        read="none",
        skip_bad=asked.skip_bad,
    )
    seed = f"{keeping.SEED_MARK}{told.seed}" if asked.seed is None else ""
    return Job(
        key=(uid, name),
        client=(uid, 0),
        submit=submit,
        order=world.order,
        language=told.language,
        chain=[Entry("", "")],
        splitter=NO_SPLITTER,
        log=f"{world.epoch}-{world.order}{seed}",
        in_memory=False,
        rate=told.rate,
        accepted_at=now,
        trail=list(told.trail),
    )


def looked_up(world: World, found: Found, now: float) -> None:
    """The store has said whether there is such a job."""
    for peer, importing in world.imports.items():
        if importing.ticket == found.ticket:
            _open(world, peer, importing, found)
            return


def _open(world: World, peer: bytes, importing: Importing, found: Found) -> None:
    name = importing.job.id
    if found.reason:
        fail(world, peer, Problem("storage", f"The store could not be asked for {name}: {found.reason}"))
    elif found.deleted or found.saved is not None or importing.job.key in world.jobs:
        drop(world, peer)
        world.to_client(peer, Imported(job=name, outcome="deleted" if found.deleted else "exists"))
    else:
        importing.ticket = 0
        world.to_client(peer, Deposited(job=name))


# --------------------------------------------------------------------------------------------------------- pieces


def deposit(world: World, client: Client, message: Deposit, body: bytes, now: float) -> None:
    """One piece more. One that has come before is answered again."""
    importing = world.imports.get(client.peer)
    if importing is None or importing.ticket or importing.job.id != message.job:
        text = f"{message.job} is not being imported over this connection: begin again with IMPORT."
        world.error(client.peer, "not_importing", text, job=message.job, answers=message)
        return
    importing.heard_at = now
    if message.n == importing.n and not importing.closing:
        problem = depositing.PIECES[message.kind](world, importing, body)
        if problem is not None:
            fail(world, client.peer, problem)
            return
        importing.n += 1
        importing.closing = message.last
        _go_on(world, client.peer, importing, now)
    elif message.n > importing.n:
        text = f"Send piece {importing.n} of {message.job} first."
        world.error(client.peer, "out_of_order", text, job=message.job, answers=message)
    elif not importing.closing and not importing.held:
        world.to_client(client.peer, Deposited(job=message.job, n=importing.n))


def _go_on(world: World, peer: bytes, importing: Importing, now: float) -> None:
    """Answer the piece that came last, once its take is written, and the disk has not too much to catch up with."""
    importing.held = bool(importing.job.writing) or not syncing.room(world)
    if importing.held or importing.arriving:
        return
    if importing.closing:
        _conclude(world, peer, importing, now)
    else:
        world.to_client(peer, Deposited(job=importing.job.id, n=importing.n))


def _of(world: World, name: str, take: str) -> tuple[bytes, Importing] | None:
    """Whose take that is."""
    for peer, importing in world.imports.items():
        if importing.job.log == name and take in importing.job.writing:
            return peer, importing
    return None


def written(world: World, name: str, take: str, pcm_at: int, marks_at: int, now: float) -> None:
    """A take is in its journal."""
    if (found := _of(world, name, take)) is not None:
        peer, importing = found
        job = importing.job
        made = job.writing.pop(take).take
        assert made is not None
        made.pcm_at, made.marks_at, made.stored = pcm_at, marks_at, True
        log.forget_chunks(world, job, made)
        made.marks = []
        size = 2 * made.samples + made.marks_bytes + log.RECORD_BYTES
        world.charge_disk(job, size)
        syncing.written(world, job.log, size)
        _go_on(world, peer, importing, now)


def lost(world: World, name: str, take: str, reason: str) -> None:
    """A take could not be written."""
    if (found := _of(world, name, take)) is not None:
        text = f"The audio of {found[1].job.id} could not be written: {reason}. Free some space, and import it again."
        fail(world, found[0], Problem("disk_full", text))


def synced(world: World, name: str, reason: str, now: float) -> None:
    """A journal has been brought to the disk, or why not: who waited for that goes on; whose it was that was lost has
    come in vain."""
    for peer, importing in list(world.imports.items()):
        if importing.arriving:
            continue
        if reason and importing.job.log == name:
            text = f"The audio of {importing.job.id} could not be brought to the disk: {reason}"
            fail(world, peer, Problem("storage", text))
        elif importing.held:
            _go_on(world, peer, importing, now)


# --------------------------------------------------------------------------------------------------------- ending


def _conclude(world: World, peer: bytes, importing: Importing, now: float) -> None:
    """All of it has come: write it down."""
    if why := _incomplete(importing):
        fail(world, peer, Problem("invalid", why))
        return
    job, told = importing.job, importing.told
    job.verdict = Terminal(
        job=job.id,
        state=told.state,
        code=told.code,
        message=told.message,
        samples=job.length,
        segments=len(job.segments),
        skipped=told.skipped,
        speakers=ending.speakers(job),
    )
    texts = tuple(piece.encode() for piece in job.text.pieces_from(0)) or (b"",)
    record = JobImported(
        JobSaved(job.order, *job.key, job.log, job.language, job.rate, job.submit, texts[0], told.created),
        texts,
        keeping.ended(job, told.finished),
        told.pinned,
        "kept" if depositing.sounds(told) else "missing",
    )
    importing.arriving = True
    world.arriving[job.order] = job
    world.commit(Pending("import", job.key, job.order, now, record, tell=peer))


def _incomplete(importing: Importing) -> str:
    job, told = importing.job, importing.told
    if importing.current is not None or job.length != told.samples or len(job.segments) != told.segments:
        return (
            f"{counted(len(job.segments), 'segment')} with {job.length} samples came; the record says {told.segments} "
            f"with {told.samples}."
        )
    skipped = sum(segment.state == "skipped" for segment in job.segments)
    # Of one that failed, the segment over which it did counts as left out too.
    if not skipped <= told.skipped <= len(job.segments) or (told.state == "finished" and skipped != told.skipped):
        return f"{counted(skipped, 'segment was', 'segments were')} left out; the record says {told.skipped}."
    if told.state == "finished" and job.placed < len(job.segments):
        return "It is said to be finished, but some of it was never said."
    return ""


def settled(world: World, pending: Pending, outcome: Outcome, now: float) -> None:
    """The record is written down, or not."""
    job = world.arriving.pop(pending.order)
    importing = world.imports.get(pending.tell)
    if importing is not None and importing.job is job:
        del world.imports[pending.tell]
    world.text_chars -= job.text.length
    syncing.forget(world, job.log)
    if outcome.state != "done":
        log.drop_journal(world, job)
    else:
        packing.job_ended(world, now)
    if outcome.state == "failed":
        world.count("commits that failed", outcome.reason)
        text = f"{job.id} could not be written down: {outcome.reason}"
        world.error(pending.tell, "storage", text, job=job.id, retry_after=AGAIN_S, answers=Import)
    else:
        outcomes = {"done": "imported"}
        world.to_client(pending.tell, Imported(job=job.id, outcome=outcomes.get(outcome.state, outcome.state)))


def fail(world: World, peer: bytes, problem: Problem) -> None:
    """A job cannot be taken in after all."""
    name = world.imports[peer].job.id
    drop(world, peer)
    _refuse(world, peer, name, problem)


def _refuse(world: World, peer: bytes, name: str, problem: Problem) -> None:
    retry = AGAIN_S if problem.code in ("queue_full", "unavailable", "storage") else 0.0
    world.error(peer, problem.code, problem.message, job=name, retry_after=retry, answers=Import)


def drop(world: World, peer: bytes) -> None:
    """Nothing comes of what a client was bringing, if he was. What is being written down already is left to that."""
    importing = world.imports.pop(peer, None)
    if importing is None or importing.arriving:
        return
    job = importing.job
    for segment in (*job.writing.values(), importing.current):
        if segment is not None and segment.take is not None:
            log.forget_chunks(world, job, segment.take)
    world.text_chars -= job.text.length
    log.drop_journal(world, job)


def sweep(world: World, now: float) -> None:
    """Once a second: whoever began to bring something and does not go on has given up."""
    for peer, importing in list(world.imports.items()):
        if now - importing.heard_at > world.settings.limits.client_quiet_s:
            drop(world, peer)


def stop(world: World) -> None:
    """The daemon is stopping: what has not come whole does not come."""
    for peer, importing in list(world.imports.items()):
        if not importing.arriving:
            fail(world, peer, Problem("unavailable", "The daemon is stopping; import it again when it is back."))
