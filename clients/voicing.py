"""What is asked of the daemon to make, change, fetch and remove a voice of one's own, step by step.

Owns: the steps, each a question and what follows from its answer. Must not know: sockets, threads, event loops, files'
formats beyond their bytes. Invariant: nothing is sent twice that is there already; a voice is asked for only when all
its recordings are ready; what a step was refused with ends the steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..bus.codec import decode_map, decode_rows
from ..bus.errors import CallerError, InvalidRequest, NotFound, QueueFull, StorageError
from ..bus.messages import Choice, Consent, Fetch, Origin, Query, Sample, SampleSpec, Voice, VoiceSpec
from . import asking, converting
from .steps import Steps

PIECE_BYTES = 256 * 1024
SAMPLE_BYTES = 128 * 1024 * 1024
"""What is read of a file at most; the daemon's own limit is lower."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording to clone a voice from: a file's bytes in any common format, or the path of one. wav, flac, ogg, opus,
    mp3 and aiff are sent as they are; m4a, mp4, aac, webm, amr and wma are made into FLAC first, for which PyAV
    (``voicebus[formats]``) or an ffmpeg on the PATH is needed. text: what is said in it; "" where you do not know.
    heard: what a recogniser made of it. name: what an error is to call it; by its path, or its number, if left out.
    origin: of one that is nobody's voice (`design_reference`), how it was made."""

    data: bytes | str | Path
    text: str = ""
    heard: str = ""
    name: str = ""
    origin: Origin = field(default_factory=Origin)

    def called(self, number: int) -> str:
        """How to name it to a person. number: its place among those that were given, from 1."""
        path = "" if isinstance(self.data, bytes) else str(self.data)
        return self.name or path or f"Recording {number}"

    def read(self, number: int = 1) -> bytes:
        """The bytes that are sent. number: its place among those that were given. Raises OSError, InvalidRequest."""
        data = self._bytes()
        try:
            return converting.readable(data)
        except InvalidRequest as error:
            raise InvalidRequest(f"{self.called(number)}: {error.message}") from None

    def _bytes(self) -> bytes:
        if isinstance(self.data, bytes):
            return self.data
        path = Path(self.data)
        with path.open("rb") as file:
            data = file.read(SAMPLE_BYTES + 1)  # a device may have no end, and says no size
        if len(data) > SAMPLE_BYTES:
            raise InvalidRequest(f"{path} is far too large for a recording; cut out 3 to 30 s of clear speech.")
        if not data:
            raise InvalidRequest(f"{path} is empty; there is no recording in it.")
        return data


Given = Recording | str | Path | bytes | tuple[Any, str]
"""A recording as a caller may give it: alone, or with what is said in it."""


@dataclass(slots=True)
class Added:
    """A voice that was added or changed. advice: for each of its new recordings, what would make it better."""

    voice: str
    advice: list[Row] = field(default_factory=list)


def recording(given: Given) -> Recording:
    """A recording in one form."""
    if isinstance(given, Recording):
        return given
    if isinstance(given, tuple):
        return Recording(given[0], given[1])
    return Recording(given)


def of_somebody(given: Iterable[Given]) -> bool:
    """Whether somebody is heard in recordings, who may not want to be cloned."""
    return any(not recording(each).origin.provider for each in given)


def consent_of(given: Consent | str | Mapping[str, Any] | None, who: str = "") -> Consent:
    """Consent in one form. A text is the statement."""
    if isinstance(given, Consent):
        return given
    if isinstance(given, Mapping):
        return msgspec.convert(dict(given), Consent)
    return Consent(who, given) if given else Consent()


def upload(data: bytes) -> Steps[Any]:
    """Send a recording; returns its SHA-256 and what was found in it."""
    if not data:
        raise InvalidRequest("The recording is an empty file.")
    sample = hashlib.sha256(data).hexdigest()
    held, body = yield Sample(sample=sample, size=len(data)), b""
    while not held.ready:
        piece = data[held.have : held.have + PIECE_BYTES]
        if not piece:
            raise StorageError("The daemon has more of the recording than there is; remove the voice and try again.")
        held, body = yield Sample(sample=sample, size=len(data), offset=held.have), piece
    return sample, decode_map(body)


def add(name: str, spec: VoiceSpec, recordings: Iterable[Given] = (), *, action: str = "add") -> Steps[Any]:
    """Add a voice, or put it in the place of what it was. recordings: behind those that `spec` has. Returns Added."""
    samples, advice = list(spec.samples), []
    for number, given in enumerate(recordings, 1):
        one = recording(given)
        data = one.read(number)
        try:
            sample, found = yield from upload(data)
        except (CallerError, QueueFull, StorageError) as error:
            raise type(error)(
                f"{one.called(number)}: {error.message}", code=error.code, retry_after=error.retry_after
            ) from None
        samples.append(SampleSpec(sample, one.text, one.heard, one.origin))
        advice += [{"sample": sample, **each} for each in found["advice"]]
    spec = msgspec.structs.replace(spec, samples=samples)
    done = yield Voice(action=action, name=asking.voice_name(name), spec=spec), b""  # type: ignore[arg-type]
    return Added(done.name, advice)


def spec_of(row: Mapping[str, Any]) -> VoiceSpec:
    """What a voice of one's own was made with, from its row."""
    return VoiceSpec(
        row["kind"],
        row["description"],
        list(row["languages"]),
        [Choice(each["provider"], each["voice"]) for each in row["chain"]],
        [_sample_of(each) for each in row["samples"]],
        msgspec.convert(row["consent"], Consent),
    )


def _sample_of(row: Mapping[str, Any]) -> SampleSpec:
    return SampleSpec(row["sample"], row["text"], row["heard"], msgspec.convert(row.get("origin", {}), Origin))


def look_up(name: str) -> Steps[Any]:
    """The row of a voice of one's own. Raises NotFound."""
    cursor = ""
    while True:
        page, body = yield Query(what="voices", cursor=cursor, where={"kind": "mine"}), b""
        for row in decode_rows(body):
            if row["voice"].casefold() == name.casefold():
                return row
        cursor = page.next
        if not cursor:
            raise NotFound(f"There is no voice {name!r} of yours; see: voicebus voices --mine")


def change(
    name: str, recordings: Iterable[Given] = (), texts: Mapping[str, str] | None = None, **new: Any
) -> Steps[Any]:
    """Change some of a voice. recordings: to be added. texts: by the SHA-256 of a recording (or its beginning), what is
    said in it. new: fields of VoiceSpec; samples may be SHA-256s of which to keep. Returns Added."""
    row = yield from look_up(name)
    spec = spec_of(row)
    samples = list(spec.samples)
    if (kept := new.pop("keep", None)) is not None:
        samples = [each for each in samples if _named(each.sample, kept)]
    for begin, text in (texts or {}).items():
        samples = [
            msgspec.structs.replace(each, text=text) if _named(each.sample, [begin]) else each for each in samples
        ]
    spec = msgspec.structs.replace(spec, samples=samples, **new)
    return (yield from add(row["voice"], spec, recordings, action="change"))


def redesign(name: str, reference: Recording) -> Steps[Any]:
    """Put another reference in the place of a designed voice's. Raises NotFound, InvalidRequest. Returns Added."""
    row = yield from look_up(name)
    if row["kind"] != "designed":
        raise InvalidRequest(
            f"{row['voice']} is cloned from recordings of somebody; only a designed voice is made anew."
        )
    spec = spec_of(row)
    others = [each for each in spec.samples if not each.origin.provider]
    spec = msgspec.structs.replace(spec, samples=others, description=reference.origin.description)
    return (yield from add(row["voice"], spec, [reference], action="change"))


def _named(sample: str, begins: Iterable[str]) -> bool:
    return any(sample.startswith(begin) for begin in begins)


def rename(name: str, to: str) -> Steps[Any]:
    """Give a voice another name."""
    done = yield Voice(action="rename", name=name, to=asking.voice_name(to)), b""
    return done.name


def remove(name: str) -> Steps[Any]:
    """Remove a voice. Raises NotFound."""
    done = yield Voice(action="remove", name=name), b""
    if not done.found:
        raise NotFound(f"There is no voice {name!r} of yours.")


def fetch(sample: str) -> Steps[Any]:
    """The bytes of a recording of one's own, as they were uploaded."""
    data = bytearray()
    while True:
        told, body = yield Fetch(sample=sample, offset=len(data)), b""
        data += body
        if len(data) >= told.size or not body:
            return bytes(data)
