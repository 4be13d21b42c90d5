"""Journals on a disk that can be full, lose its power, and forget what was not synced.

Owns: the bytes of all journals, and which of them a power cut leaves. Must not know: the core's state. Invariant: what
was synced is never lost; what was written is lost only by a power cut, and from its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from voicebus.daemon.core.effects import Stored, WriteNote, WriteTake
from voicebus.daemon.core.records import TakeFound

from .voice_disk import VoiceDisk

HEADER_BYTES = 300
"""Header and metadata of a record, roughly."""


@dataclass(slots=True)
class File:
    """One journal. ends: where each record ends; synced: up to where it is on the disk for good."""

    data: bytearray = field(default_factory=bytearray)
    records: list[TakeFound] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    synced: int = 0


class Disk:
    """All journals, and the packed files that were made of them. full: nothing more can be written. ends: but the ends
    of jobs can, into room that was taken before; not so where the file system promises none."""

    def __init__(self, chance: Random) -> None:
        self.voices = VoiceDisk(chance)
        self.ends = False
        self.files: dict[str, File] = {}
        self.packed: dict[str, File] = {}
        self.inputs: dict[str, bytearray] = {}
        self._removed: dict[str, File] = {}
        self._chance = chance

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        return self.voices.full

    @full.setter
    def full(self, full: bool) -> None:
        self.voices.full = full

    def write_take(self, effect: WriteTake) -> tuple[int, int]:
        """Write a take; where its PCM and its marks are. Raises OSError."""
        marks_at = self._append(effect.log, effect.meta, effect.marks, effect.pcm)
        return marks_at + len(effect.marks), marks_at

    def write_note(self, effect: WriteNote) -> None:
        """Write a note. Raises OSError."""
        self._append(effect.log, effect.meta, b"", [])

    def _append(self, log: str, meta: dict[str, Any], marks: bytes, pcm: Sequence[bytes]) -> int:
        if self.full:
            raise OSError("No space left on device")
        file = self.files.setdefault(log, File())
        file.data += bytes(HEADER_BYTES)
        marks_at = len(file.data)
        file.data += marks
        pcm_at = len(file.data)
        for part in pcm:
            file.data += part
        file.records.append(TakeFound(dict(meta), pcm_at, marks_at, pcm_at - marks_at))
        file.ends.append(len(file.data))
        return marks_at

    def read(self, place: Stored) -> bytes:
        """A range of a journal. Raises OSError."""
        file = self.files.get(place.log)
        data = bytes(file.data[place.at : place.at + place.length]) if file is not None else b""
        if len(data) != place.length:
            raise OSError(f"journal {place.log} ends too soon")
        return data

    def read_file(self, name: str, at: int, length: int) -> bytes:
        """A range of another file. Raises OSError."""
        folder, _, rest = name.partition("/")
        if folder == "voices":
            uid, _, name = rest.partition("/")
            data = self.voices.read(int(uid), name)[at : at + length]
        else:
            data = bytes(self.inputs.get(name, b"")[at : at + length])
        if len(data) != length:
            raise OSError(f"{name} ends too soon")
        return data

    def size(self, log: str, *, packed: bool = False) -> int:
        """Bytes of a journal, or of a packed file, which is half as large; 0 where there is none."""
        files = self.packed if packed else self.files
        return len(files[log].data) // (1 + packed) if log in files else 0

    def pack(self, log: str) -> None:
        """Make a packed file of a journal, beside it, and synced. Raises OSError."""
        self._copy(self.files, self.packed, log)

    def unpack(self, log: str) -> None:
        """Make the journal of a packed file anew, beside it. Raises OSError."""
        self._copy(self.packed, self.files, log)

    def _copy(self, source: dict[str, File], target: dict[str, File], log: str) -> None:
        if self.full or log not in source:
            raise OSError("No space left on device" if self.full else "No such file")
        file = source[log]
        target[log] = File(bytearray(file.data), list(file.records), list(file.ends), len(file.data))

    def drop_file(self, log: str, *, packed: bool) -> None:
        """Remove one of the two."""
        (self.packed if packed else self.files).pop(log, None)

    def sync(self, log: str) -> None:
        """What was written to a journal is there for good."""
        file = self.files.get(log)
        if file is not None:
            file.synced = len(file.data)

    def drop(self, log: str) -> None:
        """Remove a journal, which a power cut may bring back, and the packed file."""
        self.packed.pop(log, None)
        file = self.files.pop(log, None)
        if file is not None:
            self._removed[log] = file

    def power_cut(self) -> None:
        """Of each journal what was synced is left, and of the rest a part, torn anywhere."""
        for log, file in self._removed.items():
            if log not in self.files and self._chance.random() < 0.5:
                self.files[log] = file
        self._removed.clear()
        for file in self.files.values():
            left = self._chance.randint(file.synced, len(file.data))
            while file.ends and file.ends[-1] > left:
                file.ends.pop()
                file.records.pop()
            # The torn tail is cut off when the journal is taken up.
            del file.data[file.ends[-1] if file.ends else 0 :]
            file.synced = len(file.data)
        self.voices.power_cut()

    def keep_only(self, kept: dict[str, bool]) -> None:
        """Remove what belongs to no job. kept: the logs that do, and whether they are packed."""
        for log in [log for log in self.files if kept.get(log, True)]:
            del self.files[log]
        for log in [log for log in self.packed if not kept.get(log, False)]:
            del self.packed[log]
