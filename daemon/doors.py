"""The two sockets at which the daemon is reached, and their files.

Owns: binding, the files of the sockets, and what happens when descriptors run short. Must not know: messages.
Invariant: a path that somebody listens on is never taken over, and no file is removed that this daemon did
not make or find dead while it held the lock. An inherited socket's file is the service manager's: it stays where it
is, whatever happens here.

libzmq aborts the whole process when accepting a connection finds no free descriptor, and closing a listener
closes all its connections. So a door is shut by moving its file aside, an inherited one by taking away all rights to
it: nobody new can connect (but root) and nobody loses anything. The word of each accepted connection comes over a
monitor whose queue is bounded, and libzmq stops accepting while that queue is full; a reserve larger than queue and
backlog together is therefore never used up.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
from pathlib import Path

import zmq

from ..bus import endpoints, sockets
from ..bus.endpoints import EndpointError
from ..bus.places import Places

Socket = zmq.Socket[bytes]

RESERVE = 1200
"""Descriptors that connections never get: monitor queue (1001), backlog (100), some for files and workers.
With a limit under 3 * RESERVE it is less, and then the loop has to be quick."""


BACKLOG = 100
"""How many connections may wait to be accepted: what libzmq asks for too."""

LEAST = 320
"""Fewer descriptors than this leave none for connections, and no door would ever open."""


class SomebodyListens(EndpointError):
    """A path at which somebody is reached already."""


def raise_descriptor_limit() -> int:
    """Let this process have as many descriptors as it may; returns how many that is. Raises EndpointError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        # macOS refuses more than its own maximum, and does not say which that is.
        for attempt in (wanted, 65536, 10240):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(attempt, wanted), hard))
                break
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < LEAST:
        raise EndpointError(
            f"{limit} descriptors are too few; {LEAST} are needed (ulimit -n, or LimitNOFILE of a service)"
        )
    return limit


def descriptors_used() -> int:
    """How many descriptors this process has open. On Linux since 6.2 that is one call, else a listing."""
    with contextlib.suppress(OSError):
        if size := os.stat("/proc/self/fd").st_size:  # noqa: PTH116 - a Path costs more than the call
            return size
    for listing in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(listing))  # noqa: PTH208 - as above
    return 0


def reserve(limit: int) -> int:
    """How many of `limit` descriptors are kept free of connections."""
    return min(RESERVE, max(256, limit // 3))


def most_clients(limit: int) -> int:
    """How many clients to let in, so that four fifths of what connections may have is never passed."""
    return max(8, (limit - reserve(limit)) * 4 // 5)


class Door:
    """A bound ROUTER and its file.

    watched: a descriptor that is readable when somebody connected; then `somebody_came` must be called, which
    takes all words there are, since the descriptor of a ZeroMQ socket speaks up only once. open_to_all: every user
    may connect. inherited: a socket that listens at `path` already; libzmq gets a copy of it and closes that in the
    end, the original stays its owner's. fixed: it cannot be shut. Raises EndpointError when the path is somebody's or
    no place for a socket. The caller holds the lock of the state directory.
    """

    def __init__(
        self,
        context: zmq.Context[Socket],
        path: Path,
        keep_free: int,
        *,
        open_to_all: bool = False,
        inherited: socket.socket | None = None,
    ) -> None:
        self.path = path
        self.shut = False
        self.fixed = False
        self._inherited = inherited
        self._mode = 0o666 if open_to_all else 0o600
        self._aside = path.with_name(f".{path.name}.full")
        self._keep_free = keep_free
        if inherited is None:
            _make_room(path)
            self._aside.unlink(missing_ok=True)
        else:
            self._take_over(inherited)
        self.socket: Socket = sockets.router(context)
        self.monitor: Socket = context.socket(zmq.PAIR)
        self.monitor.setsockopt(zmq.RCVHWM, 1)
        self.monitor.setsockopt(zmq.LINGER, 0)
        watch = f"inproc://accepted-{path.name}"
        self.socket.monitor(watch, zmq.EVENT_ACCEPTED)
        self.monitor.connect(watch)
        self._bind()
        self.watched = int(self.monitor.getsockopt(zmq.FD))
        # Only a reader that was once found waiting is signalled.
        self.somebody_came()
        self._inode = self._found()

    def _take_over(self, inherited: socket.socket) -> None:
        """Make sure that the socket can be reached: a daemon that was killed may have left it shut."""
        try:
            mode = stat.S_IMODE(self.path.lstat().st_mode)
        except OSError:
            raise EndpointError(
                f"{self.path}, where the service manager listens, is gone; start its socket unit again"
            ) from None
        self._mode = mode if mode & 0o222 else self._mode
        try:
            self.path.chmod(self._mode)
        except PermissionError:
            self.fixed = True
        inherited.listen(BACKLOG)  # the reserve counts on it

    def _bind(self) -> None:
        before = os.umask(0o077)
        try:
            if self._inherited is not None:
                sockets.adopt(self.socket, os.dup(self._inherited.fileno()))
            self.socket.bind(endpoints.endpoint(self.path))
            if self._inherited is None and self._mode != 0o600:
                self.path.chmod(self._mode)
        except (zmq.ZMQError, EndpointError, OSError) as error:
            self.socket.close(linger=0)
            self.monitor.close(linger=0)
            raise EndpointError(f"{self.path} cannot be bound: {error}") from None
        finally:
            os.umask(before)

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self._file.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @property
    def _file(self) -> Path:
        """Where the socket's file is now."""
        return self._aside if self.shut and self._inherited is None else self.path

    def in_place(self) -> bool:
        """Whether the file is there and still ours: without it nobody can come in."""
        return self._found() == self._inode

    def somebody_came(self) -> None:
        """Take the monitor's words."""
        with contextlib.suppress(zmq.Again):
            while True:
                self.monitor.recv(zmq.NOBLOCK)

    def watch(self, used: int, limit: int) -> bool:
        """Shut the door when too few descriptors are free, open it when there is room again; True if it
        moved."""
        free = limit - used
        if self.fixed:
            return False
        if not self.shut and free < self._keep_free:
            self._move(shut=True)
        elif self.shut and free > self._keep_free + (limit - self._keep_free) // 5:
            self._move(shut=False)
        else:
            return False
        return True

    def _move(self, *, shut: bool) -> None:
        if self._inherited is not None:
            self.path.chmod(0 if shut else self._mode)
        elif shut:
            os.rename(self.path, self._aside)  # noqa: PTH104 - atomic, and says what it does
        else:
            os.rename(self._aside, self.path)  # noqa: PTH104
        self.shut = shut

    def close(self) -> None:
        """Close the socket, then remove its file, if it is still ours. An inherited one is left, open."""
        ours = self.in_place()
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close()
        if self._inherited is not None and ours and self.shut:
            self._move(shut=False)
        elif self._inherited is None and ours:
            self._file.unlink(missing_ok=True)


class Doors:
    """Both doors: `clients` and `workers`. Raises EndpointError.

    places: where they are; the workers' directory is always private, the clients' one open to all in a system daemon.
    inherited: the clients' socket, where the service manager has made it.
    """

    def __init__(
        self, context: zmq.Context[Socket], places: Places, limit: int, inherited: socket.socket | None = None
    ) -> None:
        if inherited is None and places.shared:
            endpoints.make_shared(places.runtime)
        endpoints.make_private(places.workers)
        self.limit = limit
        spare = reserve(limit)
        self.workers = Door(context, places.workers / endpoints.WORKER_SOCKET, spare // 2)
        try:
            path = places.client_socket if inherited is None else Path(inherited.getsockname())
            self.clients = Door(context, path, spare, open_to_all=places.shared, inherited=inherited)
        except BaseException:
            self.workers.close()
            raise

    def watch(self) -> list[str]:
        """Shut or open doors as descriptors demand; returns what was done, for the log."""
        self.clients.somebody_came()
        self.workers.somebody_came()
        used = descriptors_used()
        moved = [door for door in (self.clients, self.workers) if door.watch(used, self.limit)]
        return [
            f"{door.path} {'shut' if door.shut else 'open again'}: {used} of {self.limit} descriptors in use"
            for door in moved
        ]

    @property
    def any_shut(self) -> bool:
        return self.clients.shut or self.workers.shut

    def in_place(self) -> bool:
        return self.clients.in_place() and self.workers.in_place()

    def close(self) -> None:
        self.clients.close()
        self.workers.close()


def _make_room(path: Path) -> None:
    """Remove a dead socket at `path`. libzmq itself would replace whatever is there, a living one
    included."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise EndpointError(f"{path} is in the way and is not a socket; remove it")
    if endpoints.probe(path) == "alive":
        raise SomebodyListens(
            f"voicebus already runs: somebody already listens at {path} "
            "(a daemon, or a service manager that starts one for whoever connects)"
        )
    path.unlink(missing_ok=True)
