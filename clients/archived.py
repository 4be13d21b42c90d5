"""The jobs of an archive, one by one, as they go to a daemon.

Owns: what is believed of an archive's manifest, records and audio, and in which pieces a job is sent. Must not know:
sockets, sessions, who imports. Invariant: of each job, all files have the checksums of the manifest before any of it is
handed out; audio is handed out only as far as it is as long as the record says.
"""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar, get_type_hints

import msgspec

from ..bus.archived import ArchivedJob, ArchivedSegment
from ..bus.codec import BODY_BYTES, JOB_NAME, encode
from ..bus.errors import InvalidRequest
from ..bus.messages import MarkRow
from .archive import FORMAT, VERSION
from .pieces import cut
from .unzipping import Damaged, copy, open_zip, read

MANIFEST_BYTES = 128 << 20
RECORD_BYTES = 128 << 20
TEXT_BYTES = 64 << 20
AUDIO_ROOM = 1 << 20
"""So many bytes an audio file may be longer than its samples."""

AUDIO = ("audio.flac", "audio.wav")

Raw = dict[str, msgspec.Raw]
T = TypeVar("T", bound=msgspec.Struct)


class _Entry(msgspec.Struct):
    job: str
    folder: str
    sha256: dict[str, str]


class _Manifest(msgspec.Struct):
    format: str
    version: int
    jobs: list[_Entry] = []


class _Request(msgspec.Struct):
    kind: str = "speak"


class _Mark(msgspec.Struct):
    """A timing as `Client` tells it."""

    kind: str
    offset: int
    start: int
    length: int
    segment: int
    name: str = ""
    confidence: float = 1.0
    method: str = ""


class _Asked(msgspec.Struct):
    """Of what was asked for, what decides whether it can come back."""

    kind: str = "speak"


class Archive:
    """An archive that is open for reading, a context manager. Raises InvalidRequest where it is none, OSError."""

    def __init__(self, path: str | Path) -> None:
        self._zip = open_zip(Path(path))
        try:
            self._manifest = self._read_manifest(path)
        except BaseException:
            self._zip.close()
            raise

    def _read_manifest(self, path: str | Path) -> _Manifest:
        try:
            data = read(self._zip, "manifest.json", MANIFEST_BYTES)
            found = msgspec.json.decode(data, type=_Manifest)
        except (Damaged, msgspec.MsgspecError) as error:
            raise InvalidRequest(f"{path} is not an archive of the history: {error}") from None
        if found.format != FORMAT:
            raise InvalidRequest(f"{path} is not an archive of the history: its format is {found.format!r}.")
        if found.version > VERSION:
            text = f"{path} is of version {found.version}, which only a newer voicebus can read."
            raise InvalidRequest(text)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def entries(self) -> Iterator[Entry]:
        """The jobs, the oldest first: so they keep their order in the history that they come into."""
        for found in reversed(self._manifest.jobs):
            yield Entry(self._zip, found)


class Entry:
    """A job of an archive; `open` reads it. job: its name, as the manifest says."""

    def __init__(self, archive: zipfile.ZipFile, told: _Entry) -> None:
        self.job = told.job
        self._zip = archive
        self._told = told

    @contextlib.contextmanager
    def open(self) -> Iterator[Whole]:
        """Raises Damaged, OSError."""
        if not JOB_NAME.match(self.job):
            raise Damaged("its name cannot be that of a job")
        files = self._told.sha256
        record = _Record(self._read("record.json", RECORD_BYTES), self.job)
        text = self._read("text.txt", TEXT_BYTES)
        name = next((each for each in AUDIO if each in files), None)
        if name is None or not record.job.samples:
            record.job.audio = "missing" if record.job.samples else "kept"
            yield Whole(record, text, None)
            return
        record.job.audio = "kept"
        with tempfile.TemporaryFile() as file:
            most = 2 * record.job.samples + record.job.samples // 8 + AUDIO_ROOM
            copy(self._zip, self._path(name), most, files[name], file)
            yield Whole(record, text, file)

    def _path(self, name: str) -> str:
        return f"{self._told.folder}/{name}"

    def _read(self, name: str, most: int) -> bytes:
        if name not in self._told.sha256:
            raise Damaged(f"{name} is not in the manifest")
        return read(self._zip, self._path(name), most, self._told.sha256[name])


class _Record:
    """A job's record, checked: `job` as IMPORT wants it, `segments` as DEPOSIT does."""

    def __init__(self, data: bytes, name: str) -> None:
        try:
            raw = msgspec.json.decode(data, type=Raw)
            if msgspec.json.decode(raw.get("request", b"{}"), type=_Request).kind != "speak":
                raise Damaged("it is a transcript: those cannot be imported, but they are in the archive to be read")
            rows = msgspec.json.decode(raw.pop("segments"), type=list[Raw])
            marks = msgspec.json.decode(raw.get("marks", b"[]"), type=list[_Mark])
            if msgspec.json.decode(raw.get("request", b"{}"), type=_Asked).kind == "transcribe":
                raise Damaged("it is a transcript, which can be read in the archive, and not come back yet")
            self.job = _typed(ArchivedJob, raw, segments=len(rows))
            self.segments = list(map(_segment, rows))
            if msgspec.json.decode(raw.get("job", b'""'), type=str) != name:
                raise Damaged("its record is that of another job")
            self._time(marks, [msgspec.json.decode(row.get("offset", b"-1"), type=int) for row in rows])
        except KeyError:
            raise Damaged("its record names no segments") from None
        except msgspec.MsgspecError as error:
            raise Damaged(f"its record cannot be understood: {str(error)[:200]}") from None

    def _time(self, marks: list[_Mark], offsets: list[int]) -> None:
        """Give each segment its timings, in places of its own."""
        for mark in marks:
            if not 0 <= mark.segment < len(self.segments):
                raise Damaged(f"a timing is of segment {mark.segment}, which there is not")
            segment = self.segments[mark.segment]
            at, start = mark.offset - offsets[mark.segment], mark.start - segment.start
            if min(at, start, mark.length) < 0:
                raise Damaged(f"a timing of segment {mark.segment} is not within it")
            row = MarkRow(mark.kind, at, start, mark.length, mark.name, mark.confidence, mark.method)
            segment.marks.append(row)


def _typed(cls: type[T], raw: Raw, **changes: Any) -> T:
    """An object of what a JSON object says of its fields. Raises MsgspecError."""
    hints = get_type_hints(cls, include_extras=True)
    found = {name: msgspec.json.decode(raw[name], type=hints[name]) for name in hints.keys() & raw.keys() - changes}
    return msgspec.convert({**found, **changes}, cls)


def _segment(row: Raw) -> ArchivedSegment:
    """A row of `segments`. One that was not done when its job ended has nothing that is kept of it."""
    state = msgspec.json.decode(row.get("state", b'""'), type=str)
    placed = msgspec.json.decode(row.get("offset", b"-1"), type=int) >= 0
    if (state == "whole" and placed) or state in ("skipped", "quarantined"):
        return _typed(ArchivedSegment, row, marks=[])
    kept: Raw = {name: row[name] for name in _OF_ALL if name in row}
    return _typed(ArchivedSegment, kept, state="unmade", marks=[])


_OF_ALL = ("segment", "start", "length", "tries", "stops", "deaths", "trail")


class Whole:
    """A job as it is sent."""

    def __init__(self, record: _Record, text: bytes, audio: IO[bytes] | None) -> None:
        self.record = encode(record.job)
        """The body of IMPORT."""
        if len(self.record) > BODY_BYTES:
            raise Damaged("its record is too long")
        self._record = record
        self._text = text
        self._audio = audio

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """The kind and body of each DEPOSIT. Raises Damaged, where that can only be found out on the way."""
        yield from _cut(self._text)
        with self._sound() as sound:
            for segment in self._record.segments:
                body = encode(segment)
                if len(body) > BODY_BYTES:
                    raise Damaged(f"segment {segment.segment} is too long")
                yield "segment", body
                if sound is not None and segment.state == "whole":
                    yield from (("audio", pcm) for pcm in _pcm(sound, segment.samples))
            if sound is not None and len(sound.buffer_read(1, "int16")):
                raise Damaged("its audio is longer than its record says")

    @contextlib.contextmanager
    def _sound(self) -> Iterator[Any]:
        """The audio file, open; None where there is none."""
        if self._audio is None:
            yield None
            return
        import soundfile

        self._audio.seek(0)
        try:
            with soundfile.SoundFile(self._audio) as sound:
                if sound.format not in ("FLAC", "WAV", "WAVEX") or sound.subtype != "PCM_16" or sound.channels != 1:
                    raise Damaged("its audio is not FLAC or WAV with one channel of 16 bits")
                if sound.samplerate != self._record.job.rate:
                    raise Damaged(f"its audio has {sound.samplerate} samples a second, its record another number")
                yield sound
        except soundfile.SoundFileError as error:
            raise Damaged(f"its audio cannot be decoded: {error}") from None


def _cut(text: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise Damaged("its text is not UTF-8") from None
    at = 0
    while True:
        size = cut(text[at : at + BODY_BYTES + 4])
        yield "text", text[at : at + size]
        at += size
        if at >= len(text):
            return


def _pcm(sound: Any, samples: int) -> Iterator[bytes]:
    """So many samples, in bodies."""
    while samples:
        data = bytes(sound.buffer_read(min(samples, BODY_BYTES // 2), "int16"))
        if not data:
            raise Damaged("its audio is shorter than its record says")
        samples -= len(data) // 2
        yield data
