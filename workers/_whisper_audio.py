"""Recordings of any common format, decoded to what Whisper listens to.

Owns: decoding by PyAV (the FFmpeg libraries), and where in a recording somebody speaks. Must not know: models, the bus.
Invariant: what comes back is 16 kHz mono; what is no audio is refused by name; a few bytes that claim to be a week of
sound take no more memory than the limit lets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import av
import numpy as np

from .engine import EngineError

RATE = 16000
"""Samples a second that Whisper hears."""

LONGEST_S = 12 * 3600.0
"""Longest recording, unless set: 2.8 GB of samples."""

_FRAMES = 400
"""Decoded frames after which it is asked whether anybody still wants them."""


class StoppedError(Exception):
    """Nobody wants it any more."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Where somebody speaks. chunks: as faster-whisper has them, in samples; seconds: of all of them."""

    chunks: list[dict[str, int]]
    seconds: float


def decode(file: BinaryIO, longest_s: float, alive: Callable[[], None]) -> Any:
    """The samples of a recording, 32-bit floats. alive: called now and then; may raise. Raises
    EngineError("invalid_input")."""
    parts: list[Any] = []
    count = 0
    try:
        with av.open(file, mode="r", metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise EngineError("invalid_input", "there is no sound in this file")
            for number, frame in enumerate(_resampled(container)):
                if number % _FRAMES == 0:
                    alive()
                part = frame.to_ndarray().reshape(-1)
                parts.append(part)
                count += len(part)
                if count > longest_s * RATE:
                    raise EngineError("invalid_input", f"the recording is longer than {longest_s / 3600:g} hours")
    except (av.FFmpegError, ValueError) as error:
        if not count:
            words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise EngineError("invalid_input", f"this is no recording that can be read: {words}") from None
        # What came before the place that is broken is a recording, too.
    if not count:
        raise EngineError("invalid_input", "there is no sound in this file")
    return np.concatenate(parts).astype(np.float32) / 32768.0


def _resampled(container: Any) -> Iterator[Any]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    for frame in chain(_decoded(container), [None]):
        if frame is not None:
            frame.pts = None  # times are counted in samples, whatever the file says
        yield from resampler.resample(frame)


def _decoded(container: Any) -> Iterator[Any]:
    """All frames; a packet that is broken is left out, as players do."""
    for packet in container.demux(container.streams.audio[0]):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def speech(audio: Any) -> Speech:
    """Where somebody speaks in a recording, by the Silero VAD that faster-whisper brings."""
    from faster_whisper.vad import get_speech_timestamps

    chunks = get_speech_timestamps(audio)
    return Speech(chunks, sum(chunk["end"] - chunk["start"] for chunk in chunks) / RATE)


def only(audio: Any, found: Speech) -> Any:
    """The samples in which somebody speaks, one after the other."""
    return np.concatenate([audio[chunk["start"] : chunk["end"]] for chunk in found.chunks])
