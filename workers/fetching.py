"""Bytes that the daemon keeps, fetched by key while an engine waits for them.

Owns: what was asked for and has not come yet. Must not know: what is in the bytes, sockets. Invariant: what is handed
on is in order and without a gap; no more than two steps are under way or wait here, whatever the size of the whole; an
attempt that is stopped stops waiting at once.

`fetch` is called on the engine's thread, `fed` on the socket's.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ..bus import messages as m
from .engine import EngineError
from .take import Post

STEP_BYTES = 256 * 1024
"""Bytes asked for at a time; as much again is asked for when half of it has come."""


@dataclass(slots=True)
class _Coming:
    """What comes of one key. got: bytes handed over by the socket's thread; size: of the whole, -1 while not known."""

    got: int = 0
    size: int = -1
    missing: str = ""
    runs: deque[bytes] = field(default_factory=deque)

    @property
    def whole(self) -> bool:
        return self.got == self.size


class Fetches:
    """What an engine thread has asked for. changed: tells of everything that happens to it, also of stops."""

    def __init__(self, changed: threading.Condition, post: Post) -> None:
        self._changed = changed
        self._post = post
        self._coming: dict[str, _Coming] = {}

    def fetch(self, work: m.Work, key: str, write: Callable[[bytes], object], stopped: Callable[[], bool]) -> bool:
        """Hand all bytes of `key` to `write`, run by run, for this attempt; False where it was stopped before the end.
        Raises EngineError("unavailable") where the daemon does not have them, and what `write` raises."""
        coming = _Coming()
        with self._changed:
            self._coming[key] = coming
        try:
            asked = 0
            while True:
                while asked < coming.got + STEP_BYTES // 2 + 1 and (coming.size < 0 or asked < coming.size):
                    self._post(m.Need(work.v, work.epoch, work.session, key, asked + STEP_BYTES, asked), b"")
                    asked += STEP_BYTES
                runs = self._wait(coming, stopped)
                if stopped():
                    return False
                for run in runs:
                    write(run)
                if coming.missing:
                    raise EngineError("unavailable", f"{key.partition(':')[0]} cannot be had: {coming.missing}")
                if coming.whole and not coming.runs:
                    return True
        finally:
            with self._changed:
                self._coming.pop(key, None)

    def fed(self, message: m.Feed, body: bytes) -> None:
        """A run of bytes has come. One that nobody waits for, or that came before, is thrown away."""
        with self._changed:
            coming = self._coming.get(message.key)
            if coming is None or message.offset != coming.got:
                return
            coming.missing = message.missing
            coming.size = message.size if message.size or not body else -1
            coming.got += len(body)
            if body:
                coming.runs.append(body)
            self._changed.notify()

    def _wait(self, coming: _Coming, stopped: Callable[[], bool]) -> list[bytes]:
        with self._changed:
            self._changed.wait_for(lambda: coming.runs or coming.missing or coming.whole or stopped())
            runs = list(coming.runs)
            coming.runs.clear()
        return runs
