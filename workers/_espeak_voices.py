"""Which of espeak-ng's voices is meant.

Owns: the public names of voices, made from the library's list, and their resolution. Must not know: ctypes, requests.
Invariant: whatever name comes in, what goes out is an identifier from the library's own list, or None. The library
itself takes an unknown variant in silence and keeps the old voice on an unknown name, so it is never asked.

A voice's public name is its first language tag in lower case (`en-us`, `de`, `fr-fr`, `cmn`), or, where another voice
has that already, the last part of its identifier. It also answers to its other tags, its identifier (`gmw/en-US`),
the identifier's last part, and its full name ("English (America)"). `en` and `zh` stand for `en-us` and `cmn`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ._espeak_library import Listed
from .engine import Voice

DEFAULT = "en-us"
_PREFERRED = {"en": "en-us", "zh": "cmn"}
_GENDERS = {1: "male", 2: "female"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A voice that the library has. key: as `set_voice` wants it."""

    name: str
    key: str


class Voices:
    """The voices of one library. listed: what speaks; variants: what can be put behind it with a plus."""

    def __init__(self, listed: Iterable[Listed], variants: Iterable[Listed]) -> None:
        self._identifiers: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._ranks: dict[str, int] = {}
        self._shown: list[Voice] = []
        self._variants: dict[str, str] = {}
        for variant in variants:
            last = variant.identifier.rpartition("/")[2]
            self._variants.setdefault(_folded(last), last)
            self._variants.setdefault(_folded(variant.name), last)
        suffixes = tuple(sorted(set(self._variants.values())))
        for voice in listed:
            self._add(voice, suffixes)
        for tag, name in _PREFERRED.items():
            if name in self._identifiers:
                self._names[tag] = name
        self._shown.sort(key=lambda voice: (voice.name != DEFAULT, voice.name))

    def _add(self, voice: Listed, suffixes: tuple[str, ...]) -> None:
        last = voice.identifier.rpartition("/")[2].lower()
        tags = [tag.lower() for tag, _ in voice.languages]
        name = tags[0] if tags and tags[0] not in self._identifiers else last
        if name in self._identifiers:
            return
        self._identifiers[name] = voice.identifier
        self._alias(name, name, -1)
        for tag, rank in voice.languages:
            self._alias(tag, name, rank)
        for alias in (voice.identifier, last, voice.name):
            self._alias(alias, name, 100)
        shown = Voice(name, tuple(tags), _GENDERS.get(voice.gender, ""), voice.name.strip(), suffixes)
        self._shown.append(shown)

    def _alias(self, alias: str, name: str, rank: int) -> None:
        key = _folded(alias)
        if key not in self._names or rank < self._ranks.get(key, 0):
            self._names[key], self._ranks[key] = name, rank

    def all(self) -> list[Voice]:
        """All of them, the default first."""
        return list(self._shown)

    def by_language(self) -> dict[str, str]:
        """For each language tag the voice to use; "" for the default of defaults."""
        tags = {tag for voice in self._shown for tag in voice.languages} | set(_PREFERRED)
        found = {tag: self._names[tag] for tag in sorted(tags) if tag in self._names}
        first = self._shown[0].name if self._shown else DEFAULT
        return {"": first, **found}

    def find(self, wanted: str) -> Chosen | None:
        """The voice of this name, perhaps with a variant (`en-us+f3`). Nothing stands in for an unknown one."""
        base, plus, variant = wanted.partition("+")
        name = self._names.get(_folded(base))
        if name is None:
            return None
        key = self._identifiers[name]
        if not plus:
            return Chosen(name, key)
        suffix = self._variants.get(_folded(variant))
        return Chosen(f"{name}+{suffix}", f"{key}+{suffix}") if suffix else None

    def for_language(self, language: str) -> Chosen | None:
        """The voice for a BCP 47 tag, cut from the right until one fits (RFC 4647 lookup): `nb-NO` gets `nb`."""
        tag = language.lower().replace("_", "-")
        known = self.by_language()
        while tag:
            if tag in known:
                return self.find(known[tag])
            tag = tag.rpartition("-")[0]
        return None


def _folded(name: str) -> str:
    return name.strip().casefold().replace("_", "-")


def speakable(listed: Iterable[Listed], data: Path) -> list[Listed]:
    """Without those that cannot speak: mbrola's, whose data are somewhere else, and those without a dictionary."""
    return [
        voice
        for voice in listed
        if not voice.identifier.startswith("mb/") and (data / f"{_dictionary(voice, data)}_dict").is_file()
    ]


def _dictionary(voice: Listed, data: Path) -> str:
    """The name of a voice's dictionary: as its file says, else that of its language."""
    for folder in ("lang", "voices"):
        file = data / folder / voice.identifier
        if file.is_file():
            for line in file.read_text("utf-8", "replace").splitlines():
                words = line.split()
                if len(words) > 1 and words[0] == "dictionary":
                    return words[1]
    return voice.languages[0][0].partition("-")[0] if voice.languages else ""
