"""Attempts that an engine makes together, in steps of all of them.

Owns: the order of a step: what is new is opened, what is due is sent, the engine is asked once, what is over is closed.
Must not know: sockets, threads, what an engine does in a step. Invariant: an attempt that fails, ends, waits for credit
or is stopped costs the others nothing; each that was opened is closed once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .engine import Engine, EngineError, Spoken, Step

if TYPE_CHECKING:
    from .performer import _Job

Ended = tuple["_Job", EngineError | None]
"""An attempt that is over, and why it failed if it did."""


class Batch:
    """The steps of an engine that `batches`. opened: has the engine open an attempt, if that goes on. guarded: calls,
    and returns what was raised. settle: sends what is due of an attempt, and says whether more may be made."""

    def __init__(
        self,
        engine: Engine,
        opened: Callable[[Engine, _Job], Spoken | None],
        guarded: Callable[[_Job, Callable[[], None]], EngineError | None],
        settle: Callable[[_Job], bool],
    ) -> None:
        self._engine = engine
        self._opened = opened
        self._guarded = guarded
        self._settle = settle

    def turn(self, able: list[_Job]) -> list[Ended]:
        """One step for these attempts; returns those that are over with it."""
        failed: dict[int, EngineError | None] = {}
        wanted: list[_Job] = []
        for job in able:
            failed[id(job)] = self._guarded(job, partial(self._prepare, job, wanted))
        for job, made in zip(wanted, self._advanced(wanted), strict=True):
            failed[id(job)] = self._guarded(job, partial(self._took, job, made))
        ended: list[Ended] = []
        for job in able:
            failure = failed[id(job)]
            if failure or job.take.stopped or job.over:
                ended.append((job, failure or self._close(job)))
                if failure:
                    self._close(job)
        return ended

    def _prepare(self, job: _Job, wanted: list[_Job]) -> None:
        if job.take.stopped:
            return
        if job.spoken is None:
            job.spoken = self._opened(self._engine, job)
        if job.spoken is None:
            return
        # What is due already comes before making more.
        if self._settle(job):
            wanted.append(job)

    def _advanced(self, jobs: list[_Job]) -> list[Step]:
        """What the engine made of each; what it raises is what became of all."""
        made: list[Step] = []

        def advance() -> None:
            made.extend(self._engine.advance([job.spoken for job in jobs]))
            if len(made) != len(jobs):
                raise EngineError("crash", f"the engine made {len(made)} steps of {len(jobs)} utterances")

        failure = self._guarded(jobs[0], advance) if jobs else None
        return [failure] * len(jobs) if failure else made

    def _took(self, job: _Job, made: Step) -> None:
        if isinstance(made, EngineError):
            raise made
        if made is None:
            job.take.finish()
            job.finishing = True
        else:
            for item in made:
                job.take.add(item)
        self._settle(job)

    def _close(self, job: _Job) -> EngineError | None:
        spoken, job.spoken = job.spoken, None
        return self._guarded(job, spoken.close) if spoken is not None else None
