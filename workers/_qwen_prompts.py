"""What a Base model needs to speak in somebody's voice.

Owns: the making of voice prompts from recordings, and their neutral form. Must not know: where recordings come from
(files that the administrator names, later the bus), devices. Invariant: a `Prompt` is arrays and words, never an
object of the package; nothing that a client sends is taken for a path or an address.

This is the seam for cloned voices that come over the bus: they will arrive as recordings or as ready `Prompt`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .engine import EngineError

RATE = 24000
LONGEST_S = 60.0
"""Of a recording: 30 s are more than enough, and every second of it is read again before each sentence."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A voice, as one size of the Base model wants it. speaker: float32 (width,). codes: int16 (frames, books), empty
    where only the speaker counts. text: what is said in the recording, "" with no codes."""

    speaker: Any
    codes: Any
    text: str


def make(tts: Any, recording: Any, text: str) -> Prompt:
    """A prompt from a recording (float32, mono, 24 kHz). text: what is said in it; "" for the speaker alone."""
    made = tts.create_voice_clone_prompt((recording, RATE), text or None, x_vector_only_mode=not text)[0]
    codes = np.zeros((0, 0), np.int16) if made.ref_code is None else made.ref_code.cpu().numpy().astype(np.int16)
    return Prompt(made.ref_spk_embedding.float().cpu().numpy(), codes, text)


def item(prompt: Prompt, device: Any) -> Any:
    """A prompt as the package wants it."""
    import torch
    from qwen_tts import VoiceClonePromptItem

    whole = len(prompt.codes) > 0
    codes = torch.from_numpy(prompt.codes.astype(np.int64)).to(device) if whole else None
    speaker = torch.from_numpy(prompt.speaker).to(device)
    return VoiceClonePromptItem(codes, speaker, not whole, whole, prompt.text or None)


def read(path: Path) -> Any:
    """A recording from a file that the administrator named: float32, mono, 24 kHz. Raises EngineError."""
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise EngineError("load_failed", f"the recording {path} cannot be read: {error}") from None
    if not 1.0 <= len(samples) / rate <= LONGEST_S:
        raise EngineError("load_failed", f"{path} has {len(samples) / rate:.1f} s; give 1 to {LONGEST_S:.0f} s")
    mono = samples.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE, quality="HQ")


def told(settings: Any, model: str) -> dict[str, tuple[Path, str]]:
    """The recordings that the setting `voices` names, each with what is said in it. Raises EngineError."""
    if not isinstance(settings, dict):
        raise EngineError(
            "load_failed",
            f'{model}: voices must be {{ anna = {{ sample = "/path/anna.wav", text = "what is said in it" }} }}',
        )
    found = {}
    for name, row in settings.items():
        if not isinstance(row, dict) or not row.get("sample"):
            raise EngineError("load_failed", f'voices.{name} must be {{ sample = "...", text = "..." }}')
        found[str(name)] = (Path(str(row["sample"])).expanduser(), str(row.get("text", "")))
    return found
