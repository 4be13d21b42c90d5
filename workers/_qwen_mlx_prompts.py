"""What a Base model on MLX needs to speak in somebody's voice.

Owns: the making of voice prompts from recordings, and their form on the device. Must not know: where recordings come
from. Invariant: a prompt is made once, of what the package itself would find in the recording before every sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from ._qwen_prompts import Prompt
from .engine import EngineError


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt as it is spoken with. speaker: (1, width). codes: (1, books, frames), None where only the speaker
    counts. text: what is said in the recording, None with no codes."""

    speaker: Any
    codes: Any
    text: str | None

    def last(self, frames: int) -> Any:
        """The codes (books, frames) of the recording's end, None where there are none."""
        return self.codes[0][:, -frames:] if self.codes is not None and frames else None


def make(model: Any, codec: Any, recording: Any, text: str) -> Prompt:
    """A prompt from a recording (float32, mono, 24 kHz). text: what is said in it; "" for the speaker alone."""
    audio = mx.array(recording)
    speaker = np.array(model.extract_speaker_embedding(audio).reshape(-1).astype(mx.float32))
    if not text:
        return Prompt(speaker, np.zeros((0, 0), np.int16), "")
    if not codec.has_encoder:
        raise EngineError("load_failed", "this model's codec has no encoder, so it takes no recording with its text")
    codes = np.array(codec.encode(audio[None, None]))[0].T.astype(np.int16)
    return Prompt(speaker, codes, text)


def item(prompt: Prompt) -> Item:
    """A prompt as it is spoken with."""
    speaker = mx.array(prompt.speaker)[None]
    if not len(prompt.codes):
        return Item(speaker, None, None)
    return Item(speaker, mx.array(prompt.codes.T.astype(np.int32))[None], prompt.text)
