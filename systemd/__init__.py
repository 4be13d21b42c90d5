"""The systemd unit, as text.

Owns: the template beside this file. Must not know: where units are installed, nor `systemctl`. Invariant: the same
interpreter gives the same text, so that an installed unit can be compared with what it should be.
"""

from __future__ import annotations

from importlib.resources import files

UNIT = "voicebus.service"
"""The name of the unit's file."""


def unit(python: str, environment: dict[str, str] | None = None) -> str:
    """The user unit that runs the daemon with this interpreter, and with these variables set."""
    text = files(__package__).joinpath(UNIT).read_text(encoding="utf-8")
    variables = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in (environment or {}).items())
    return text.replace("@PYTHON@", _quoted(python).replace("$", "$$")).replace("UMask=", f"{variables}UMask=")


def _quoted(word: str) -> str:
    """A word as systemd reads it: % stands for itself, blanks do not end it."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word}"' if any(blank in word for blank in " \t\"'\\") else word
