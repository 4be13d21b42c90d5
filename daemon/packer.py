"""Helpers that pack and unpack audio: which runs when, and what comes of it.

Owns: the queue of what is to be done, and the files in staging. Must not know: how audio is packed (that is the
helper's matter, `daemon.packing_helper`: audio libraries live there, never here). Invariant: one log at a time is
packed, and one at a time unpacked; a file gets its name only when its helper has ended well, and nothing is made any
more of a log that is to be removed.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from typing import Protocol

from .journal import Journals
from .logs import log
from .processes import Processes

HELPER = "voicebus.daemon.packing_helper"


class Told(Protocol):
    """What hears of the outcome."""

    def __call__(self, log: str, size: int, reason: str, *, packed: bool) -> None: ...


def not_started(error: OSError) -> str:
    """That there is no helper, in words."""
    return f"no helper could be started for it: {error.strerror or error}"


class Packer:
    """Packs and unpacks logs. told: called once for each `begin` that was not stopped, never
    from within it."""

    def __init__(self, processes: Processes, journals: Journals, told: Told) -> None:
        self._processes = processes
        self._journals = journals
        self._told = told
        # By what is made: packed files, journals. The first of a queue is the one that is worked on.
        self._queues: dict[bool, deque[str]] = {True: deque(), False: deque()}
        self._running: dict[str, tuple[str, bool]] = {}

    def begin(self, name: str, *, packed: bool) -> None:
        """Pack a log, or unpack it, when it is its turn. Raises OSError where it is that now and cannot be begun."""
        queue = self._queues[packed]
        if not queue:
            self._start(name, packed=packed)
        queue.append(name)

    def stop(self, name: str) -> None:
        """A log is to be removed: whatever works on it ends, and nobody is told."""
        for helper, (worked_on, _) in list(self._running.items()):
            if worked_on == name:
                self._running[helper] = ("", self._running[helper][1])
                self._processes.kill(helper)
        for packed, queue in self._queues.items():
            busy = any(kind == packed for _, kind in self._running.values())
            kept = [each for at, each in enumerate(queue) if each != name or (busy and at == 0)]
            queue.clear()
            queue.extend(kept)

    def close(self) -> None:
        """All helpers have been killed: what the last ones had in staging goes too."""
        for packed, queue in self._queues.items():
            for name in list(queue)[:1]:
                with contextlib.suppress(OSError):
                    self._journals.staging_path(name, packed=packed).unlink(missing_ok=True)

    def _start(self, name: str, *, packed: bool) -> None:
        source, target = self._journals.path(name), self._journals.packed_path(name)
        if not packed:
            source, target = target, source
        line = [sys.executable, "-m", HELPER, "pack" if packed else "unpack", str(source)]
        helper = f"{line[3]} {name}"
        self._processes.run(helper, [*line, str(self._journals.staging_path(name, packed=packed))], self._ended)
        self._running[helper] = (name, packed)

    def _ended(self, helper: str, code: int | None, signal: int | None, stderr: list[str]) -> None:
        name, packed = self._running.pop(helper)
        done = self._queues[packed].popleft()
        size, reason = 0, ""
        if name and code == 0:
            try:
                size = self._journals.adopt(name, packed=packed)
            except OSError as error:
                reason = error.strerror or str(error)
        elif name:
            said = stderr[-1] if stderr else "it said nothing"
            reason = said if signal is None else f"the helper was killed by signal {signal}"
        if reason or not name:
            with contextlib.suppress(OSError):
                self._journals.staging_path(done, packed=packed).unlink(missing_ok=True)
        if reason:
            log.warning("%s failed: %s", helper, reason)
        self._go_on(packed=packed)
        if name:
            self._told(name, size, reason, packed=packed)

    def _go_on(self, *, packed: bool) -> None:
        """Start the next one that can be started."""
        queue = self._queues[packed]
        while queue:
            try:
                self._start(queue[0], packed=packed)
            except OSError as error:
                self._told(queue.popleft(), 0, not_started(error), packed=packed)
            else:
                return
