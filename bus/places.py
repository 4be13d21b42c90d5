"""Where a daemon has its things: a user's own daemon, and the one that serves every user of a machine.

Owns: the two sets of paths, and the order in which a client looks for a daemon. Must not know: ZeroMQ, messages, how
a daemon is started. Invariant: whether a daemon is the system's is one fact, `Places.shared`, and whatever follows
from it (who may connect, where the workers' socket is, whose configuration counts) follows from that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from . import endpoints

SYSTEM_RUNTIME = Path("/run/voicebus")
SYSTEM_STATE = Path("/var/lib/voicebus")
SYSTEM_LOGS = Path("/var/log/voicebus")
SYSTEM_CONFIG = Path("/etc/voicebus") / endpoints.CONFIG_FILE

PRIVATE_FOLDER = "workers"
"""The folder of a system daemon's runtime directory that only its own user may enter."""


class Places(NamedTuple):
    """Where one daemon has its things.

    runtime: the directory of the clients' socket. workers: that of the workers' socket, which is always private.
    shared: whether every user of this machine may be its client; then `runtime` is root's, and open to all.
    """

    runtime: Path
    workers: Path
    state: Path
    log: Path
    config: Path
    shared: bool = False

    @property
    def client_socket(self) -> Path:
        """The path of the clients' socket."""
        return self.runtime / endpoints.CLIENT_SOCKET


def own() -> Places:
    """Those of this user's daemon. See `endpoints` for what decides each."""
    runtime = endpoints.runtime_dir()
    return Places(runtime, runtime, endpoints.state_dir(), endpoints.log_path(), endpoints.config_path())


def system() -> Places:
    """Those of the system's daemon, for that daemon itself. Its own variables count, nothing else of its environment:
    no XDG directory and no HOME, so that it never reads the files of whoever started it."""
    runtime, state, config = (Path(os.environ.get(name, "")).absolute() if os.environ.get(name) else None
                              for name in _VARIABLES)  # fmt: skip
    runtime = runtime or SYSTEM_RUNTIME
    log = (state or SYSTEM_LOGS) / endpoints.LOG_FILE
    return Places(runtime, runtime / PRIVATE_FOLDER, state or SYSTEM_STATE, log, config or SYSTEM_CONFIG, shared=True)


_VARIABLES = (endpoints.RUNTIME_VARIABLE, endpoints.STATE_VARIABLE, endpoints.CONFIG_VARIABLE)


def told() -> bool:
    """Whether a client was told where its daemon has its things, and so is to look nowhere else."""
    return any(os.environ.get(name) for name in _VARIABLES)


def look() -> tuple[str, bool]:
    """The endpoint to connect to and whether somebody listens there: the one that we were told of; else this user's
    own; else the system's, if somebody listens there. Where nobody does it is that of our own.

    Raises EndpointError for a directory that must not be used.
    """
    own_endpoint = endpoints.client_endpoint()
    if endpoints.probe(own_endpoint) == "alive":
        return own_endpoint, True
    if not told() and (found := _system_endpoint()):
        return found, True
    return own_endpoint, False


def _system_endpoint() -> str:
    """Where the system's daemon listens, "" if nobody does. A directory there that is not root's is nobody's."""
    try:
        endpoints.check_shared(SYSTEM_RUNTIME)
        found = endpoints.endpoint(SYSTEM_RUNTIME / endpoints.CLIENT_SOCKET)
        return found if endpoints.probe(found) == "alive" else ""
    except endpoints.EndpointError:
        return ""
