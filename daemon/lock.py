"""One daemon for each state directory.

Owns: the lock file beside the data, and what it says of the daemon that holds it. Must not know: sockets.
Invariant: whoever holds a `Lock` is the only daemon that writes to that state directory; it is taken before
anything else there is touched, and the kernel gives it back when the process ends, however it ends.

A daemon that is killed at the moment when it starts a child leaves the lock to that child until it has become another
program: so a lock whose holder is gone is waited for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from ..bus.pids import exists

LOCK_FILE = "daemon.lock"

BEQUEATHED_S = 5.0
"""How long a lock is waited for whose holder is gone. Nothing tells when it is free, so one looks again and again."""

_LOOK_S = 0.005


class AlreadyRunning(Exception):
    """Another daemon holds the lock; `holder` is what it wrote about itself, as far as it can be read."""

    def __init__(self, path: Path, holder: dict[str, Any]) -> None:
        self.holder = holder
        who = f"process {holder['pid']}" if "pid" in holder else "another process"
        where = f", at {holder['socket']}" if "socket" in holder else ""
        super().__init__(f"voicebus already runs: {who}{where} holds {path}")


class Lock:
    """The lock of a state directory, held from construction to `release`. Raises AlreadyRunning, OSError."""

    def __init__(self, directory: Path, **about: Any) -> None:
        self.path = directory / LOCK_FILE
        # Never removed: two daemons could then hold locks on two files of the same name.
        # No link is followed: what it points at would be overwritten.
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        until = time.monotonic() + BEQUEATHED_S
        while not self._free():
            holder = self._read()
            if time.monotonic() >= until or not self._bequeathed(holder.get("pid")):
                os.close(self._fd)
                raise AlreadyRunning(self.path, holder)
            time.sleep(_LOOK_S)
        os.ftruncate(self._fd, 0)
        # A full disk must not keep the daemon from starting: journals of an earlier run, removed next, may fill it.
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, json.dumps({"pid": os.getpid(), **about}).encode() + b"\n", 0)

    @staticmethod
    def _bequeathed(pid: Any) -> bool:
        """Whether it is said who holds the lock, and he is gone."""
        return isinstance(pid, int) and pid > 0 and not exists(pid)

    def _free(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(os.pread(self._fd, 4096, 0))
        except ValueError:  # the holder has not written yet
            return {}
        return found if isinstance(found, dict) else {}

    def release(self) -> None:
        """Let the next daemon in."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)
