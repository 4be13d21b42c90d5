"""Imports the package `mlx-audio` and loads a model with it.

Owns: what must be installed, and the proof that a model was loaded whole. Must not know: requests, devices, the bus.
Invariant: a model comes back with all of its weights or not at all; what the package prints, it does not print on
standard output.

The package catches what goes wrong with a model's tokenizer and codec, prints it and goes on without them; weights that
the codec's files lack stay what they were born with. So both are looked at here.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from ._qwen_libraries import installed as _installed
from ._qwen_libraries import quiet
from .engine import EngineError

_NEEDED = ("mlx", "mlx_audio", "transformers", "soundfile", "soxr")

HOW_TO_INSTALL = f"{sys.executable} -m pip install 'voicebus[mlx]'"


_MARKER = ".initialized"
"""A parameter that is none: the package says by it that it has worked a codebook out."""


def load() -> None:
    """Import it. Raises EngineError("load_failed") with what is missing."""
    missing = [name for name in _NEEDED if not _installed(name)]
    if missing:
        raise EngineError("load_failed", f"{', '.join(missing)} not installed; run: {HOW_TO_INSTALL}", lasting=True)
    with quiet():
        try:
            importlib.import_module("mlx.core")
            importlib.import_module("mlx_audio.tts.utils")
        except ImportError as error:  # On Linux, mlx alone has no back end, and so no libmlx.so.
            why = f"mlx-audio cannot be imported ({error}); run: {HOW_TO_INSTALL}"
            raise EngineError("load_failed", why, lasting=True) from None


def version() -> str:
    """The package's version."""
    from importlib.metadata import version as installed

    return installed("mlx-audio")


def weights(folder: Path) -> Any:
    """The model in a folder, on the default device. Raises EngineError("load_failed")."""
    from mlx_audio.tts.utils import load_model

    with quiet():
        try:
            model = load_model(folder)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise EngineError("load_failed", f"{folder} cannot be loaded: {line}") from error
        if model.tokenizer is None:
            raise EngineError("load_failed", f"the text tokenizer in {folder} cannot be loaded; see the lines above")
        if model.speech_tokenizer is None:
            path = folder / "speech_tokenizer"
            raise EngineError("load_failed", f"the codec in {path} cannot be loaded; see the lines above")
        if lacking := _lacking(model.speech_tokenizer, folder / "speech_tokenizer"):
            told = f"{len(lacking)} of its weights, {lacking[0]} among them"
            raise EngineError("load_failed", f"the codec in {folder / 'speech_tokenizer'} lacks {told}")
    return model


def _lacking(codec: Any, folder: Path) -> list[str]:
    """Weights of the codec that its files do not have. They are not read again for it, only their names."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    found: dict[str, Any] = {}
    for file in folder.glob("*.safetensors"):
        found |= mx.load(str(file))
    there = set(type(codec).sanitize(found))
    names = (name for name, _ in tree_flatten(codec.parameters()) if not name.endswith(_MARKER))
    return [name for name in names if name not in there]
