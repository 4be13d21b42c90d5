"""Recordings in formats that libsndfile does not read, really encoded, by PyAV."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

PITCHES = (220.0, 880.0, 1760.0)
"""What sounds in `sound`."""


class Form(NamedTuple):
    """A format, as FFmpeg calls its container, its codec and the codec's samples."""

    container: str
    codec: str
    kind: str = "fltp"
    rate: int = 48000
    bits: int = 128_000


FORMS = {
    "m4a": Form("ipod", "aac"),  # with its index at the end, as phones write it
    "mp4": Form("mp4", "aac", rate=44100),
    "alac": Form("ipod", "alac", "s16p"),
    "aac": Form("adts", "aac"),
    "webm": Form("webm", "libopus", "s16"),
    "wma": Form("asf", "wmav2", rate=44100),
    "amr": Form("amr", "libopencore_amrnb", "s16", 8000, 12_200),
}


def sound(seconds: float = 4.0, channels: int = 1, rate: int = 48000) -> Any:
    """Three notes that swell and fade, float32 (frames, channels). Later channels are quieter."""
    at = np.arange(int(seconds * rate)) / rate
    mono = sum(np.sin(2 * np.pi * pitch * at) for pitch in PITCHES) * 0.15 * (1.2 + np.sin(2 * np.pi * at))
    return np.stack([mono / (1 + channel) for channel in range(channels)], axis=1).astype(np.float32)


def encoded(name: str, samples: Any, *, picture: bool = False, **metadata: str) -> bytes:
    """Samples of the form's rate as a file of this form. picture: with a film beside them."""
    form = FORMS[name]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    file = io.BytesIO()
    with av.open(file, "w", format=form.container) as out:
        out.metadata.update(metadata)
        film = out.add_stream("mpeg4", rate=5) if picture else None
        track = out.add_stream(form.codec, rate=form.rate, layout=layout)
        track.bit_rate = form.bits * samples.shape[1]
        if film is not None:
            _shoot(out, film)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", layout)
        frame.rate = form.rate
        resampler = av.AudioResampler(form.kind, layout, form.rate)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(track.encode(piece))
        out.mux(track.encode(None))
    return file.getvalue()


def _shoot(out: Any, film: Any) -> None:
    film.width = film.height = 64
    for _ in range(10):
        out.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
    out.mux(film.encode(None))


def silent_film() -> bytes:
    """A film without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        _shoot(out, out.add_stream("mpeg4", rate=5))
    return file.getvalue()


def alike(found: Any, source: Any, rate: int, *, within: float = 0.1) -> None:
    """Check that two recordings of one rate have the same length, level and notes, channel by channel. within: how far
    a note's level may be off, as a part of it."""
    assert found.shape[1] == source.shape[1]
    assert abs(len(found) - len(source)) < 0.08 * rate  # an encoder's blocks
    for channel in range(source.shape[1]):
        one, other = found[:, channel], source[:, channel]
        assert _rms(one) == pytest.approx(_rms(other), rel=0.06)
        for pitch in PITCHES:
            assert _at(one, pitch, rate) == pytest.approx(_at(other, pitch, rate), rel=within)


def _at(samples: Any, pitch: float, rate: int) -> float:
    """How strong a note is."""
    turn = np.exp(-2j * np.pi * pitch * np.arange(len(samples)) / rate)
    return float(np.abs((samples * turn).mean()))


def _rms(samples: Any) -> float:
    return float(np.sqrt((samples.astype(np.float64) ** 2).mean()))
