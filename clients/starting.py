"""Finding the daemon, and starting it where none runs.

Owns: the question which daemon it is (the one we were told of, our own, the system's), who starts it (the service
manager if it has a unit, else this process), and with which environment. Must not know: the bus's messages, or what the
daemon does. Invariant: a daemon is started only after a plain connect found nobody, neither at our own place nor at the
system's; two clients that start one at the same time end up with one daemon and no error; a daemon that a client
started has no terminal, none of the shell's secrets, and leaves after ten idle minutes.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from ..bus import endpoints, places
from ..bus.errors import DaemonError, NotRunning, VersionMismatch

ALREADY_RUNS = 100
"""Exit code of a daemon that found another one at work: for whoever wanted one, success."""

IDLE_EXIT_S = 600
START_S = 15.0
"""How long a daemon may take until it serves. It does so before any engine is loaded."""

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "LOGNAME")
_KEPT_PREFIXES = ("XDG_", "VOICEBUS_", "LC_")


class StartFailed(DaemonError):
    """The daemon could not be started; the message has the end of its log and where that is."""

    code = "daemon_start"


def running() -> bool:
    """Whether this user's own daemon can be reached, or a manager that starts it. Raises EndpointError for a directory
    that must not be used."""
    return endpoints.probe(endpoints.client_endpoint()) == "alive"


def require_daemon() -> str:
    """The endpoint of a daemon that runs. Raises NotRunning."""
    endpoint, alive = places.look()
    if not alive:
        raise NotRunning(
            f"No voicebus daemon listens at {endpoint.removeprefix('ipc://')}. Start it with: voicebus daemon start"
        )
    return endpoint


def ensure_daemon(timeout_s: float = START_S) -> str:
    """The endpoint of a daemon that runs, after starting one of our own if need be.

    Raises StartFailed where it does not come up in time, EndpointError for a directory that must not be used.
    """
    endpoint, alive = places.look()
    return endpoint if alive else ensure_own(timeout_s)


def bring_back(endpoint: str) -> None:
    """See to it that a daemon that went away comes back where it was. Another one would not have its jobs: the system's
    is its service manager's to start. Raises as `ensure_daemon` does."""
    if endpoint == endpoints.client_endpoint():
        ensure_own()


def ensure_own(timeout_s: float = START_S) -> str:
    """The endpoint of this user's own daemon, after starting it if need be. Raises as `ensure_daemon` does."""
    endpoint = endpoints.client_endpoint()
    if endpoints.probe(endpoint) == "alive":
        return endpoint
    deadline = time.monotonic() + timeout_s
    if _ask_service_manager():
        _wait_until_alive(endpoint, deadline, "the service manager was asked for it")
    else:
        _spawn(endpoint, deadline)
    return endpoint


# ------------------------------------------------------------------------------------------------ service managers


def _ask_service_manager() -> bool:
    """Ask for the unit, if there is one. False where none is installed, or it belongs to another directory."""
    if places.told():
        return False  # the unit knows nothing of the directories that were chosen here
    if sys.platform == "darwin":
        return _launchctl()
    return _systemctl()


def _systemctl() -> bool:
    from .. import systemd

    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = (home / "systemd/user", Path("/etc/systemd/user"), Path("/usr/lib/systemd/user"))
    installed = any((place / systemd.UNIT).exists() for place in places)
    if not installed or shutil.which("systemctl") is None:
        return False
    return _worked(["systemctl", "--user", "start", "--no-block", systemd.UNIT])


def _launchctl() -> bool:
    from .. import launchd

    if not (Path.home() / "Library/LaunchAgents" / launchd.PLIST).exists():
        return False
    return _worked(["launchctl", "kickstart", f"gui/{os.getuid()}/{launchd.LABEL}"])


def _worked(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _wait_until_alive(endpoint: str, deadline: float, how: str) -> None:
    while endpoints.probe(endpoint) != "alive":
        if time.monotonic() >= deadline:
            raise _failed(f"No daemon came up, though {how}")
        time.sleep(0.02)


# ---------------------------------------------------------------------------------------------------- by ourselves


def _spawn(endpoint: str, deadline: float) -> None:
    """Start a daemon that outlives us, and wait until it serves."""
    ready, theirs = os.pipe()
    command = [sys.executable, "-m", "voicebus.daemon", "run", "--started-by", "client"]
    command += ["--idle-exit", str(IDLE_EXIT_S), "--ready-fd", str(theirs)]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # it writes to its own log
            start_new_session=True,  # no terminal: neither its Ctrl-C nor its end is the daemon's business
            pass_fds=(theirs,),
            env=clean_environment(),
            cwd="/",
        )
    except OSError as error:
        os.close(ready)
        raise _failed(f"The daemon could not be started ({error})") from None
    finally:
        os.close(theirs)
    try:
        _await_ready(process, ready, endpoint, deadline)
    finally:
        os.close(ready)
        if process.returncode is None:
            _reap_later(process)


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """It is our child until we end, and then init's: let a thread wait, so that its end leaves no zombie here."""
    pid = process.pid

    def wait() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    process.returncode = 0  # so that nobody else waits for it, or warns that nobody did
    threading.Thread(target=wait, name="voicebus-daemon", daemon=True).start()


def _await_ready(process: subprocess.Popen[bytes], ready: int, endpoint: str, deadline: float) -> None:
    readable, _, _ = select.select([ready], [], [], max(0.0, deadline - time.monotonic()))
    if readable and os.read(ready, 64):
        return
    if not readable:
        process.kill()
        process.wait()
        raise _failed("The daemon did not come up in time")
    # It closed the pipe without a word: it is about to end.
    try:
        code = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        code = None
    if code == ALREADY_RUNS:
        _wait_until_alive(endpoint, deadline, "another one is being started")
        return
    raise _failed(f"The daemon ended while starting (exit code {code})")


def clean_environment() -> dict[str, str]:
    """What a daemon is given of our environment: where things are, the language, its own variables; no keys."""
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}


def _failed(what: str) -> StartFailed:
    log = endpoints.log_path()
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
    except OSError:
        lines = []
    last = "".join(f"\n  {line}" for line in lines)
    return StartFailed(f"{what}. Its log is {log}" + (f", which ends with:{last}" if last else " (nothing there yet)."))


# ------------------------------------------------------------------------------------------------ another version


def daemon_pid(endpoint: str) -> int:
    """The process that listens, by the kernel's word; 0 where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(endpoint.removeprefix("ipc://"))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return 0
    return int(struct.unpack("3i", credentials)[0])


def restart_daemon(endpoint: str, timeout_s: float = START_S) -> str:
    """End a daemon that a client started and that has nothing to do, and start one of our own version. Raises
    VersionMismatch where it does not go, StartFailed where the new one does not come."""
    pid = daemon_pid(endpoint)
    if pid <= 1 or pid == os.getpid():
        raise VersionMismatch("The daemon has another version. Run: voicebus daemon restart")
    deadline = time.monotonic() + timeout_s
    os.kill(pid, signal.SIGTERM)
    while endpoints.probe(endpoint) == "alive":
        if time.monotonic() >= deadline:
            raise VersionMismatch("The daemon has another version and does not leave. Run: voicebus daemon restart")
        time.sleep(0.02)
    return ensure_own(timeout_s)
