"""The list of voices: a user's own, and the presets of every provider.

Owns: what a voice's row holds, and what the list is narrowed by. Must not know: pages, messages. Invariant: nobody sees
another user's voices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from . import own, samples
from .catalogue import Problem, Voice
from .languages import language_matches
from .personal import material
from .records import VoiceSaved
from .state import ProviderState
from .world import World

Row = dict[str, Any]


def voices(world: World, uid: int, where: Mapping[str, str]) -> Iterator[Row]:
    """The rows, a user's own voices first. where: `provider` (who can speak it), `language`, `kind`, `voice`."""
    kind, name = where.get("kind", ""), where.get("voice", "")
    for key, voice in sorted(world.voices.items()):
        if key[0] == uid and kind in ("", "mine", voice.spec.kind) and name in ("", voice.name):
            row = _own(world, voice)
            if _speaks(row, where.get("provider", "")) and _fits(voice, where.get("language", "")):
                yield row
    if kind in ("", "preset"):
        for provider in world.providers.values():
            if where.get("provider", "") in ("", provider.name):
                yield from _presets(provider, where.get("language", ""), name)


def _presets(provider: ProviderState, language: str, name: str) -> Iterator[Row]:
    spoken = provider.catalogue.spoken(language) if provider.catalogue is not None else ()
    return (_preset(provider, voice) for voice in spoken if name in ("", voice.name))


def _preset(provider: ProviderState, voice: Voice) -> Row:
    return {
        "provider": provider.name,
        "voice": voice.name,
        "kind": "preset",
        "languages": list(voice.languages),
        "gender": voice.gender,
        "description": voice.description,
        "variants": list(voice.variants),
    }


def _speaks(row: Row, provider: str) -> bool:
    return not provider or provider in row["speakers"] or provider in row["unknown"]


def _fits(voice: VoiceSaved, language: str) -> bool:
    return not language or not voice.spec.languages or bool(language_matches(language, voice.spec.languages))


def _own(world: World, voice: VoiceSaved) -> Row:
    speakers, unknown, problem = _speakers(world, voice)
    spec = voice.spec
    return {
        "provider": speakers[0] if speakers else "",
        "voice": voice.name,
        "kind": spec.kind,
        "languages": list(spec.languages),
        "gender": "",
        "description": spec.description,
        "variants": [],
        "chain": [{"provider": choice.provider, "voice": choice.voice} for choice in spec.chain],
        "speakers": speakers,
        "unknown": unknown,
        "problem": problem,
        "samples": [_sample(world, voice, index) for index in range(len(voice.samples))],
        "prompts": sum(1 for key in world.prompts if _of(key, voice)),
        "consent": {"who": spec.consent.who, "statement": spec.consent.statement, "at": spec.consent.at},
        "created": voice.created,
        "was": voice.was,
    }


def _speakers(world: World, voice: VoiceSaved) -> tuple[list[str], list[str], str]:
    """Who can speak a voice, of whom that is not known yet, and why nobody can, or can so far."""
    found = own.entries(world, voice, "")
    if isinstance(found, Problem):
        return [], [], found.message
    able = [(entry.provider, own.ability(world, entry)) for entry in found]
    speakers = [name for name, can in able if can is True]
    unknown = list(dict.fromkeys(name for name, can in able if can is None))
    if speakers:
        return speakers, unknown, ""
    if unknown:
        they = "it has" if len(unknown) == 1 else "they have"
        return [], unknown, f"Whether {', '.join(unknown)} can speak it is known once {they} started."
    return [], [], " ".join(dict.fromkeys(can.message for _, can in able if isinstance(can, Problem)))


def _of(key: tuple[int, str], voice: VoiceSaved) -> bool:
    return key[0] == voice.uid and bool(voice.samples) and key[1].startswith(material(voice.spec))


def _sample(world: World, voice: VoiceSaved, index: int) -> Row:
    told, saved = voice.spec.samples[index], voice.samples[index]
    return {
        "sample": saved.sample,
        "bytes": saved.bytes,
        "text": told.text,
        "heard": told.heard,
        "origin": msgspec.to_builtins(told.origin),
        "missing": (voice.uid, saved.sample) not in world.uploads,
        **samples.told(saved.facts),
    }
