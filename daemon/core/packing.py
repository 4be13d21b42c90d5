"""Audio of jobs that are over is packed when nobody hears it, and unpacked for whoever does.

Owns: `World.packing`, the form in which a job's audio is on the disk (`Job.audio`), and who waits for it. Must not
know: how audio is packed, files, processes. Invariant: a journal goes only when what it was packed into is on the
disk and is written down as such; what fails is counted and left alone until the next start.

A packed log that somebody reads has its journal beside it again, byte for byte, as a copy: so nothing has to be written
down for that, and letting the copy go is all that it takes to close it again.
"""

from __future__ import annotations

import math

from ...bus.messages import Attach, Notice
from . import log, readers
from .effects import DropFile, Pack, Unpack
from .lifecycle import AUDIO, move
from .records import Found, JobPacked, Outcome, Wanted
from .state import Client, Job
from .world import Packing, Pending, Question, World

COPY_S = 60.0
"""How long the copy of a packed log stays after its last reader."""

LOOK_S = 600.0
"""How often the store is asked for audio to pack when there was none; a job that ends has it asked sooner."""

PAGE = 20
"""So many logs are looked at for one to pack."""

MISSES = 3
"""After so many failures in a row something general is wrong, and packing rests for LOOK_S."""


def sweep(world: World, now: float) -> None:
    """Once a second: close what nobody reads, and see whether there is something to pack."""
    for key in sorted(world.opened):  # in an order that is the same in every run
        job = world.jobs.get(key)
        if job is None or job.audio.state != "open":
            world.opened.discard(key)
        elif job.readers:
            job.audio.read_at = now
        elif now - job.audio.read_at >= COPY_S:
            close(world, job)
    after = world.settings.history.pack_after_s
    if not after or not world.durable or world.draining or world.packing is not None or now < world.pack_at:
        return
    world.pack_at = math.inf  # until the answer
    question = Question("plain", (0, ""))
    world.ask(question, Wanted("plain", 0, where={"age_s": f"{after:g}"}, cursor=str(world.pack_from), limit=PAGE))


def job_ended(world: World, now: float) -> None:
    """There is one more to be packed in a while."""
    after = world.settings.history.pack_after_s
    if after:
        world.pack_due = now + after + 1.0
        if world.pack_at < math.inf:
            world.pack_at = min(world.pack_at, world.pack_due)


def candidates(world: World, found: Found, now: float) -> None:
    """The store has named logs that are not packed, in order of acceptance: take the first that nobody reads."""
    world.pack_at = now
    for row in found.rows:
        world.pack_from = row["order"]
        key = (row["uid"], row["id"])
        job = world.jobs.get(key)
        free = job is None or not (job.readers or job.deleters or job.expired)
        if free and row["order"] not in world.unpackable and not world.draining:
            world.packing = Packing(row["log"], key, row["order"], row["disk"])
            world.effects.append(Pack(row["log"]))
            return
    if len(found.rows) < PAGE:
        world.pack_from = 0
        world.pack_at = world.pack_due if world.pack_due > now else now + LOOK_S


def packed(world: World, name: str, size: int, reason: str, now: float) -> None:
    """A log has been packed into a file of `size` bytes, which is on the disk beside the journal; or why not."""
    packing = world.packing
    if packing is None or packing.log != name:
        return
    if reason:
        _missed(world, packing, reason, now)
        return
    world.pack_misses = 0
    packing.size = size
    world.charge(packing.key[0], size)
    record = JobPacked(packing.order, packing.log, size)
    world.commit(Pending("packed", packing.key, packing.order, now, record))


def _missed(world: World, packing: Packing, reason: str, now: float) -> None:
    world.packing = None
    world.unpackable.add(packing.order)
    world.count("audio that could not be packed", reason)
    world.pack_misses += 1
    if world.pack_misses >= MISSES:
        world.pack_misses, world.pack_at = 0, now + LOOK_S


def settled(world: World, job: Job | None, outcome: Outcome, now: float) -> None:
    """That it is packed has been written down, and the journal can go; or it has not."""
    packing = world.packing
    assert packing is not None
    world.packing = None
    uid = packing.key[0]
    if outcome.state != "done":
        world.charge(uid, -packing.size)
        if outcome.state == "failed":  # else the job is gone, with all its files
            world.effects.append(DropFile(packing.log, packed=True))
            _missed(world, packing, outcome.reason, now)
    elif job is None:
        world.charge(uid, -packing.disk)
        world.effects.append(DropFile(packing.log, packed=False))
    elif job.deleters:
        world.charge(uid, -packing.size)  # both files went when its deletion began
    elif job.readers:
        job.disk += packing.size
        job.audio.copy, job.audio.read_at = packing.disk, now
        move(AUDIO, job.audio, "pack_open")
        world.opened.add(job.key)
    else:
        job.disk += packing.size
        job.audio.copy = packing.disk
        move(AUDIO, job.audio, "pack")
        _drop_copy(world, job)


def call_off(world: World, name: str) -> None:
    """A log's files are about to go: whatever is made of them is of no use, and its helper ends with them."""
    if world.packing is not None and world.packing.log == name and not world.packing.size:
        world.packing = None


# ----------------------------------------------------------------------------------------------- opened and closed


def closed(job: Job) -> bool:
    """Whether a log cannot be read now."""
    return job.audio.state in ("packed", "opening")


def open_for(world: World, client: Client, job: Job, message: Attach) -> None:
    """Somebody wants to read a log that is packed: he waits until it is not."""
    if client.peer not in job.openers:
        world.tell(job, client.peer, Notice(job=job.id, kind="unpacking"))
    job.openers[client.peer] = message
    client.jobs.add(job.key)
    if job.audio.state == "packed":
        move(AUDIO, job.audio, "open")
        world.effects.append(Unpack(job.log))


def unpacked(world: World, name: str, size: int, reason: str, now: float) -> None:
    """The journal of a packed log is there again, `size` bytes; or why not."""
    job = world.logs.get(name)
    if job is None or job.audio.state != "opening":
        return
    openers, job.openers = job.openers, {}
    if reason:
        move(AUDIO, job.audio, "fail")
        world.count("audio that could not be unpacked", reason)
        for peer, message in openers.items():
            world.clients[peer].jobs.discard(job.key)
            text = (
                f"The audio of {job.id} could not be unpacked: {reason}. "
                f"If it is lost, say it again with: voicebus history again {job.id}"
            )
            world.error(peer, "storage", text, job=job.id, answers=message)
        return
    move(AUDIO, job.audio, "opened")
    job.audio.copy, job.audio.read_at = size, now
    world.opened.add(job.key)
    world.charge_disk(job, size)
    for peer, message in openers.items():
        readers.attach(world, world.clients[peer], job, message)


def close(world: World, job: Job) -> None:
    """Let go of the copy of a packed log."""
    move(AUDIO, job.audio, "close")
    _drop_copy(world, job)


def _drop_copy(world: World, job: Job) -> None:
    world.opened.discard(job.key)
    world.charge_disk(job, -job.audio.copy)
    job.audio.copy = 0
    world.effects.append(DropFile(job.log, packed=False))


def let_go(world: World, job: Job) -> None:
    """A job leaves memory; what is kept of it stays on the disk, packed."""
    if job.audio.state == "open":
        close(world, job)
    log.forget(world, job)
