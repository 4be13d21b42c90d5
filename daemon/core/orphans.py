"""Which files at a start belong to nobody.

Owns: the patterns of names that are ours, and which of them nobody needs. Must not know: directories, files, clocks.
Invariant: what is not recognised is not touched; what a job or a voice owns is not touched; nor (but for voices' files)
is what is younger than the grace, since it may belong to somebody who has not said so yet (a backup that is being put
back, a helper that packs).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

GRACE_S = 600.0
"""How long a file is left alone that nobody owns."""

LOGS = 3
"""So many rotated logs are kept (`daemon.log.1` is the newest); a version before may have kept more."""

AUDIO = re.compile(r"logs/[^/]+\.(takes|flac|input)\Z")
"""Journals, finished audio that was packed, and recordings to be transcribed: owned by a job, or by nobody."""

STAGING = re.compile(r"(logs/|voices/[0-9]+/)?[^/]+\.(part|tmp)\Z")
"""Files that were being written when their writer died."""

VOICE = re.compile(r"voices/[0-9]+/[^/]+\.(sample|prompt)\Z")
"""Recordings, and what was made of them: of a voice, or of nobody. These go at once, since somebody may have been told
that they are gone; nobody but the daemon writes there."""

SOCKET = re.compile(r"run/[^/]+\.sock\Z")
"""Sockets; whoever lists the files lists only those that nobody listens on."""

_LOG = re.compile(r"daemon\.log\.([0-9]{1,4})\Z")


def orphans(
    found: Iterable[str], owned: Collection[str], ages: Mapping[str, float], grace_s: float = GRACE_S
) -> list[str]:
    """The files to remove, in the order in which they were found.

    found: names below the state directory, and as ``run/NAME`` below that of the sockets. owned: those that a job has.
    ages: seconds since each was last written; one of an unknown age, or from the future, is young.
    """
    return [name for name in found if _nobodys(name, owned) and (VOICE.match(name) or ages.get(name, -1.0) >= grace_s)]


def _nobodys(name: str, owned: Collection[str]) -> bool:
    log = _LOG.match(name)
    if log is not None:
        return int(log[1]) > LOGS
    return name not in owned and any(pattern.match(name) for pattern in (AUDIO, VOICE, STAGING, SOCKET))
