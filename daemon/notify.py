"""What the service manager is told: ready, still turning, leaving.

Owns: the datagrams to systemd (`sd_notify`). Must not know: what makes the daemon ready or healthy.
Invariant: telling never fails and never waits; without a service manager all of it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """A line to the service manager named in `environ`, if there is one.

    watchdog_s: how often `watchdog` wants to be called (half of what the manager allows), or None. That holds
    only if WATCHDOG_PID names this process: a parent's watchdog is not ours to feed.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.watchdog_s = _half_interval(environ)
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket: socket.socket | None = None
        if path.startswith(("@", "/")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | _CLOEXEC)
            self._socket.setblocking(False)

    def _tell(self, *lines: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)

    def ready(self, status: str = "") -> None:
        self._tell("READY=1", f"MAINPID={os.getpid()}", *([f"STATUS={status}"] if status else []))

    def status(self, text: str) -> None:
        self._tell(f"STATUS={text}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def watchdog(self) -> None:
        self._tell("WATCHDOG=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


_CLOEXEC: int = getattr(socket, "SOCK_CLOEXEC", 0)


def _half_interval(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        interval = int(environ["WATCHDOG_USEC"])
    except (KeyError, ValueError):
        return None
    return interval / 2e6 if interval > 0 else None
