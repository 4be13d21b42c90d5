"""The engine thread: loads the engine, tests it, and runs it on one attempt after another.

Owns: the engine, every call to it, and the takes that are being made. Must not know: sockets, the protocol's order.
Invariant: the engine is called on one thread only; whatever it raises ends one attempt and not the worker; while an
attempt waits for credit or for room it can be stopped at once.

The socket thread calls `load`, `begin`, `allow`, `halt` and `finish`, none of which waits. What happens here goes out
through `post`, which may wait for room.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..bus import messages as m
from .batching import Batch
from .cloning import Cloning, Prompts
from .engine import Chunk, Engine, EngineError, Mark, Request, Spoken
from .fetching import Fetches
from .minutes import Minutes
from .registry import missing
from .reports import Progressed, Report, Unusable, complain, one_line
from .selftest import measure, tried
from .take import Post, Take

PAUSE_S = 0.0008
"""How long the engine lets go of the processor after the first frame: measured, it takes a third to a half off the
time to first audio on two cores, and the tail with it, since an engine would else compute right through the moment in
which that frame has to travel."""


@dataclass(slots=True)
class _Job:
    take: Take | Minutes | Cloning
    text: bytes
    items: Generator[Any, None, None] | None = None
    spoken: Spoken | None = None
    started: float = 0.0
    waited: float = 0.0
    blocked: bool = False
    finishing: bool = False
    over: bool = False

    def can_go_on(self) -> bool:
        """Whether there is anything to do for it just now (used where attempts are interleaved)."""
        return self.take.stopped or not self.blocked or self.take.credit > self.take.sent


class Performer:
    """One engine on one thread. `engine`: makes the engine, on that thread."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        post: Post,
        report: Callable[[Report], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = engine
        self._post = post
        self._report = report
        self._clock = clock
        self._changed = threading.Condition()
        self.fetches = Fetches(self._changed, post)
        self._prompts = Prompts(self.fetches)
        self._settings: dict[str, Any] | None = None
        self._engine: Engine | None = None
        self._finished = False
        self._new: deque[_Job] = deque()
        self._dropped: deque[str] = deque()
        self._takes: dict[str, Take | Minutes | Cloning] = {}
        self._native = 0
        self._self_test: Request | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------ from the socket thread

    def load(self, settings: dict[str, Any]) -> None:
        """Load the engine, once."""
        with self._changed:
            self._settings = settings
            self._changed.notify()

    def begin(self, work: m.Work, text: bytes) -> None:
        """Make this attempt when the engine is free."""
        take: Take | Minutes | Cloning
        if work.kind == "transcribe":
            take = Minutes(work, text, self._post, self.fetches)
        elif work.kind == "prompt":
            take = Cloning(work, text, self._post, self.fetches, self._prompts)
        else:
            take = Take(work, self._native, self._post)
        with self._changed:
            self._takes[work.attempt] = take
            self._new.append(_Job(take, text))
            self._changed.notify()

    def allow(self, attempt: str, up_to: int) -> None:
        """An attempt's credit is this from now on."""
        with self._changed:
            if take := self._takes.get(attempt):
                take.credit = up_to
                self._changed.notify()

    def halt(self, attempt: str) -> None:
        """Stop an attempt."""
        with self._changed:
            if take := self._takes.get(attempt):
                take.stopped = True
                self._changed.notify()

    def forget(self, prompt: str) -> None:
        """Keep nothing of a voice prompt any more, as soon as the engine's thread is between two steps; "" is all."""
        with self._changed:
            self._dropped.append(prompt)
            self._changed.notify()

    def memory(self) -> int:
        """Bytes of its device's memory that the engine has now, 0 where it does not say."""
        with contextlib.suppress(Exception):  # A beat is not to fail for a number.
            return max(0, int(self._engine.memory())) if self._engine is not None else 0
        return 0

    def finish(self, within: float) -> None:
        """Stop everything and close the engine; gives up waiting for it after `within` seconds."""
        with self._changed:
            self._finished = True
            for take in self._takes.values():
                take.stopped = True
            self._changed.notify()
        self._thread.join(within)

    # --------------------------------------------------------------------------------- on the engine thread

    def _run(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._settings is not None or self._finished)
        if self._settings is None:
            return
        engine = self._load(self._settings)
        if engine is None:
            return
        try:
            if engine.slots == 1:
                self._one_by_one(engine)
            elif engine.batches:
                self._together(engine)
            else:
                self._interleaved(engine)
            engine.close()
        except BaseException as error:  # noqa: BLE001 - a worker without its engine thread must not go on beating
            traceback.print_exc()
            self._report(Unusable(f"the engine thread has ended: {one_line(error)}"))

    def _load(self, settings: dict[str, Any]) -> Engine | None:
        try:
            started = self._clock()
            engine = self._engine = self._make()
            engine.load(settings, lambda percent, note: self._report(Progressed(percent, note)))
            tested = measure(engine, started, self._clock)
        except EngineError as error:
            self._report(Unusable(f"cannot load: {error.code}: {error.message}", error.lasting))
            return None
        except ModuleNotFoundError as error:
            self._report(Unusable(f"cannot load: load_failed: {missing(error)}", lasting=True))
            return None
        except MemoryError:
            self._report(Unusable("cannot load: out_of_memory: there is not enough memory to load the engine"))
            return None
        except BaseException as error:  # noqa: BLE001 - the socket thread must hear of any end of this one
            traceback.print_exc()
            self._report(Unusable(f"cannot load: load_failed: {one_line(error)}"))
            return None
        self._native = engine.sample_rate
        self._self_test = tested.request
        self._report(tested)
        return engine

    def _one_by_one(self, engine: Engine) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._new or self._dropped or self._finished)
                job = self._new.popleft() if self._new and not self._dropped else None
            if self._dropped:
                self._forgotten(engine)
            elif job is None:
                return
            else:
                self._end(job, self._guarded(job, partial(self._perform, engine, job)))
                del job  # Nothing of what was said is to stay until the next comes.

    def _forgotten(self, engine: Engine) -> None:
        """Forget what is to be forgotten, before anything else is made."""
        while self._dropped:
            key = self._dropped.popleft()
            self._prompts.drop(key)
            engine.forget(key)

    def _perform(self, engine: Engine, job: _Job) -> None:
        if isinstance(job.take, Minutes | Cloning) or self._self_test is None:
            while not (job.over or job.take.stopped):
                self._step(engine, job)
            return
        request = self._start(engine, job.take, job)

        def emit(item: Chunk | Mark) -> bool:
            job.take.add(item)
            return self._deliver(job)

        if request is not None and not job.take.stopped:
            engine.speak(request, emit)
        if not job.take.stopped:
            job.take.finish()
            self._deliver(job, everything=True)

    def _deliver(self, job: _Job, *, everything: bool = False) -> bool:
        """Send what is due, waiting for credit; says whether the attempt goes on."""
        take = job.take
        first = not take.sent
        while not take.stopped and not take.push(self._clock(), everything=everything):
            began = self._clock()
            with self._changed:
                self._changed.wait_for(lambda: take.stopped or take.credit > take.sent)
            job.waited += self._clock() - began
        if first and take.sent:
            time.sleep(PAUSE_S)
            job.waited += PAUSE_S
        take.measure()
        return not take.stopped

    def _interleaved(self, engine: Engine) -> None:
        """Several at once, an item from each in turn. One without credit is passed over until it has some."""
        jobs: list[_Job] = []
        while self._gathered(engine, jobs):
            for job in [job for job in jobs if job.can_go_on()]:
                failure = self._guarded(job, partial(self._step, engine, job))
                if failure or job.take.stopped or job.over:
                    jobs.remove(job)
                    self._end(job, failure)

    def _together(self, engine: Engine) -> None:
        """Several at once, each step of the engine for all of them that can go on."""
        batch = Batch(engine, self._opened, self._guarded, self._settle)
        jobs: list[_Job] = []
        while self._gathered(engine, jobs):
            able = [job for job in jobs if job.can_go_on()]
            apart = [job for job in able if isinstance(job.take, Minutes | Cloning) or self._self_test is None]
            for job in apart:
                failure = self._guarded(job, partial(self._step, engine, job))
                if failure or job.take.stopped or job.over:
                    jobs.remove(job)
                    self._end(job, failure)
            for job, failure in batch.turn([job for job in able if job not in apart]):
                jobs.remove(job)
                self._end(job, failure)

    def _opened(self, engine: Engine, job: _Job) -> Spoken | None:
        """What was opened for an attempt that speaks; None where it was stopped before anybody knew what to say."""
        assert isinstance(job.take, Take)
        request = self._start(engine, job.take, job)
        return engine.open(request) if request is not None else None

    def _gathered(self, engine: Engine, jobs: list[_Job]) -> bool:
        """Wait until one can go on, and add those that are new; False when all is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._new or self._dropped or self._finished or any(job.can_go_on() for job in jobs)
            )
            if self._finished and not jobs and not self._new:
                return False
            while self._new:
                jobs.append(self._new.popleft())
        self._forgotten(engine)
        return True

    def _step(self, engine: Engine, job: _Job) -> None:
        take = job.take
        if take.stopped:
            return
        if job.items is None:
            job.items = self._items(engine, job)
        # What is due already comes before making more.
        if not job.finishing and take.push(self._clock()):
            item = next(job.items, None)
            if item is not None:
                take.add(item)
            else:
                take.finish()
                job.finishing = True
        self._settle(job)

    def _settle(self, job: _Job) -> bool:
        """Send what is due; says whether more may be made."""
        job.blocked = not job.take.push(self._clock(), everything=job.finishing)
        job.over = job.finishing and not job.blocked
        job.take.measure()
        return not job.blocked and not job.finishing

    def _items(self, engine: Engine, job: _Job) -> Generator[Any, None, None]:
        """What the engine makes for an attempt of any kind."""
        job.started = self._clock()
        if isinstance(job.take, Minutes | Cloning):
            return job.take.items(engine)
        if self._self_test is None:
            return tried(engine)
        request = self._start(engine, job.take, job)
        return engine.synthesize(request) if request is not None else _nothing()

    def _start(self, engine: Engine, take: Take, job: _Job) -> Request | None:
        """What to ask the engine; None where the attempt was stopped before that is known."""
        job.started = self._clock()
        take.open()
        try:
            text = job.text.decode()
        except UnicodeDecodeError:
            raise EngineError("invalid_input", "the text is not UTF-8") from None
        if take.work.kind == "probe" and not text and self._self_test is not None:
            return self._self_test
        take.text = len(text)
        request = request_of(take.work, text)
        if not take.work.prompt:
            return request
        prompt = self._prompts.get(take.work, engine, lambda: take.stopped)
        return replace(request, prompt=prompt) if prompt is not None else None

    def _guarded(self, job: _Job, call: Callable[[], None]) -> EngineError | None:
        """Run a call into the engine; what it raises is a failure of this attempt, with a class."""
        try:
            call()
        except EngineError as error:
            return error
        except MemoryError:
            return EngineError("out_of_memory", "the engine ran out of memory")
        except BaseException as error:  # noqa: BLE001 - an engine may raise anything, and the worker lives on
            # Where it happened is worth having; the text that was spoken is not to stand in a log.
            place = traceback.extract_tb(error.__traceback__)[-1]
            complain(f"engine: {one_line(error)} ({place.filename}:{place.lineno})")
            return EngineError("crash", one_line(error))
        finally:
            if job.items is not None and job.take.stopped:
                job.items.close()
        return None

    def _end(self, job: _Job, failure: EngineError | None) -> None:
        take = job.take
        with self._changed:
            self._takes.pop(take.work.attempt, None)
        if isinstance(take, Minutes | Cloning):
            if job.items is not None:
                job.items.close()
            take.close()
        if take.stopped:
            take.ended()
        elif failure:
            take.failed(failure.code, failure.message, failure.retry_after)
        else:
            take.done(max(0.0, self._clock() - job.started - job.waited))


def _nothing() -> Generator[Chunk, None, None]:
    yield from ()


def request_of(work: m.Work, text: str) -> Request:
    """What the engine is asked, from what the daemon asked."""
    style = work.style
    return Request(
        text,
        work.voice,
        work.language,
        work.ssml,
        style.rate,
        style.pitch,
        style.volume,
        style.punctuation,
        style.instruct,
        work.seed,
        dict(style.options),
        seeded=work.seeded,
    )
