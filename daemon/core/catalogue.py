"""What a provider can say: its voices and capabilities, as its workers told them.

Owns: checking what came in a READY, and finding the provider's own name for the voice that a caller asked for. Must not
know: workers, chains, whether the provider is well. Invariant: whatever a worker sent, a `Catalogue` that exists has
at least one voice if it speaks, or can clone some, all its names and tags are short and printable, and each voice or
model that it resolves to is one of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec

from ...bus.messages import Style, Submit
from .languages import language_matches

__all__ = ["Catalogue", "Problem", "Voice", "language_matches"]

_PRINTABLE = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?\Z"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_PRINTABLE)]
Tag = Annotated[str, msgspec.Meta(max_length=35, pattern=r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,16})*\Z")]
"""BCP 47, with the underscores and long subtags that engines are found to use."""

OrNothing = Annotated[str, msgspec.Meta(max_length=128)]

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_]([A-Za-z]{2}|[0-9]{3}))?\Z")

_NEAR_CHARS, _NEAR_NAMES = 60, 1000
"""How much is looked through for near names: nobody is to hold up the daemon by asking for what is not there."""

_SEE = "`voicebus voices` lists them."

_REMEMBERED = 256
"""Answers that are kept: callers ask for the same few voices, and finding one among 150 tags takes 40 us."""

_PLAIN = Style()


class Voice(msgspec.Struct, frozen=True):
    """One voice. languages: BCP 47, best first; none means any language. variants: what may be added to the name
    with a plus sign."""

    name: Name
    languages: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=200)] = ()
    gender: Annotated[str, msgspec.Meta(max_length=32)] = ""
    description: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    variants: Annotated[tuple[Name, ...], msgspec.Meta(max_length=1000)] = ()


class _Capabilities(msgspec.Struct, frozen=True):
    speak: bool = True
    transcribe: bool = False
    translate: bool = False
    models: Annotated[list[Name], msgspec.Meta(max_length=100)] = []
    streams: bool = False
    ssml: bool = False
    rate: bool = False
    pitch: bool = False
    volume: bool = False
    punctuation: bool = False
    seed: bool = False
    instruct: bool = False
    cloning: bool = False
    resamples: bool = True
    own_end: bool = False
    designs: OrNothing = ""
    marks: Annotated[list[Name], msgspec.Meta(max_length=16)] = []
    options: Annotated[list[Name], msgspec.Meta(max_length=200)] = []
    default_voices: Annotated[dict[OrNothing, Name], msgspec.Meta(max_length=1000)] = {}


class _Prompts(msgspec.Struct, frozen=True):
    model: OrNothing = ""
    revision: OrNothing = ""
    mode: OrNothing = ""


class _Body(msgspec.Struct, frozen=True):
    voices: Annotated[tuple[Voice, ...], msgspec.Meta(max_length=10_000)]
    capabilities: _Capabilities = _Capabilities()
    prompts: _Prompts = _Prompts()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something that was asked for cannot be. code: as in ERROR. message: for a person, with what to do."""

    code: str
    message: str


class Catalogue:
    """What one provider can say.

    voices: all of them, the default first. capabilities: what it claims, with everything it did not mention as not
    there; made of plain data only. prompts: what its voice prompts are for, as model, revision and mode.
    """

    def __init__(
        self,
        voices: tuple[Voice, ...],
        capabilities: Mapping[str, Any],
        prompts: tuple[str, str, str] = ("", "", ""),
    ) -> None:
        self.voices = voices
        self.prompts = prompts
        self.capabilities: dict[str, Any] = dict(capabilities)
        self._by_name = {voice.name: voice for voice in voices}
        self._by_lower = {voice.name.lower(): voice for voice in reversed(voices)}
        self._defaults: dict[str, str] = self.capabilities.get("default_voices", {})
        # All tags that a voice claims or that have a default voice, the preferred ones first.
        claimed = (tag for voice in voices for tag in voice.languages)
        self._tags = list(dict.fromkeys([*filter(None, self._defaults), *claimed]))
        self._answers: dict[tuple[str, str], str] = {}

    @classmethod
    def from_ready(cls, body: Mapping[str, Any]) -> Catalogue:
        """Read what a READY brought (decoded, unchecked). Raises ValueError, which says what is wrong and where.

        Unknown keys are let pass: a newer worker may say more.
        """
        told = msgspec.convert(body, _Body)
        able = told.capabilities
        voiceless = not told.voices and not able.cloning
        if (able.speak and voiceless) or (told.voices and not able.speak) or not (able.speak or able.transcribe):
            raise ValueError(f"{len(told.voices)} voices of an engine that can{'' if able.speak else 'not'} speak")
        if len({voice.name for voice in told.voices}) < len(told.voices):
            raise ValueError("two voices have the same name")
        catalogue = cls(told.voices, msgspec.to_builtins(told.capabilities), msgspec.structs.astuple(told.prompts))
        designs = told.capabilities.designs
        if designs and not catalogue._named(designs):
            raise ValueError(f"voices are described to {designs!r}, which is none of the voices")
        for language, name in told.capabilities.default_voices.items():
            if not catalogue._named(name):
                raise ValueError(f"the default voice for {language!r} is {name!r}, which is none of the voices")
        return catalogue

    def spoken(self, language: str = "") -> Iterator[Voice]:
        """The voices for a language, or all for "". Those of any language are always among them."""
        for voice in self.voices:
            if not language or not voice.languages or language_matches(language, voice.languages):
                yield voice

    def resolve(self, voice: str, language: str) -> str | Problem:
        """The provider's own name for what a caller asked for.

        voice: a name in any case, ``name+variant``, or a language tag; "" asks for the language's own voice.
        language: BCP 47; counts only where no voice is named, since a voice that is named was chosen knowingly. "" for
        both is the default of defaults.
        """
        known = self._answers.get((voice, language))
        if known is not None:
            return known
        found = self._resolve(voice, language)
        if isinstance(found, str) and len(self._answers) < _REMEMBERED:
            self._answers[voice, language] = found
        return found

    def _resolve(self, voice: str, language: str) -> str | Problem:
        if not voice:
            return self._default(language)
        named = self._named(voice)
        if named:
            return named
        if self._is_language(voice):
            return self._default(voice)
        return Problem("unknown_voice", f"There is no voice {voice!r}{self._near(voice)}. {_SEE}")

    def lacks(self, submit: Submit) -> str:
        """The first thing that a request asks for and the provider does not claim; "" if it can do all."""
        able, style = self.capabilities, submit.style
        if style == _PLAIN and not submit.ssml and submit.seed is None:
            return ""
        asked = {
            "ssml": submit.ssml,
            "rate": style.rate != _PLAIN.rate,
            "pitch": style.pitch != _PLAIN.pitch,
            "volume": style.volume != _PLAIN.volume,
            "punctuation": bool(style.punctuation),
            "instruct": bool(style.instruct),
            "seed": submit.seed is not None,
        }
        for name, wanted in asked.items():
            if wanted and not able.get(name):
                return name
        return next((f"the option {name}" for name in style.options if name not in able.get("options", ())), "")

    def transcriber(self, model: str, submit: Submit) -> str | Problem:
        """The model that a request to transcribe is for, or what the provider lacks for it. model: what was asked for,
        "" for whichever there is."""
        able, models = self.capabilities, self.capabilities["models"]
        if not able["transcribe"]:
            return Problem("unsupported", "speaks, and does not transcribe")
        if submit.hearing.translate and not able["translate"]:
            return Problem("unsupported", "cannot translate what it hears")
        if submit.hearing.words and "word" not in able["marks"]:
            return Problem("unsupported", "cannot time single words")
        if submit.seed is not None and not able["seed"]:
            return Problem("unsupported", "cannot do seed")
        missing = next((name for name in submit.style.options if name not in able["options"]), "")
        if missing:
            return Problem("unsupported", f"cannot do the option {missing}")
        if model and model not in models:
            return Problem(
                "unknown_model", f"has no model {model!r}; it has {', '.join(models) or 'one without a name'}"
            )
        return model or (models[0] if models else "default")

    def _named(self, asked: str) -> str:
        """A voice by its name, in any case, with or without a known variant; "" if there is none."""
        found = self._by_name.get(asked) or self._by_lower.get(asked.lower())
        if found is not None:
            return found.name
        name, plus, wanted = asked.rpartition("+")
        base = self._by_name.get(name) or self._by_lower.get(name.lower())
        if not plus or base is None:
            return ""
        variants = {variant.lower(): variant for variant in reversed(base.variants)}
        variant = wanted if wanted in base.variants else variants.get(wanted.lower(), "")
        return f"{base.name}+{variant}" if variant else ""

    def _default(self, language: str) -> str | Problem:
        """The voice for a language: the one that the engine prefers for it, else the first that claims it."""
        if not self.voices:
            return Problem("unknown_voice", "It speaks with cloned voices only; make one: voicebus voices add")
        if not language:
            return self._named(self._defaults.get("", "")) or self.voices[0].name
        tag = language_matches(language, self._tags)
        if tag and tag in self._defaults:
            return self._named(self._defaults[tag])
        if tag:
            return next(voice.name for voice in self.voices if tag in voice.languages)
        for voice in self.voices:
            if not voice.languages:
                return voice.name
        near = get_close_matches(language[:_NEAR_CHARS], self._tags[:_NEAR_NAMES], 3)
        hint = f"; the nearest are {', '.join(near)}" if near else ""
        return Problem("unknown_language", f"No voice speaks {language!r}{hint}. {_SEE}")

    def _is_language(self, asked: str) -> bool:
        """Whether a name that no voice has means a language. With more than a region it must be a tag that is claimed:
        ``de-anna`` is a voice that is not there, and nobody wants another one for it."""
        if _LANGUAGE.match(asked):
            return bool(language_matches(asked, self._tags))
        return asked.lower() in {tag.lower() for tag in self._tags}

    def _near(self, asked: str) -> str:
        names = list(self._by_lower)[:_NEAR_NAMES]
        near = [self._by_lower[name].name for name in get_close_matches(asked.lower()[:_NEAR_CHARS], names, 3)]
        return f"; the nearest are {', '.join(near)}" if near else ""
