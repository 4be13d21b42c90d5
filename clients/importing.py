"""Jobs of an archive on their way into the history.

Owns: what is asked of the daemon for each job, and what comes of its answers. Must not know: sockets, threads, event
loops: `steps` is a generator of questions, and each client answers them in its own way. Invariant: each job of the
archive is counted once, as imported, skipped or damaged; what is wrong with one does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..bus.errors import CallerError
from ..bus.messages import Deposit, Import, Imported
from .archived import Archive, Entry, Whole
from .steps import Steps
from .unzipping import Damaged

AGAIN = 10
"""How often a job is begun again because the daemon does not know any more that it was being brought."""


@dataclass(slots=True)
class Tally:
    """What an import has done so far. imported: how many jobs are in the history now that were not before. skipped: the
    names of those that were there, or were deleted not long ago. damaged: the names of those that could not be taken
    in, with why."""

    imported: int = 0
    skipped: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)


OnJob = Callable[[str, Tally], object]
"""Called with the name of each job before it is brought, and with what was done until then."""


def steps(path: str | Path, done: Tally, on_job: OnJob | None) -> Steps[None]:
    """Bring all jobs of an archive. Raises InvalidRequest where the file is none, OSError, and what the daemon cannot
    do now (QueueFull, StorageError, Disconnected)."""
    with Archive(path) as archive:
        for entry in archive.entries():
            if on_job is not None:
                on_job(entry.job, done)
            try:
                yield from _job(entry, done)
            except Damaged as error:
                done.damaged[entry.job] = str(error)
            except CallerError as error:
                done.damaged[entry.job] = error.message


def _job(entry: Entry, done: Tally) -> Steps[None]:
    with entry.open() as whole:
        sent = False
        for _ in range(AGAIN):
            try:
                answer = yield Import(job=entry.job), whole.record
                if not isinstance(answer, Imported):
                    for n, (kind, body, last) in enumerate(_marked(whole)):
                        sent = sent or last
                        answer = yield Deposit(job=entry.job, n=n, kind=kind, last=last), body  # type: ignore[arg-type]
            except CallerError as error:
                if error.code != "not_importing":
                    raise
            else:
                # Where its last piece had been sent to a daemon that then died, it may be there because of that.
                if answer.outcome == "imported" or (answer.outcome == "exists" and sent):
                    done.imported += 1
                else:
                    done.skipped.append(entry.job)
                return
    raise Damaged("the daemon lost it again and again on the way: see why with voicebus logs")


def _marked(whole: Whole) -> Iterator[tuple[str, bytes, bool]]:
    """The pieces, with the last one marked."""
    pieces = whole.pieces()
    kind, body = next(pieces)
    for following in pieces:
        yield kind, body, False
        kind, body = following
    yield kind, body, True
