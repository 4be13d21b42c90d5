"""Formats, told by their first bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from voicebus.bus.recordings import BEGIN, foreign

from ..faults.foreign import FORMS, encoded, sound

NAMES = {"m4a": "M4A", "mp4": "MP4", "alac": "M4A", "aac": "AAC", "webm": "WebM", "wma": "WMA", "amr": "AMR"}
READ = [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("AIFF", None), ("CAF", None),
        ("AU", None), ("W64", None), ("RF64", None)]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_foreign_format_is_known_by_its_beginning(form):
    """Sixteen bytes of such a file tell what it is."""
    data = encoded(form, sound(0.2, 1, FORMS[form].rate))
    found = foreign(data[:BEGIN])
    assert found is not None
    assert found == foreign(data)
    assert NAMES[form] in found.name


@pytest.mark.parametrize(("container", "codec"), READ)
def test_what_libsndfile_reads_is_never_taken_for_foreign(container, codec):
    """Whatever it writes, which it then reads, is none of those formats."""
    file = io.BytesIO()
    noise = np.random.default_rng(1).normal(0, 0.3, 48000).astype(np.float32)
    soundfile.write(file, noise, 48000, codec, format=container)
    assert foreign(file.getvalue()) is None


def test_mpeg_audio_is_no_aac():
    """Of all that may stand behind the bits of a frame's beginning, only layer 0 is AAC, which MPEG audio never has."""
    assert [byte for byte in range(0xE0, 0x100) if foreign(bytes([0xFF, byte]))] == [0xF0, 0xF1, 0xF8, 0xF9]


@pytest.mark.parametrize("data", [b"", b"\xff", b"\0\0\0\x20fty", bytes(16)])
def test_too_little_is_nothing(data):
    """An empty file, or the very beginning of one, is no foreign format."""
    assert foreign(data) is None
