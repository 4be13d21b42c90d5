"""Reading a job's audio log: live or whole, from the start or from the middle, fast or slow, once or twice.

Owns: every `Reader`, and all AUDIO, MARKS and REWIND. Must not know: how takes come about. Invariant: what a reader is
sent is, apart from what a REWIND takes back, each segment's audio once, in order, every segment from one take, never
beyond its credit, and nothing of a text that is not committed. Live play, a slow reader, attaching and replay are the
same operation: `pump` goes on from where the reader is.
"""

from __future__ import annotations

from bisect import bisect_right

from ...bus.codec import encode
from ...bus.messages import UNLIMITED, Attach, Attached, Audio, Credit, MarkRow, Marks, Rewind, Transcript
from .effects import Body, Stored, ToClient
from .state import Client, Job, Reader, Segment, Take
from .world import World

BURST = 32
"""Frames for one reader at a time; then others have their turn."""

STORED_FRAME_S = 0.4
"""Length of a frame that is read back from a journal."""

NO_MARKS = encode([])


def subscribe(world: World, client: Client, job: Job, mode: str, credit: int) -> Reader:
    """Let a client read from the start; a reading that it had is replaced."""
    reader = Reader(client.peer, mode, credit)
    job.readers[client.peer] = reader
    if mode != "none":
        job.alone_since = None
    client.jobs.add(job.key)
    return reader


def unsubscribe(world: World, job: Job, peer: bytes, now: float) -> None:
    """Forget a reading."""
    if job.readers.pop(peer, None) is not None and job.alone_since is None and not listeners(job):
        job.alone_since = now
    job.openers.pop(peer, None)
    client = world.clients.get(peer)
    if client is not None:
        client.jobs.discard(job.key)


def attach(world: World, client: Client, job: Job, message: Attach) -> Reader | None:
    """Read from an offset and a take. Where the log holds another take there, the answer is REWIND and no reading
    begins: the reader names the take before, and so on until both agree."""
    if message.read == "none":
        return _only_the_end(world, client, job)
    if job.missing:
        world.error(client.peer, "gone", _missing(job), job=job.id, answers=message)
        return None
    number, at = _locate(job, message.offset)
    segment = job.segments[number] if number < len(job.segments) else None
    if message.offset > 0 and not _holds(segment, at, message):
        start = segment.offset if segment is not None and segment.offset >= 0 else job.length
        world.to_client(
            client.peer,
            Rewind(job=job.id, segment=number, offset=start, take=message.take, reason="this take is not in the log"),
        )
        return None
    if not kept(job, number, at):
        world.error(client.peer, "gone", forgotten(job), job=job.id, answers=message)
        return None
    reader = subscribe(world, client, job, message.read, message.credit)
    reader.segment, reader.at = number, at
    reader.heard = min(message.offset, job.heard)
    world.tell(job, client.peer, Attached(job=job.id, offset=message.offset, rate=job.rate, state=job.told))
    pump(world, job, reader)
    return reader


def forgotten(job: Job) -> str:
    """What to tell who wants audio from before what is still held."""
    return f"The beginning of {job.id} was not kept (keep=nothing), and all who listened were past it; say it again."


def _missing(job: Job) -> str:
    if job.recording is None:
        return f"The audio of {job.id} is missing from the disk. Say it again with: voicebus history again {job.id}"
    return (
        f"The transcript of {job.id} is missing from the disk, and its recording was not kept. Transcribe that again: "
        "voicebus transcribe FILE"
    )


def _only_the_end(world: World, client: Client, job: Job) -> Reader:
    """No audio, but what is going on and how it ends."""
    reader = subscribe(world, client, job, "none", 0)
    world.tell(job, client.peer, Attached(job=job.id, offset=0, rate=job.rate, state=job.told))
    pump(world, job, reader)
    return reader


def listeners(job: Job) -> list[Reader]:
    """Those who want audio."""
    return [reader for reader in job.readers.values() if reader.mode != "none"]


def _locate(job: Job, offset: int) -> tuple[int, int]:
    """The segment and the place in it where a reader stands that has all before `offset`."""
    if offset <= 0:
        return 0, 0
    if offset > job.length:
        return job.placed, offset - job.length
    number = bisect_right(job.segments, offset - 1, hi=job.placed, key=lambda segment: segment.offset) - 1
    return number, offset - job.segments[number].offset


def _holds(segment: Segment | None, at: int, message: Attach) -> bool:
    """Whether a reading can go on there. One of whole takes cannot inside a growing one, which may be taken back."""
    take = segment.take if segment is not None else None
    if segment is None or take is None or at > take.samples or message.take not in ("", take.name):
        return False
    return segment.state == "whole" or message.read == "live"


def kept(job: Job, number: int, at: int) -> bool:
    """Whether all audio from that place on is still there. What listeners have heard may have left memory."""
    needed = job.segments[number : job.released]
    return all(s.take is None or s.take.samples <= (at if s.number == number else 0) for s in needed)


def credit(world: World, job: Job, reader: Reader, message: Credit) -> None:
    """A reader's consent to more audio, and how far it has been heard."""
    reader.credit = message.up_to
    reader.heard = min(message.heard, position(job, reader))
    job.heard = max(job.heard, reader.heard)
    pump(world, job, reader)


def position(job: Job, reader: Reader) -> int:
    """Up to which offset a reader has been sent audio."""
    if reader.segment < len(job.segments) and job.segments[reader.segment].offset >= 0:
        return job.segments[reader.segment].offset + reader.at
    return job.length


def pump_all(world: World, job: Job) -> None:
    """Send every reader of a job what it may have."""
    for reader in list(job.readers.values()):
        pump(world, job, reader)


def pump(world: World, job: Job, reader: Reader) -> None:
    """Send a reader what it may have, at most a burst; what is left makes the core hungry."""
    client = world.clients[reader.peer]
    if client.full or not job.committed:
        return
    budget = BURST
    silent = reader.mode == "none"
    barred = False
    while not silent and reader.segment <= job.placed and reader.segment < len(job.segments):
        segment = job.segments[reader.segment]
        take = segment.take
        if segment.state == "skipped":
            _next_segment(reader)
            continue
        barred = segment.end > job.committed_chars
        if take is None or segment.offset < 0 or barred:
            break
        if reader.at >= take.samples:
            if segment.state == "whole":
                _flush_marks(world, job, reader, segment, take)
                _next_segment(reader)
                continue
            break
        if (reader.mode == "whole" or job.recording is not None) and segment.state != "whole":
            break
        if segment.offset + reader.at >= reader.credit:
            break
        if budget == 0:
            world.hungry[reader.peer, job.key] = None
            return
        budget -= 1
        _flush_marks(world, job, reader, segment, take)
        _send_frame(world, job, reader, segment, take)
    # Of a job that failed since its text could not be written down, what was made of that text is never sent.
    if job.terminal is not None and (silent or barred or reader.segment >= job.placed):
        world.to_client(reader.peer, job.terminal)
        job.readers.pop(reader.peer, None)
        client.jobs.discard(job.key)


def _next_segment(reader: Reader) -> None:
    reader.segment += 1
    reader.at = 0
    reader.take = ""
    reader.marks = 0


def _flush_marks(world: World, job: Job, reader: Reader, segment: Segment, take: Take) -> None:
    """Send the marks that the reader lacks; at a take's beginning also if there are none, as its announcement."""
    if job.recording is not None:
        return
    fresh = reader.take != take.name
    body: Body
    if take.stored:
        if not fresh:
            return
        body = Stored(job.log, take.marks_at, take.marks_bytes)
    else:
        if not fresh and reader.marks >= len(take.marks):
            return
        body = encode(take.marks[reader.marks :])
        reader.marks = len(take.marks)
    reader.take = take.name
    send_marks(world, job, reader.peer, segment, take, body)


def send_marks(world: World, job: Job, peer: bytes, segment: Segment, take: Take, body: Body) -> None:
    """Announce a take, or more of its marks."""
    world.to_client(
        peer,
        Marks(
            job=job.id,
            segment=segment.number,
            take=take.name,
            offset=segment.offset,
            start=segment.start,
            length=segment.end - segment.start,
            provider=take.provider,
            voice=take.voice,
        ),
        body,
    )


def _send_row(world: World, job: Job, reader: Reader, segment: Segment, take: Take) -> None:
    """Send a row of a transcript."""
    reader.at, reader.take = 1, take.name
    body: Body = take.chunks[0] if take.chunks else Stored(job.log, take.marks_at, take.marks_bytes)
    message = Transcript(job=job.id, n=segment.number, take=take.name, provider=take.provider, model=take.voice)
    world.to_client(reader.peer, message, body)


def _send_frame(world: World, job: Job, reader: Reader, segment: Segment, take: Take) -> None:
    if job.recording is not None:
        _send_row(world, job, reader, segment, take)
        return
    at = reader.at
    offset = segment.offset + at
    room = reader.credit - offset
    body: Body
    if take.stored:
        count = min(take.samples - at, room, int(job.rate * STORED_FRAME_S))
        body = Stored(job.log, take.pcm_at + 2 * at, 2 * count)
    else:
        index = bisect_right(take.starts, at) - 1
        chunk = take.chunks[index]
        begin = at - take.starts[index]
        count = min((len(chunk) >> 1) - begin, room)
        body = chunk if 2 * count == len(chunk) else memoryview(chunk)[2 * begin : 2 * (begin + count)]
    header = encode(Audio(1, world.epoch, job.id, segment.number, take.name, offset))
    world.effects.append(ToClient(reader.peer, header, body))
    reader.at = at + count


def forward(world: World, job: Job, segment: Segment, take: Take, at: int, chunk: bytes) -> None:
    """A chunk has just been added to the growing take in place, at sample `at`: send it on to those who are there.

    The path of every live frame, so it is kept short: whoever stands exactly there, has credit and an open pipe gets
    the worker's own bytes; for all others `pump` decides.
    """
    count = len(chunk) >> 1
    end = segment.offset + at + count
    header = b""
    for reader in job.readers.values():
        if (
            reader.at == at
            and reader.take == take.name
            and reader.credit >= end
            and reader.mode == "live"
            and reader.marks == len(take.marks)
            and not world.clients[reader.peer].full
        ):
            if not header:
                header = encode(Audio(1, world.epoch, job.id, segment.number, take.name, segment.offset + at))
            world.effects.append(ToClient(reader.peer, header, chunk))
            reader.at = at + count
        elif reader.mode == "live":
            pump(world, job, reader)


def marks_came(world: World, job: Job, segment: Segment, take: Take) -> None:
    """New marks of the growing take in place: those who hear it get them at once."""
    for reader in job.readers.values():
        if reader.take == take.name and not world.clients[reader.peer].full:
            _flush_marks(world, job, reader, segment, take)


def take_whole(world: World, job: Job, segment: Segment, take: Take) -> None:
    """The marks of a take are about to leave memory: whoever is inside it gets the rest of them."""
    for reader in job.readers.values():
        if reader.take == take.name and reader.marks < len(take.marks):
            _flush_marks(world, job, reader, segment, take)


def rewind(world: World, job: Job, segment: Segment, take: Take, reason: str) -> None:
    """A growing take is gone: readers that were sent some of it go back to the segment's start, others hear nothing."""
    for reader in job.readers.values():
        if _inside(reader, segment):
            world.to_client(
                reader.peer,
                Rewind(job=job.id, segment=segment.number, offset=segment.offset, take=take.name, reason=reason),
            )
            reader.at = 0
            reader.take = ""
            reader.marks = 0
            reader.heard = min(reader.heard, segment.offset)


def _inside(reader: Reader, segment: Segment) -> bool:
    """Whether a reader has some of the segment's take: from this reading, or from one before, where it attached."""
    return reader.segment == segment.number and (reader.at > 0 or bool(reader.take))


def touched(job: Job, segment: Segment) -> bool:
    """Whether anybody has some of this segment's take."""
    return any(_inside(reader, segment) for reader in job.readers.values())


def announce_rate(world: World, job: Job) -> None:
    """The rate was unknown when the job was accepted; now it is not."""
    for reader in job.readers.values():
        attached = Attached(job=job.id, offset=position(job, reader), rate=job.rate, state=job.told)
        world.tell(job, reader.peer, attached)


def heard_up_to(job: Job) -> int:
    """Up to where the furthest listener (there is one) has heard, for deciding how far to make audio ahead of him."""
    return max(UNLIMITED if r.credit >= UNLIMITED else r.heard for r in listeners(job))


def rows(marks: list[MarkRow]) -> bytes:
    """The body of MARKS."""
    return encode(marks) if marks else NO_MARKS
