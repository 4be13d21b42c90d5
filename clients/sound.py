"""The sound devices of this machine.

Owns: how they are found and opened, and that C libraries which talk to standard error meanwhile are not heard. Must
not know: speech, buffers, who plays. Invariant: standard error is what it was when any function here returns or
raises; a device that only swallows samples is never offered, since playing there would be a false success.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator, Iterator
from typing import Any

from ..bus.errors import InvalidRequest, VoicebusError

SWALLOWS = "Discard all samples"
"""How ALSA's name of the device begins that it has on a machine without any."""

PERIOD_MS = 50

_STDERR = 2
_quieting = threading.Lock()


class NoSoundDevice(VoicebusError):
    """There is nothing to play on, or not the device that was named."""

    code = "no_sound"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What is written to standard error inside, by any part of the process, goes nowhere: ALSA tells there, line by
    line, of each device that it looked for. One thread at a time, so that none keeps the other's nowhere."""
    with _quieting:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # it is closed: nobody reads it
            yield
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, _STDERR)
            os.close(nowhere)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)


def backends(name: str | None = None) -> list[Any]:
    """All real sound systems, or the one that is named. The null one is never chosen by itself: it swallows all."""
    import miniaudio

    if name is not None:
        return [miniaudio.Backend[name.upper()]]
    return [backend for backend in miniaudio.Backend if backend.name not in ("NULL", "CUSTOM")]


def devices(backend: str | None = None) -> list[dict[str, Any]]:
    """The devices that can be played on, the system's default first: rows with ``name``, ``id`` and ``backend``. An
    empty list where there are none."""
    import miniaudio

    try:
        with quiet():
            found = miniaudio.Devices(backends(backend))
            rows = found.get_playbacks()
    except miniaudio.MiniaudioError:
        return []
    return [
        {"name": row["name"], "id": row["id"], "backend": found.backend}
        for row in rows
        if not row["name"].startswith(SWALLOWS)
    ]


def find(name: str, backend: str | None = None) -> Any:
    """The id of the device of this name. Raises NoSoundDevice."""
    rows = devices(backend)
    for row in rows:
        if row["name"] == name:
            return row["id"]
    names = ", ".join(repr(row["name"]) for row in rows) or "none at all"
    raise NoSoundDevice(f"There is no sound device {name!r}; there is {names}.")


def playback(rate: int, period_ms: int, device_id: Any, backend: str | None) -> Any:
    """A device that is open and not started yet; None is the system's default. Raises NoSoundDevice."""
    import miniaudio

    try:
        with quiet():
            return miniaudio.PlaybackDevice(
                output_format=miniaudio.SampleFormat.SIGNED16,
                nchannels=1,
                sample_rate=rate,
                buffersize_msec=period_ms,
                device_id=device_id,
                backends=backends(backend),
                app_name="voicebus",
            )
    except miniaudio.MiniaudioError as error:
        raise no_device(error) from None


def play_file(data: bytes, device: str | None, backend: str | None) -> None:
    """Play what is in an audio file, one channel of it, and return when it was heard. Raises NoSoundDevice,
    InvalidRequest for what is no audio."""
    import io

    import soundfile

    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    except soundfile.SoundFileError as error:
        raise InvalidRequest(f"This recording cannot be played here: {error}") from None
    pcm, at, over = samples[:, 0].tobytes(), 0, threading.Event()

    def frames() -> Generator[bytes, int, None]:
        nonlocal at
        wanted = yield b""
        while True:
            part = pcm[at : at + 2 * wanted]
            at += len(part)
            if not part:
                over.set()
            wanted = yield part + bytes(2 * wanted - len(part))

    source = frames()
    next(source)
    opened = playback(rate, PERIOD_MS, find(device, backend) if device else None, backend)
    try:
        opened.start(source)
        over.wait(len(pcm) / 2 / rate + 5.0)
    finally:
        opened.close()


def no_device(error: Exception) -> NoSoundDevice:
    """What a sound library said, which is a reason and its own number for it, in words."""
    reason = error.args[0] if error.args else ""
    while isinstance(reason, tuple) and reason:
        reason = reason[0]
    because = f" ({reason})" if reason else ""
    return NoSoundDevice(
        f"There is no sound device to play on{because}. Write a file instead: voicebus say -o FILE.wav"
    )
