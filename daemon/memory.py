"""How much memory there is for workers, where the configuration does not say.

Owns: asking the system. Must not know: workers. Invariant: what cannot be found out is 0, "not known".
"""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 0.75
"""Of the machine's memory; the rest is for the system, the daemon and everybody else."""

_GROUPS = Path("/sys/fs/cgroup")


def budget() -> int:
    """Bytes that all workers together may use: three quarters of what the machine, or our control group, has."""
    found = [size for size in (_machine(), _group()) if size]
    return int(min(found) * SHARE) if found else 0


def _machine() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _group(groups: Path = _GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """The tightest limit on our control group and those above it; 0 without any."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    name = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if name is None:
        return 0
    limits = []
    for folder in (groups / name, *(groups / name).parents):
        if not folder.is_relative_to(groups):
            break
        limits += _limit(folder / "memory.max")
    return min(limits, default=0)


def _limit(path: Path) -> list[int]:
    try:
        return [int(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError):  # not there at the root; "max" where there is none
        return []
