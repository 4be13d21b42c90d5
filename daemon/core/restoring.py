"""Jobs from before this daemon: those that go on, and those that are over and are asked for.

Owns: how a job's state is built from what the store and its journal hold. Must not know: databases, files. Invariant:
a take that is whole in the journal is final: it has its place, its range of the text is never cut again, and its audio
is not made again; whatever else there was (growing takes, readers, leases) is gone, and with their names every reader
finds out. The daemon's own death blames nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from ...bus.codec import encode
from ...bus.messages import Terminal
from . import cutting, ending, keeping, log, own, recordings, routing, schedule
from .catalogue import Problem
from .contents import Recording
from .jobs import splitter
from .personal import voice_key
from .records import Found, JobEnded, SavedJob, SegmentSaved, TakeFound, Unfinished
from .segmentation import Splitter
from .state import Entry, Job, Segment, Take
from .world import World

NO_SPLITTER = Splitter("en", limit=1)
"""Of jobs of which nothing is cut any more."""

NO_PROCESS = 0
"""The pid by which fair share counts all jobs whose clients nobody knows any more."""


def restore(world: World, found: Sequence[Unfinished], now: float) -> None:
    """Take up the jobs that an earlier daemon did not end, in order of acceptance."""
    for unfinished in found:
        _restore(world, unfinished, now)


def _restore(world: World, found: Unfinished, now: float) -> None:
    saved = found.saved.job
    chain = routing.chain_for(world, saved.uid, saved.submit.chain, saved.submit.kind)
    problem = chain if isinstance(chain, Problem) else None
    entries = [Entry("", "")] if isinstance(chain, Problem) else chain
    cutter = splitter(world, entries, saved.language, saved.submit.pace) if problem is None else NO_SPLITTER
    job = _job(world, found.saved, entries, cutter, now)
    world.unfinished[job.key] = job
    job.committed = True
    job.complete = found.saved.complete
    if saved.submit.kind == "transcribe":
        _recording(world, job, found.saved)
    else:
        for text in found.saved.texts:
            job.text.append(text.decode())
        job.committed_chars = job.text.length
        world.text_chars += job.text.length
    world.charge_disk(job, found.disk)
    job.has_audio_log = True  # a torn one with nothing in it is one as well
    if problem is not None:
        job.cut = True
        ending.end(world, job, "failed", problem.code, problem.message, now)
        return
    if job.recording is not None:
        _place_rows(world, job, job.recording, found.records)
    else:
        _place(world, job, found.records)
        _no_other_voice(job)
    job.alone_since = now
    ending.finish_if_done(world, job, now)
    if not job.over:
        nobody = routing.route(world, job, now)
        if nobody:
            ending.end(world, job, "failed", job.entry.code or "unavailable", nobody, now)
        else:
            schedule.update(world, job)


def _job(world: World, saved: SavedJob, chain: list[Entry], cutter: Splitter, now: float) -> Job:
    record = saved.job
    job = Job(
        key=(record.uid, record.id),
        client=(record.uid, NO_PROCESS),
        submit=record.submit,
        order=record.order,
        language=record.language,
        chain=chain,
        splitter=cutter,
        log=record.log,
        in_memory=False,
        rate=record.rate,
        accepted_at=now,
        text_at=now,
    )
    world.jobs[job.key] = world.logs[job.log] = job
    return job


# ------------------------------------------------------------------------------------------- jobs that go on


def _recording(world: World, job: Job, saved: SavedJob) -> None:
    """A recording is in its input log, as far as the store has notes of it."""
    job.recording = recording = Recording(in_memory=False, held=True)
    recording.sums = [recordings.noted(text.decode()) for text in saved.texts]
    recording.size = recording.charged = sum(length for length, _ in recording.sums)
    world.charge(job.key[0], recording.charged)
    job.committed_chars = recordings.UNBOUNDED


def _place_rows(world: World, job: Job, recording: Recording, records: Sequence[TakeFound]) -> None:
    """Lay the rows of a transcript, which stand in the journal in order, and go on behind the last."""
    going_on = Segment(0, 0, 0)
    for record in records:
        meta = record.meta
        if meta.get("row") == len(job.segments):
            job.segments.append(_row(recording, record))
            going_on = Segment(len(job.segments), meta["end"], meta["end"])
            job.spoken = (meta["provider"], meta["voice"])
            job.made += 1
        elif meta.get("note") == "heard":
            job.cut = True
        elif meta.get("note") == "failed" and meta["start"] == going_on.start:
            going_on.deaths, going_on.trail, going_on.tries = meta["deaths"], list(meta["trail"]), meta["tries"]
        else:
            _other_note(job, meta)
    job.fresh = len(job.segments)
    if job.complete and not job.cut:
        job.segments.append(going_on)
    log.advance(world, job)


def _row(recording: Recording, record: TakeFound) -> Segment:
    meta = record.meta
    segment = Segment(meta["row"], meta["start"], meta["end"], "whole", _take(record), str(meta["take"]))
    segment.tries, segment.stops = meta["tries"], meta["stops"]
    if meta["row"] == 0:
        recording.about, recording.language, recording.length_s = True, meta["language"], meta["length_s"]
    else:
        recording.texts.append(meta["text"])
        recording.text_chars += len(meta["text"])
    return segment


def _place(world: World, job: Job, records: Sequence[TakeFound]) -> None:
    """Lay the recorded ranges of the text in order, cut what lies between them, and what comes behind."""
    end = 0
    for segment in _ranges(job, records):
        _fill(world, job, end, segment.start)
        segment.number = len(job.segments)
        job.segments.append(segment)
        end = segment.end
    job.fresh = len(job.segments)
    job.again = [segment.number for segment in job.segments if segment.state == "waiting"]
    _cut_rest(world, job, end)
    for segment in job.segments:
        _blame(job, segment, records)
    _rename(world, job)
    log.advance(world, job)


def _no_other_voice(job: Job) -> None:
    """What was begun with a voice of the user's own is not finished with another that has its name by now."""
    took = [segment.take for segment in job.segments if segment.take is not None]
    began = {voice_key(job.key[0], take.voice): take.origin for take in took if take.origin}
    for entry in job.chain:
        before = began.get(voice_key(job.key[0], entry.spoken), "")
        if entry.own is not None and before not in ("", own.origin(entry)):
            entry.refusal = f"{entry.spoken} is another voice now than the one that began to speak"
            entry.code = "unknown_voice"


def _ranges(job: Job, records: Sequence[TakeFound]) -> list[Segment]:
    """The segments of which the journal has a take, or the word that they were left out, in the order of the text."""
    known: list[Segment] = []
    for record in records:
        meta = record.meta
        if "start" in meta and not _of_this_text(job, meta):
            continue
        if "take" in meta:
            segment = Segment(0, meta["start"], meta["end"], "whole", _take(record), str(meta["take"]))
            segment.tries, segment.stops = meta["tries"], meta["stops"]
            segment.deaths, segment.trail = meta["deaths"], list(meta["trail"])
            known.append(segment)
            job.rate = job.rate or meta["rate"]
            job.spoken = (meta["provider"], meta["voice"])
        elif meta.get("note") == "skipped":
            known.append(Segment(0, meta["start"], meta["end"], "skipped", trail=[meta["reason"]]))
        elif meta.get("note") == "renamed":
            _renamed(known, meta)
        else:
            _other_note(job, meta)
    known = _apart(known)
    job.made = sum(segment.take.samples for segment in known if segment.take is not None)
    return known


def _other_note(job: Job, meta: dict[str, Any]) -> None:
    if meta.get("note") == "author":
        job.author = (job.key[0], meta["pid"])
    elif meta.get("note") == "moved":
        job.position = min(meta["position"], len(job.chain) - 1)
        job.trail = list(meta["trail"])


def _renamed(known: list[Segment], meta: dict[str, Any]) -> None:
    for segment in known:
        if segment.take is not None and segment.take.name == meta["old"]:
            segment.take.name = segment.attempt = meta["new"]


def _rename(world: World, job: Job) -> None:
    """Takes behind a gap get other names.

    They were made ahead, so mostly nobody has heard them. But what was written last is what a power cut takes: the gap
    may be a take that was heard, and its successor with it. Whoever named that successor would be taken for somebody
    who has all that stands before it now, and that will be another take, of another length.
    """
    gap = False
    for segment in job.segments:
        gap = gap or segment.state == "waiting"
        if gap and segment.take is not None:
            before, segment.take.name = segment.take.name, world.attempt_name()
            segment.attempt = segment.take.name
            keeping.note(world, job, "renamed", segment, old=before, new=segment.take.name)


def _of_this_text(job: Job, meta: dict[str, Any]) -> bool:
    """Whether the text that a record is about is there. Work does not wait for commits, so a daemon may have written
    down takes of a piece that was never durable. A journal of before there were checksums is believed as far as there
    is text."""
    if "crc" not in meta:
        return bool(meta["end"] <= job.text.length)
    return bool(meta["crc"] == keeping.checksum(job, meta["start"], meta["end"]))


def _apart(known: list[Segment]) -> list[Segment]:
    """Segments that do not overlap, in the order of the text. Of two over the same text the one that was written later
    counts: whoever wrote it did not have the other."""
    kept: list[tuple[int, Segment]] = []
    for when, segment in sorted(enumerate(known), key=lambda entry: entry[1].start):
        while kept and kept[-1][1].end > segment.start and kept[-1][0] < when:
            kept.pop()
        if not kept or kept[-1][1].end <= segment.start:
            kept.append((when, segment))
    return [segment for _, segment in kept]


def _take(record: TakeFound) -> Take:
    meta = record.meta
    take = Take(meta["take"], meta["provider"], meta["version"], meta["voice"], meta["samples"], seed=meta["seed"])
    take.peak, take.rms = meta["peak"], meta["rms"]
    take.first_audio_s, take.work_s, take.made_s = meta["first_audio_s"], meta["work_s"], meta["made_s"]
    take.origin = meta.get("origin", "")  # an earlier version did not say
    take.whole = take.stored = True
    take.pcm_at, take.marks_at, take.marks_bytes = record.pcm_at, record.marks_at, record.marks_bytes
    return take


def _fill(world: World, job: Job, start: int, end: int) -> None:
    """Cut the text between two ranges that are known."""
    text = job.text.slice(start, end)
    if not text.strip():
        return
    limits = world.settings.limits
    cutter = Splitter(job.language, limit=limits.segment_chars, start=start)
    cutter.feed(text, last=True)
    for begin, stop in cutter.take():
        job.segments.append(Segment(len(job.segments), begin, stop))


def _cut_rest(world: World, job: Job, start: int) -> None:
    """Go on cutting behind the last range that is known; pieces stay pieces, since where one ends a sentence may."""
    if job.submit.ssml:
        if not job.segments:
            job.segments.append(Segment(0, 0, job.text.length))
        job.cut = True
        return
    if start:
        job.splitter = Splitter(job.language, limit=world.settings.limits.segment_chars, start=start)
    job.uncut.extend(job.text.pieces_from(start))
    cutting.ahead(job)


def _blame(job: Job, segment: Segment, records: Sequence[TakeFound]) -> None:
    """What was written down of a segment's failures, where it was cut the same again."""
    for record in records:
        meta = record.meta
        if (
            segment.state == "waiting"
            and meta.get("note") == "failed"
            and (meta["start"], meta["end"]) == (segment.start, segment.end)
            and _of_this_text(job, meta)
        ):
            segment.deaths, segment.trail = meta["deaths"], list(meta["trail"])
            segment.tries, segment.reseeds = meta["tries"], meta["reseeds"]


# ----------------------------------------------------------------------------------------- jobs that are over


def revive(world: World, saved: SavedJob, now: float) -> Job:
    """Bring back a job that is over, to be read or asked about."""
    ended = saved.ended
    assert ended is not None
    # By whom it was to be said matters to nobody any more, and they need not be there.
    chain = [Entry(choice.provider, choice.voice) for choice in saved.job.submit.chain] or [_NOBODY]
    job = _job(world, saved, chain, NO_SPLITTER, now)
    job.state = ended.state
    job.committed = job.cut = True
    job.complete = saved.complete  # not where it failed because that could not be written down
    if saved.job.submit.kind == "transcribe":
        job.recording = Recording(in_memory=False, sums=[recordings.noted(saved.job.submit.first)])
        job.committed_chars = recordings.UNBOUNDED
    else:
        for text in saved.texts:
            job.text.append(text.decode())
        job.committed_chars = job.text.length
        job.text.forget()
    job.rate, job.trail = ended.rate, list(ended.trail)
    job.missing = saved.audio == "missing"
    packing = world.packing
    if packing is not None and packing.log == job.log:
        # Even where the store says that it is packed already: its journal stays until the word of that has come here.
        job.audio.state, job.disk = "plain", packing.disk
    else:
        job.audio.state, job.disk = "packed" if saved.audio == "packed" else "plain", ended.disk
    job.has_audio_log = True  # where there is no audio there may be notes
    job.segments = [_segment(row) for row in ended.segments]
    _lay(job)
    job.verdict = job.terminal = _terminal(job, ended)
    world.finished[job.key] = job
    return job


_NOBODY = Entry("", "")


def _segment(row: SegmentSaved) -> Segment:
    segment = Segment(row.number, row.start, row.end, row.state)
    segment.tries, segment.stops, segment.deaths, segment.trail = row.tries, row.stops, row.deaths, list(row.trail)
    if row.state == "whole":
        take = Take(row.take, row.provider, row.version, row.voice, row.samples, seed=row.seed)
        take.peak, take.rms, take.first_audio_s = row.peak, row.rms, row.first_audio_s
        take.work_s, take.made_s = row.work_s, row.made_s
        take.whole = take.stored = True
        take.pcm_at, take.marks_at, take.marks_bytes = row.pcm_at, row.marks_at, row.marks_bytes
        segment.take, segment.attempt = take, row.take
    return segment


def _lay(job: Job) -> None:
    for segment in takewhile(lambda segment: segment.state in ("whole", "skipped"), job.segments):
        segment.offset = job.length
        job.placed += 1
        if segment.take is not None:
            job.length += segment.take.samples
            job.spoken = (segment.take.provider, segment.take.voice)
    job.fresh = len(job.segments)
    job.made = job.length


def _terminal(job: Job, ended: JobEnded) -> Terminal:
    return Terminal(
        job=job.id,
        state=ended.state,  # type: ignore[arg-type]
        code=ended.code,
        message=ended.message,
        samples=ended.samples if job.recording is None else job.length,
        segments=len(ended.segments),
        skipped=ended.skipped,
        speakers=list(ended.speakers),
    )


def rows(found: Found) -> bytes:
    """The body of a page."""
    return encode(list(found.rows))
