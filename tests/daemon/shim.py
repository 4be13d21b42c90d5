"""A file system for SQLite that ends the process at a chosen write, as a kill or as a power cut, or fails by order."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import apsw

SECTOR = 512


class Shim(apsw.VFS):
    """Counts what changes a file: writes, syncs, truncations, removals. At step `crash_at` the process ends: with
    `power` None like a kill (what was written stays), else like a power cut, by that seed: of what was not synced, a
    part stays.

    before: called ahead of each step with its kind and file; it may raise.
    """

    def __init__(self, name: str, crash_at: int = 0, power: int | None = None) -> None:
        super().__init__(name, "")
        self.name = name
        self.steps = 0
        self.crash_at = crash_at
        self.chance = None if power is None else random.Random(power)
        self.before: Callable[[str, str], None] = lambda kind, path: None
        self.synced: dict[str, bytes] = {}
        self.pending: dict[str, list[tuple[int, bytes | None]]] = {}

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's names
        return ShimFile(self, name, flags)

    def xDelete(self, name, sync):  # noqa: N802
        self.step("delete", name)
        super().xDelete(name, sync)
        self.synced.pop(name, None)
        self.pending.pop(name, None)

    def seen(self, path: str) -> None:
        """A file is opened: what is in it has been there before."""
        if path not in self.synced:
            self.synced[path] = Path(path).read_bytes() if Path(path).exists() else b""
            self.pending[path] = []

    def step(self, kind: str, path: str, at: int = 0, data: bytes | None = None) -> None:
        """Something is about to be done: a write of `data` at `at`, a truncation to `at`, a sync, a removal."""
        self.before(kind, path)
        self.steps += 1
        if self.steps == self.crash_at:
            if self.chance is not None:
                if kind in {"write", "truncate"}:
                    self.pending[path].append((at, data))
                self.cut_power()
            os._exit(77)
        if kind in {"write", "truncate"} and self.chance is not None:
            self.pending[path].append((at, data))

    def is_synced(self, path: str) -> None:
        """A sync has come back."""
        if self.chance is not None:
            self.synced[path] = Path(path).read_bytes()
            self.pending[path] = []

    def cut_power(self) -> None:
        """Of each file what was synced is there, and of the rest a prefix, the last write of which is torn."""
        for path, pending in self.pending.items():
            kept = pending[: self.chance.randint(0, len(pending))]
            image = bytearray(self.synced[path])
            for number, (at, data) in enumerate(kept, 1):
                if data is None:
                    del image[at:]
                    continue
                whole = number < len(kept) or self.chance.random() < 0.3
                part = data if whole else data[: self.chance.randrange(0, len(data) + SECTOR, SECTOR)]
                image.extend(bytes(max(0, at + len(part) - len(image))))
                image[at : at + len(part)] = part
            Path(path).write_bytes(image)
            Path(path + "-shm").unlink(missing_ok=True)


class ShimFile(apsw.VFSFile):
    """A file of the shim's."""

    def __init__(self, shim: Shim, name, flags) -> None:
        self.shim = shim
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        shim.seen(self.path)
        super().__init__("", name, flags)

    def xWrite(self, data, at):  # noqa: N802
        self.shim.step("write", self.path, at, bytes(data))
        super().xWrite(data, at)

    def xTruncate(self, size):  # noqa: N802
        self.shim.step("truncate", self.path, size)
        super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802
        self.shim.step("sync", self.path)
        super().xSync(flags)
        self.shim.is_synced(self.path)


class Files:
    """Stands for `os` where the store writes to the database's file by itself: the same steps."""

    def __init__(self, shim: Shim, path: Path) -> None:
        self.shim = shim
        self.path = str(path)

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def pwrite(self, fd: int, data: bytes, at: int) -> int:
        self.shim.step("write", self.path, at, data)
        return os.pwrite(fd, data, at)

    def fsync(self, fd: int) -> None:
        self.shim.step("sync", self.path)
        os.fsync(fd)
        self.shim.is_synced(self.path)
