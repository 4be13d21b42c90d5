"""Where a model's files are, and what to do where they are not.

Owns: the settings `model`, `size`, `kind`, `revision` and `offline`. Must not know: torch, devices, the bus. Invariant:
what comes back is a folder that holds every file a model needs, so that loading it asks no hub for anything; nothing is
downloaded unless the settings say so; what is missing is said with the command that gets it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._qwen_download import download
from .engine import EngineError, Progress

KINDS = {"custom_voice": "CustomVoice", "voice_design": "VoiceDesign", "base": "Base"}
SIZES = {"0.6B": "0b6", "1.7B": "1b7"}

NEEDED = (
    "config.json",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "speech_tokenizer/config.json",
    "speech_tokenizer/preprocessor_config.json",
    "model*.safetensors",
    "speech_tokenizer/model*.safetensors",
)


@dataclass(frozen=True, slots=True)
class Files:
    """A model on disk. name: for records. kind, size: as its configuration says."""

    folder: Path
    name: str
    kind: str
    size: str

    @property
    def takes_instruct(self) -> bool:
        """Whether instructions count: the packages drop them without a word for the small model, and Base models were
        not trained for them."""
        return self.kind == "voice_design" or (self.kind == "custom_voice" and self.size != SIZES["0.6B"])


def find(settings: dict[str, Any], progress: Progress) -> Files:
    """The files of the model that the settings name. Raises EngineError("load_failed") with what to do."""
    model = str(settings.get("model", "")) or _published(settings)
    if _is_folder(model):
        folder = Path(model).expanduser()
        whole = f"{command('Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice')} --local-dir {folder}"
        return checked(folder, Path(model).name, settings, whole)
    revision = str(settings.get("revision", ""))
    folder = _of_hub(model, revision, settings, progress)
    return checked(folder, f"{model.rpartition('/')[2]}@{folder.name[:8]}", settings, command(model, revision))


def _is_folder(model: str) -> bool:
    """Whether a folder is meant. A hub's id has one slash and begins with a letter or digit."""
    return model.startswith(("/", "~", ".")) or model.count("/") != 1 or Path(model).is_dir()


def _published(settings: dict[str, Any]) -> str:
    """The published model of a kind and size."""
    kind, size = str(settings.get("kind", "custom_voice")), str(settings.get("size", "0.6B"))
    if kind not in KINDS:
        raise EngineError("load_failed", f"kind is {kind!r}; set it to {', '.join(KINDS)}", lasting=True)
    if size not in SIZES:
        raise EngineError("load_failed", f"size is {size!r}; set it to {' or '.join(SIZES)}", lasting=True)
    if kind == "voice_design" and size == "0.6B":
        raise EngineError("load_failed", "there is no VoiceDesign model of size 0.6B; set size to 1.7B", lasting=True)
    return f"Qwen/Qwen3-TTS-12Hz-{size}-{KINDS[kind]}"


def _of_hub(model: str, revision: str, settings: dict[str, Any], progress: Progress) -> Path:
    from huggingface_hub import snapshot_download

    offline = bool(settings.get("offline", True))
    progress(-1.0, f"looking for {model}")
    try:
        if not offline:
            return download(model, revision, progress)
        return Path(snapshot_download(model, revision=revision or None, local_files_only=True))
    except (OSError, ValueError) as error:  # All of the library's own errors are of these.
        why = "is not on this machine, and offline is set" if offline else f"cannot be downloaded ({_line(error)})"
        advice = f"to get it, run: {command(model, revision)}"
        raise EngineError("load_failed", f"the model {model} {why}; {advice}", lasting=offline) from None


def command(model: str, revision: str = "") -> str:
    """The command that downloads a model, going on where it was broken off."""
    tool = Path(sys.executable).with_name("hf")
    return f"{tool if tool.exists() else 'hf'} download {model}" + (f" --revision {revision}" if revision else "")


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def checked(folder: Path, name: str, settings: dict[str, Any], whole: str) -> Files:
    """The folder, if all of a model is in it and it is the one that the settings mean. whole: the command that gets all
    of it. Raises EngineError."""
    if not folder.is_dir():
        raise EngineError(
            "load_failed", f"there is no folder {folder}; set model to a model's folder or its hub's id", lasting=True
        )
    missing = [pattern for pattern in NEEDED if not any(folder.glob(pattern))]
    if missing:
        raise EngineError(
            "load_failed", f"{folder} lacks {', '.join(missing)}; to get a whole model, run: {whole}", lasting=True
        )
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError("load_failed", f"{folder / 'config.json'} cannot be read: {error}") from None
    kind, size = str(told.get("tts_model_type", "")), str(told.get("tts_model_size", ""))
    _as_asked("kind", settings.get("kind"), kind, {kind: kind for kind in KINDS}, folder)
    _as_asked("size", settings.get("size"), size, SIZES, folder)
    if kind not in KINDS or told.get("tokenizer_type") != "qwen3_tts_tokenizer_12hz":
        raise EngineError("load_failed", f"{folder} is no Qwen3-TTS model of 12 Hz", lasting=True)
    return Files(folder, name, kind, size)


def _as_asked(what: str, asked: Any, found: str, known: dict[str, str], folder: Path) -> None:
    if asked and known.get(str(asked)) != found:
        raise EngineError(
            "load_failed", f"{what} is set to {asked}, and the model in {folder} is {found or 'none'}", lasting=True
        )
