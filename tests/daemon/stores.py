"""What the tests of the store share: records to commit, and a way to wait for what comes of them."""

from __future__ import annotations

import select
import threading
from pathlib import Path

from voicebus.bus.messages import Submit
from voicebus.daemon.core.records import Found, JobEnded, JobSaved, Outcome, Record, SegmentSaved, Wanted
from voicebus.daemon.store import Store, open_store


def saved(order: int, text: str = "Some words.", uid: int = 1000, **fields: object) -> JobSaved:
    """A job with all its text in one piece, to be kept in the history; `fields` are those of SUBMIT."""
    name = str(fields.pop("job", f"job-{order}"))
    submit = Submit(job=name, **{"keep": "history", **fields})
    return JobSaved(order, uid, name, f"log-{order}", "en", 22050, submit, text.encode())


def segment(number: int = 0, **fields: object) -> SegmentSaved:
    """A segment that espeak said."""
    begin = {"number": number, "start": 0, "end": 11, "state": "whole", "take": f"t{number}", "provider": "espeak"}
    return SegmentSaved(**{**begin, "version": "1.52", "voice": "en", "samples": 1000, "rms": 0.25, **fields})


def ended(order: int, state: str = "finished", **fields: object) -> JobEnded:
    """The end of a job that espeak said in one segment."""
    speakers = ({"provider": "espeak", "version": "1.52", "voice": "en", "segments": 1},)
    begin = {"code": "", "message": "", "rate": 22050, "samples": 1000, "skipped": 0, "disk": 2100}
    rest = {"speakers": speakers, "segments": (segment(),), **fields}
    return JobEnded(order, f"log-{order}", state, **{**begin, **rest})


class Synced:
    """Stands for the journals: which were brought to the disk, what goes wrong with that, and until when it takes."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.errors: dict[str, OSError] = {}
        self.asked = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def __call__(self, name: str) -> None:
        self.asked.set()
        assert self.free.wait(20)
        if name in self.errors:
            raise self.errors[name]
        self.names.append(name)


class Clock:
    """A wall clock that stands where it is put."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Desk:
    """A store and its counter of tickets: what is put in, and what comes out of it."""

    def __init__(self, path: Path, **options: object) -> None:
        self.path = path
        self.synced = Synced()
        self.clock = Clock()
        self.options = options
        self.tickets = 0
        self.done: dict[int, Outcome | Found] = {}
        self.order: list[int] = []
        self.store = self._open()

    def _open(self) -> Store:
        return open_store(self.path, self.synced, clock=self.clock, **self.options)

    def reopen(self) -> None:
        """Another daemon on the same database."""
        self.store.close()
        self.store = self._open()

    def begin(self, record: Record) -> int:
        """Commit without waiting; the ticket."""
        self.tickets += 1
        self.store.commit(self.tickets, record)
        return self.tickets

    def collect(self, *tickets: int) -> None:
        """Wait until these are done."""
        while not self.done.keys() >= set(tickets):
            fd = self.store.fileno()
            if fd is not None:
                assert select.select([fd], [], [], 20)[0], "the store does not answer"
            for done in self.store.completed():
                assert done.ticket not in self.done
                self.done[done.ticket] = done
                self.order.append(done.ticket)

    def commit(self, *records: Record) -> list[str]:
        """Commit one after the other, each when the one before is done; the states."""
        return [self.outcome(record).state for record in records]

    def outcome(self, record: Record) -> Outcome:
        ticket = self.begin(record)
        self.collect(ticket)
        found = self.done[ticket]
        assert isinstance(found, Outcome)
        return found

    def ask(self, wanted: Wanted) -> Found:
        self.tickets += 1
        self.store.ask(self.tickets, wanted)
        return self.found(self.tickets)

    def found(self, ticket: int) -> Found:
        self.collect(ticket)
        found = self.done[ticket]
        assert isinstance(found, Found)
        return found

    def job(self, name: str, uid: int = 1000) -> Found:
        return self.ask(Wanted("job", uid, name))

    def history(self, uid: int = 1000, cursor: str = "", limit: int = 100, **where: str) -> Found:
        return self.ask(Wanted("history", uid, where=where, cursor=cursor, limit=limit))

    def files(self) -> dict[str, bytes]:
        """All bytes in the database's directory."""
        return {each.name: each.read_bytes() for each in self.path.parent.iterdir() if each.is_file()}


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else 0
