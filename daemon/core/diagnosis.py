"""Why a worker's program could not even begin: in words that a person can act on.

Owns: what an interpreter's last words mean where its environment is at fault. Must not know: processes, files; what
an engine says of itself is not read here. Invariant: what is told names the interpreter and the command that mends it;
it is so until somebody changes something, so nobody tries again before that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .settings import Provider

OURS = "voicebus"

_PACKAGES = {"zmq": "pyzmq"}
"""Modules of what every worker needs whose package has another name."""

_MISSING = re.compile(r"No module named '?([\w.]+)'?")
_TOO_OLD = re.compile(r"ImportError: (voicebus \S+ needs Python [^()]*\([^()]*\))")


def of(provider: Provider, stderr: Sequence[str], version: str) -> str:
    """What is wrong with the environment that a provider's worker was started in; "" if it is nothing of that kind.

    stderr: its last lines. version: the daemon's own, which is what the environment should have.
    """
    if provider.command or not stderr:
        return ""
    if found := _TOO_OLD.search(stderr[-1]):
        return f"{found[1]}; make the environment anew with such a Python, or change python in its table"
    found = _MISSING.search(stderr[-1])
    return _missing(provider, found[1], version) if found else ""


def _missing(provider: Provider, name: str, version: str) -> str:
    python = provider.python or "the daemon's Python"
    pip = f"{provider.python or 'python'} -m pip install"
    if name == OURS:
        return f"{python} has no voicebus, which every worker needs; install it: {pip} voicebus=={version}"
    if provider.module == name or provider.module.startswith(f"{name}."):
        what = f"{python} finds no module {provider.module}"
        return f"{what}; install it there, or name its folder: env = {{ PYTHONPATH = ... }}"
    if name.startswith(f"{OURS}."):
        return f"the voicebus of {python} has no {name}, so it is older; bring it up to date: {mend(provider, version)}"
    root = name.partition(".")[0]
    return f"{python} lacks the module {name}; install it: {pip} {_PACKAGES.get(root, root)}"


def given_up(refusal: str, how: str, last: str, *, by_itself: bool) -> str:
    """Why a place is left alone, the plainest way first. how: the worker ended; last: its last words; by_itself: it
    said that starting it again is no use."""
    if refusal:
        return f"cannot work as it is: {refusal}"
    if by_itself:
        return f"cannot work as it is configured: {last or 'it gives no reason'}"
    return f"died too often before it was ready; the last time it {how}{f' ({last})' if last else ''}"


def disjoint(provider: Provider | None, said: tuple[str, int, int], ours: tuple[str, int, int]) -> str:
    """What to say to a worker whose protocol versions have none in common with ours. said, ours: version of voicebus,
    oldest and newest protocol. provider: whose worker it is, where that is known."""
    theirs = f"the worker's voicebus {said[0] or '(it does not say which)'} speaks protocol {said[1]} to {said[2]}"
    how = f"bring its voicebus to {ours[0]}"
    if provider is not None and not provider.command:
        how = mend(provider, ours[0]) if provider.python else "take up the version installed: voicebus daemon restart"
    return f"{theirs}, this daemon ({ours[0]}) {ours[1]} to {ours[2]}; {how}"


def mend(provider: Provider, version: str) -> str:
    """The command that gives an environment the daemon's version."""
    return f"{provider.python or 'python'} -m pip install voicebus=={version}"
