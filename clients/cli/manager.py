"""The service managers: where a unit goes and how each is talked to.

Owns: the command lines of `systemctl` and `launchctl`. Must not know: what is in the unit (that is ``systemd/`` and
``launchd/``). Invariant: nothing outside this user's own directories and manager is touched, but by root for the
system's service, on demand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from ... import launchd, systemd
from ...bus import endpoints
from .exits import FAILED, UNAVAILABLE, Failure

TIMEOUT_S = 60.0


def for_this_machine(*, system: bool = False) -> Manager:
    """The manager that this machine has, of this user or of the whole system. Raises Failure where there is none."""
    mac = sys.platform == "darwin"
    if system and mac:
        advice = "Each user can have one: voicebus service install"
        raise Failure("there is no service for all users on macOS", UNAVAILABLE, advice)
    if system:
        return SystemdForAll()
    return Launchd() if mac else Systemd()


def environment() -> dict[str, str]:
    """What the service has to be told so that it looks for its files where the clients of this user do."""
    names = (endpoints.RUNTIME_VARIABLE, endpoints.STATE_VARIABLE, endpoints.CONFIG_VARIABLE,
             "XDG_STATE_HOME", "XDG_CONFIG_HOME")  # fmt: skip
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def ask(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a manager's tool; one that is not there answers 127."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: not found")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{command[0]}: no answer in {TIMEOUT_S:.0f} s")


def must(*command: str) -> None:
    """Run a manager's tool. Raises Failure with its words where it fails."""
    done = ask(*command)
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise Failure(f"`{' '.join(command)}` failed: {said}", FAILED)


class Manager(ABC):
    """One service manager. name: of our service there. path: of our unit. hint: printed after installing. for_all:
    the service is every user's. activates: it listens for clients itself, and starts a daemon for the first."""

    name: str
    hint: str = ""
    for_all: bool = False
    activates: bool = False

    @property
    @abstractmethod
    def path(self) -> Path: ...

    @abstractmethod
    def render(self) -> dict[Path, str]:
        """The files of the service, for this installation; the unit first."""

    @abstractmethod
    def reachable(self) -> bool:
        """Whether the manager of this user answers."""

    @abstractmethod
    def enable(self) -> None:
        """Take the unit in, now and at each login."""

    @abstractmethod
    def disable(self) -> None:
        """Stop the service and start it no more."""

    def forget(self) -> None:  # noqa: B027 - nothing to do is a good answer
        """The file is gone."""

    @abstractmethod
    def state(self) -> tuple[str, int]:
        """Its state in the manager's word, and its pid."""

    def enabled(self) -> bool:
        """Whether it starts with the session."""
        return True

    def require(self) -> None:
        """Raise Failure where there is no manager to install into."""
        if not self.reachable():
            raise Failure(
                f"there is no service manager {'that answers' if self.for_all else 'for this user'} here "
                "(a container, or no login session)",
                UNAVAILABLE,
                "Run it yourself with `voicebus daemon run`, under whatever keeps processes here; "
                "`voicebus say` also starts it by itself.",
            )

    def status(self) -> dict[str, Any]:
        """What `service status --json` prints."""
        reachable = self.reachable()
        state, pid = self.state() if reachable else ("no service manager", 0)
        return {
            "manager": type(self).__name__.lower(),
            "reachable": reachable,
            "installed": self.path.exists(),
            "path": str(self.path),
            "state": state,
            "pid": pid,
        }


class Systemd(Manager):
    """The user's systemd."""

    name = systemd.UNIT
    hint = "It runs while you are logged in. To keep it after logout: loginctl enable-linger"
    activates = True
    _ctl: tuple[str, ...] = ("systemctl", "--user")

    @property
    def path(self) -> Path:
        base = os.environ.get("XDG_CONFIG_HOME", "")
        return (Path(base) if base.startswith("/") else Path.home() / ".config") / "systemd" / "user" / self.name

    def render(self) -> dict[Path, str]:
        told = os.environ.get(endpoints.RUNTIME_VARIABLE)
        at = systemd.literal(str(endpoints.runtime_dir() / endpoints.CLIENT_SOCKET)) if told else None
        socket = systemd.socket_unit(at) if at else systemd.socket_unit()
        return {
            self.path: systemd.unit(sys.executable, environment()),
            self.path.with_name(systemd.SOCKET): socket,
        }

    def reachable(self) -> bool:
        if shutil.which("systemctl") is None:
            return False
        done = ask(*self._ctl, "show", "--property=Version")
        return done.returncode == 0

    def enable(self) -> None:
        must(*self._ctl, "daemon-reload")
        if ask(*self._ctl, "is-active", "--quiet", systemd.SOCKET).returncode:
            must(*self._ctl, "stop", self.name)  # a socket is not started while its service runs without it
        must(*self._ctl, "enable", "--now", systemd.SOCKET, self.name)

    def disable(self) -> None:
        must(*self._ctl, "disable", "--now", systemd.SOCKET, self.name)

    def forget(self) -> None:
        must(*self._ctl, "daemon-reload")

    def enabled(self) -> bool:
        return ask("systemctl", "--user", "is-enabled", self.name).stdout.strip() == "enabled"

    def state(self) -> tuple[str, int]:
        done = ask(*self._ctl, "show", self.name, "--property=ActiveState,MainPID")
        found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        return found.get("ActiveState", "unknown"), int(found.get("MainPID", "0") or 0)


class SystemdForAll(Systemd):
    """The system's systemd, for one service that every user of the machine can use. Only root may install it."""

    hint = "Its configuration is /etc/voicebus/voicebus.toml, its log: journalctl -u voicebus"
    for_all = True
    _ctl = ("systemctl",)
    _units = Path("/etc/systemd/system")
    _users = Path("/etc/sysusers.d")

    @property
    def path(self) -> Path:
        return self._units / self.name

    def render(self) -> dict[Path, str]:
        return {
            self.path: systemd.system_unit(sys.executable),
            self._units / systemd.SOCKET: systemd.system_socket_unit(),
            self._users / systemd.SYSUSERS: systemd.sysusers(),
        }

    def require(self) -> None:
        if os.geteuid() != 0:
            raise Failure("only root can install a service for all users", FAILED, "Try it with sudo.")
        for needed in (Path(sys.executable), Path(__file__)):
            if closed := closed_to_others(needed):
                raise Failure(
                    f"the service's user could not read {needed}: {closed} is not open to others",
                    FAILED,
                    "Install voicebus where everybody may read, such as in an environment below /opt.",
                )
        super().require()

    def enable(self) -> None:
        must("systemd-sysusers", str(self._users / systemd.SYSUSERS))
        super().enable()


def closed_to_others(path: Path) -> Path | None:
    """The first directory, or the file itself, on the way to `path` (and to what it links to) that not everybody may
    pass or read; None if all can."""
    for way in (path.absolute(), path.resolve()):
        for step in [*reversed(way.parents), way]:
            needed = 0o005 if step.is_file() and os.access(step, os.X_OK) else 0o001 if step.is_dir() else 0o004
            if step.stat().st_mode & needed != needed:
                return step
    return None


class Launchd(Manager):
    """The user's launchd."""

    name = "voicebus"

    @property
    def path(self) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / launchd.PLIST

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}"

    def render(self) -> dict[Path, str]:
        errors = str(endpoints.log_path().with_name("launchd.log"))
        return {self.path: launchd.agent(sys.executable, errors, environment())}

    def reachable(self) -> bool:
        return ask("launchctl", "print", self._domain).returncode == 0

    def enable(self) -> None:
        ask("launchctl", "bootout", self._domain, str(self.path))  # an older one, if there is any
        must("launchctl", "bootstrap", self._domain, str(self.path))

    def disable(self) -> None:
        must("launchctl", "bootout", self._domain, str(self.path))

    def state(self) -> tuple[str, int]:
        done = ask("launchctl", "print", f"{self._domain}/{self.path.stem}")
        if done.returncode:
            return "inactive", 0
        found = dict(line.strip().partition(" = ")[::2] for line in done.stdout.splitlines())
        return found.get("state", "unknown"), int(found.get("pid", "0") or 0)
