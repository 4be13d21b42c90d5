"""A helper process: packs a log into a FLAC file, or makes the journal of one again.

``python -m voicebus.daemon.packing_helper pack JOURNAL FILE`` or ``unpack FILE JOURNAL``. Ends with 0, or with 1 and a
line on standard error; at once, in whatever state, when its standard input ends.

Owns: the format of a packed log. Must not know: which log it is and who reads it. Invariant: it ends with 0 only when
what it has written is on the disk and gives back each byte of the journal (`pack`), or is that journal, as its checksum
says (`unpack`).

A packed log is a FLAC file that any player can play: the audio of all takes, one behind the other. What else stands in
a journal (headers, metadata, marks) is in APPLICATION blocks of it, compressed, with the checksum of the whole. Why
blocks and no second file: the two cannot be parted, and there is one file to sync and to name.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
import soundfile

from .journal import scan

BLOCK_ID = b"vbus"
_APPLICATION = 2  # the type of such a block
_BLOCK_BYTES = (1 << 24) - 1 - len(BLOCK_ID)
_STREAMINFO_END = 42  # "fLaC", the head of the first block, STREAMINFO
_RUN = 1 << 20  # bytes of PCM at a time
_HIGHEST_RATE = 655_350
_LOWEST_LEFT = 19


class Damaged(Exception):
    """A file that is not what it should be; the message says how."""


class Rest(msgspec.Struct, array_like=True):
    """What a journal holds besides PCM. records: for each record the bytes before its PCM, and the length of that.
    size, sha256: of the whole journal."""

    version: int
    size: int
    sha256: bytes
    records: list[tuple[bytes, int]]


_rest = msgspec.msgpack.Decoder(Rest)


class Gap:
    """A file with room left in it behind STREAMINFO, which whoever writes FLAC into it does not see."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file = file
        self._room = room
        self._at = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 2:
            end = self._file.seek(0, 2)
            self._at = offset + (end - self._room if end > _STREAMINFO_END else end)
        else:
            self._at = offset + (self._at if whence == 1 else 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: bytes) -> int:
        before = data[: max(_STREAMINFO_END - self._at, 0)]
        for part in (before, data[len(before) :]):
            if len(part):
                self._file.seek(self._at + (self._room if self._at >= _STREAMINFO_END else 0))
                self._at += self._file.write(part)
        return len(data)

    def read(self, count: int = -1) -> bytes:
        raise OSError("this file is only written")

    def flush(self) -> None:
        self._file.flush()


# ----------------------------------------------------------------------------------------------------------- packing


def pack(journal: Path, target: Path) -> None:
    """Raises Damaged, OSError, soundfile.SoundFileError."""
    rest, rate = _rest_of(journal)
    blocks = _blocks(zlib.compress(msgspec.msgpack.encode(rest), 6))
    with target.open("w+b") as file:
        gap = Gap(file, len(blocks))
        with soundfile.SoundFile(gap, "w", rate, 1, "PCM_16", format="FLAC") as sound:
            for pcm in _pcm_of(journal):
                sound.buffer_write(pcm, "int16")
        file.seek(_STREAMINFO_END)
        file.write(blocks)
        file.flush()
        os.fsync(file.fileno())
    _compare(target, journal)


def _rest_of(journal: Path) -> tuple[Rest, int]:
    """What is not PCM, and the sample rate."""
    digest, records, rate, end = hashlib.sha256(), [], 0, 0
    with journal.open("rb") as file:
        for record in scan(journal):
            before = file.read(record.pcm_at - end)
            digest.update(before)
            for pcm in _read(file, record.pcm_length):
                digest.update(pcm)
            records.append((before, record.pcm_length))
            rate = rate or record.meta.get("rate", 0)
            end = record.pcm_at + record.pcm_length
        if file.read(1):
            raise Damaged(f"the journal is damaged behind byte {end}")
    return Rest(1, end, digest.digest(), records), min(max(rate, 1), _HIGHEST_RATE)


def _pcm_of(journal: Path) -> Iterator[bytes]:
    with journal.open("rb") as file:
        for record in scan(journal):
            file.seek(record.pcm_at)
            yield from _read(file, record.pcm_length)


def _read(file: IO[bytes], count: int) -> Iterator[bytes]:
    while count:
        data = file.read(min(count, _RUN))
        if not data:
            raise Damaged("the file has become shorter")
        yield data
        count -= len(data)


def _blocks(data: bytes) -> bytes:
    """APPLICATION blocks with these bytes; none of them is the last block of the file."""
    parts = [data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES)]
    return b"".join(
        bytes([_APPLICATION]) + (len(BLOCK_ID) + len(part)).to_bytes(3, "big") + BLOCK_ID + part for part in parts
    )


def _compare(packed: Path, journal: Path) -> None:
    """Raises Damaged where what is unpacked is not the journal, byte for byte."""
    with journal.open("rb") as file:
        for data in unpacked(packed):
            if file.read(len(data)) != data:
                raise Damaged("what was packed is not what was to be packed")
        if file.read(1):
            raise Damaged("some of what was to be packed is missing")


# --------------------------------------------------------------------------------------------------------- unpacking


def unpack(packed: Path, target: Path) -> None:
    """Raises Damaged, OSError, soundfile.SoundFileError."""
    with target.open("wb") as file:
        for data in unpacked(packed):
            file.write(data)


def unpacked(packed: Path) -> Iterator[bytes]:
    """The journal that was packed, in runs; raises Damaged, at the end at the latest, where it is not that."""
    rest = _rest_in(packed)
    digest, size = hashlib.sha256(), 0
    with soundfile.SoundFile(packed) as sound:
        for before, pcm_length in rest.records:
            for data in (before, *_decoded(sound, pcm_length)):
                digest.update(data)
                size += len(data)
                yield data
    if (size, digest.digest()) != (rest.size, rest.sha256):
        raise Damaged("the packed file is damaged: its checksum is another")


def _decoded(sound: soundfile.SoundFile, count: int) -> Iterator[bytes]:
    while count:
        data = bytes(sound.buffer_read(min(count, _RUN) // 2, "int16"))
        if not data:
            raise Damaged("the packed file ends too soon")
        yield data
        count -= len(data)


def _rest_in(packed: Path) -> Rest:
    found = b""
    with packed.open("rb") as file:
        if file.read(4) != b"fLaC":
            raise Damaged("the packed file is no FLAC file")
        last = False
        while not last:
            head = file.read(4)
            if len(head) < 4:
                raise Damaged("the packed file is cut off")
            last, kind, length = bool(head[0] & 0x80), head[0] & 0x7F, int.from_bytes(head[1:], "big")
            body = file.read(length)
            if kind == _APPLICATION and body[:4] == BLOCK_ID:
                found += body[4:]
    try:
        rest = _rest.decode(zlib.decompress(found))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise Damaged(f"the packed file is damaged: {error}") from None
    if rest.version != 1:
        raise Damaged(f"the packed file is of version {rest.version}, which only a newer voicebus can read")
    return rest


# ----------------------------------------------------------------------------------------------------------- process


def _end_with_input() -> None:
    """Whoever started us is gone, or wants us gone."""
    while os.read(0, 64):
        pass
    os._exit(1)


def main() -> int:
    """Do one thing, and say what went wrong."""
    what, source, target = sys.argv[1:]
    threading.Thread(target=_end_with_input, daemon=True).start()
    os.umask(0o077)
    if what == "pack":  # nobody waits for it
        os.nice(_LOWEST_LEFT)
    try:
        {"pack": pack, "unpack": unpack}[what](Path(source), Path(target))
    except FileNotFoundError as error:
        reason = f"the file is missing: {Path(error.filename or source).name}"
    except OSError as error:
        reason = error.strerror or str(error)
    except (Damaged, soundfile.SoundFileError) as error:
        reason = str(error)
    else:
        return 0
    print(reason, file=sys.stderr)  # noqa: T201 - this is how it answers
    return 1


if __name__ == "__main__":
    sys.exit(main())
