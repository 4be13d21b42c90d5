"""Recordings that a voice may be cloned from: what both ends have to know of them.

Owns: how long one may be, and which formats are told by their first bytes to be none that libsndfile reads. Must not
know: decoders. Invariant: a format that libsndfile reads is never taken for another.
"""

from __future__ import annotations

from typing import NamedTuple

LONGEST_S = 120.0
"""A longer recording is refused."""

BEGIN = 16
"""So many of a recording's first bytes are looked at."""


class Foreign(NamedTuple):
    """A format that has to be converted. demuxer: what FFmpeg calls it; name: what people do."""

    demuxer: str
    name: str


_MP4, _WEBM = Foreign("mov", "an M4A or MP4 file"), Foreign("matroska", "a WebM or Matroska file")
_AAC, _AMR = Foreign("aac", "an AAC file"), Foreign("amr", "an AMR file")
_WMA = Foreign("asf", "a WMA file")


def foreign(data: bytes) -> Foreign | None:
    """Which format a file has that is not read here; None for all others. data: the file, or its first bytes."""
    if data[4:8] == b"ftyp":
        return _MP4
    if data[:4] == b"\x1aE\xdf\xa3":
        return _WEBM
    # ADTS: twelve bits of ones, one for the version, two of zeros, where MPEG audio has the layer, which is never 0.
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xF6 == 0xF0:
        return _AAC
    if data[:5] == b"#!AMR":
        return _AMR
    return _WMA if data[:8] == b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" else None
