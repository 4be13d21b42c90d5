"""What providers there are, set up or not: what each can do, where it runs, how it is installed and how large that is.

Owns: the form of a manifest (``workers/manifests/NAME.toml``) and reading those that are shipped. Must not know: which
providers are configured, or any engine: nothing is imported to read of it. Invariant: what was read is complete and of
the right types; a manifest promises nothing of a version whose module is not there (`Manifest.here`).
"""

from __future__ import annotations

import platform
import sys
import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

import msgspec

from .messages import PROTOCOL, PROTOCOL_LOW

_PACKAGE = __name__.partition(".")[0]

Capability = Literal[
    "speak", "transcribe", "streams", "words", "sentences", "ssml", "rate", "pitch", "volume", "punctuation", "seed",
    "instruct", "cloning",
]  # fmt: skip


class Install(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to make its environment. pip: what to hand to `python -m pip install`, once for each list, in this order.
    disk_bytes: of that environment. model_bytes: of a usual model, downloaded apart (0: none). page: where it is told
    at length."""

    pip: list[list[str]]
    disk_bytes: int
    model_bytes: int = 0
    page: str = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider. version: of what is told here. module: its workers'. protocol: the oldest and newest version it
    speaks. platforms: as `sys.platform`, perhaps with the machine ("darwin-arm64"). rate: native samples a second, 0
    where it has none. capabilities: what some voice or model of it can."""

    summary: str
    version: str
    module: str
    protocol: tuple[int, int]
    platforms: list[str]
    capabilities: list[Capability]
    install: Install
    rate: int = 0
    name: str = ""

    @property
    def here(self) -> bool:
        """Whether this version of voicebus has its module."""
        return _file(self.module).is_file()

    @property
    def fits(self) -> bool:
        """Whether it runs on such a machine, and speaks a protocol that we do."""
        mine = (sys.platform, f"{sys.platform}-{platform.machine()}")
        speaks = self.protocol[0] <= PROTOCOL and self.protocol[1] >= PROTOCOL_LOW
        return speaks and any(name in mine for name in self.platforms)

    def commands(self, python: str = "python") -> list[str]:
        """The command lines that make its environment, for an interpreter of a fresh one."""
        return [" ".join([python, "-m", "pip", "install", *map(_quoted, words)]) for words in self.install.pip]


def all_manifests() -> list[Manifest]:
    """Those that are shipped, by name. Raises ValueError where one is not what it should be."""
    folder = files(_PACKAGE) / "workers" / "manifests"
    names = sorted(found.name for found in folder.iterdir() if found.name.endswith(".toml"))
    return [read(name.removesuffix(".toml"), (folder / name).read_text(encoding="utf-8")) for name in names]


def read(name: str, text: str) -> Manifest:
    """A manifest from its text. Raises ValueError, which says what is wrong and where."""
    try:
        return msgspec.convert({**tomllib.loads(text), "name": name}, Manifest)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"the manifest of {name}: {error}") from None


def _file(module: str) -> Traversable:
    *folders, last = module.split(".")[1:]
    return files(_PACKAGE).joinpath(*folders, f"{last}.py")


def _quoted(word: str) -> str:
    return f"'{word}'" if set(word) & set("[]<>* ") else word
