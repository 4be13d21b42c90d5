"""Removes, at a start, the files that earlier daemons left and nobody owns.

Owns: listing what is there and unlinking it. Must not know: which files are whose (that is `core.orphans` and the
caller). Invariant: called with the lock held; only plain files and sockets go, only below our own two directories, and
no link is followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from ..bus.endpoints import EndpointError, probe
from .core.orphans import GRACE_S, orphans


def tidy(
    state: Path,
    runtime: Path,
    owned: Collection[str],
    now: float,
    *,
    live: Collection[str] = (),
    grace_s: float = GRACE_S,
) -> list[str]:
    """Remove what belongs to nobody; returns the names, as `core.orphans` has them.

    owned: names below `state` that a job has, such as ``logs/JOURNAL.takes``. live: sockets that are ours. now: seconds
    since 1970, as files have them.
    """
    found = {name: (path, written) for name, path, written in _files(state, runtime, live)}
    ages = {name: now - written for name, (_, written) in found.items()}
    gone = orphans(found, owned, ages, grace_s)
    for name in gone:
        with contextlib.suppress(OSError):  # whoever may not remove it can go on without
            found[name][0].unlink(missing_ok=True)
    return gone


def _files(state: Path, runtime: Path, live: Collection[str]) -> Iterator[tuple[str, Path, float]]:
    """Name, path and time of the last writing of all that may be ours."""
    places = [("", state), ("logs/", state / "logs"), ("run/", runtime)]
    folders = [entry for entry in _listed(state / "voices") if entry.is_dir(follow_symlinks=False)]
    places += [(f"voices/{entry.name}/", Path(entry.path)) for entry in folders]
    for prefix, directory in places:
        for entry in _listed(directory):
            try:
                about = entry.stat(follow_symlinks=False)
            except OSError:  # gone while we looked
                continue
            path, name = Path(entry.path), f"{prefix}{entry.name}"
            if prefix == "run/":
                if stat.S_ISSOCK(about.st_mode) and entry.name not in live and _dead(path):
                    yield name, path, about.st_mtime
            elif stat.S_ISREG(about.st_mode):
                yield name, path, about.st_mtime


def _listed(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _dead(path: Path) -> bool:
    try:
        return probe(path) == "stale"
    except EndpointError:
        return False
