"""The daemon's process, as seen from outside: which one it is, and when it is gone.

Owns: reading the lock of the state directory, watching a process end. Must not know: the bus; so a daemon of any
version can be found and stopped. Invariant: no signal goes to a process that does not hold the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...bus import endpoints
from ...bus.pids import exists
from .. import starting
from .exits import NO_DAEMON, Failure

LOCK_FILE = "daemon.lock"
"""As `daemon/lock.py` names it: a file in the state directory, locked by `flock`, with JSON in it."""


def command(*arguments: str) -> list[str]:
    """The command line of the daemon's program, run by the interpreter that runs this."""
    package = __name__.partition(".")[0]
    return [sys.executable, "-m", f"{package}.daemon", *arguments]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock. version: of the daemon, "" where it did not say."""

    pid: int
    version: str = ""
    socket: str = ""


def holder() -> Holder | None:
    """The daemon of this user's state directory, running or not yet ready; None where there is none."""
    path = endpoints.state_dir() / LOCK_FILE
    try:
        with path.open("rb") as file:
            about = _about(file.read(4096))
            # Asked only where the file names a living process, since asking takes the lock for a moment.
            if about is None or not exists(about.pid) or not _locked(file.fileno()):
                return None
            return about
    except OSError:
        return None


def _about(data: bytes) -> Holder | None:
    try:
        found: Any = json.loads(data)
        return Holder(int(found["pid"]), str(found.get("version", "")), str(found.get("socket", "")))
    except (ValueError, KeyError, TypeError):
        return None


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


class Watched:
    """A process that is watched until its end. Made before the lock is looked at, so that it is always the process
    that held it, even if another gets the same number later."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        if sys.platform == "linux":
            self._fd = os.pidfd_open(pid)
        else:
            self._queue = select.kqueue()
            watch = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            self._queue.control([watch], 0)

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "linux":
                signal.pidfd_send_signal(self._fd, number)
            else:
                os.kill(self.pid, number)

    def gone(self, within_s: float) -> bool:
        """Wait for its end, at most so long; True if it has ended."""
        if sys.platform == "linux":
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return bool(poll.poll(within_s * 1000))
        else:  # noqa: RET505 - the type checker wants to see that only one of them is ever there
            return bool(self._queue.control(None, 1, within_s))

    def close(self) -> None:
        if sys.platform == "linux":
            os.close(self._fd)
        else:
            self._queue.close()


@contextlib.contextmanager
def watched() -> Iterator[Watched | None]:
    """The daemon that holds the lock, watched; None where there is none."""
    found = holder()
    if found is None:
        yield None
        return
    try:
        process = Watched(found.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        again = holder()
        yield process if again is not None and again.pid == found.pid else None
    finally:
        process.close()


def spawn() -> None:
    """Start a daemon that stays until it is stopped, and wait until it serves. Raises Failure.

    It gets neither our terminal nor anything of our environment that it need not know. One that finds another at work
    leaves at once, and that is as good.
    """
    ready, theirs = os.pipe()
    try:
        process = subprocess.Popen(
            command("run", "--started-by", "hand", "--idle-exit", "0", "--ready-fd", str(theirs)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # it writes to its own log
            start_new_session=True,
            pass_fds=(theirs,),
            env=starting.clean_environment(),
            cwd="/",
        )
        os.close(theirs)
        readable, _, _ = select.select([ready], [], [], starting.START_S)
        if readable and os.read(ready, 64):
            process.returncode = 0  # it outlives us: nobody here waits for it
            return
    finally:
        os.close(ready)
    if not readable:
        process.kill()
    code = process.wait()
    if code != starting.ALREADY_RUNS:
        what = f"it ended with exit code {code}" if readable else f"it did not serve within {starting.START_S:.0f} s"
        raise Failure(f"the daemon could not be started: {what}", NO_DAEMON, "See why with: voicebus logs")


def stop(process: Watched, patience_s: float) -> bool:
    """End a daemon: TERM, and again if it is there after `patience_s` or after Ctrl-C (to a daemon the second means: at
    once). True if it is gone."""
    process.send(signal.SIGTERM)
    try:
        if process.gone(patience_s):
            return True
    except KeyboardInterrupt:  # from a person who does not want to wait
        pass
    process.send(signal.SIGTERM)
    return process.gone(5.0)
