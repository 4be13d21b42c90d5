"""A breaker: what keeps a failing provider out of chains for a while.

Owns: one provider's recent failures and whether it is asked. Must not know: what a failure was (that is `failures`),
workers, jobs, clocks. Invariant: between opening and the time it set then, nothing closes it; each opening within
`window_s` of the last closing lasts twice as long as the one before, up to the limit.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

from .settings import Breaking

State = Literal["closed", "open", "half_open"]
Event = Literal["overflow", "trip", "due", "success", "failure"]

MAX_RETRY_AFTER_S = 3600.0
"""The longest that a provider's own "retry after" is believed: a slip of units must not put it out for a year."""

BREAKER: dict[tuple[State, Event], State] = {
    ("closed", "overflow"): "open",
    ("closed", "trip"): "open",
    ("open", "due"): "half_open",
    ("half_open", "success"): "closed",
    ("half_open", "failure"): "open",
    ("half_open", "trip"): "open",
}
"""(state, event) to the next state; what is not here changes nothing. `overflow`: as many failures in the window as
are too many. `trip`: one that says by itself that asking is no use. `due`: the time that was set has passed. While it
is open, results of attempts from before say nothing new, good or bad."""


class Breaker:
    """One provider's breaker.

    Closed: it is asked. Open: it is not, until the time set. Half open: callers' work still stays away, but one try
    with text of our own may decide. Who sends that try sees to it that there is one at a time. All times are
    seconds of the same monotonic clock.
    """

    def __init__(self, breaking: Breaking) -> None:
        self._breaking = breaking
        self._state: State = "closed"
        self._failures: deque[float] = deque()
        self._openings = 0
        self._until = 0.0
        self._closed_at: float | None = None

    @property
    def state(self) -> State:
        """As of the last call that told the time."""
        return self._state

    def tick(self, now: float) -> None:
        """Let time pass: old failures are forgotten, and an open breaker is half open when its time has come."""
        if self._state == "open" and now >= self._until:
            self._happen("due")
        while self._failures and self._failures[0] <= now - self._breaking.window_s:
            self._failures.popleft()

    def allows(self, now: float) -> bool:
        """Whether callers' work may go there: only while it is closed."""
        self.tick(now)
        return self._state == "closed"

    def next_probe(self, now: float) -> float | None:
        """From when on the provider may be tried out (perhaps past, never later than `now` if half open); None while
        it is closed and there is nothing to find out."""
        self.tick(now)
        return None if self._state == "closed" else self._until

    def success(self, now: float) -> None:
        """Something went well. Closes a half-open breaker; says nothing to an open one."""
        self.tick(now)
        if self._happen("success"):
            self._failures.clear()
            self._closed_at = now

    def failure(self, now: float, weight: int = 1) -> None:
        """Something went wrong that counts (`weight` times). Opens it when that is too much, or when half open."""
        self.tick(now)
        if self._state == "closed":
            self._failures.extend([now] * weight)
            if len(self._failures) < self._breaking.failures:
                return
        if self._happen("overflow" if self._state == "closed" else "failure"):
            self._open(now, 0.0)

    def trip(self, now: float, retry_after: float = 0.0) -> None:
        """Asking is no use for now, for `retry_after` seconds if the provider said so (at most an hour is believed).

        Opens it at once. An open one stays open for longer if need be, but does not count as opened once more: all
        attempts under way get the same answer.
        """
        self.tick(now)
        wait = min(retry_after, MAX_RETRY_AFTER_S) if retry_after > 0 else 0.0
        if self._happen("trip"):
            self._open(now, wait)
        else:
            self._until = max(self._until, now + wait)

    def snapshot(self, now: float) -> dict[str, Any]:
        """What there is to tell: state, failures in the window, times opened in a row, seconds until a probe."""
        probe = self.next_probe(now)
        return {
            "state": self._state,
            "failures": len(self._failures),
            "openings": self._openings,
            "retry_in_s": max(probe - now, 0.0) if probe is not None else 0.0,
        }

    def _happen(self, event: Event) -> bool:
        """Follow the table. Tells whether anything changed."""
        following = BREAKER.get((self._state, event))
        if following is None:
            return False
        self._state = following
        return True

    def _open(self, now: float, wait: float) -> None:
        if self._closed_at is not None and now - self._closed_at >= self._breaking.window_s:
            self._openings = 0
        self._closed_at = None
        self._openings += 1
        # The exponent is bounded because 2.0 ** 1024 overflows.
        pause = self._breaking.open_s * 2.0 ** min(self._openings - 1, 64)
        self._until = now + max(min(pause, self._breaking.max_open_s), wait)
        self._failures.clear()
