"""What a shell can complete: names that only the daemon knows.

Invariant: never starts a daemon, never prints, never raises: a shell that completes has no place for an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import seam

if TYPE_CHECKING:
    from ..sync import Client


def _ask(question: Callable[[Client], Iterable[str]], incomplete: str) -> list[str]:
    try:
        with seam.connect(start=False) as client:
            found = dict.fromkeys(question(client))
    except Exception:  # noqa: BLE001 - see the invariant
        return []
    return [name for name in found if name.lower().startswith(incomplete.lower())]


def voices(incomplete: str) -> list[str]:
    """Names of voices; behind a plus, their variants."""
    base = incomplete.partition("+")[0] if "+" in incomplete else None

    def named(client: Client) -> Iterable[str]:
        rows = client.voices()
        if base is None:
            return [row["voice"] for row in rows]
        return [f"{base}+{variant}" for row in rows if row["voice"] == base for variant in row["variants"]]

    return _ask(named, incomplete)


def languages(incomplete: str) -> list[str]:
    """Languages that some voice speaks, and `auto`."""
    return _ask(lambda client: ["auto", *(tag for row in client.voices() for tag in row["languages"])], incomplete)


def providers(incomplete: str) -> list[str]:
    """Names of providers."""
    return _ask(lambda client: (row["provider"] for row in client.providers()), incomplete)


def jobs(incomplete: str) -> list[str]:
    """Names of my jobs."""
    return _ask(lambda client: (row["job"] for row in client.jobs()), incomplete)


def kept_jobs(incomplete: str) -> list[str]:
    """Names of my newest jobs in the history."""
    return _ask(lambda client: (row["job"] for row in client.history(limit=200)), incomplete)


def running_jobs(incomplete: str) -> list[str]:
    """Names of my jobs that are not over."""

    def unfinished(client: Client) -> Iterable[str]:
        over: set[Any] = {"finished", "failed", "cancelled"}
        return (row["job"] for row in client.jobs() if row["state"] not in over)

    return _ask(unfinished, incomplete)


def own_voices(incomplete: str) -> list[str]:
    """Names of voices of one's own."""
    return _ask(lambda client: [row["voice"] for row in client.voices(kind="mine")], incomplete)
