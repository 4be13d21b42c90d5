"""One attempt as the engine thread sees it: what was made, what may be sent, what was sent.

Owns: the numbering of an attempt's frames, their joining, the credit, the resampling, marks and level. Must not know:
sockets, threads, clocks (the time is an argument). Invariant: the frames posted are numbered 0, 1, 2 ... without a
gap in their offsets, no sample is posted beyond the credit, and every mark is posted before the audio at its sample.

A listener waits for the first frame, so it goes at once. Later ones are joined, since each costs three processes a
wake-up, up to `FRAME_S`; but audio is not held back from a listener who is about to run dry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..bus import messages as m
from ..bus.codec import encode
from .engine import Chunk, EngineError, Mark
from .level import Level

FRAME_S = 0.25
"""Longest frame, in seconds."""

HOLD_S = 0.05
"""Longest time for which audio waits to be joined with more, while the engine makes any."""

_MARKS_PER_MESSAGE = 1000

Post = Callable[[m.WorkerMessage, bytes | memoryview], None]


class Stream(Protocol):
    """A streaming resampler of 16-bit PCM."""

    def __call__(self, pcm: bytes, *, last: bool) -> bytes: ...


def resampler(source: int, target: int) -> Stream | None:
    """What turns one rate into another, None where they are the same. Raises EngineError where soxr is not there."""
    if source == target:
        return None
    try:
        import numpy as np
        import soxr
    except ImportError:
        raise EngineError(
            "unavailable",
            f"this worker makes {source} samples a second and {target} were asked for, which needs soxr: "
            "pip install soxr into the worker's environment",
        ) from None
    stream = soxr.ResampleStream(source, target, 1, dtype="int16", quality="HQ")

    def resample(pcm: bytes, *, last: bool) -> bytes:
        made: Any = stream.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.int16), last=last)
        return bytes(made.astype("<i2").tobytes())

    return resample


class Reports:
    """What is said of an attempt of any kind. `stopped`, `credit` are set by the socket thread."""

    def __init__(self, work: m.Work, post: Post) -> None:
        self.work = work
        self.credit = work.credit
        self.stopped = False
        self._post = post

    def failed(self, code: str, message: str, retry_after: float = 0.0) -> None:
        """Say that it cannot be completed."""
        work = self.work
        said = m.Failed(work.v, work.epoch, work.session, work.attempt, code, message[:2000], retry_after)
        self._post(said, b"")

    def ended(self) -> None:
        """Say that it was stopped."""
        work = self.work
        self._post(m.Stopped(work.v, work.epoch, work.session, work.attempt), b"")


class Unheld(Reports):
    """An attempt that makes no audio, in the shape of a `Take`: all of it is sent as it comes."""

    def __init__(self, work: m.Work, post: Post) -> None:
        super().__init__(work, post)
        self.sent = 0

    def open(self) -> None:
        """Nothing has to be ready before the first item."""

    def push(self, now: float, *, everything: bool = False) -> bool:
        """Nothing is left to be sent."""
        return True

    def finish(self) -> None:
        """Nothing is held back."""

    def measure(self) -> None:
        """There is no level."""


class Take(Reports):
    """The audio of one attempt. `credit` and `stopped` are set by the socket thread, all else belongs to the engine's.

    native: samples a second that the engine makes. text: the length of the text, in code points, once known.
    """

    def __init__(self, work: m.Work, native: int, post: Post) -> None:
        super().__init__(work, post)
        self.text = 0
        self.rate = work.rate or native
        self.native = native
        self.sent = 0
        self.held = 0
        self.level = Level()
        self._stream: Stream | None = None
        self._seq = 0
        self._held: list[bytes | memoryview] = []
        self._marks: list[m.MarkRow] = []
        self._unmeasured: list[bytes | memoryview] = []
        self._began = 0.0
        self._last = 0.0
        self._frame = max(1, int(self.rate * FRAME_S))

    def open(self) -> None:
        """Make the resampler, where one is needed. Raises EngineError."""
        self._stream = resampler(self.native, self.rate)

    def add(self, item: Chunk | Mark) -> None:
        """Take over what the engine made. Raises EngineError for PCM of an odd length."""
        if isinstance(item, Mark):
            self._marks.append(self._row(item))
            return
        pcm = item.pcm
        if len(pcm) % 2:
            raise EngineError("crash", f"the engine made half a sample: a chunk of {len(pcm)} bytes")
        self._hold(self._stream(pcm, last=False) if self._stream else pcm)

    def finish(self) -> None:
        """The engine is done: what the resampler still has belongs to the take."""
        if self._stream:
            self._hold(self._stream(b"", last=True))

    def push(self, now: float, *, everything: bool = False) -> bool:
        """Send what is due, or everything; False where credit ran out first. Call again when there is more of it."""
        while self.held and (everything or self._due(now)):
            room = self.credit - self.sent
            if room <= 0:
                return False
            self._send(min(self.held, self._frame, room), now)
        if everything:
            self._send_marks()
        return True

    def measure(self) -> None:
        """Measure what was sent since the last time. Apart from sending, so that nobody waits for it."""
        for frame in self._unmeasured:
            self.level.add(frame)
        self._unmeasured.clear()

    def done(self, work_s: float) -> None:
        """Say that the take is whole."""
        self.measure()
        work = self.work
        message = m.Done(
            work.v, work.epoch, work.session, work.attempt, self.sent, self.level.peak, self.level.rms, work_s
        )
        self._post(message, b"")

    def _row(self, mark: Mark) -> m.MarkRow:
        # A range beyond the text would be a breach of the protocol, and the worker's end.
        sample = max(0, mark.sample) * self.rate // self.native
        start = min(max(0, mark.start), self.text)
        length = min(max(0, mark.length), self.text - start)
        return m.MarkRow(mark.kind, sample, start, length, mark.name[:256], mark.confidence)

    def _hold(self, pcm: bytes) -> None:
        if pcm:
            self._held.append(pcm)
            self.held += len(pcm) // 2

    def _due(self, now: float) -> bool:
        if not self.sent or self.held >= self._frame:
            return True
        # What the listener has of it and has not heard yet, if it plays since the first frame.
        lead = self.sent / self.rate - (now - self._began)
        return now - self._last >= min(HOLD_S, lead / 4)

    def _send(self, samples: int, now: float) -> None:
        self._send_marks()
        data = memoryview(self._held[0] if len(self._held) == 1 else b"".join(self._held))
        frame, rest = data[: 2 * samples], data[2 * samples :]
        self._held = [rest] if rest else []
        self.held -= samples
        work = self.work
        self._post(m.Chunk(work.v, work.epoch, work.session, work.attempt, self._seq, self.sent), frame)
        if not self.sent:
            self._began = now
        self._seq += 1
        self.sent += samples
        self._last = now
        self._unmeasured.append(frame)

    def _send_marks(self) -> None:
        work = self.work
        while self._marks:
            rows, self._marks = self._marks[:_MARKS_PER_MESSAGE], self._marks[_MARKS_PER_MESSAGE:]
            self._post(m.TakeMarks(work.v, work.epoch, work.session, work.attempt), encode(rows))
