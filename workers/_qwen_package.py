"""Imports the `qwen-tts` package, without those of its dependencies that speaking does not need.

Owns: the order of the imports, and stand-ins for what only the package's other half wants. Must not know: engines.
Invariant: a library that is installed is never replaced; what is missing and needed is named with the command that
installs it.

The package imports torchaudio, onnxruntime and sox for a 25 Hz tokenizer of which no model was published, gradio for
a demonstration, and librosa (with numba behind it: 20 s at the first call) for two functions. None of them is asked
for here, and torchaudio's wheels do not even load beside a torch for the CPU.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from typing import Any

from ._qwen_libraries import installed as _installed
from ._qwen_libraries import quiet
from .engine import EngineError

__all__ = ["HOW_TO_INSTALL", "load", "quiet", "version"]

_NEEDED = ("torch", "transformers", "accelerate", "soundfile", "soxr", "einops", "qwen_tts")
_STAND_INS = ("torchaudio.compliance.kaldi", "onnxruntime", "sox")

HOW_TO_INSTALL = (
    f"{sys.executable} -m pip install 'voicebus[pytorch]' && {sys.executable} -m pip install --no-deps qwen-tts==0.1.1"
)


def load() -> Any:
    """The class `Qwen3TTSModel`. Raises EngineError("load_failed") with what is missing."""
    missing = [name for name in _NEEDED if not _installed(name)]
    if missing:
        raise EngineError("load_failed", f"{', '.join(missing)} not installed; run: {HOW_TO_INSTALL}", lasting=True)
    for name in _STAND_INS:
        if not _installed(name.partition(".")[0]):
            _stand_in(name)
    if not _installed("librosa"):
        _librosa()
    with quiet():
        try:
            return importlib.import_module("qwen_tts").Qwen3TTSModel
        except ImportError as error:
            # The package works with transformers 4.57 only: 4.56 and 5 lack a decorator as it is used there.
            raise EngineError(
                "load_failed", f"qwen-tts cannot be imported ({error}); run: {HOW_TO_INSTALL}", lasting=True
            ) from None


def version() -> str:
    """The package's version."""
    from importlib.metadata import version as installed

    return installed("qwen-tts")


def _stand_in(name: str) -> types.ModuleType:
    """An empty module, with its parents."""
    if name in sys.modules:
        return sys.modules[name]
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__path__ = []
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(_stand_in(parent), child, module)
    return module


def _librosa() -> None:
    """What the package calls of librosa. The filters differ by less than 4e-9, the resampling not at all."""
    library, filters = _stand_in("librosa"), _stand_in("librosa.filters")
    vars(library).update(resample=_resample, __version__="0.11.0")
    vars(filters).update(mel=_mel)


def _resample(y: Any, *, orig_sr: int, target_sr: int, **_: Any) -> Any:
    import soxr

    return y if orig_sr == target_sr else soxr.resample(y, orig_sr, target_sr, quality="HQ")


def _mel(*, sr: int, n_fft: int, n_mels: int = 128, fmin: float = 0.0, fmax: float | None = None, **_: Any) -> Any:
    from transformers.audio_utils import mel_filter_bank

    made = mel_filter_bank(n_fft // 2 + 1, n_mels, fmin, fmax or sr / 2, sr, norm="slaney", mel_scale="slaney")
    return made.T.astype("float32")
