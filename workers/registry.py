"""Finds an engine by the name of its module, or in a file.

Owns: what a name on a command line means. Must not know: what engines there are. Invariant: importing this imports
no engine.
"""

from __future__ import annotations

import sys
import traceback
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

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


def missing(error: ModuleNotFoundError) -> str:
    """What to do about a module that is not there."""
    root = (error.name or "").partition(".")[0] or "it"
    return f"the module {error.name} is missing; install it: {sys.executable} -m pip install {root}"


def from_file(path: Path) -> Callable[[], Engine]:
    """What makes the engine in a file: its one class derived from Engine, or what it calls `engine`.

    An engine that gives itself no name has the file's, and one without a version that of the file's text. Raises
    LookupError with what is wrong, in one line.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LookupError(f"{path} cannot be read: {error.strerror}") from None
    chosen = _chosen(_read(path, text), path)

    def make() -> Engine:
        engine = chosen()
        if not isinstance(engine, Engine):
            raise LookupError(  # noqa: TRY004 - as for all that is wrong with a file
                f"what {path} calls engine makes {type(engine).__name__}, which is no Engine"
            )
        engine.name = engine.name or path.stem
        engine.version = engine.version or f"file-{zlib.crc32(text):08x}"
        return engine

    return make


def _read(path: Path, text: bytes) -> ModuleType:
    """The file as a module. Whatever happens while it is read is a LookupError."""
    module = ModuleType(f"voicebus_engine_{path.stem}")
    module.__file__ = str(path)
    # Dataclasses and pickle look a class's module up here.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - what it is for: a person's own file
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""  # of bytes that are no text at all there is none
        raise LookupError(f"{path}{line}: {error.msg}") from None
    except ModuleNotFoundError as error:
        raise LookupError(f"{path}: {missing(error)}") from None
    except SystemExit as error:
        raise LookupError(f"{path} ends the program when it is read: sys.exit({error.code!r})") from None
    except Exception as error:  # noqa: BLE001 - as above
        raise LookupError(f"{path}:{_line(error, path)}: {type(error).__name__}: {error}") from None
    return module


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file that had to do with an error."""
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else 0


def _chosen(module: ModuleType, path: Path) -> Callable[[], Any]:
    named = getattr(module, "engine", None)
    if named is not None and not isinstance(named, ModuleType):
        if not callable(named):
            raise LookupError(f"what {path} calls engine is no class")
        chosen: Any = named
    else:
        found = [
            value
            for name, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Engine) and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            names = ", ".join(sorted(one.__name__ for one in found))
            several = f"has {len(found)} engines ({names}); leave one, or say which: engine = {names.split(',')[0]}"
            raise LookupError(f"{path} {several if found else 'has no class derived from voicebus.Engine'}")
        chosen = found[0]
    if lacking := getattr(chosen, "__abstractmethods__", None):
        raise LookupError(f"{path}: {chosen.__name__} has no {', '.join(sorted(lacking))}")
    return chosen  # type: ignore[no-any-return]
