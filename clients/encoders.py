"""From PCM to the bytes of a format.

Owns: headers, encoders, and another sample rate where a format cannot have that of the audio. Must not know: files by
name, jobs, events. Invariant: what was written is in the stream when `close` returns, and only `Plain` can be cut.
"""

from __future__ import annotations

import os
import struct
from typing import IO, Any, Protocol

_SOUNDFILE = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
_SOUNDFILE["mp3"] = ("MP3", "MPEG_LAYER_III")

UNKNOWN_SIZE = 0xFFFFFFFF


def wav_header(rate: int, data_bytes: int) -> bytes:
    """The 44 bytes before signed 16-bit mono. Sizes that do not fit, or are not known, are 0xFFFFFFFF."""
    data = min(data_bytes, UNKNOWN_SIZE)
    riff = min(data_bytes + 36, UNKNOWN_SIZE)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + struct.pack("<4sI", b"data", data)


class Encoder(Protocol):
    """Takes PCM in, bytes come out at its stream. `cut` is there only for formats in `REWRITABLE` on real files."""

    def write(self, pcm: memoryview) -> None: ...
    def cut(self, samples: int) -> None: ...
    def close(self) -> None: ...


class Plain:
    """WAV or raw samples. rewrites: the stream can seek and be cut."""

    def __init__(self, stream: IO[bytes], rate: int, *, header: bool, rewrites: bool) -> None:
        self._stream = stream
        self._rate = rate
        self._header = 44 if header else 0
        self._rewrites = rewrites
        self._bytes = 0
        if header:
            stream.write(wav_header(rate, UNKNOWN_SIZE))

    def write(self, pcm: memoryview) -> None:
        """Add samples."""
        self._stream.write(pcm)
        self._bytes += len(pcm)
        if not self._rewrites:
            self._stream.flush()

    def cut(self, samples: int) -> None:
        """Keep only so many samples."""
        self._bytes = 2 * samples
        self._stream.seek(self._header + self._bytes)
        self._stream.truncate()

    def close(self) -> None:
        """Put the sizes right."""
        if self._header and self._rewrites:
            self._stream.seek(0)
            self._stream.write(wav_header(self._rate, self._bytes))
            self._stream.seek(0, os.SEEK_END)
        self._stream.flush()


class Resampled:
    """Audio for an encoder that cannot have its rate: turned into another on the way. Only for what is never cut."""

    def __init__(self, encoder: Encoder, source: int, target: int) -> None:
        import soxr

        self._encoder = encoder
        self._stream = soxr.ResampleStream(source, target, 1, dtype="int16", quality="HQ")

    def write(self, pcm: memoryview) -> None:
        """Add samples."""
        self._pass_on(pcm, last=False)

    def _pass_on(self, pcm: memoryview | bytes, *, last: bool) -> None:
        import numpy as np

        made: Any = self._stream.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.int16), last=last)
        if len(made):
            self._encoder.write(memoryview(made.astype("<i2").tobytes()))

    def cut(self, samples: int) -> None:
        """Impossible: what was encoded is gone."""
        raise NotImplementedError

    def close(self) -> None:
        """What the filter still holds comes out, and the file is complete."""
        self._pass_on(b"", last=True)
        self._encoder.close()


class _Forward:
    """What libsndfile takes for a file: passes on what is added at the end, keeps nothing. Going back to correct a
    header is possible only if the stream underneath can; elsewhere it is let go (players do without).

    failed: what the stream raised. It cannot go through libsndfile, which would print it, in some formats go on as if
    nothing had been, and in others fail by another name; so it is kept for `Compressed`, and the rest goes nowhere."""

    def __init__(self, stream: IO[bytes], *, rewrites: bool) -> None:
        self._stream = stream
        self._rewrites = rewrites
        self._at = 0
        self._size = 0
        self.failed: BaseException | None = None

    def write(self, data: bytes) -> int:
        if self.failed is None:
            try:
                self._put(data)
            except BaseException as error:  # noqa: BLE001 - a signal may be raised here too
                # Its traceback would keep libsndfile's caller alive, with a buffer that must not be collected late:
                # CPython dies of that at its end.
                self.failed = error.with_traceback(None)
        self._at += len(data)
        return len(data)

    def _put(self, data: bytes) -> None:
        if self._at == self._size:
            self._stream.write(data)
            self._size += len(data)
        elif self._rewrites:
            self._stream.seek(self._at)
            self._stream.write(data)
            self._size = max(self._size, self._at + len(data))
            self._stream.seek(self._size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        return b""

    def flush(self) -> None:
        self._stream.flush()


class Compressed:
    """FLAC, Vorbis, Opus or MP3, by libsndfile."""

    def __init__(self, stream: IO[bytes], rate: int, form: str, *, rewrites: bool) -> None:
        import soundfile

        container, subtype = _SOUNDFILE[form]
        self._stream = stream
        self._forward = _Forward(stream, rewrites=rewrites)
        # An mp3 stream cannot tell its length at its beginning; players guess it right if the bit rate is constant.
        more = {"bitrate_mode": "CONSTANT"} if form == "mp3" and not rewrites else {}
        self._file: Any = soundfile.SoundFile(
            self._forward, "w", samplerate=rate, channels=1, format=container, subtype=subtype, **more
        )
        self._look()

    def _look(self) -> None:
        """Raise what the stream has raised meanwhile."""
        if self._forward.failed is not None:
            raise self._forward.failed

    def write(self, pcm: memoryview) -> None:
        """Add samples."""
        self._file.buffer_write(pcm, dtype="int16")
        self._look()
        self._stream.flush()

    def cut(self, samples: int) -> None:
        """Impossible: what was encoded is gone."""
        raise AssertionError(f"cut to {samples} of what cannot be cut")

    def close(self) -> None:
        """Encode what the encoder held back."""
        self._file.close()
        self._look()
        self._stream.flush()
