"""Which voices and languages a Qwen3-TTS model has, in the words of this project.

Owns: the presets' descriptions, and the names that the package has for languages. Must not know: torch, the bus.
Invariant: only what the model's own configuration names is listed; a language that it does not have is refused by
name, never read in another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .engine import EngineError, Voice

LANGUAGES = {
    "en": "english",
    "zh": "chinese",
    "ja": "japanese",
    "ko": "korean",
    "de": "german",
    "fr": "french",
    "ru": "russian",
    "pt": "portuguese",
    "es": "spanish",
    "it": "italian",
}
"""BCP 47 to the package's names."""

_SAME = {"cmn": "zh", "nb": "no"}

AUTO = "auto"
"""The model finds out by itself."""


@dataclass(frozen=True, slots=True)
class _Preset:
    language: str
    gender: str
    description: str


_PRESETS = {
    "vivian": _Preset("zh", "female", "bright, slightly edgy young woman"),
    "serena": _Preset("zh", "female", "warm, gentle young woman"),
    "uncle_fu": _Preset("zh", "male", "seasoned man, low and mellow"),
    "dylan": _Preset("zh", "male", "young man of Beijing, clear and natural"),
    "eric": _Preset("zh", "male", "lively man of Chengdu, slightly husky"),
    "ryan": _Preset("en", "male", "dynamic man with a strong rhythm"),
    "aiden": _Preset("en", "male", "sunny American man, clear in the middle range"),
    "ono_anna": _Preset("ja", "female", "playful Japanese woman, light and nimble"),
    "sohee": _Preset("ko", "female", "warm Korean woman, rich in feeling"),
}
"""What the published models' presets sound like, by their model card."""

_PREFERRED = {"en": "ryan", "zh": "vivian", "ja": "ono_anna", "ko": "sohee", "": "ryan"}


DESIGNED = Voice("designed", description="the voice that `instruct` describes")
_PLAIN_DESIGN = "A calm adult voice, clear and even, at a moderate pace."


class Designs:
    """The described voices of a VoiceDesign model. told: name to description, as the settings have them."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._words = {str(name): str(words) for name, words in told.items()} | {DESIGNED.name: ""}

    def voices(self, tags: tuple[str, ...]) -> list[Voice]:
        """Each as a voice of these languages."""
        described = self._words.items()
        return [Voice(name, tags, description=words or DESIGNED.description) for name, words in described]

    def words(self, name: str, instruct: str) -> str:
        """What the model is told of a voice: its description, and what the request adds."""
        return " ".join(word for word in (self._words[name], instruct) if word) or _PLAIN_DESIGN


class Languages:
    """The languages of one model. names: the package's names for them."""

    def __init__(self, names: Iterable[str]) -> None:
        known = {name.lower() for name in names}
        self.tags = tuple(tag for tag, name in LANGUAGES.items() if name in known)

    def name(self, tag: str) -> str:
        """The package's name for a BCP 47 tag, "auto" for "". Raises EngineError("invalid_input")."""
        if not tag:
            return AUTO
        primary = tag.replace("_", "-").partition("-")[0].lower()
        primary = _SAME.get(primary, primary)
        if primary not in self.tags:
            raise EngineError(
                "invalid_input", f"this model does not speak {tag!r}; it speaks {', '.join(self.tags) or 'nothing'}"
            )
        return LANGUAGES[primary]

    def best_first(self, tag: str) -> tuple[str, ...]:
        """All languages, one of them first."""
        return (tag, *(other for other in self.tags if other != tag)) if tag in self.tags else self.tags


def presets(names: Iterable[str], languages: Languages) -> list[Voice]:
    """The preset voices of a model, the preferred one first."""
    listed = sorted((name.lower() for name in names), key=lambda name: (name != _PREFERRED[""], name))
    return [_preset(name, languages) for name in listed]


def _preset(name: str, languages: Languages) -> Voice:
    told = _PRESETS.get(name, _Preset("", "", "a preset of the model"))
    return Voice(name, languages.best_first(told.language), told.gender, told.description)


def defaults(voices: list[Voice], languages: Languages) -> dict[str, str]:
    """The voice for each language where none is asked for: a native speaker where there is one."""
    if not voices:  # a model that only clones
        return {}
    names = {voice.name for voice in voices}
    first = voices[0].name
    chosen = {tag: _PREFERRED.get(tag, "") for tag in (*languages.tags, "")}
    return {tag: name if name in names else first for tag, name in chosen.items()}


def known(name: str, voices: list[Voice], model: str) -> str:
    """The voice that is meant by a name, "" being the first. Raises EngineError("invalid_input")."""
    if not voices or (name and name not in {voice.name for voice in voices}):
        raise EngineError("invalid_input", f"{model} has no voice {name!r}")
    return name or voices[0].name
