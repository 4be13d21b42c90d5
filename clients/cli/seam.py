"""The one place where commands get hold of what is outside: the client and the sound devices.

Tests put scripted ones here (`monkeypatch.setattr(seam, "connect", ...)`), and nothing else has to be replaced.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...bus.errors import InvalidRequest

if TYPE_CHECKING:
    from ..events import Event
    from ..playing import Player
    from ..sync import Client, Speech

BACKEND_VARIABLE = "VOICEBUS_SOUND"
"""Names the sound system to play with, where the one that is chosen by itself is the wrong one; `null` is nobody's."""


def _backend() -> str | None:
    """The sound system that the environment names. Raises InvalidRequest for one that nobody knows."""
    wanted = os.environ.get(BACKEND_VARIABLE, "").lower()
    if not wanted:
        return None
    import miniaudio

    known = sorted(backend.name.lower() for backend in miniaudio.Backend if backend.name != "CUSTOM")
    if wanted not in known:
        raise InvalidRequest(f"{BACKEND_VARIABLE} is {wanted!r}; it can be {', '.join(known)}")
    return wanted


def connect(*, start: bool = False) -> Client:
    """A connected client, to be used as a context manager. Raises NotRunning where no daemon runs and `start` is
    false, VersionMismatch where one of another version does."""
    from ..sync import Client

    return Client(start=start)


def watch() -> Client:
    """A client that looks on, as `connect`, but gives a daemon that went away only a moment to come back, so that its
    user can be told."""
    from ..sync import Client

    return Client(start=False, name="voicebus top", reconnect_s=1.0)


def devices() -> list[dict[str, Any]]:
    """The sound devices to play on, each with its `name` and whether it is the `default`."""
    from .. import sound

    rows = sound.devices(_backend())
    return [{"name": row["name"], "default": number == 0} for number, row in enumerate(rows)]


def play_file(data: bytes, *, device: str | None) -> None:
    """Play a recording, and return when it was heard. Raises NoSoundDevice, InvalidRequest."""
    from .. import sound

    sound.play_file(data, device, _backend())


def player(speech: Speech, *, device: str | None, on_event: Callable[[Event], object]) -> Player:
    """What plays a speech: `run` it; `pause`, `resume` and `stop` may be called from signal handlers."""
    from ..playing import Player

    return Player(speech, device=device, on_event=on_event, backend=_backend())
