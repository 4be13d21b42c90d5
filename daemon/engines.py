"""A person's own engines: Python files in the folder ``engines/`` beside the configuration, or named in it.

Owns: which files there are, which of them may be run, and how a changed one is told from the old. Must not know: what
is in them (their own worker's process finds that out). Invariant: no code is loaded here; a file that somebody else
could have written is never run; each file that is not taken is told with its reason, and costs nobody else anything.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = "engines"

NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,62}\Z")
"""A provider's name, which is here the file's."""

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that can still be somebody's source."""


class UnfitError(Exception):
    """A file that must not or cannot be run; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be run. digest: changes with its text."""

    path: Path
    digest: str


def look(folder: Path, *, shared: bool) -> tuple[dict[str, Found], dict[str, str]]:
    """The engines of a folder by their providers' names, and those that are not taken by their files', with the reason.

    Names that begin with a dot or an underscore are nobody's. shared: as for `examine`.
    """
    taken: dict[str, Found] = {}
    refused: dict[str, str] = {}
    try:
        paths = sorted(path for path in folder.glob("*.py") if path.name[0] not in "._")
    except OSError as error:
        return {}, {"": f"{folder} cannot be looked into: {error.strerror}"}
    for path in paths:
        if not NAME.match(path.stem):
            refused[path.name] = "its name is to be its provider's: lower case letters, digits, _ and -; rename it"
            continue
        try:
            taken[path.stem] = examine(path, shared=shared)
        except UnfitError as unfit:
            refused[path.name] = str(unfit)
    return taken, refused


def examine(path: Path, *, shared: bool) -> Found:
    """A file, if it may be run. Raises UnfitError.

    It must belong to us or to root and be writable by nobody else, and so must its folder. shared: the daemon is every
    user's, so that the group counts among the others, and all folders above count as well.
    """
    try:
        real = path.resolve(strict=True)
        folders = [path.parent, *(real.parents if shared else real.parents[:1])]
        for place in (real, *folders):
            _check(place, shared=shared)
        return Found(path, _digest(real))
    except FileNotFoundError:
        raise UnfitError(f"there is no file {path}") from None
    except (OSError, RuntimeError) as error:
        raise UnfitError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _check(place: Path, *, shared: bool) -> None:
    found = place.stat()
    if found.st_uid not in (0, os.geteuid()):
        whose = "root or the service's user" if shared else "you or root"
        raise UnfitError(f"{place} belongs to user {found.st_uid}; what is run must belong to {whose}")
    # In a sticky folder such as /tmp others can add files, but not exchange ours.
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & (0o022 if shared else 0o002) and not sticky:
        mode, close = stat.S_IMODE(found.st_mode), "go-w" if shared else "o-w"
        raise UnfitError(f"{place} can be written by others (mode {mode:04o}); run: chmod {close} {place}")


def _digest(path: Path) -> str:
    if not path.is_file():  # a pipe would keep the daemon waiting
        raise UnfitError(f"{path} is no file")
    with path.open("rb") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise UnfitError(f"{path} is too large for a script: more than {LARGEST} bytes")
    return f"{zlib.crc32(text):08x}-{len(text)}"
