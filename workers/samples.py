"""Recordings as engines want them: samples of one channel at one rate.

Owns: the decoding of uploaded files in a worker. Must not know: engines, where files come from. Invariant: what is no
audio, or is longer than anybody clones from, raises EngineError and nothing else; no file is opened by name.
"""

from __future__ import annotations

import io
from typing import Any

from .engine import EngineError

LONGEST_S = 120.0
"""Of a recording; the daemon refuses longer ones."""


def decoded(data: bytes, rate: int) -> Any:
    """A file's samples: float32 in [-1, 1], mono, `rate` a second (numpy). Raises EngineError: "invalid_input" for what
    is no audio, "unavailable" where this environment has no soundfile or soxr."""
    try:
        import soundfile
        import soxr
    except ImportError as error:
        raise EngineError("unavailable", f"recordings need {error.name}: install it for this worker") from None
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples = file.read(int(LONGEST_S * file.samplerate), dtype="float32", always_2d=True)
            source = int(file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise EngineError("invalid_input", f"a recording is not read as audio: {error}") from None
    if not len(samples):
        raise EngineError("invalid_input", "a recording has no sound in it")
    mono = samples.mean(axis=1)
    return mono if source == rate else soxr.resample(mono, source, rate, quality="HQ")
