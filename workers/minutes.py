"""One attempt to transcribe as the engine thread sees it: the recording that it hears, and the rows that it brings.

Owns: fetching the recording, the numbering of rows, the check that they are in order. Must not know: sockets, threads,
how anything is heard. Invariant: the rows posted are numbered 0, 1, 2 ..., the first is about the recording, and each
passage begins where the one before ended, or later.

It has the shape of a `Take` (open, add, push, finish, measure, done), so that the performer runs both alike; only that
nothing has to wait for credit: an hour of speech is 60 KB of text.
"""

from __future__ import annotations

import io
import math
import tempfile
import time
from collections.abc import Generator
from typing import IO, BinaryIO, cast

from ..bus import messages as m
from ..bus.codec import ROW_BYTES, encode
from .engine import About, Engine, EngineError, Passage, Reached, Recording
from .fetching import Fetches
from .take import Post, Unheld

SPOOL_BYTES = 8 * 1024 * 1024
"""A recording larger than this is on the disk while it is heard, in a file without a name that dies with the worker."""

TELL_S = 0.5
"""Between two signs of progress that an engine gives while it yields nothing."""

SLACK_S = 0.001
"""Times are rounded to milliseconds on the way."""

WORDS = 4096
"""Most words of one passage."""


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """A file that was written here and is read by engines. Some libraries (`wave`, for one) believe a file's mode, and
    would not read one that may be written as well."""

    @property
    def mode(self) -> str:
        return "rb"


class Minutes(Unheld):
    """`credit` and `stopped` are set by the socket thread, all else belongs to the engine's."""

    def __init__(self, work: m.Work, before: bytes, post: Post, fetches: Fetches) -> None:
        super().__init__(work, post)
        self._before = before.decode("utf-8", "replace")
        self._fetches = fetches
        self._rows = 0
        self._end = work.from_s
        self._file: IO[bytes] | None = None
        self._told_at = 0.0

    def items(self, engine: Engine) -> Generator[About | Passage | Reached, None, None]:
        """What the engine hears, once the recording is here. Raises EngineError."""
        work = self.work
        self._file = self._fetched()
        if self._file is None:
            return
        hearing = work.hearing
        yield from engine.transcribe(
            Recording(
                cast("BinaryIO", self._file),
                work.voice,
                work.language,
                hearing.words,
                hearing.translate,
                hearing.vad,
                hearing.prompt,
                work.from_s,
                self._before,
                work.seed,
                dict(work.style.options),
                lambda: self.stopped,
                self._reached,
            )
        )

    def _reached(self, at_s: float) -> None:
        """A sign of progress, now and then."""
        now = time.monotonic()
        if now - self._told_at >= TELL_S:
            self._told_at = now
            self._put(_seconds(at_s), b"")

    def _fetched(self) -> IO[bytes] | None:
        """The recording, None where the attempt was stopped before it was here."""
        key = f"input:{self.work.attempt}"
        file = _Spool(SPOOL_BYTES)  # closed with the attempt
        try:
            there = self._fetches.fetch(self.work, key, file.write, lambda: self.stopped)
        except OSError as error:
            file.close()
            raise EngineError("unavailable", f"no room for the recording in {tempfile.gettempdir()}: {error}") from None
        except EngineError as error:
            # Not "unavailable": that it is gone is no fault of this provider's, and no other one would have it.
            file.close()
            raise EngineError("invalid_input", error.message) from None
        except BaseException:
            file.close()
            raise
        if not there:
            file.close()
            return None
        file.seek(0, io.SEEK_SET)
        return file

    def close(self) -> None:
        """The recording is not needed any more."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, item: object) -> None:
        """Take over what the engine heard, and send it. Raises EngineError for what cannot be."""
        if isinstance(item, Reached):
            self._put(_seconds(item.at_s), b"")
            return
        if isinstance(item, About) and not self._rows:
            row = m.HeardRow(
                "about",
                end=_seconds(item.duration_s),
                language=item.language[:256],
                confidence=_share(item.confidence),
                speech_s=max(-1.0, item.speech_s),
            )
        elif isinstance(item, Passage) and self._rows:
            row = self._passage(item)
        else:
            raise EngineError("crash", f"the engine yielded {type(item).__name__} as item {self._rows} of a transcript")
        body = encode(row)
        if len(body) > ROW_BYTES:
            raise EngineError("crash", f"a passage of {len(row.text)} characters is too long")
        self._put(row.end if row.kind == "passage" else self.work.from_s, body)

    def done(self, work_s: float) -> None:
        """Say that all of the recording is dealt with."""
        work = self.work
        self._post(m.Done(work.v, work.epoch, work.session, work.attempt, self._rows, 0, 0.0, work_s), b"")

    def _passage(self, item: Passage) -> m.HeardRow:
        start, end = _seconds(item.start_s), _seconds(item.end_s)
        if start < self._end - SLACK_S or end < start:
            why = f"a passage from {start:.3f} to {end:.3f} s, behind one that ends at {self._end:.3f} s"
            raise EngineError("crash", f"the engine yielded {why}")
        self._end = end
        words = [
            m.WordRow(_seconds(word.start_s), _seconds(word.end_s), word.text, _share(word.confidence))
            for word in item.words[:WORDS]
        ]
        return m.HeardRow("passage", start, end, item.text, item.language[:256], _share(item.confidence), words)

    def _put(self, at_s: float, body: bytes) -> None:
        work = self.work
        self._post(m.Heard(work.v, work.epoch, work.session, work.attempt, self._rows, max(at_s, 0.0)), body)
        self._rows += bool(body)
        self.sent += 1


def _seconds(value: float) -> float:
    if not math.isfinite(value):
        raise EngineError("crash", f"the engine named the time {value}")
    return round(max(0.0, float(value)), 3)


def _share(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 4) if math.isfinite(value) else 0.0
