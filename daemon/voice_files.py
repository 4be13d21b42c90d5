"""The files beside the voices: recordings as they were uploaded, and voice prompts.

Owns: one directory for each uid below ``voices`` in the state directory, and what stands in it. Must not know: audio,
voices, who asks. Invariant: no name reaches a path here but a number and the two patterns below; a recording has its
own name only once it was looked at, a voice prompt only once it is whole; nothing is followed that is a link.

``SHA256.sample`` is a recording, ``SHA256.sample.part`` what there is of one, ``MATERIAL.KEY.prompt`` a voice prompt.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from ..bus import prompts
from .core.personal import PROMPT_SUFFIX

NAME = re.compile(r"([0-9a-f]{64}\.sample|[0-9a-f]{32}\.[0-9a-f]{64}\.prompt)\Z")
PART = ".part"

_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class VoiceFiles:
    """The files below one directory, which is made when it is needed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, uid: int, name: str) -> Path:
        """Where a file is. Raises ValueError for a name that is none of ours."""
        if not NAME.match(name):
            raise ValueError("not the name of a file beside the voices")
        return self.directory / str(int(uid)) / name

    def part_path(self, uid: int, name: str) -> Path:
        """Where what there is of a recording stands."""
        path = self.path(uid, name)
        return path.with_name(path.name + PART)

    def write(self, uid: int, name: str, offset: int, data: bytes) -> int:
        """Put a piece to what is there, if it begins where that ends; returns how much is there then. Raises OSError.

        A recording that is there as a whole, from an upload that no voice came of, is taken up as one."""
        part, whole = self.part_path(uid, name), self.path(uid, name)
        if not part.exists() and whole.exists():
            whole.rename(part)
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(part, _WRITE_FLAGS, 0o600)
        try:
            have = os.fstat(fd).st_size
            if offset == have and data:
                try:
                    have += os.pwrite(fd, data, offset)
                except OSError:
                    os.ftruncate(fd, offset)
                    raise
            return have
        finally:
            os.close(fd)

    def adopt(self, uid: int, name: str) -> None:
        """Give a recording its name. Raises OSError."""
        self.part_path(uid, name).rename(self.path(uid, name))

    def store(self, uid: int, name: str, data: bytes) -> None:
        """Write a whole file. Raises OSError."""
        part = self.part_path(uid, name)
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            fd = os.open(part, _WRITE_FLAGS | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            part.rename(self.path(uid, name))
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise

    def read(self, uid: int, name: str, at: int, length: int) -> bytes:
        """A range of bytes. Raises OSError, also where there are fewer."""
        fd = os.open(self.path(uid, name), _READ_FLAGS)
        try:
            data = os.pread(fd, length, at)
        finally:
            os.close(fd)
        if len(data) < length:
            raise OSError(f"{name} has no {length} bytes at {at}")
        return data

    def drop(self, uid: int, names: tuple[str, ...]) -> None:
        """Remove files, and what there is of them; none that is not there is missed. Raises OSError when all were
        tried."""
        failed: OSError | None = None
        for name in names:
            for path in (self.path(uid, name), self.part_path(uid, name)):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    failed = error
        folder = self.directory / str(int(uid))
        with contextlib.suppress(OSError):
            folder.rmdir()  # when it was the last
            self.directory.rmdir()
        if folder.is_dir():
            _sync(folder)
        if failed is not None:
            raise failed

    def sync(self, uid: int, samples: tuple[str, ...]) -> None:
        """Bring recordings to the disk, by their SHA-256. From any thread. Raises OSError."""
        for sample in samples:
            _sync(self.path(uid, f"{sample}.sample"))
        if samples:
            _sync(self.directory / str(int(uid)))

    def found(self) -> dict[tuple[int, str], int]:
        """All files that have their names, with their sizes in bytes. A voice prompt that a power cut has damaged is
        not among them: it can be made again."""
        return {
            (int(folder.name), entry.name): entry.stat(follow_symlinks=False).st_size
            for folder in _entries(self.directory)
            if folder.name.isdecimal() and folder.is_dir(follow_symlinks=False)
            for entry in _entries(Path(folder.path))
            if NAME.match(entry.name) and entry.is_file(follow_symlinks=False) and _sound(Path(entry.path))
        }


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _sound(path: Path) -> bool:
    if path.suffix != PROMPT_SUFFIX:
        return True
    try:
        with path.open("rb") as file:
            prompts.check(file.read(prompts.PROMPT_BYTES + 1))
    except (OSError, prompts.BadPrompt):
        return False
    return True


def _sync(path: Path) -> None:
    fd = os.open(path, _READ_FLAGS)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
