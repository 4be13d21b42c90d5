"""Alignment for callers: the audio of a finished job, heard by a recogniser, gives the times of its words.

Owns: which jobs can be aligned, and the way of their audio from the daemon and back to it. Must not know: how words are
matched (`aligning`), sockets. Invariant: whatever ends it, the transcription is over and the copy of the audio is gone.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, TypedDict, Unpack

from ..bus.errors import InvalidRequest, NotFound
from . import aligning
from .encoders import wav_header
from .events import Event, Mark, Segment
from .transcribing import HearingOptions, Transcript

if TYPE_CHECKING:
    from .aio import AsyncSpeech
    from .sync import Speech
    from .transcribing import AsyncTranscription, Transcription

_HEADER = bytes(44)


class AlignOptions(TypedDict, total=False):
    """Who listens; both can be left out. provider, model: as for `transcribe`."""

    provider: str | None
    model: str | None


class _Copy:
    """The audio of a job on its way: as a WAV file that has no name, and where its segments are."""

    def __init__(self, row: dict[str, Any], file: IO[bytes]) -> None:
        self.row = row
        self.file = file
        self.segments: list[Segment] = []
        file.write(_HEADER)

    def event(self, event: Event) -> None:
        """The job was asked for whole, so that nothing of it is taken back."""
        if isinstance(event, Segment):
            self.segments.append(event)

    def complete(self) -> IO[bytes]:
        """The file, from its beginning."""
        data_bytes = self.file.tell() - len(_HEADER)
        self.file.seek(0)
        self.file.write(wav_header(self.row["rate"], data_bytes))
        self.file.seek(0)
        return self.file

    def hearing(self, options: AlignOptions) -> HearingOptions:
        """How it is transcribed."""
        given = {name: value for name, value in options.items() if value is not None}
        language = self.row["language"] or "auto"
        return {"words": True, "keep": "nothing", "language": language, **given}  # type: ignore[typeddict-item]

    def marks(self, text: str, transcript: Transcript) -> list[Mark]:
        """What came of it."""
        text = aligning.unmarked(text) if self.row["request"]["ssml"] else text
        heard = (word for passage in transcript.passages for word in passage.words)
        return aligning.aligned(text, self.segments, heard, self.row["samples"], self.row["rate"])


def _check(row: dict[str, Any]) -> None:
    """Raise InvalidRequest for a job of the history that cannot be aligned."""
    job = row["job"]
    if row["request"].get("kind") == "transcribe":
        raise InvalidRequest(f"{job} is a transcript; its words are timed where it is asked for with words.")
    if row["state"] != "finished":
        raise InvalidRequest(f"{job} has not finished ({row['state']}); say it again, and align that.")
    if row["audio"] == "missing":
        raise InvalidRequest(f"The audio of {job} is missing from the disk; say it again, and align that.", code="gone")
    if not row["samples"]:
        raise InvalidRequest(f"{job} has no audio to align.")


def _absent(job: str, jobs: list[dict[str, Any]], error: NotFound) -> Exception:
    """Why a job is not in the history."""
    state = next((row["state"] for row in jobs if row["job"] == job), "")
    if not state:
        return error
    if state in ("finished", "failed", "cancelled"):
        return InvalidRequest(f"Nothing is kept of {job}; say it again with keep='job', and align that.", code="gone")
    return InvalidRequest(f"{job} is not finished yet ({state}); align it when it is.")


@contextlib.contextmanager
def _cancelled_on_error(transcription: Transcription | AsyncTranscription) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not transcription.over:
            transcription.cancel()
        raise


class Aligns:
    """What a client with threads can do about the times of words."""

    if TYPE_CHECKING:

        def kept(self, job: str) -> dict[str, Any]: ...
        def jobs(self, state: str | None = None) -> list[dict[str, Any]]: ...
        def text(self, job: str) -> str: ...
        def attach(self, job: str, offset: int = 0, *, take: str = "", whole: bool = False) -> Speech: ...
        def transcribe(self, source: IO[bytes], **options: Unpack[HearingOptions]) -> Transcription: ...

    def align(self, job: str, **options: Unpack[AlignOptions]) -> list[Mark]:
        """When each word of a finished job is heard, as somebody who transcribes hears it: its audio is transcribed by
        a job that nothing is kept of, and the words found there are matched with those of the text. Returns when that
        is done, with a `Mark` of kind "word" for each word that was spoken, in order.

        Those that were heard have the method "align" and the recogniser's confidence (0 to 1), those between them
        "estimate" and 0.3. options: see `AlignOptions`. Raises NotFound, InvalidRequest for a job that is not finished
        or whose audio is gone (code "gone"), OSError where there is no room for a copy of the audio, and what
        `transcribe` raises.
        """
        try:
            row = self.kept(job)
        except NotFound as error:
            raise _absent(job, self.jobs(), error) from None
        _check(row)
        with tempfile.TemporaryFile() as file:
            copy = _Copy(row, file)
            speech = self.attach(job, whole=True)
            with contextlib.closing(speech):
                speech.save(file, "raw", on_event=copy.event)
            transcription = self.transcribe(copy.complete(), **copy.hearing(options))
            with _cancelled_on_error(transcription):
                transcript = transcription.wait()
        return copy.marks(self.text(job), transcript)


class AsyncAligns:
    """What a client with asyncio can do about the times of words."""

    if TYPE_CHECKING:

        async def kept(self, job: str) -> dict[str, Any]: ...
        async def jobs(self, state: str | None = None) -> list[dict[str, Any]]: ...
        async def text(self, job: str) -> str: ...
        async def attach(self, job: str, offset: int = 0, *, take: str = "", whole: bool = False) -> AsyncSpeech: ...
        async def transcribe(self, source: IO[bytes], **options: Unpack[HearingOptions]) -> AsyncTranscription: ...

    async def align(self, job: str, **options: Unpack[AlignOptions]) -> list[Mark]:
        """When each word of a finished job is heard; see `Client.align`."""
        try:
            row = await self.kept(job)
        except NotFound as error:
            raise _absent(job, await self.jobs(), error) from None
        _check(row)
        with tempfile.TemporaryFile() as file:
            copy = _Copy(row, file)
            speech = await self.attach(job, whole=True)
            with contextlib.closing(speech):
                await speech.save(file, "raw", on_event=copy.event)
            transcription = await self.transcribe(copy.complete(), **copy.hearing(options))
            with _cancelled_on_error(transcription):
                transcript = await transcription.wait()
        return copy.marks(await self.text(job), transcript)
