"""The launchd agent, as text.

Owns: the template beside this file. Must not know: where agents are installed, nor `launchctl`. Invariant: the same
interpreter and paths give the same text, so that an installed agent can be compared with what it should be.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

LABEL = "org.voicebus.daemon"
"""What launchd calls the agent."""

PLIST = f"{LABEL}.plist"
"""The name of the file as it is installed."""

_VARIABLES = "    <key>EnvironmentVariables</key>\n    <dict>\n"


def agent(python: str, errors: str, environment: dict[str, str] | None = None) -> str:
    """The agent that runs the daemon with this interpreter; `errors` is the file for what comes before its log."""
    text = files(__package__).joinpath("voicebus.plist").read_text(encoding="utf-8")
    variables = "".join(
        f"        <key>{escape(name)}</key>\n        <string>{escape(value)}</string>\n"
        for name, value in (environment or {}).items()
    )
    text = text.replace(_VARIABLES, _VARIABLES + variables)
    return text.replace("@PYTHON@", escape(python)).replace("@ERRORS@", escape(errors))
