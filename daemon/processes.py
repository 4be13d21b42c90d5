"""The worker processes: starting, hearing of their end, and what they say on standard error.

Owns: child processes, their pipes and process groups. Must not know: why one is started or killed. Invariant:
each process that was started is reported as ended exactly once, after its whole group was killed and it was
reaped; until then its pid cannot mean anybody else. (A helper that somebody else killed is started again instead.)

Standard input is the lifeline: it brings the ticket and stays open, so that its end tells a worker that the
daemon is gone, however it went. Spawning is from the main thread, by exec, into a session of its own, without
`preexec_fn`.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..bus.endpoints import PROVIDER_VARIABLE, WORKERS_VARIABLE
from .core.settings import Provider
from .logs import log

SCRIPTS = "voicebus.workers.script"
"""The module that runs a file with an engine in it."""

TAIL_LINES = 50
LINE_CHARS = 500
LINES_A_SECOND = 100
"""What of a worker's standard error goes to the log. The tail has the last lines in any case."""

HELPER_TRIES = 3
"""How often a helper is started that somebody keeps killing."""

_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM})
"""What a process dies of through no fault of its own: an administrator, or want of memory."""

_READ_BYTES = 64 * 1024
_PASSED_ON = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "USER", "LOGNAME"})
_PASSED_ON_PREFIXES = ("LC_", "XDG_")


def environment(provider: Provider, endpoint: str, own: Mapping[str, str]) -> dict[str, str]:
    """What a worker sees of the world. Built, not inherited: keys and the service manager's words stay
    here."""
    built = basic_environment(own)
    built.update(provider.env)
    built[WORKERS_VARIABLE] = endpoint
    built[PROVIDER_VARIABLE] = provider.name
    return built


def basic_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What any process of ours needs, and nothing of what is secret."""
    built = {name: value for name, value in own.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)}
    # Without it, `python -m` would import from whatever the working directory is.
    built["PYTHONSAFEPATH"] = "1"
    return built


def command(provider: Provider) -> list[str]:
    """The command line of a provider's worker."""
    if provider.command:
        return list(provider.command)
    python = provider.python or sys.executable
    return [python, "-m", SCRIPTS, provider.script] if provider.script else [python, "-m", provider.module]


def unstartable(provider: Provider, error: Exception) -> str:
    """Why there is not even a process, and what to do about it."""
    program = command(provider)[0]
    if isinstance(error, FileNotFoundError):
        what, key = ("program", "command") if provider.command else ("interpreter", "python")
        return f"its {what} {program} is not there; install it anew, or change {key} in its table"
    if isinstance(error, PermissionError):
        return f"{program} must not be run by this user; see its permissions"
    return f"{program}: {getattr(error, 'strerror', None) or error}"


class Stderr:
    """What a worker writes on standard error, in lines; bounded, whatever it writes."""

    def __init__(self, worker: str, fd: int) -> None:
        self.fd = fd
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._worker = worker
        self._rest = b""
        self._second = 0
        self._in_second = 0

    def read(self) -> bool:
        """Take what is there, at most one buffer; False at the end."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop() if data else b""
        if len(self._rest) > LINE_CHARS:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._take(line)
        return bool(data)

    def _take(self, line: bytes) -> None:
        text = line[:LINE_CHARS].decode("utf-8", "backslashreplace").rstrip()
        if not text:
            return
        self.tail.append(text)
        second = int(time.monotonic())
        if second != self._second:
            if self._in_second > LINES_A_SECOND:
                log.info("%s: (%d more lines)", self._worker, self._in_second - LINES_A_SECOND)
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second <= LINES_A_SECOND:
            log.info("%s: %s", self._worker, text)

    def close(self) -> None:
        """Read what a dead process left, in bounded time, and close."""
        for _ in range(4):
            if not self.read():
                break
        if self._rest:
            self._take(self._rest)
        os.close(self.fd)


class Child:
    """A process that was started and is not reaped."""

    def __init__(self, worker: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self.worker = worker
        self.process = process
        self.condemned = False  # it was killed by us
        fd = os.dup(process.stderr.fileno())
        process.stderr.close()
        os.set_blocking(fd, False)
        self.stderr = Stderr(worker, fd)
        self.watch = _exit_watch(process.pid)

    def kill(self) -> None:
        """SIGKILL to the whole group. Not reaped, so the number is still this one's."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def reap(self) -> tuple[int | None, int | None]:
        """Code and signal of a process that has ended; its whole group is killed first."""
        self.kill()
        status = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return (status, None) if status >= 0 else (None, -status)


Exited = Callable[[str, int | None, int | None, list[str]], None]


@dataclass
class Helper:
    """What is started for a task, and who hears of its end. tries: how often it may still be started."""

    line: list[str]
    ended: Exited
    tries: int


class Processes:
    """All workers started by this daemon. `exited` is called from the selector's callbacks, once for each.

    The selector's data are functions without arguments, to be called when the descriptor is readable.
    """

    def __init__(self, selector: selectors.DefaultSelector, endpoint: str, exited: Exited) -> None:
        self._selector = selector
        self._endpoint = endpoint
        self._exited = exited
        self._children: dict[str, Child] = {}
        self._helpers: dict[str, Helper] = {}

    def __len__(self) -> int:
        return len(self._children)

    def spawn(self, worker: str, provider: Provider, ticket: str) -> int:
        """Start a worker; returns its pid. Raises OSError when there is nothing to start."""
        process = self._start(worker, command(provider), environment(provider, self._endpoint, os.environ))
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # dead already: its exit says more
            os.write(process.stdin.fileno(), ticket.encode() + b"\n")
        return process.pid

    def run(self, name: str, line: list[str], ended: Exited) -> None:
        """Start a helper, which lives no longer than its standard input is open; `ended` is called at its end, instead
        of `exited`. One that is killed from outside is started again, so what it does has to stand being done anew.
        Raises OSError."""
        self._help(name, Helper(line, ended, HELPER_TRIES))

    def _help(self, name: str, helper: Helper) -> None:
        self._start(name, helper.line, basic_environment(os.environ))
        helper.tries -= 1
        self._helpers[name] = helper

    def _start(self, name: str, line: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
            cwd="/",
            bufsize=0,
            close_fds=True,
            start_new_session=True,
        )
        child = self._children[name] = Child(name, process)
        self._selector.register(child.stderr.fd, selectors.EVENT_READ, lambda: self._read(child))
        self._selector.register(child.watch, selectors.EVENT_READ, lambda: self._end(child))
        return process

    def kill(self, worker: str) -> None:
        """SIGKILL to a worker's group, if it is still there."""
        if child := self._children.get(worker):
            child.condemned = True
            child.kill()

    def kill_all(self) -> None:
        """The end of everything: kill and reap all that is left, telling nobody."""
        for child in list(self._children.values()):
            self._forget(child)
            child.reap()
            os.close(child.stderr.fd)

    def _read(self, child: Child) -> None:
        # Its end may stand before this in the same batch of the selector; the descriptor is another's by then.
        if self._children.get(child.worker) is child and not child.stderr.read():
            self._selector.unregister(child.stderr.fd)

    def _end(self, child: Child) -> None:
        self._forget(child)
        code, number = child.reap()
        child.stderr.close()
        helper = self._helpers.pop(child.worker, None)
        if helper is not None and number in _OUTSIDE and not child.condemned and self._again(child.worker, helper):
            return
        ended = helper.ended if helper is not None else self._exited
        ended(child.worker, code, number, list(child.stderr.tail))

    def _again(self, name: str, helper: Helper) -> bool:
        """Start a helper once more that did not deserve its end; False if that is not to be."""
        if not helper.tries:
            return False
        try:
            self._help(name, helper)
        except OSError:
            return False
        log.info("%s: the helper was killed, and another one started", name)
        return True

    def _forget(self, child: Child) -> None:
        self._selector.unregister(child.watch)
        os.close(child.watch)
        with contextlib.suppress(KeyError):  # not there any more when it had closed its end
            self._selector.unregister(child.stderr.fd)
        del self._children[child.worker]


def _exit_watch(pid: int) -> int:
    """A descriptor that becomes readable when the process has ended and is not reaped yet."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):  # an old kernel, or a sandbox that does not know it
            return os.pidfd_open(pid)
    return _watch_by_thread(pid)


def _watch_by_thread(pid: int) -> int:
    """The same where there are no pidfds: a thread waits, and closes the other end of a pipe."""
    reading, writing = os.pipe()

    def wait() -> None:
        try:
            if hasattr(os, "waitid"):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            else:
                _wait_by_kqueue(pid)
        finally:
            os.close(writing)

    threading.Thread(target=wait, name=f"exit of {pid}", daemon=True).start()
    return reading


def _wait_by_kqueue(pid: int) -> None:
    """Where `waitid` is missing (macOS before Python 3.13). A process that is dead already is an error, and
    fine."""
    queue = select.kqueue()  # type: ignore[attr-defined,unused-ignore]
    change = select.kevent(  # type: ignore[attr-defined,unused-ignore]
        pid,
        select.KQ_FILTER_PROC,  # type: ignore[attr-defined,unused-ignore]
        select.KQ_EV_ADD | select.KQ_EV_ONESHOT,  # type: ignore[attr-defined,unused-ignore]
        select.KQ_NOTE_EXIT,  # type: ignore[attr-defined,unused-ignore]
    )
    with contextlib.suppress(OSError), contextlib.closing(queue):
        queue.control([change], 1, None)
