"""When a dead worker is started again.

Owns: the count of one worker's deaths and the pause after each. Must not know: processes, signals, what a worker is
doing (who calls it tells apart the deaths that are nobody's fault: those do not come here). Invariant: whether
a worker that does not get ready is given up depends on how often it failed, not on how slowly; one that was well for
`stable_s` owes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .settings import Restart

EXIT_RETRY_LATER = 75
"""EX_TEMPFAIL: what the worker needs is not there now. Not counted, but the pause grows."""

EXIT_BAD_CONFIG = 78
"""EX_CONFIG: starting it again is no use before somebody changes something."""

Chance = Callable[[], float]
"""Gives a number from 0 up to, not including, 1."""


class RestartPolicy:
    """One worker's way back after a death.

    A death that was wanted (recycling, a new configuration) or that came from outside (somebody's SIGKILL) is not told
    here: the worker is replaced at once and nothing is counted. Times are seconds of one monotonic clock.
    """

    def __init__(self, restart: Restart) -> None:
        self._restart = restart
        self._early: deque[float] = deque()
        self._row = 0
        self._start_at: float | None = None
        self._fatal = False

    def ready(self, now: float) -> None:
        """It is up. Deaths before READY are forgotten; the pauses go on growing until it was well for `stable_s`."""
        self._early.clear()
        self._start_at = None

    def died_at_work(self, now: float, lasted: float, chance: Chance) -> float:
        """It died after being ready for `lasted` seconds. Returns the pause in seconds before it is started again.

        Such deaths are never fatal here: the breaker counts them.
        """
        if lasted >= self._restart.stable_s:
            self._row = 0
        return self._pause(now, chance)

    def died_before_ready(self, now: float, code: int | None, chance: Chance) -> float | None:
        """It died before READY, with this exit code (None: by a signal, or it could not even be started).

        Returns the pause in seconds before it is started again, or None if it is not to be: more than `intensity`
        such deaths in `window_s`, or an exit with 78. Once fatal it stays fatal until `clear`.
        """
        if code == EXIT_BAD_CONFIG or self._fatal:
            self._fatal = True
            return None
        if code != EXIT_RETRY_LATER:
            self._count(now)
        if len(self._early) > self._restart.intensity:
            self._fatal = True
            return None
        return self._pause(now, chance)

    def clear(self) -> None:
        """Somebody changed something: all is forgiven."""
        self._early.clear()
        self._row = 0
        self._start_at = None
        self._fatal = False

    def snapshot(self) -> dict[str, Any]:
        """What there is to tell: deaths before READY that count, deaths in a row, and whether it was given up."""
        return {"early_deaths": len(self._early), "in_a_row": self._row, "fatal": self._fatal}

    def _count(self, now: float) -> None:
        # Time spent loading is not counted towards the window: one that takes half a minute to fail would otherwise
        # never have enough deaths within it, and be loaded for ever.
        loading = now - self._start_at if self._start_at is not None else 0.0
        self._early = deque(at + max(loading, 0.0) for at in self._early)
        self._early.append(now)
        while self._early[0] <= now - self._restart.window_s:
            self._early.popleft()

    def _pause(self, now: float, chance: Chance) -> float:
        """Full jitter: a random part of a length that doubles with each death, so that many do not start at once."""
        # The exponent is bounded because 2.0 ** 1024 overflows.
        longest = min(self._restart.base_s * 2.0 ** min(self._row, 64), self._restart.max_s)
        self._row += 1
        pause = longest * chance()
        self._start_at = now + pause
        return pause
