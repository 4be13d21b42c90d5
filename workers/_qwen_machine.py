"""How much memory this machine has.

Owns: reading it from the system. Must not know: devices, models. Invariant: what cannot be known is left out.
"""

from __future__ import annotations

import os


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
