"""The journals of takes: the audio of each log, one file each, whole takes only.

Owns: the files under ``logs/``, their record format and the descriptors they need. Must not know: what order
the takes have in the text, who reads them, or what the metadata means. Invariant: a file is a run of whole
records; what a failed write left behind is cut off again, and what a power cut left is recognised by length
and checksum (`scan`).

A record is a fixed header (magic; lengths of metadata, marks and PCM; CRC-32 over those lengths and all that
follows), then the metadata as MessagePack, the marks as they go over the bus, the PCM.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bus.codec import decode_map, encode
from ..bus.errors import BadMessage

MAGIC = b"VBT1"
SUFFIX = ".takes"
PACKED = ".flac"
STAGING = ".part"
HEADER = struct.Struct("<4sIIII")  # magic, metadata, marks, PCM, checksum
_LENGTHS = struct.Struct("<III")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,160}\Z")
_MOST_BUFFERS = 512  # of one writev; IOV_MAX is 1024 where it is smallest


@dataclass(frozen=True, slots=True)
class Record:
    """A whole take as it stands in a file: its metadata, its marks, and where marks and PCM begin."""

    meta: dict[str, Any]
    marks: bytes
    marks_at: int
    pcm_at: int
    pcm_length: int


class Journals:
    """All journals of a daemon. total: their bytes on disk. At most `open_files` descriptors are kept."""

    def __init__(self, directory: Path, open_files: int = 64) -> None:
        self.total = 0
        self._directory = directory
        self._open_files = open_files
        self._open: OrderedDict[str, int] = OrderedDict()
        self._sizes: dict[str, int] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, log: str) -> Path:
        """A log's file. Raises ValueError for what cannot be the name of a log."""
        if not _NAME.match(log):
            raise ValueError(f"{log!r} cannot be the name of a journal")
        return self._directory / file_name(log)

    def packed_path(self, log: str) -> Path:
        """The file that a log is packed into."""
        return self.path(log).with_suffix(PACKED)

    def staging_path(self, log: str, *, packed: bool) -> Path:
        """Where that file, or the journal that it is unpacked into, is made."""
        path = self.packed_path(log) if packed else self.path(log)
        return path.with_name(path.name + STAGING)

    def adopt(self, log: str, *, packed: bool) -> int:
        """Give a file that was made in staging its name; returns its bytes. Raises OSError."""
        path = self.packed_path(log) if packed else self.path(log)
        if not packed:
            self._close(log)
        self.staging_path(log, packed=packed).replace(path)
        return path.stat().st_size

    def append(self, log: str, meta: dict[str, Any], marks: bytes, pcm: Sequence[bytes]) -> tuple[int, int]:
        """Write a take; returns where its PCM and its marks begin. Raises OSError, the file being as
        before."""
        if len(pcm) > _MOST_BUFFERS:
            pcm = [b"".join(pcm)]
        packed = encode(meta)
        lengths = _LENGTHS.pack(len(packed), len(marks), sum(map(len, pcm)))
        checksum = zlib.crc32(lengths)
        for part in (packed, marks, *pcm):
            checksum = zlib.crc32(part, checksum)
        header = MAGIC + lengths + checksum.to_bytes(4, "little")
        fd, start = self._descriptor(log), self._sizes.get(log, 0)
        try:
            written = _write_all(fd, [header, packed, marks, *pcm])
        except OSError:
            os.ftruncate(fd, start)
            raise
        self._sizes[log] = start + written
        self.total += written
        marks_at = start + HEADER.size + len(packed)
        return marks_at + len(marks), marks_at

    def read(self, log: str, at: int, length: int) -> bytes:
        """A range of a journal. Raises OSError when the file does not have all of it."""
        data = os.pread(self._descriptor(log, create=False), length, at)
        if len(data) != length:
            raise OSError(f"journal {log} ends before byte {at + length}")
        return data

    def drop(self, log: str) -> None:
        """Remove a log, in whatever form it is there."""
        for packed in (False, True):
            self.staging_path(log, packed=packed).unlink(missing_ok=True)
            self.drop_file(log, packed=packed)

    def drop_file(self, log: str, *, packed: bool) -> None:
        """Remove a log's packed file or its journal, if it is there."""
        if packed:
            self.packed_path(log).unlink(missing_ok=True)
            return
        self._close(log)
        self.total -= self._sizes.pop(log, 0)
        self.path(log).unlink(missing_ok=True)

    def _close(self, log: str) -> None:
        fd = self._open.pop(log, None)
        if fd is not None:
            os.close(fd)

    def take_up(self, log: str) -> list[Record]:
        """What a journal that an earlier daemon left holds. A tail that a power cut left torn is cut off, so that what
        is written next stands behind what can be read. Raises OSError."""
        path = self.path(log)
        if not path.exists():
            return []
        records = list(scan(path))
        end = records[-1].pcm_at + records[-1].pcm_length if records else 0
        if end < path.stat().st_size:
            os.truncate(path, end)
        self._sizes[log] = end
        return records

    def sync(self, log: str) -> None:
        """Let all that was written to a journal reach the disk, from any thread, and the name of what it was packed
        into; one that is not there has nothing to be synced. Raises OSError."""
        if self.packed_path(log).exists():
            self._sync_names()
        try:
            fd = os.open(self.path(log), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            sync_descriptor(fd)
        finally:
            os.close(fd)

    def _sync_names(self) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def size(self, log: str, *, packed: bool = False) -> int:
        """Bytes of a journal, or of its packed file; 0 where there is none."""
        try:
            return (self.packed_path(log) if packed else self.path(log)).stat().st_size
        except FileNotFoundError:
            return 0

    def names(self) -> set[str]:
        """The names of all logs' files."""
        return {name for name in os.listdir(self._directory) if name.endswith((SUFFIX, PACKED))}  # noqa: PTH208 - of 100 000

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _descriptor(self, log: str, *, create: bool = True) -> int:
        fd = self._open.get(log)
        if fd is not None:
            self._open.move_to_end(log)
            return fd
        # Appending: after a cut by ftruncate the next write lands at the new end by itself.
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        fd = os.open(self.path(log), flags, 0o600)
        if len(self._open) >= self._open_files:
            os.close(self._open.popitem(last=False)[1])
        self._open[log] = fd
        return fd


def file_name(log: str, suffix: str = SUFFIX) -> str:
    """The name of a log's journal, or of another file of it. The checksum keeps apart names that differ only in case,
    where the file system does not."""
    return f"{log}-{zlib.crc32(log.encode()):08x}{suffix}"


def sync_descriptor(fd: int) -> None:
    """Let what was written to a file reach the disk. Raises OSError."""
    # macOS: fsync does not empty the drive's own cache, F_FULLFSYNC does.
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def _write_all(fd: int, parts: list[bytes]) -> int:
    """Write all parts, going on after a short write (a signal, or the last bytes of a full disk). Raises
    OSError."""
    whole = sum(map(len, parts))
    written = os.writev(fd, parts)
    if written < whole:
        rest = memoryview(b"".join(parts))
        while written < whole:
            written += os.write(fd, rest[written:])
    return whole


def scan(path: Path) -> Iterator[Record]:
    """The whole records of a file, up to its end or the first that is torn or damaged."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while True:
            header = file.read(HEADER.size)
            if len(header) < HEADER.size or header[:4] != MAGIC:
                return
            _, meta_length, marks_length, pcm_length, checksum = HEADER.unpack(header)
            marks_at = at + HEADER.size + meta_length
            pcm_at = marks_at + marks_length
            # Compared before reading: a damaged length must not ask for gigabytes of memory.
            if pcm_at + pcm_length > size:
                return
            body = file.read(meta_length + marks_length + pcm_length)
            if zlib.crc32(body, zlib.crc32(header[4:16])) != checksum:
                return
            meta = None
            with contextlib.suppress(BadMessage):
                meta = decode_map(body[:meta_length])
            if meta is None:
                return
            marks = body[meta_length : meta_length + marks_length]
            yield Record(meta, marks, marks_at, pcm_at, pcm_length)
            at = pcm_at + pcm_length
