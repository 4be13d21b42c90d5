"""Whose turn it is to sound: players of this user that run at the same time.

Owns: one small locked file for each `say` or `attach` that plays, in the directory of the sockets, named so that they
sort by age. Must not know: jobs (a job is over for the daemon long before a player has played what it was sent).
Invariant: a file whose process is gone is nobody's turn, whatever it died of: the kernel gives its lock back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from ...bus import endpoints

FOLDER = "players"

SILENCE = signal.SIGUSR1
"""Who has a file here ends with silence at this signal."""


@contextlib.contextmanager
def turn() -> Iterator[list[Path]]:
    """Be one of those who sound; gives the files of those who were there before, oldest first. Where no such file can
    be made, nobody was there: sounding matters more than order."""
    try:
        folder = endpoints.make_private(endpoints.make_runtime_dir() / FOLDER)
        mine = folder / f"{time.monotonic_ns():020}-{os.getpid()}"
        fd = os.open(mine, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except (OSError, endpoints.EndpointError):
        yield []
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield [path for path in sorted(folder.iterdir()) if path.name < mine.name and _sounds(path)]
    finally:
        mine.unlink(missing_ok=True)
        os.close(fd)


def silence() -> int:
    """End all players of this user, also those that play what is left of a job that is over. Returns how many."""
    count = 0
    with contextlib.suppress(OSError, endpoints.EndpointError):
        for path in (endpoints.runtime_dir() / FOLDER).iterdir():
            if _sounds(path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(path.name.rpartition("-")[2]), SILENCE)
                    count += 1
    return count


def _sounds(path: Path) -> bool:
    """Whether the player of this file still runs. The file of one that died is removed."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(fd)


def wait_for(players: list[Path]) -> None:
    """Return when all of them are done. Ctrl-C ends the wait."""
    for path in players:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # done
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)
