"""Where everything is: sockets, state, configuration, log.

Owns: the paths that daemon, workers and clients must agree on without having talked, who may own the
directory of the sockets, and the question whether somebody listens on one. Must not know: ZeroMQ, messages,
who asks. Invariant: a directory that another user owns or can enter is never used, whoever created it, since
a socket in it could be anyone's; but for root's, in which only root can put one (the system's daemon, for clients).

Each path follows, in this order, its own variable (``VOICEBUS_...``), the XDG variable, and the custom of the
system.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Literal

from .errors import DaemonError

CLIENT_SOCKET = "bus.sock"
WORKER_SOCKET = "workers.sock"
LOG_FILE = "daemon.log"
CONFIG_FILE = "voicebus.toml"

RUNTIME_VARIABLE = "VOICEBUS_RUNTIME_DIR"
STATE_VARIABLE = "VOICEBUS_STATE_DIR"
CONFIG_VARIABLE = "VOICEBUS_CONFIG"
WORKERS_VARIABLE = "VOICEBUS_WORKERS"
"""Tells a worker the endpoint to register at."""
PROVIDER_VARIABLE = "VOICEBUS_PROVIDER"
"""Tells a worker the name of its provider."""

_DARWIN_USER_TEMP_DIR = 65537  # _CS_DARWIN_USER_TEMP_DIR of <unistd.h>; Python has no name for it


class EndpointError(DaemonError):
    """A path that cannot or must not be used."""

    code = "endpoint"


def _is_mac() -> bool:
    return sys.platform == "darwin"


def path_limit() -> int:
    """The most bytes that the path of a Unix socket may have: `sun_path` less its end."""
    return 103 if _is_mac() else 107


def _variable(name: str) -> Path | None:
    """A path from one of our own variables; a relative one counts from the working directory."""
    value = os.environ.get(name, "")
    return Path(value).expanduser().absolute() if value else None


def _xdg(name: str) -> Path | None:
    """A path from an XDG variable, where relative ones are to be ignored."""
    value = os.environ.get(name, "")
    return Path(value) if value.startswith("/") else None


def runtime_dir() -> Path:
    """The directory of the sockets. Only its name: see `make_runtime_dir` and `check_private`."""
    if own := _variable(RUNTIME_VARIABLE):
        return own
    if xdg := _xdg("XDG_RUNTIME_DIR"):
        return xdg / "voicebus"
    if _is_mac():
        return _mac_runtime_dir()
    login = Path(f"/run/user/{os.geteuid()}")
    if login.is_dir():
        return login / "voicebus"
    return Path(tempfile.gettempdir()) / f"voicebus-{os.geteuid()}"


def _mac_runtime_dir() -> Path:
    try:
        base = os.confstr(_DARWIN_USER_TEMP_DIR) or tempfile.gettempdir()
    except (OSError, ValueError):
        base = tempfile.gettempdir()
    path = Path(base) / "voicebus"
    if _too_long(path / WORKER_SOCKET):
        digest = f"{zlib.crc32(os.fsencode(path)):08x}"  # hashlib would cost every client 3.5 MB of OpenSSL
        path = Path("/tmp") / f"voicebus-{os.geteuid()}-{digest}"  # noqa: S108 - private: see check_private
    return path


def state_dir() -> Path:
    """The directory of what outlives the daemon: lock, log, journals."""
    if own := _variable(STATE_VARIABLE):
        return own
    if xdg := _xdg("XDG_STATE_HOME"):
        return xdg / "voicebus"
    if _is_mac():
        return Path.home() / "Library" / "Application Support" / "voicebus"
    return Path.home() / ".local" / "state" / "voicebus"


def config_path() -> Path:
    """The configuration file, which need not exist."""
    if own := _variable(CONFIG_VARIABLE):
        return own
    return (_xdg("XDG_CONFIG_HOME") or Path.home() / ".config") / "voicebus" / CONFIG_FILE


def log_path() -> Path:
    """The daemon's log file."""
    return state_dir() / LOG_FILE


def check_private(directory: Path) -> None:
    """Nothing if `directory` is ours alone, or is not there. Raises EndpointError."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise EndpointError(f"{directory} cannot be looked at: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise EndpointError(f"{directory} is not a directory; remove it or set {RUNTIME_VARIABLE}")
    if found.st_uid != os.geteuid():
        raise EndpointError(f"{directory} belongs to user {found.st_uid}, not to you; set {RUNTIME_VARIABLE}")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise EndpointError(f"{directory} is open to others (mode {mode:04o}); run: chmod 700 {directory}")


def check_shared(directory: Path) -> None:
    """Nothing if `directory` is one that all may enter and only root can put anything into. Raises EndpointError."""
    try:
        found = directory.lstat()
    except OSError as error:
        raise EndpointError(f"{directory} cannot be looked at: {error.strerror}") from None
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        raise EndpointError(f"{directory} is not a directory")
    if found.st_uid != 0:
        raise EndpointError(
            f"{directory} is for all users, but belongs to user {found.st_uid}; run: chown root {directory}"
        )
    if mode & 0o022 or mode & 0o005 != 0o005:
        raise EndpointError(
            f"{directory} is for all to enter and for root to write into, but has mode {mode:04o}; "
            f"run: chmod 755 {directory}"
        )


def make_shared(directory: Path) -> Path:
    """Create `directory` if need be, for all to enter. Raises EndpointError if it is not root's alone to write into:
    whoever can put a socket there can answer for the daemon."""
    if not directory.exists():
        try:
            directory.mkdir(mode=0o755)
            directory.chmod(0o755)  # whatever the umask is
        except OSError as error:
            raise EndpointError(f"{directory} cannot be created: {error.strerror}") from None
    check_shared(directory)
    return directory


def check_reachable(directory: Path) -> None:
    """Nothing if a client may connect to a socket in `directory`: it is ours alone, or root's and open to all, or not
    there. Raises EndpointError."""
    try:
        check_private(directory)
    except EndpointError:
        try:
            check_shared(directory)
        except EndpointError:
            pass
        else:
            return
        raise


def make_private(directory: Path) -> Path:
    """Create `directory` if need be, for this user alone. Raises EndpointError if it is or becomes anybody
    else's."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        pass  # no directory: said better below
    except OSError as error:
        raise EndpointError(f"{directory} cannot be created: {error.strerror}") from None
    check_private(directory)
    return directory


def make_runtime_dir() -> Path:
    """The directory of the sockets, created if need be. Raises EndpointError."""
    return make_private(runtime_dir())


def _too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > path_limit()


def endpoint(path: Path) -> str:
    """The ``ipc://`` endpoint for a socket's path. Raises EndpointError when the path is too long for one."""
    if _too_long(path):
        raise EndpointError(
            f"{path} has {len(os.fsencode(path))} bytes; the path of a socket may have {path_limit()}: "
            f"set {RUNTIME_VARIABLE} to a shorter directory"
        )
    return f"ipc://{path}"


def client_endpoint(directory: Path | None = None) -> str:
    """Where clients connect. Raises EndpointError if the directory is another's (but root's) or the path too long."""
    directory = directory or runtime_dir()
    check_reachable(directory)
    return endpoint(directory / CLIENT_SOCKET)


def worker_endpoint(directory: Path | None = None) -> str:
    """Where workers connect. Raises EndpointError if the directory is another's or the path too long."""
    directory = directory or runtime_dir()
    check_private(directory)
    return endpoint(directory / WORKER_SOCKET)


def probe(path: str | Path) -> Literal["absent", "stale", "alive"]:
    """Whether somebody listens on a socket's path, by a plain connect.

    "stale": there is a file and nobody behind it. "alive": a daemon, or a service manager waiting to start
    one; also a listener whose queue is full (EAGAIN), or one that we may not speak to. Raises EndpointError
    for a path that cannot be asked at all.
    """
    text = str(path).removeprefix("ipc://")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
        plain.setblocking(False)
        try:
            plain.connect(text)
        except (BlockingIOError, PermissionError):
            return "alive"
        except (FileNotFoundError, NotADirectoryError):
            return "absent"
        except OSError as error:
            # ENOTSOCK, EPROTOTYPE: something else is at the path, and nobody answers there.
            if error.errno in {errno.ECONNREFUSED, errno.ENOTSOCK, errno.EPROTOTYPE}:
                return "stale"
            raise EndpointError(f"{text} cannot be connected to: {error.strerror or error}") from None
    return "alive"
