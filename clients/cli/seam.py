"""The one place where commands get hold of what is outside: the client, the sound devices.

Tests put scripted ones here (`monkeypatch.setattr(seam, "connect", ...)`), and nothing else has to be replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..sync import Client


def connect(*, start: bool = False) -> Client:
    """A connected client, to be used as a context manager. Raises NotRunning where no daemon runs and `start` is
    false, VersionMismatch where one of another version does."""
    from ..sync import Client

    return Client(start=start)


def devices() -> list[dict[str, Any]]:
    """The sound devices to play on, each with its `name` and whether it is the `default`."""
    from .. import playing

    return playing.devices()
