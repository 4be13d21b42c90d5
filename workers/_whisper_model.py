"""A Whisper model: its files, the device it runs on, and a way to stop it.

Owns: the settings `model`, `revision`, `offline`, `device`, `compute_type` and `threads`. Must not know: recordings,
the bus. Invariant: nothing is downloaded unless the settings say so, and what is missing is said with the command that
gets it; a device that was asked for is used or the worker does not start; each call into the model asks first whether
it is still wanted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
from faster_whisper import WhisperModel

from .engine import EngineError, Progress

DEFAULT = "small"
NEEDED = ("model.bin", "config.json", "tokenizer.json")
HALF = {"cpu": "int8", "cuda": "float16"}
"""Number types that are quick where each device is of the usual kind."""


class Guarded:
    """A CTranslate2 model of which each call asks `alive` first, which may raise."""

    def __init__(self, model: Any, alive: Callable[[], None]) -> None:
        self._model = model
        self._alive = alive

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if name not in ("encode", "generate", "align", "detect_language"):
            return found

        def asking(*parts: Any, **options: Any) -> Any:
            self._alive()
            return found(*parts, **options)

        return asking


class Loaded:
    """A model that has been loaded. name: for records; kind: "cpu" or "cuda"."""

    def __init__(self, settings: dict[str, Any], progress: Progress) -> None:
        folder, self.name = files(settings, progress)
        self.kind, self.index = "cpu", int(settings.get("device_index", 0))
        self.threads = int(settings.get("threads", 0)) or min(os.cpu_count() or 1, 8)
        self.compute = ""
        self._alive: Callable[[], None] = lambda: None
        self.whisper = self._load(folder, settings, progress)
        self.whisper.model = Guarded(self.whisper.model, self._asked)

    @property
    def multilingual(self) -> bool:
        """Whether it knows other languages than English."""
        return bool(self.whisper.model.is_multilingual)

    def _asked(self) -> None:
        self._alive()

    def watched(self, alive: Callable[[], None]) -> None:
        """Ask this from now on before each call into the model."""
        self._alive = alive

    def told(self) -> dict[str, Any]:
        """What READY says of the device."""
        told: dict[str, Any] = {"kind": self.kind, "compute_type": self.compute, "model": self.name}
        if self.kind == "cpu":
            return {**told, "threads": self.threads}
        return {**told, "id": f"cuda:{self.index}"}

    def _load(self, folder: Path, settings: dict[str, Any], progress: Progress) -> WhisperModel:
        asked = str(settings.get("device", "auto")) or "auto"
        if asked not in ("auto", "cpu", "cuda"):
            raise EngineError("load_failed", f"device is {asked!r}; set it to auto, cpu or cuda", lasting=True)
        if asked != "cpu" and (asked == "cuda" or ctranslate2.get_cuda_device_count()):
            progress(-1.0, f"loading {self.name} on cuda")
            try:
                return self._proven(folder, "cuda", settings)
            except (RuntimeError, ValueError) as error:
                why = f"{self.name} does not run on CUDA here: {_line(error)}"
                if asked == "cuda":
                    raise EngineError("load_failed", f"{why}; set device to cpu, or to auto") from None
                sys.stderr.write(f"{why}; the processor is used instead\n")
        progress(-1.0, f"loading {self.name} on the processor")
        try:
            return self._proven(folder, "cpu", settings)
        except (RuntimeError, ValueError) as error:
            raise EngineError("load_failed", f"{self.name} cannot be loaded: {_line(error)}") from None

    def _proven(self, folder: Path, kind: str, settings: dict[str, Any]) -> WhisperModel:
        """Load the model and let it hear something, as it will."""
        import numpy as np

        compute = str(settings.get("compute_type", "auto")) or "auto"
        model = WhisperModel(
            str(folder),
            device=kind,
            device_index=self.index,
            compute_type=_fitting(kind, self.index) if compute == "auto" else compute,
            cpu_threads=self.threads,
            local_files_only=True,
        )
        model.encode(np.zeros((model.feat_kwargs.get("feature_size", 80), 3000), np.float32))
        self.kind, self.compute = kind, model.model.compute_type
        return model


def _fitting(kind: str, index: int) -> str:
    able = ctranslate2.get_supported_compute_types(kind, index)
    return HALF[kind] if HALF[kind] in able else "default"


def files(settings: dict[str, Any], progress: Progress) -> tuple[Path, str]:
    """The folder of the model that the settings name, and its name for records. Raises EngineError("load_failed")."""
    model = str(settings.get("model", "")) or DEFAULT
    if model.startswith(("/", "~", ".")) or Path(model).is_dir():
        folder = Path(model).expanduser()
        return _checked(folder, folder.name), str(settings.get("name", "")) or folder.name
    return _of_hub(
        model, str(settings.get("revision", "")), progress, offline=bool(settings.get("offline", True))
    ), model


def _of_hub(model: str, revision: str, progress: Progress, *, offline: bool) -> Path:
    from faster_whisper.utils import _MODELS, download_model

    if "/" not in model and model not in _MODELS:
        raise EngineError(
            "load_failed", f"there is no Whisper model {model!r}; there are {', '.join(_MODELS)}", lasting=True
        )
    progress(-1.0, f"looking for {model}" if offline else f"downloading {model}")
    repository = _MODELS.get(model, model)
    try:
        return Path(download_model(repository, local_files_only=offline, revision=revision or None))
    except (OSError, ValueError) as error:  # All of the hub's own errors are of these.
        why = "is not on this machine, and offline is set" if offline else f"cannot be downloaded ({_line(error)})"
        told = f"the model {model} {why}; to get it, run: {command(repository)}"
        raise EngineError("load_failed", told, lasting=offline) from None


def command(repository: str) -> str:
    """The command that downloads a model, going on where it was broken off."""
    tool = Path(sys.executable).with_name("hf")
    return f"{tool if tool.exists() else 'hf'} download {repository}"


def _checked(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise EngineError(
            "load_failed", f"there is no folder {folder}; set model to a model's folder, size or hub's id", lasting=True
        )
    missing = [wanted for wanted in NEEDED if not (folder / wanted).is_file()]
    if missing:
        whole = f"{command('Systran/faster-whisper-small')} --local-dir {folder}"
        raise EngineError(
            "load_failed", f"{folder} lacks {', '.join(missing)}; for a whole model, run: {whole}", lasting=True
        )
    return folder


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
