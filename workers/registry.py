"""Finds an engine by the name of its module.

Owns: what a name on a command line means. Must not know: what engines there are. Invariant: importing this imports
no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from .engine import Engine

_HERE = (__package__ or "voicebus.workers").partition(":")[0]


def find(name: str) -> Callable[[], Engine]:
    """What makes the engine called `name`: "espeak" (ours), "package.module", or "package.module:attribute".

    Without an attribute the module's `engine` is taken: an Engine class, or a function that makes one. Raises
    LookupError with what is wrong.
    """
    module, _, attribute = name.partition(":")
    path = module if "." in module else f"{_HERE}.{module}"
    try:
        found = getattr(import_module(path), attribute or "engine", None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise
        raise LookupError(f"there is no module {path}") from None
    if found is None:
        raise LookupError(f"{path} has no {attribute or 'engine'} that makes an engine")
    made: Callable[[], Engine] = found
    return made
