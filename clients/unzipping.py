"""A zip that somebody else may have made, read with care.

Owns: what of a zip is believed. Must not know: what is in it. Invariant: memory and disk that reading takes are bounded
by what the caller allows, whatever the zip says; nothing is ever written under a name that comes from it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..bus.errors import InvalidRequest

MOST_ENTRIES = 400_000
"""Files in a zip: a hundred thousand jobs. Python holds all of their names in memory."""

DIRECTORY_BYTES = 48 << 20
"""The list of them."""

_RUN = 1 << 20
_END, _END_64, _LOCATOR_64, _ENTRY = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
_END_BYTES, _END_64_BYTES, _LOCATOR_BYTES = 22, 56, 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


class Damaged(Exception):
    """What is in the zip is not what it should be; the message says how, for people."""


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip, after a look at how much of a list it has. Raises InvalidRequest, OSError."""
    with path.open("rb") as file:
        entries = _entries(file)
    if entries is None:
        raise InvalidRequest(f"{path} is not a whole zip: it has no list of what is in it, or only some of that.")
    if entries > MOST_ENTRIES:
        raise InvalidRequest(f"{path} lists more than {MOST_ENTRIES} files: export less at a time, as with --since.")
    try:
        return zipfile.ZipFile(path)
    except _BROKEN as error:
        raise InvalidRequest(f"{path} cannot be read as a zip: {error}") from None


def _entries(file: IO[bytes]) -> int | None:
    """How many files a zip lists, at most; None where its list is not there."""
    end = file.seek(0, os.SEEK_END)
    tail_at = max(0, end - _END_BYTES - 0xFFFF)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        return None
    size, place = int.from_bytes(tail[at + 12 : at + 16], "little"), tail_at + at
    if size == 0xFFFFFFFF or tail[at - _LOCATOR_BYTES : at][:4] == _LOCATOR_64:
        place -= _LOCATOR_BYTES + _END_64_BYTES
        file.seek(max(place, 0))
        longer = file.read(_END_64_BYTES)
        if longer[:4] != _END_64:
            return None
        size = int.from_bytes(longer[40:48], "little")
    if size > DIRECTORY_BYTES:
        return MOST_ENTRIES + 1
    if size > place:
        return None
    file.seek(place - size)
    return file.read(size).count(_ENTRY)


def _runs(archive: zipfile.ZipFile, name: str, most: int) -> Iterator[bytes]:
    """A file of the zip, in runs. Raises Damaged, at the latest when more than `most` bytes have come."""
    try:
        about = archive.getinfo(name)
    except KeyError:
        raise Damaged(f"{name} is not in the zip") from None
    if about.file_size > most:
        raise Damaged(f"{name} has {about.file_size} bytes; at most {most} can be right")
    if about.compress_type not in _METHODS or about.flag_bits & 1:
        raise Damaged(f"{name} is packed in a way that no export uses")
    left = most
    try:
        with archive.open(about) as file:
            while data := file.read(min(_RUN, left + 1)):
                left -= len(data)
                if left < 0:
                    raise Damaged(f"{name} is longer than it says")
                yield data
    except _BROKEN as error:
        raise Damaged(f"{name} is damaged: {error}") from None


def read(archive: zipfile.ZipFile, name: str, most: int, sha256: str | None = None) -> bytes:
    """A file of the zip. sha256: that it must have. Raises Damaged."""
    data = b"".join(_runs(archive, name, most))
    _compare(name, hashlib.sha256(data).hexdigest(), sha256)
    return data


def copy(archive: zipfile.ZipFile, name: str, most: int, sha256: str, into: IO[bytes]) -> None:
    """Write a file of the zip into one that is open. Raises Damaged, OSError."""
    digest = hashlib.sha256()
    for data in _runs(archive, name, most):
        digest.update(data)
        into.write(data)
    _compare(name, digest.hexdigest(), sha256)
    into.flush()


def _compare(name: str, found: str, wanted: str | None) -> None:
    if wanted is not None and found != wanted:
        raise Damaged(f"{name} is damaged: its checksum is another")
