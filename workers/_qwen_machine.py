"""What this machine has: memory, and a device that works.

Owns: reading the one from the system, and the order of trying the other. Must not know: how a device is proven, models.
Invariant: what cannot be known is left out; a device is taken only once it was proven.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from .engine import EngineError


def memory() -> dict[str, int]:
    """{"memory": bytes, "free": bytes}, or less where the system tells less."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - as small as it gets
            rows = dict(line.split(":", 1) for line in file)
        return {"memory": _bytes(rows["MemTotal"]), "free": _bytes(rows["MemAvailable"])}
    except (OSError, KeyError, ValueError):
        return _pages()


def _pages() -> dict[str, int]:
    try:
        return {"memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}
    except (OSError, ValueError):
        return {}


def _bytes(row: str) -> int:
    return int(row.split(maxsplit=1)[0]) * 1024


def first_that_works(kinds: Iterable[str], there: Callable[[str], bool], prove: Callable[[str], str]) -> str:
    """The first device that is there and can be proven, the processor last; its name. Raises EngineError."""
    for kind in kinds:
        if not there(kind):
            continue
        try:
            return prove(kind)
        except EngineError as error:
            sys.stderr.write(f"{error.message}; trying the next device\n")
    return prove("cpu")
