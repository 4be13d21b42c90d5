"""A database as the core may rely on it: commits that take time, can fail, and are durable before they are told.

Owns: what is kept, and when. Must not know: the core's state. Invariant: `jobs` is what a daemon that starts now finds;
it changes only at the moment at which a commit is durable, and its outcome is told later than that.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from voicebus.daemon.core.effects import Ask, Commit, Expire
from voicebus.daemon.core.personal import sample_file, voice_key
from voicebus.daemon.core.records import (
    Found,
    JobDeleted,
    JobEnded,
    JobPacked,
    JobPinned,
    JobSaved,
    Outcome,
    Record,
    SavedJob,
    TextAdded,
    TextClosed,
    Unfinished,
    VoiceRemoved,
    VoiceRenamed,
    VoiceSaved,
)

from .clock import Clock
from .disk import Disk

Key = tuple[int, str]


class Store:
    """What outlives the daemons. applied: called when a commit is durable and before anybody knows."""

    def __init__(self, clock: Clock, disk: Disk) -> None:
        self.jobs: dict[Key, SavedJob] = {}
        self.by_order: dict[int, Key] = {}
        self.voices: dict[Key, VoiceSaved] = {}
        self.voices_removed: dict[Key, VoiceSaved] = {}
        """Voices as they were when they were last removed, changed or renamed."""
        self.voices_gone: dict[tuple[int, str], float] = {}
        """When a voice with a recording was last removed or changed, by user and recording."""
        self.removed: dict[Key, SavedJob] = {}
        """Jobs that were there and are there no more, as they were last; their names are not free."""
        self.expired: set[Key] = set()
        """Those of them that were past their time."""
        self.next_order = 1
        self.slow_until = 0.0
        self.failing_until = 0.0
        self.base = self.wall = 1.7e9
        self.applied: Callable[[], None] = lambda: None
        self._clock = clock
        self.disk = disk
        self._chance = clock.chance("store")
        self._queue: deque[Commit] = deque()
        self._gaps: set[int] = set()
        """Jobs of whose text a piece could not be written."""
        self._told_at = 0.0
        self._busy = False
        self._run = 0
        self._tell: Callable[[Outcome], None] = lambda outcome: None
        self._answer: Callable[[Found], None] = lambda found: None

    # ------------------------------------------------------------------------------------------- a daemon's life

    def open(self, tell: Callable[[Outcome], None], answer: Callable[[Found], None]) -> None:
        """A daemon begins; it is told outcomes and answers."""
        self._tell, self._answer = tell, answer

    def shut(self) -> None:
        """The daemon is gone: what was not durable never will be, what was not told never is."""
        self._run += 1
        self._queue.clear()
        self._busy = False

    def unfinished(self) -> list[Unfinished]:
        """What the next daemon goes on with."""
        found = []
        for saved in sorted(self.jobs.values(), key=lambda saved: saved.job.order):
            if saved.ended is None:
                file = self.disk.files.get(saved.job.log)
                records = tuple(file.records) if file is not None else ()
                found.append(Unfinished(saved, records, self.disk.size(saved.job.log)))
        return found

    def logs(self) -> dict[str, bool]:
        """The logs that belong to a job, and whether they are packed."""
        return {saved.job.log: saved.audio == "packed" for saved in self.jobs.values()}

    def audio_bytes(self) -> dict[int, int]:
        """Of the jobs that are over, by uid."""
        found: Counter[int] = Counter()
        for saved in self.jobs.values():
            if saved.ended is not None:
                found[saved.job.uid] += saved.ended.disk
        return found

    # ------------------------------------------------------------------------------------------------ commits

    def commit(self, effect: Commit) -> None:
        """Begin."""
        self._queue.append(effect)
        if not self._busy:
            self._busy = True
            self._clock.after(self._pause(), self._apply, self._run)

    def _pause(self) -> float:
        slow = self._clock.now < self.slow_until
        return self._chance.uniform(0.3, 2.5) if slow else self._chance.uniform(0.0005, 0.01)

    def _apply(self, run: int) -> None:
        """A group of commits becomes durable."""
        if run != self._run:
            return
        outcomes = []
        for _ in range(self._chance.randint(1, 4)):
            if self._queue:
                effect = self._queue.popleft()
                outcomes.append(self._outcome(effect))
        self._clock.trace("durable " + " ".join(f"{one.ticket}:{one.state}" for one in outcomes))
        self.applied()
        if run != self._run:
            return  # the daemon died of it
        for outcome in outcomes:
            # In the order in which they were asked for: one thread writes, and tells what it has written.
            self._told_at = max(self._told_at, self._clock.now + self._chance.uniform(0.0001, 0.003))
            self._clock.at(self._told_at, self._told, run, outcome)
        if self._queue:
            self._clock.after(self._pause(), self._apply, run)
        else:
            self._busy = False

    def _told(self, run: int, outcome: Outcome) -> None:
        if run == self._run:
            self._tell(outcome)

    def _outcome(self, effect: Commit) -> Outcome:
        assert effect.record is not None
        no_room = self.disk.full and not (self.disk.ends and isinstance(effect.record, JobEnded))
        if self._clock.now < self.failing_until or no_room:
            if isinstance(effect.record, TextAdded):
                self._gaps.add(effect.record.order)
            return Outcome(effect.ticket, "failed", "the database could not be written")
        if isinstance(effect.record, JobEnded):
            self.disk.sync(effect.record.log)
        if isinstance(effect.record, VoiceSaved | VoiceRenamed | VoiceRemoved):
            return self._voice(effect.ticket, effect.record)
        state = self._keep(effect.record)
        recorded = getattr(effect.record, "recorded", None)
        if state == "done" and recorded is not None:
            file = self.disk.inputs.setdefault(f"logs/{effect.record.log}.input", bytearray())
            file[getattr(effect.record, "at", 0) :] = recorded
        return Outcome(effect.ticket, state)

    def _voice(self, ticket: int, record: VoiceSaved | VoiceRenamed | VoiceRemoved) -> Outcome:
        """A voice's recordings reach the disk before it does."""
        at = self.wall + self._clock.now
        if isinstance(record, VoiceSaved):
            try:
                self.disk.voices.sync(record.uid, tuple(sample_file(each.sample) for each in record.samples))
            except OSError as error:
                return Outcome(ticket, "failed", f"its recordings cannot be brought to the disk: {error}")
            self._go(voice_key(record.uid, record.name))
            self.voices[voice_key(record.uid, record.name)] = record.dated(at)
            return Outcome(ticket, "done", at=at)
        uid, name = (record.uid, record.name) if isinstance(record, VoiceRemoved) else (record.voice.uid, record.old)
        if not self._go(voice_key(uid, name)):
            return Outcome(ticket, "missing")
        if isinstance(record, VoiceRenamed):
            if voice_key(uid, record.voice.name) in self.voices:
                raise AssertionError(f"{record.voice.name} of {uid} is there, and {name} is to be called so too")
            self.voices[voice_key(uid, record.voice.name)] = record.voice.dated(at)
        return Outcome(ticket, "done", at=at)

    def _go(self, key: Key) -> bool:
        """A voice is not any more what it was; whether there was one."""
        before = self.voices.pop(key, None)
        if before is not None:
            self.voices_removed[key] = before
        for each in before.samples if before is not None else ():
            self.voices_gone[key[0], each.sample] = self._clock.now
        return before is not None

    def _keep(self, record: Record) -> str:
        if isinstance(record, JobSaved):
            return self._keep_job(record)
        key = (record.uid, record.id) if isinstance(record, JobDeleted | JobPinned) else self.by_order.get(record.order)
        if key is None or key not in self.jobs:
            return "deleted" if isinstance(record, JobDeleted) and key in self.removed else "missing"
        saved = self.jobs[key]
        if isinstance(record, TextAdded):
            if record.n < len(saved.texts):
                return "done"
            if record.n > len(saved.texts) and record.order in self._gaps:
                return "failed"  # it was asked for before anybody knew that the one before it had failed
            if record.n > len(saved.texts) or saved.complete or saved.ended is not None:
                raise AssertionError(f"piece {record.n} of {key} does not follow: {saved}")
            self.jobs[key] = replace(saved, texts=(*saved.texts, record.text))
        elif isinstance(record, TextClosed):
            if not saved.complete and len(saved.texts) != record.n:
                raise AssertionError(f"the text of {key} ends with {record.n} pieces, there are {len(saved.texts)}")
            self.jobs[key] = replace(saved, complete=True)
        elif isinstance(record, JobEnded):
            if saved.ended is not None:
                raise AssertionError(f"{key} is over already: {saved.ended.state}, not {record.state}")
            self.jobs[key] = replace(saved, ended=record, finished=self.wall + self._clock.now)
        elif isinstance(record, JobPacked):
            if saved.ended is None or saved.audio != "kept":
                return "missing"
            self.jobs[key] = replace(saved, audio="packed", ended=replace(saved.ended, disk=record.bytes))
        elif isinstance(record, JobPinned):
            self.jobs[key] = replace(saved, pinned=record.pinned)
        else:
            self._remove(key)
        return "done"

    def _remove(self, key: Key) -> None:
        saved = self.removed[key] = self.jobs.pop(key)
        if saved.ended is None:
            raise AssertionError(f"{key} is removed, and is not over")
        del self.by_order[saved.job.order]

    def _keep_job(self, record: JobSaved) -> str:
        key = (record.uid, record.id)
        if key in self.jobs or key in self.removed:
            return "exists" if key in self.jobs else "deleted"
        if record.order < self.next_order:
            raise AssertionError(f"the number {record.order} was given out twice")
        if record.submit.keep == "nothing":
            raise AssertionError(f"nothing was to be kept of {key}")
        self.next_order = record.order + 1
        created = self.wall + self._clock.now
        self.jobs[key] = SavedJob(record, (record.text,), record.submit.complete, created=created)
        self.by_order[record.order] = key
        return "done"

    # ----------------------------------------------------------------------------------------------- questions

    def ask(self, effect: Ask) -> None:
        """Answer soon, with what is kept by then."""
        self._clock.after(self._chance.uniform(0.0005, 0.01), self._find, self._run, effect)

    def expire(self, effect: Expire) -> None:
        """Remove what is past its time, soon."""
        self._clock.after(self._chance.uniform(0.0005, 0.01), self._expire, self._run, effect)

    def _expire(self, run: int, effect: Expire) -> None:
        if run != self._run:
            return
        policy, rows = effect.policy, []
        before = self.base + self._clock.now - policy.job_keep_s  # whatever the date is said to be now
        for key, saved in list(self.jobs.items()):
            job, ended = saved.job, saved.ended
            past = ended is not None and job.submit.keep == "job" and saved.finished <= before
            if past and not saved.pinned and job.order not in policy.spared:
                assert ended is not None
                rows.append({"order": job.order, "uid": job.uid, "id": job.id, "log": job.log, "disk": ended.disk})
                self._remove(key)
                self.expired.add(key)
        if rows:
            self._clock.trace(f"past their time: {[row['id'] for row in rows]}")
        self._clock.after(self._chance.uniform(0.0, 0.002), self._found, run, Found(effect.ticket, rows=tuple(rows)))

    def _find(self, run: int, effect: Ask) -> None:
        if run != self._run:
            return
        wanted = effect.wanted
        found = (
            Found(effect.ticket, rows=self._plain(int(wanted.cursor), float(wanted.where["age_s"]), wanted.limit))
            if wanted.what == "plain"
            else Found(
                effect.ticket,
                saved=self.jobs.get((wanted.uid, wanted.id)),
                deleted=(wanted.uid, wanted.id) in self.removed,
            )
        )
        self._clock.after(self._chance.uniform(0.0, 0.002), self._found, run, found)

    def _plain(self, after: int, age_s: float, limit: int) -> tuple[dict[str, Any], ...]:
        """Jobs that have been over for long enough and are not packed."""
        until = self.wall + self._clock.now - age_s
        rows = [
            {"order": one.job.order, "uid": one.job.uid, "id": one.job.id, "log": one.job.log, "disk": one.ended.disk}
            for one in self.jobs.values()
            if one.ended is not None
            and one.audio == "kept"
            and one.ended.samples
            and one.job.order > after
            and one.finished <= until
        ]
        return tuple(sorted(rows, key=lambda row: row["order"])[:limit])

    def with_audio(self, found: Found) -> Found:
        """As the shell does it: with the word on whether the audio is there."""
        saved = found.saved
        if saved is None or saved.ended is None:
            return found
        name, packed = saved.job.log, saved.audio == "packed"
        if self.disk.size(name, packed=packed) >= saved.ended.disk:
            return found
        size = self.disk.size(name, packed=True)
        if size and not packed:
            return replace(found, saved=replace(saved, audio="packed", ended=replace(saved.ended, disk=size)))
        return replace(found, saved=replace(saved, audio="missing"))

    def _found(self, run: int, found: Found) -> None:
        if run == self._run:
            self._answer(self.with_audio(found))
