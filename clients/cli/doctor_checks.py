"""What `doctor` looks at on this machine: versions, files, directories, sockets, the daemon.

Owns: one function for each check, all of them listed in `all_findings`. Must not know: how findings are told.
Invariant: looking changes nothing and starts no daemon; a check that cannot be made says so instead of failing; every
finding that is bad says what to do.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from ... import __version__
from ...bus import endpoints
from ...bus.endpoints import EndpointError
from ...bus.errors import VersionMismatch, VoicebusError
from ...bus.wording import counted, plural
from . import output, running, seam

DESCRIPTORS = 320
"""What a daemon needs at least; see docs/operations.md."""

SCARCE_BYTES, LITTLE_BYTES = 50_000_000, 1_000_000_000
"""Free space that is too little to work with, and so little that it should be known."""

OLDEST_SQLITE = (3, 51, 3)
"""Before it, a database may be damaged when its write-ahead log is reset."""

SOCKETS = (endpoints.CLIENT_SOCKET, endpoints.WORKER_SOCKET)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. said: lines of others (workers, files), which may hold anything. repair: mends it
    and returns what was done, in words; raises OSError or ClickException."""

    check: str
    level: Literal["good", "note", "bad"]
    message: str
    advice: str = ""
    said: tuple[str, ...] = ()
    repair: Callable[[], str] | None = None


@dataclass(slots=True)
class Patient:
    """What there is to look at: where things are, who holds the lock, and what a daemon says of itself."""

    runtime: Path
    state: Path
    config: Path
    holder: running.Holder | None
    daemon: dict[str, Any] = field(default_factory=dict)
    workers: list[dict[str, Any]] = field(default_factory=list)
    providers: list[dict[str, Any]] = field(default_factory=list)
    refusal: VoicebusError | None = None

    @classmethod
    def look(cls) -> Patient:
        """Ask the daemon, if one runs."""
        found = cls(endpoints.runtime_dir(), endpoints.state_dir(), endpoints.config_path(), running.holder())
        try:
            client = seam.watch()
            try:
                found.daemon, found.workers = client.status(), client.workers()
                found.providers = client.providers()
            finally:
                client.close()
        except VoicebusError as error:
            found.refusal = error
        if found.daemon.get("config"):
            found.config = Path(found.daemon["config"])
        return found

    def settings(self) -> dict[str, Any]:
        """The configuration as it is written; empty where it cannot be read, which is a finding of its own."""
        try:
            return tomllib.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def all_findings(patient: Patient) -> list[Finding]:
    """Everything, in the order in which one thing depends on another."""
    from . import doctor_service

    checks: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
        versions,
        descriptors,
        directories,
        space,
        sockets,
        leftovers,
        daemon,
        doctor_service.configuration,
        doctor_service.providers,
        doctor_service.database,
        doctor_service.sound,
        doctor_service.unit,
    )
    return [finding for check in checks for finding in check(patient)]


# ------------------------------------------------------------------------------------------------------- the machine


def libraries() -> dict[str, str]:
    """The versions of what voicebus is made of; "" for what is not there."""
    found = {"voicebus": __version__, "python": platform.python_version()}
    for name in ("pyzmq", "msgspec", "click", "soundfile", "miniaudio", "apsw"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    for name, module, call in (("libzmq", "zmq", "zmq_version"), ("sqlite", "apsw", "sqlite_lib_version")):
        try:
            found[name] = str(getattr(import_module(module), call)())
        except (ImportError, AttributeError):
            found[name] = ""
    return found


def versions(patient: Patient) -> Iterator[Finding]:
    """Of Python and the libraries."""
    found = libraries()
    missing = [name for name in ("pyzmq", "libzmq", "msgspec") if not found[name]]
    if missing:
        yield Finding("versions", "bad", f"{', '.join(missing)} cannot be loaded", "Install voicebus anew.")
    sqlite = found["sqlite"]
    if sqlite and tuple(int(part) for part in sqlite.split(".")[:3]) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        advice = "Bring it up to date: pip install --upgrade apsw"
        yield Finding("versions", "bad", f"SQLite {sqlite} can damage its database; {oldest} is needed", advice)
    shown = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    yield Finding("versions", "good", f"{shown}, {platform.system()} {platform.machine()}")


def descriptors(patient: Patient) -> Iterator[Finding]:
    """How many files a process may have open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        advice = "Raise it: ulimit -Hn 4096, or LimitNOFILE= in the unit."
        yield Finding("descriptors", "bad", f"a process may open {hard}; the daemon needs {DESCRIPTORS}", advice)
    else:
        yield Finding("descriptors", "good", "no limit" if hard == resource.RLIM_INFINITY else f"up to {hard}")


# ---------------------------------------------------------------------------------------------------- files, sockets


def directories(patient: Patient) -> Iterator[Finding]:
    """Ours alone, and short enough for sockets in them."""
    for name, path in (("runtime directory", patient.runtime), ("state directory", patient.state)):
        yield from _directory(name, path)
    for socket in SOCKETS:
        try:
            endpoints.endpoint(patient.runtime / socket)
        except EndpointError as error:
            yield Finding("runtime directory", "bad", error.message, f"Set {endpoints.RUNTIME_VARIABLE}.")
            break


def _directory(name: str, path: Path) -> Iterator[Finding]:
    try:
        found = path.lstat()
    except FileNotFoundError:
        yield Finding(name, "good", f"{path} is not there yet")
        return
    except OSError as error:
        yield Finding(name, "bad", f"{path} cannot be looked at: {error.strerror}", "Choose another by its variable.")
        return
    variable = endpoints.RUNTIME_VARIABLE if name.startswith("runtime") else endpoints.STATE_VARIABLE
    if not stat.S_ISDIR(found.st_mode):
        yield Finding(name, "bad", f"{path} is no directory", f"Remove it, or set {variable}.")
    elif found.st_uid != os.geteuid():
        yield Finding(name, "bad", f"{path} belongs to user {found.st_uid}, not to you", f"Set {variable}.")
    elif found.st_mode & 0o077:
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        advice = f"Close it: chmod 700 {path}"
        yield Finding(name, "bad", f"{path} is open to others (mode {mode})", advice, repair=lambda: _close(path))
    elif not os.access(path, os.W_OK | os.X_OK):
        yield Finding(name, "bad", f"{path} cannot be written to", f"chmod 700 {path}", repair=lambda: _close(path))
    else:
        yield Finding(name, "good", str(path))


def _close(path: Path) -> str:
    path.chmod(0o700)
    return f"{path} is yours alone now (mode 0700)"


def space(patient: Patient) -> Iterator[Finding]:
    """On the disk of the state directory."""
    place = next(path for path in (patient.state, *patient.state.parents) if path.exists())
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        yield Finding("disk space", "note", f"cannot be found out: {error.strerror}")
        return
    told = f"{output.amount(free) or 'nothing'} free at {place}"
    advice = "Free some, let limits.disk_bytes be less, or say it with --keep nothing."
    if free < SCARCE_BYTES:
        yield Finding("disk space", "bad", told, advice)
    else:
        yield Finding("disk space", "note" if free < LITTLE_BYTES else "good", told)


def sockets(patient: Patient) -> Iterator[Finding]:
    """Somebody behind each, and the right one."""
    for name in SOCKETS:
        path = patient.runtime / name
        try:
            found, state = path.lstat(), endpoints.probe(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, EndpointError) as error:
            yield Finding("sockets", "bad", f"{path} cannot be looked at: {error}", "Remove it.")
            continue
        if not stat.S_ISSOCK(found.st_mode):
            yield Finding("sockets", "bad", f"{path} is no socket", f"Move it away: mv {path} {path}.old")
        elif found.st_uid != os.geteuid():
            yield Finding(
                "sockets", "bad", f"{path} belongs to user {found.st_uid}", f"Set {endpoints.RUNTIME_VARIABLE}."
            )
        elif state == "stale" and patient.holder is None:
            advice = f"The next daemon takes it away, or you: rm {path}"
            yield Finding("sockets", "note", f"nobody listens on {path}", advice, repair=_removing(path))
        elif state == "stale":
            told = f"nobody listens on {path}, though process {patient.holder.pid if patient.holder else 0} runs"
            yield Finding("sockets", "bad", told, "Start it anew: voicebus daemon restart")
        else:
            yield Finding("sockets", "good", str(path))


def _removing(path: Path) -> Callable[[], str]:
    def remove() -> str:
        # Looked at again: a daemon may have come meanwhile.
        if endpoints.probe(path) == "stale":
            path.unlink(missing_ok=True)
        return f"removed {path}"

    return remove


def leftovers(patient: Patient) -> Iterator[Finding]:
    """Files that a daemon that was killed left, beside those of which only the next one knows whose they are."""
    if patient.holder is not None or not patient.state.is_dir():
        return
    left = [
        path for pattern in ("*.part", "*.tmp", "logs/*.part", "logs/*.tmp") for path in patient.state.glob(pattern)
    ]
    left += [
        path for path in patient.state.glob("daemon.log.*") if path.suffix[1:].isdigit() and int(path.suffix[1:]) > 3
    ]
    left = [path for path in left if path.is_file() and not path.is_symlink()]
    if left:
        told = f"{counted(len(left), 'file')} that nobody needs {plural(len(left), 'is', 'are')} in {patient.state}"
        yield Finding("files", "note", told, "The next start removes them.", repair=lambda: _remove_all(left))


def _remove_all(left: list[Path]) -> str:
    for path in left:
        path.unlink(missing_ok=True)
    return f"removed {counted(len(left), 'file')} that nobody needs"


# ------------------------------------------------------------------------------------------------------- the daemon


def daemon(patient: Patient) -> Iterator[Finding]:
    """Whether it runs, answers, and is of our version."""
    holder, about = patient.holder, patient.daemon
    if isinstance(patient.refusal, VersionMismatch):
        yield Finding("daemon", "bad", patient.refusal.message, "Bring both to one version: voicebus daemon restart")
    elif about and about.get("version") != __version__:
        told = f"version {about.get('version')} runs, this is {__version__}"
        yield Finding("daemon", "bad", told, "Bring both to one version: voicebus daemon restart")
    elif about and holder is None:
        told = f"process {about['pid']} answers, but holds no lock in {patient.state}"
        advice = f"It has another {endpoints.STATE_VARIABLE}; start both with the same."
        yield Finding("daemon", "note", told, advice)
    elif about:
        yield Finding("daemon", "good", f"process {about['pid']} answers, up {output.ago(about.get('uptime_s', 0))}")
        if about.get("crowded"):
            advice = "Raise limits.disk_bytes, or let jobs end: voicebus jobs"
            yield Finding("daemon", "bad", "the disk's share for audio is used up", advice)
    elif holder is not None:
        told = f"process {holder.pid} holds the lock, but does not answer"
        yield Finding("daemon", "bad", told, "See why: voicebus logs; then: voicebus daemon restart")
    else:
        yield Finding("daemon", "note", "none runs", "It is started when it is needed, or by: voicebus daemon start")
