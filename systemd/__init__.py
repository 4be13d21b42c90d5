"""The systemd units, as text.

Owns: the templates beside this file. Must not know: where units are installed, nor `systemctl`. Invariant: the same
interpreter gives the same text, so that an installed unit can be compared with what it should be.

A user's units and the system's have the same names, in different managers, so that `systemctl --user status voicebus`
and `systemctl status voicebus` are what people expect.
"""

from __future__ import annotations

from importlib.resources import files

UNIT = "voicebus.service"
"""The name of the service's file."""

SOCKET = "voicebus.socket"
"""The name of the file of the clients' socket."""

SYSUSERS = "voicebus.conf"
"""The name of the file that describes the system service's user."""

USER = "voicebus"
"""Who the system service runs as."""


def unit(python: str, environment: dict[str, str] | None = None) -> str:
    """The user unit that runs the daemon with this interpreter, and with these variables set."""
    return _service("voicebus.service", python, environment)


def socket_unit(path: str = "%t/voicebus/bus.sock") -> str:
    """The user unit of the clients' socket. path: as systemd reads it, ``%t`` being the runtime directory."""
    return _template("voicebus.socket").replace("@SOCKET@", path)


def system_unit(python: str) -> str:
    """The system unit that runs the daemon with this interpreter, for all users."""
    return _service("voicebus-system.service", python, None)


def system_socket_unit() -> str:
    """The system unit of the clients' socket."""
    return _template("voicebus-system.socket")


def sysusers() -> str:
    """The system service's user, for `systemd-sysusers`."""
    return _template("voicebus.sysusers")


def literal(word: str) -> str:
    """A path as systemd reads it in a socket unit: % stands for itself."""
    return word.replace("%", "%%")


def _template(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _service(name: str, python: str, environment: dict[str, str] | None) -> str:
    variables = "".join(f"Environment={_quoted(f'{key}={value}')}\n" for key, value in (environment or {}).items())
    text = _template(name).replace("@PYTHON@", _quoted(python).replace("$", "$$"))
    return text.replace("UMask=", f"{variables}UMask=")


def _quoted(word: str) -> str:
    """A word as systemd reads it: % stands for itself, blanks do not end it."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word}"' if any(blank in word for blank in " \t\"'\\") else word
