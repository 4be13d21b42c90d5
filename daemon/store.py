"""Where commits go. So far into memory: jobs do not outlive the daemon yet.

Owns: the order of commits and the word that one is done. Must not know: what a record means. Invariant:
`completed` names each ticket once, in the order of `commit`, and only when its record would survive what the
store promises to survive (for this one: nothing).
"""

from __future__ import annotations

from typing import Any, Protocol


class Store(Protocol):
    """What the loop needs of a store. A store with a thread of its own has a descriptor to wake the loop
    with."""

    def commit(self, ticket: int, record: dict[str, Any]) -> None:
        """Begin to make a record durable."""
        ...

    def completed(self) -> list[int]:
        """The tickets that are done since the last call."""
        ...

    def fileno(self) -> int | None:
        """What becomes readable when there is something to collect; None where `commit` is done at once."""
        ...

    def close(self) -> None: ...


class MemoryStore:
    """Says at once that all is done."""

    def __init__(self) -> None:
        self._done: list[int] = []

    def commit(self, ticket: int, record: dict[str, Any]) -> None:
        self._done.append(ticket)

    def completed(self) -> list[int]:
        done, self._done = self._done, []
        return done

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        self._done.clear()
