"""Transcription for callers: a recording in, passages out, and the whole transcript at the end.

Owns: the options of `transcribe`, `Transcript`, and what both clients do for one. Must not know: sockets, audio formats
(the worker decodes). Invariant: a transcript has each passage once, in order; what a `Rewound` took back is not in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypedDict, Unpack, cast

from ..bus.codec import BODY_BYTES
from ..bus.errors import InvalidRequest
from ..bus.messages import Hearing, Keep, Pace, Priority
from . import asking
from .events import About, Event, Passage, Result, Rewound
from .following import AsyncFollowed, Followed
from .reading import Reading
from .speech import AHEAD_S

Source = str | Path | bytes | IO[bytes]
"""A recording: the path of a file, its bytes, or something that is read to its end."""

PROMPT_CHARS = 4000


class HearingOptions(TypedDict, total=False):
    """How to transcribe; all of them can be left out.

    provider, model: whom to ask; or chain: several, best first, as for `speak` with models in place of voices.
    language: BCP 47; left out or "auto", it is found out. words: time each word. translate: into English. vad: leave
    out what is no speech before listening to it (true). prompt: words that are likely to occur, or the style to write.
    options: what one engine alone understands. pace: "render" (to the end, listener or none) or "listen" (only while
    somebody reads). priority, keep, patience, job: as for `speak`.
    """

    provider: str
    model: str
    chain: Iterable[asking.Entry]
    language: str
    words: bool
    translate: bool
    vad: bool
    prompt: str
    options: Mapping[str, str | int | float | bool]
    priority: Priority
    pace: Pace
    keep: Keep
    patience: float
    job: str


@dataclass(slots=True)
class Transcript:
    """What a recording says. about: the recording, None before it is known; passages: in order. result: how the job
    ended, with the code "no_speech" where nobody speaks in it."""

    about: About | None = None
    passages: list[Passage] = field(default_factory=list)
    result: Result | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(passage.text for passage in self.passages).strip()

    @property
    def language(self) -> str:
        """BCP 47; "" while nobody knows."""
        return self.about.language if self.about is not None else ""

    def put(self, event: Event) -> None:
        """Take an event in."""
        if isinstance(event, About):
            self.about = event
        elif isinstance(event, Passage):
            self.passages.append(event)
        elif isinstance(event, Rewound):
            self.passages = [passage for passage in self.passages if passage.number < event.offset]
            self.about = self.about if event.offset else None


def reading_for(first: bytes, options: Mapping[str, Any], now: float, *, complete: bool) -> Reading:
    """The reading of a new job. first: the first piece of the recording. Raises InvalidRequest."""
    given = {name: value for name, value in options.items() if value is not None}
    if unknown := [name for name in given if name not in HearingOptions.__annotations__]:
        known = ", ".join(HearingOptions.__annotations__)
        raise TypeError(f"transcribe() has no option {unknown[0]!r}; there are {known}")
    if complete and not first:
        raise InvalidRequest("There is nothing to hear: the recording is empty.", code="empty_text")
    prompt = str(given.pop("prompt", ""))
    if len(prompt) > PROMPT_CHARS:
        raise InvalidRequest(f"prompt has {len(prompt)} characters; it may have {PROMPT_CHARS}.")
    hearing = Hearing(
        bool(given.pop("words", False)), bool(given.pop("translate", False)), bool(given.pop("vad", True)), prompt
    )
    given.setdefault("pace", "render")
    if "model" in given:
        given["voice"] = given.pop("model")
    submit = asking.submit_for(given, complete=complete)
    submit.kind, submit.hearing = "transcribe", hearing
    reading = Reading(submit.job, now=now, read=submit.read, window_s=AHEAD_S, submit=submit, text=first)
    reading.hears = True
    return reading


def attached_reading(job: str, number: int, take: str, now: float) -> Reading:
    """The reading of a transcript that is there, from a row on. take: the name of the row before."""
    reading = Reading(asking.job_name(job), now=now, window_s=AHEAD_S, offset=number, take=take)
    reading.hears = True
    return reading


@contextlib.contextmanager
def _closing(file: IO[bytes], *, ours: bool) -> Iterator[IO[bytes]]:
    try:
        yield file
    finally:
        if ours:
            file.close()


def opened(source: Source) -> tuple[IO[bytes], bool]:
    """The recording as a file, and whether it is ours to close. Raises OSError."""
    if isinstance(source, bytes | bytearray):
        return io.BytesIO(source), True
    if isinstance(source, str | Path):
        return Path(source).open("rb"), True
    return source, False


def _read(file: IO[bytes]) -> bytes:
    """As much of a file as goes into one piece; less only at its end, or where it comes from a pipe."""
    data = file.read(BODY_BYTES)
    if not isinstance(data, bytes):
        raise TypeError("a recording is read as bytes: open the file with 'rb'")
    return data


class Transcription(Followed):
    """One job that transcribes, as an iterable of events: `About`, `Passage`, `Notice`, `Rewound`. `transcript`: what
    was iterated so far. Ends and raises as `Speech` does."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.transcript = Transcript()

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self._wait()
            if event is None:
                self.transcript.result = self.result
                return
            self.transcript.put(event)
            yield event

    def wait(self) -> Transcript:
        """Read to the end. Raises as iterating does."""
        for _ in self:
            pass
        self.transcript.result = self._finished()
        return self.transcript

    def _feed_file(self, file: IO[bytes], first: bytes, *, ours: bool) -> None:
        """Send the rest of a recording. Runs in a thread of its own."""
        try:
            with _closing(file, ours=ours):
                data = first
                while data:
                    if not self._send(data):
                        return
                    data = _read(file)
            self._act(lambda reading, now: reading.end(now))
        except BaseException as error:  # noqa: BLE001 - what the caller's file raises is the caller's to see
            self._feed_failed(error)


class Hears:
    """What a client with threads can do with recordings."""

    _adopt: Callable[..., Any]

    def transcribe(self, source: Source, **options: Unpack[HearingOptions]) -> Transcription:
        """Have a recording transcribed. Returns when the daemon has accepted it; what is still to be read of it is sent
        by a thread meanwhile (`wait_kept` says when it is all there).

        source: the path of a file, its bytes, or a binary file, in any common audio or video format. options: see
        `HearingOptions`. Raises OSError where it cannot be read, and what `speak` raises.
        """
        file, ours = opened(source)
        try:
            first, rest = _read(file), _read(file)
            reading = reading_for(first, options, time.monotonic(), complete=not rest)
            transcription = cast("Transcription", self._adopt(reading, Transcription))
        except BaseException:
            if ours:
                file.close()
            raise
        if rest:
            feed = threading.Thread(
                target=transcription._feed_file,  # noqa: SLF001
                args=(file, rest),
                kwargs={"ours": ours},
                name="voicebus-recording",
                daemon=True,
            )
            feed.start()
        elif ours:
            file.close()
        return transcription

    def transcript(self, job: str, number: int = 0, *, take: str = "") -> Transcription:
        """Read the transcript of a job that is there, running or over, from a row on; take: the name of the row before.
        Raises NotFound."""
        reading = attached_reading(job, number, take, time.monotonic())
        return cast("Transcription", self._adopt(reading, Transcription))


class AsyncTranscription(AsyncFollowed):
    """One job that transcribes, as an asynchronous iterable of events; see `Transcription`."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.transcript = Transcript()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = await self._wait()
            if event is None:
                self.transcript.result = self.result
                return
            self.transcript.put(event)
            yield event

    async def wait(self) -> Transcript:
        """Read to the end. Raises as iterating does."""
        async for _ in self:
            pass
        self.transcript.result = self._finished()
        return self.transcript

    async def _feed_file(self, file: IO[bytes], first: bytes, *, ours: bool) -> None:
        try:
            with _closing(file, ours=ours):
                data = first
                while data:
                    if not await self._send(data):
                        return
                    data = await asyncio.to_thread(_read, file)
            self._act(lambda reading, now: reading.end(now))
        except Exception as error:  # noqa: BLE001 - what the caller's file raises is the caller's to see
            self._feed_failed(error)


class AsyncHears:
    """What a client with asyncio can do with recordings."""

    _adopt: Callable[..., Any]

    async def transcribe(self, source: Source, **options: Unpack[HearingOptions]) -> AsyncTranscription:
        """Have a recording transcribed; see `Client.transcribe`. A slow file is read in a thread."""
        file, ours = await asyncio.to_thread(opened, source)
        try:
            first = await asyncio.to_thread(_read, file)
            rest = await asyncio.to_thread(_read, file)
            reading = reading_for(first, options, time.monotonic(), complete=not rest)
            transcription = cast("AsyncTranscription", await self._adopt(reading, AsyncTranscription))
        except BaseException:
            if ours:
                file.close()
            raise
        if rest:
            feed = transcription._feed_file(file, rest, ours=ours)  # noqa: SLF001
            transcription._feeder = asyncio.create_task(feed)  # noqa: SLF001
        elif ours:
            file.close()
        return transcription

    async def transcript(self, job: str, number: int = 0, *, take: str = "") -> AsyncTranscription:
        """Read the transcript of a job that is there; see `Client.transcript`."""
        reading = attached_reading(job, number, take, time.monotonic())
        return cast("AsyncTranscription", await self._adopt(reading, AsyncTranscription))
