"""Recordings in formats that the daemon does not read (a phone's voice memo, a video's sound), made into FLAC.

Owns: who converts (PyAV where it is installed, else an ffmpeg on the PATH), and within which bounds. Must not know:
voices, the daemon. Invariant: any other file is handed on byte for byte; what is converted keeps its sample rate, has
16 bits and one or two channels, and none of the file's metadata (a phone notes the place); the time and memory that it
takes are bounded, and the file is opened as what its first bytes say and never as a list of others (HLS, concat).
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ..bus.errors import InvalidRequest
from ..bus.recordings import LONGEST_S, Foreign, foreign

LIMIT_S = 30.0
"""How long converting one may take. Two minutes of AAC take half a second."""

_DECODED_S = LONGEST_S + 1
"""So much is decoded: enough to see that there is more than may be."""

_TOO_LONG = f"It has more than {LONGEST_S:.0f} s; cut out 3 to 30 s of clear speech."
_NO_SOUND = "There is no sound in it."


def readable(data: bytes) -> bytes:
    """A recording that the daemon reads: `data` itself, or what it was converted to, as FLAC. Raises InvalidRequest."""
    form = foreign(data)
    if form is None:
        return data
    if (av := _pyav()) is not None:
        made = _by_pyav(av, data, form)
    elif program := shutil.which("ffmpeg"):
        made = _by_ffmpeg(program, data, form)
    else:
        raise InvalidRequest(
            f"It is {form.name}, and nothing here converts that: pip install 'voicebus[formats]', or install ffmpeg, "
            "or give a wav, flac, ogg, opus, mp3 or aiff file."
        )
    if _seconds(made) > LONGEST_S:
        raise InvalidRequest(_TOO_LONG)
    return made


def _seconds(flac: bytes) -> float:
    import soundfile

    try:
        about = soundfile.info(io.BytesIO(flac))
    except soundfile.SoundFileError:  # ffmpeg ended well and wrote nothing
        raise InvalidRequest(_NO_SOUND) from None
    if not about.frames:
        raise InvalidRequest(_NO_SOUND)
    return float(about.frames / about.samplerate)


def _broken(form: Foreign, why: str) -> InvalidRequest:
    words = why.strip().rpartition("\n")[2].rstrip(".")[:120]
    return InvalidRequest(
        f"It begins as {form.name} does, and cannot be read as one ({words}); is it whole? Record or export it again."
    )


def _slow(form: Foreign) -> InvalidRequest:
    return InvalidRequest(
        f"It is {form.name} that takes more than {LIMIT_S:g} s to convert; cut out 3 to 30 s of it as wav or flac."
    )


# ---------------------------------------------------------------------------------------------------------- by PyAV


def _pyav() -> Any:
    try:
        import av
    except (ImportError, OSError):  # not there, or without a library that it needs
        return None
    return av


def _by_pyav(av: Any, data: bytes, form: Foreign) -> bytes:
    import soundfile

    made = io.BytesIO()
    until = time.monotonic() + LIMIT_S
    try:
        with av.open(io.BytesIO(data), format=form.demuxer, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise InvalidRequest(_NO_SOUND)
            _encode(av, _frames(av, container, form, until), made)
    except (av.FFmpegError, ValueError, soundfile.SoundFileError) as error:
        # What came before the place that is broken is a recording, too.
        if not made.getvalue():
            raise _broken(form, getattr(error, "strerror", "") or str(error)) from None
    return made.getvalue()


def _encode(av: Any, frames: Iterator[Any], made: io.BytesIO) -> None:
    """Write frames as FLAC, as many as are wanted. The first says rate and channels."""
    import soundfile

    first = next(frames, None)
    if first is None:
        raise InvalidRequest(_NO_SOUND)
    rate, channels = first.sample_rate, min(len(first.layout.channels), 2)
    resampler = av.AudioResampler(format="s16", layout="mono" if channels == 1 else "stereo", rate=rate)
    left = int(_DECODED_S * rate)
    with soundfile.SoundFile(made, "w", rate, channels, "PCM_16", format="FLAC") as file:
        for frame in chain([first], frames, [None]):  # None gives out what the resampler holds back
            if frame is not None:
                frame.pts = None  # times are counted in samples, whatever the file says
            for piece in resampler.resample(frame):
                file.write(piece.to_ndarray().reshape(-1, channels)[: max(left, 0)])
                left -= piece.samples
            if left <= 0:
                return


def _frames(av: Any, container: Any, form: Foreign, until: float) -> Iterator[Any]:
    """The frames of the first track; a packet that is broken is left out, as players do."""
    for packet in container.demux(container.streams.audio[0]):
        if time.monotonic() > until:
            raise _slow(form)
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


# -------------------------------------------------------------------------------------------------------- by ffmpeg


def _by_ffmpeg(program: str, data: bytes, form: Foreign) -> bytes:
    """Through files in a folder of their own: what a phone writes has its index at the end, so it is no pipe's."""
    with tempfile.TemporaryDirectory(prefix="voicebus-") as folder:
        source, target = Path(folder, "recording"), Path(folder, "recording.flac")
        source.write_bytes(data)
        try:
            done = subprocess.run(
                _line(program, source, target, form), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, timeout=LIMIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _slow(form) from None
        except OSError as error:
            raise InvalidRequest(f"It is {form.name}, and {program} cannot be run: {error.strerror}.") from None
        said = done.stderr.decode(errors="replace").replace(f"file:{source}: ", "")
        if "matches no streams" in said:
            raise InvalidRequest(_NO_SOUND)
        if done.returncode or not target.is_file():
            raise _broken(form, said or f"{program} ended with {done.returncode}")
        return target.read_bytes()


def _line(program: str, source: Path, target: Path, form: Foreign) -> list[str]:
    """The program's arguments: it reads this one file, as this format, and no address in it."""
    return [
        program, "-nostdin", "-hide_banner", "-v", "error",
        "-protocol_whitelist", "file", "-f", form.demuxer, "-i", f"file:{source}",
        "-map", "0:a:0", "-map_metadata", "-1", "-t", f"{_DECODED_S:g}",
        "-af", "aformat=channel_layouts=mono|stereo", "-c:a", "flac", "-sample_fmt", "s16",
        "-f", "flac", "-y", f"file:{target}",
    ]  # fmt: skip
