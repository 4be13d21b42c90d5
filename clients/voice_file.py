"""One file with a voice in it: its record, its recordings, its consent.

Owns: the format. Must not know: sockets, the daemon's files. Invariant: what was written is read back the same; a file
from elsewhere is read within bounds, and nothing in it names a path that is opened or written.

The file is a zip: ``voice.json`` (`format`, `version`, `name` and what `VoiceSpec` has), and ``recordings/1.bin``,
``recordings/2.bin`` ... in the order of its samples, as they were uploaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..bus.errors import InvalidRequest
from ..bus.messages import SampleSpec, VoiceSpec
from . import voicing
from .placing import placed
from .steps import Steps
from .voicing import Recording

FORMAT, VERSION = "voicebus voice", 1
_RECORD = "voice.json"
_RECORD_BYTES = 256 * 1024
_RECORDING_BYTES = 64 * 1024 * 1024


class Record(msgspec.Struct):
    """What ``voice.json`` holds."""

    format: str
    version: int
    name: str
    voice: VoiceSpec


def export(name: str, target: Path) -> Steps[Any]:
    """Write a voice into a file, which appears when it is whole; returns its path."""
    row = yield from voicing.look_up(name)
    record = Record(FORMAT, VERSION, row["voice"], voicing.spec_of(row))
    with _written(target) as archive:
        archive.writestr(_RECORD, msgspec.json.format(msgspec.json.encode(record)))
        for number, sample in enumerate(record.voice.samples, 1):
            data = yield from voicing.fetch(sample.sample)
            archive.writestr(_member(number), data, zipfile.ZIP_STORED)
    return target


def bring_in(source: Path, name: str = "") -> Steps[Any]:
    """Add the voice that is in a file; returns Added."""
    record, recordings = read(source)
    spec = msgspec.structs.replace(record.voice, samples=[])
    return (yield from voicing.add(name or record.name, spec, recordings))


def read(source: Path) -> tuple[Record, list[Recording]]:
    """What is in a file. Raises InvalidRequest, OSError."""
    try:
        with zipfile.ZipFile(source) as archive:
            record = msgspec.json.decode(_member_bytes(archive, _RECORD, _RECORD_BYTES), type=Record)
            if record.format != FORMAT or record.version > VERSION:
                raise InvalidRequest(f"{source} is a file of another kind, or of a newer voicebus.")
            return record, [_recording(archive, n, each) for n, each in enumerate(record.voice.samples, 1)]
    except (zipfile.BadZipFile, KeyError, msgspec.MsgspecError, NotImplementedError, RuntimeError) as error:
        raise InvalidRequest(f"{source} is no voice that voicebus has exported: {str(error)[:200]}") from None


def _recording(archive: zipfile.ZipFile, number: int, told: SampleSpec) -> Recording:
    data = _member_bytes(archive, _member(number), _RECORDING_BYTES)
    if hashlib.sha256(data).hexdigest() != told.sample:
        raise InvalidRequest(f"Recording {number} in the file is not what its SHA-256 says: the file is damaged.")
    return Recording(data, told.text, told.heard, origin=told.origin)


def _member(number: int) -> str:
    return f"recordings/{number}.bin"


def _member_bytes(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise InvalidRequest(f"{name} in the file is longer than {most} bytes.")
    return data


@contextlib.contextmanager
def _written(target: Path) -> Iterator[zipfile.ZipFile]:
    """A zip that gets its name when it is whole, for its owner to read."""
    with placed(target, 0o600) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        yield archive
