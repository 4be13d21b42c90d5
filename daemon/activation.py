"""A socket that the service manager made, and on which it listens until a daemon does.

Owns: the protocol of socket activation (``LISTEN_FDS`` of systemd). Must not know: what the socket is used for, nor
ZeroMQ. Invariant: descriptors and variables that are not for this very process are not touched, and no child ever sees
either.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

from ..bus.endpoints import EndpointError

FIRST = 3
"""The first inherited descriptor."""

NAME = "clients"
"""What the clients' socket is called (``FileDescriptorName=``), where there is more than one."""

_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def take(environ: MutableMapping[str, str]) -> socket.socket | None:
    """The clients' socket, if one was handed to us; the variables are gone from `environ` afterwards.

    It is used as it is: already bound, with the owner and mode that its maker gave it. Raises EndpointError for
    descriptors that cannot be it.
    """
    told = {name: environ.pop(name, "") for name in _VARIABLES}
    if told["LISTEN_PID"] != str(os.getpid()) or not told["LISTEN_FDS"].isdecimal():
        return None
    count = int(told["LISTEN_FDS"])
    names = told["LISTEN_FDNAMES"].split(":") if told["LISTEN_FDNAMES"] else []
    for fd in range(FIRST, FIRST + count):
        with contextlib.suppress(OSError):
            os.set_inheritable(fd, False)
    if not count:
        return None
    return _checked(_which(count, names))


def _which(count: int, names: list[str]) -> int:
    """The number of the descriptor: the only one, or the one of that name."""
    if count == 1:
        return FIRST
    if names.count(NAME) != 1:
        said = ", ".join(names) or "without names"
        raise EndpointError(
            f"the service manager handed over {count} sockets ({said}); exactly one must have the name "
            f"{NAME} (FileDescriptorName=)"
        )
    return FIRST + names.index(NAME)


def _checked(fd: int) -> socket.socket:
    """The descriptor as a socket on which somebody can listen at a path."""
    try:
        found = socket.socket(fileno=fd)
    except OSError as error:
        raise EndpointError(f"descriptor {fd} of the service manager is no socket: {error.strerror}") from None
    path = found.getsockname()
    fits = (
        found.family == socket.AF_UNIX
        and found.type == socket.SOCK_STREAM
        and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    )
    if not fits or not isinstance(path, str) or not path.startswith("/"):
        found.close()
        raise EndpointError(
            f"descriptor {fd} of the service manager is not a Unix stream socket that listens at a path: "
            "use ListenStream= with an absolute path"
        )
    return found
