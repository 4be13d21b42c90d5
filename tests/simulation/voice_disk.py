"""Files beside the voices, on the disk that can be full and lose its power.

Owns: recordings and voice prompts by user and name, and which of them a power cut leaves. Must not know: voices.
Invariant: as `daemon/voice_files.py`: a recording has its name only once it was looked at; what was synced stays, and
what was removed is gone for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from voicebus.bus import prompts

PART = ".part"

Name = tuple[int, str]


@dataclass(slots=True)
class VoiceFile:
    """synced: it is on the disk for good."""

    data: bytearray
    synced: bool = False


class VoiceDisk:
    """By uid and name. full: nothing more can be written."""

    def __init__(self, chance: Random) -> None:
        self.full = False
        self.files: dict[Name, VoiceFile] = {}
        self._chance = chance

    def write(self, uid: int, name: str, offset: int, data: bytes) -> int:
        """Put a piece to what is there; how much is there then. Raises OSError."""
        part, whole = (uid, name + PART), (uid, name)
        if part not in self.files and whole in self.files:
            self.files[part] = self.files.pop(whole)
        if self.full and (data or part not in self.files):
            raise OSError("No space left on device")
        file = self.files.setdefault(part, VoiceFile(bytearray()))
        if offset == len(file.data) and data:
            file.data += data
            file.synced = False
        return len(file.data)

    def adopt(self, uid: int, name: str) -> None:
        """Give a recording its name. Raises OSError."""
        file = self.files.pop((uid, name + PART), None)
        if file is None:
            raise OSError("No such file or directory")
        self.files[uid, name] = file

    def store(self, uid: int, name: str, data: bytes) -> None:
        """Write a voice prompt. Raises OSError."""
        if self.full:
            raise OSError("No space left on device")
        self.files[uid, name] = VoiceFile(bytearray(data))

    def sync(self, uid: int, names: tuple[str, ...]) -> None:
        """Bring recordings to the disk. Raises OSError."""
        for name in names:
            if (uid, name) not in self.files:
                raise OSError("No such file or directory")
            self.files[uid, name].synced = True

    def drop(self, uid: int, names: tuple[str, ...]) -> None:
        """Remove files, and what there is of them."""
        for name in names:
            self.files.pop((uid, name), None)
            self.files.pop((uid, name + PART), None)

    def read(self, uid: int, name: str) -> bytes:
        """A whole file. Raises OSError."""
        file = self.files.get((uid, name))
        if file is None:
            raise OSError("No such file or directory")
        return bytes(file.data)

    def found(self) -> dict[Name, int]:
        """Files that have their names and are sound, with their sizes."""
        return {key: len(file.data) for key, file in self.files.items() if _sound(key[1], file)}

    def keep_only(self, owned: set[Name]) -> None:
        """A start removes what no voice has; what was being written is left alone for a while."""
        for key in [key for key in self.files if key not in owned and not key[1].endswith(PART)]:
            del self.files[key]

    def power_cut(self) -> None:
        """Of what was not synced the beginning is left, or nothing, or all."""
        for key, file in list(self.files.items()):
            left = "all" if file.synced else self._chance.choice(("all", "some", "nothing", "no file"))
            if left == "no file":
                del self.files[key]
            elif left != "all":
                del file.data[self._chance.randint(0, len(file.data)) if left == "some" else 0 :]
            file.synced = True


def _sound(name: str, file: VoiceFile) -> bool:
    if name.endswith(PART):
        return False
    if name.endswith(".prompt"):
        try:
            prompts.check(bytes(file.data))
        except prompts.BadPrompt:
            return False
    return True
