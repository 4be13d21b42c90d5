"""Voices that a Base model of Qwen3-TTS clones, whichever library runs it.

Owns: how a voice's recordings become one, the neutral form of a prompt, which weights it is for, and the prompts that
are at hand on the device. Must not know: torch, MLX, the bus. Invariant: a recording counts with its transcript or for
its sound alone, never with another's words; a prompt of other dimensions than the model's is refused, never bent.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from ..bus.prompts import Array, VoicePrompt
from ._qwen_prompts import LONGEST_S, RATE, Prompt
from .engine import EngineError, Request, Sample
from .samples import decoded

T = TypeVar("T")

SHORTEST_S, ENOUGH_S = 1.0, 30.0
PAUSE_S, TAIL_S = 0.3, 0.5
"""Silence between recordings, and behind the last: a reference that ends in the midst of a sound is gone on with in
what is said."""

AT_HAND = 4
_MODE = "joined 1"
_LAST_BYTES = 1024 * 1024


def joined(samples: Sequence[Sample]) -> tuple[Any, str]:
    """One recording (float32, mono, 24 kHz) of all, and what is said in it. Where some have a transcript, only those
    count; where none has, the sound of all does. Raises EngineError("invalid_input")."""
    told = [sample for sample in samples if sample.text.strip()]
    parts: list[Any] = []
    words = []
    for sample in told or samples:
        audio = decoded(sample.data, RATE).astype(np.float32)
        if sum(map(len, parts)) > ENOUGH_S * RATE:
            break
        if len(audio) > LONGEST_S * RATE:
            length = f"{len(audio) / RATE:.0f} s; this model takes up to {LONGEST_S:.0f} s"
            raise EngineError("invalid_input", f"a recording has {length}, and 3 to 30 s are best")
        parts += [audio, np.zeros(int(PAUSE_S * RATE), np.float32)]
        words.append(sample.text.strip())
    if sum(map(len, parts[::2])) < SHORTEST_S * RATE:
        raise EngineError("invalid_input", f"there are less than {SHORTEST_S:g} s of recordings; 3 to 30 s are needed")
    whole = np.concatenate([*parts[:-1], np.zeros(int(TAIL_S * RATE), np.float32)])
    return whole, " ".join(words) if told else ""


def neutral(prompt: Prompt) -> VoicePrompt:
    """A prompt as it is kept."""
    codes = np.ascontiguousarray(prompt.codes, "<i2")
    speaker = np.ascontiguousarray(prompt.speaker, "<f4")
    arrays = {
        "speaker": Array("F32", speaker.shape, speaker.tobytes()),
        "codes": Array("I16", codes.shape, codes.tobytes()),
    }
    return VoicePrompt(arrays, {"text": prompt.text})


def own(prompt: VoicePrompt, width: int, books: int) -> Prompt:
    """The other way round, for a model of these dimensions. Raises EngineError("invalid_input")."""
    speaker, codes = prompt.arrays.get("speaker"), prompt.arrays.get("codes")
    if speaker is None or codes is None or (speaker.dtype, codes.dtype) != ("F32", "I16"):
        raise EngineError("invalid_input", "that is no voice prompt of Qwen3-TTS")
    shaped = codes.shape == (0, 0) or (len(codes.shape) == 2 and codes.shape[1] == books)
    if speaker.shape != (width,) or not shaped:
        raise EngineError("invalid_input", f"the voice prompt is {speaker.shape} and {codes.shape}, for another model")
    return Prompt(
        np.frombuffer(speaker.data, "<f4").copy(),
        np.frombuffer(codes.data, "<i2").reshape(codes.shape).copy(),
        prompt.words.get("text", ""),
    )


def made_for(size: str, folder: Path, library: str) -> tuple[str, str, str]:
    """What a prompt is for: the model, which weights, and how prompts are made. The weights are told by the ends of
    their files, which no two have in common, wherever they lie."""
    made = hashlib.sha256()
    for path in sorted([*folder.glob("model*.safetensors"), *folder.glob("speech_tokenizer/model*.safetensors")]):
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size_bytes - _LAST_BYTES))
            made.update(f"{path.name} {size_bytes}\n".encode() + file.read())
    return f"qwen3-tts-12hz-base-{size}", made.hexdigest()[:32], f"{_MODE}, {library}"


class Clones(Generic[T]):
    """Prompts as the model wants them: by name those of the settings, by key the last few of requests.

    item: makes one from a neutral prompt. width, books: the model's dimensions.
    """

    def __init__(self, item: Callable[[Prompt], T], width: int, books: int, named: dict[str, T]) -> None:
        self.named = named
        self._item = item
        self._width = width
        self._books = books
        self._recent: OrderedDict[str, T] = OrderedDict()

    def of(self, request: Request) -> T | None:
        """What a request is spoken with; None where it names a voice that there is not. Raises EngineError."""
        if request.prompt is None:
            return self.named.get(request.voice or next(iter(self.named), ""))
        key = request.prompt.key
        found = self._recent.get(key) if key else None
        if found is None:
            found = self._item(own(request.prompt, self._width, self._books))
        if key:
            self._recent[key] = found
            self._recent.move_to_end(key)
            while len(self._recent) > AT_HAND:
                self._recent.popitem(last=False)
        return found

    def forget(self, key: str) -> None:
        """Have the prompt of this key no more; "" is all that came with requests."""
        if key:
            self._recent.pop(key, None)
        else:
            self._recent.clear()
