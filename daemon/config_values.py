"""Values of ``voicebus.toml`` that mean something beyond their type: names that may be misspelt, entries of a chain.

Owns: reading them and the words for what is wrong. Must not know: where in the file they stand. Invariant: what cannot
be read is `Bad`, whose message is the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ..bus.messages import Choice
from .core.settings import Provider


class Bad(Exception):
    """A value that cannot be used; the message is the reason."""


def unknown(kind: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """What to say of a name that nobody knows."""
    near = get_close_matches(name, known, n=1)
    return f"unknown {kind}" + (f"; did you mean {near[0]}?" if near else "")


def choice(entry: Any, providers: Mapping[str, Provider]) -> Choice:
    """An entry of a chain: "provider", "provider/voice" or {provider = ..., voice = ...}. Raises Bad."""
    name: Any
    voice: Any
    if isinstance(entry, str):
        name, _, voice = entry.partition("/")
    elif isinstance(entry, dict) and entry.keys() <= {"provider", "voice"}:
        name, voice = entry.get("provider", ""), entry.get("voice", "")
    else:
        raise Bad(f'{entry!r} is neither "provider/voice" nor {{provider = ..., voice = ...}}')
    if not isinstance(name, str) or not isinstance(voice, str) or not name:
        raise Bad(f"{entry!r} names no provider")
    if name not in providers:
        near = get_close_matches(name, providers, n=1)
        raise Bad(f"no provider {name} in use" + (f"; did you mean {near[0]}?" if near else ""))
    return Choice(name, voice)
