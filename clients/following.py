"""A job's events handed to a caller: to a thread that waits, or to a task.

Owns: waiting for the next event, and what ends the waiting. Must not know: what the events are, sockets. Invariant: a
consumer that waits is woken by an event, by the job's end, or by `cancel` and `close`, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .events import Event
from .speech import FEED_BYTES, SpeechBase
from .waiting import Changes


class Followed(SpeechBase):
    """A job that a thread waits for."""

    _changed: Changes
    _drop: Callable[[str], None]

    def _wait(self, timeout: float | None = None) -> Event | None:
        """The next event; None at the end, or when none came in time. Raises what the job ended with."""
        with self._changed:
            self._changed.look()
            event = self._next_ready()
            if event is None and not self._over and not self._stopped:
                self._changed.wait_for(lambda: self._events or self._over or self._stopped, timeout)
                event = self._next_ready()
            if event is None and self._over:
                error = self._ending()
                if error is not None:
                    raise error
        return event

    def cancel(self) -> None:
        """End the job. No event comes any more; whoever iterates is let go. Returns at once, also when the daemon is
        away: it is told when it is back, if this client still lives then."""
        self._silence()
        self._act(lambda reading, now: reading.cancel(now))
        with self._changed:
            self._changed.notify_all()

    def wait_kept(self) -> None:
        """Return when the daemon keeps all of the text or the recording, so that the job needs this program no more.
        Raises what the job ended with before that, Disconnected where the daemon went away for good."""
        with self._changed:
            self._changed.wait_for(lambda: self._reading.text_kept or self._over or self._stopped)
            error = None if self._reading.text_kept else self._ending()
        if error is not None:
            raise error

    def close(self) -> None:
        """Stop reading. The job goes on without us."""
        self._silence()
        self._drop(self.job)

    def _send(self, data: bytes) -> bool:
        """Send more of a text or a recording, once there is room; False where the job is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._reading.pieces.backlog < FEED_BYTES or self.over, None)
        if self.over:
            return False
        self._append(data)
        return True


class AsyncFollowed(SpeechBase):
    """A job that a task waits for."""

    _client: Any
    _feeder: Any = None

    async def _wait(self) -> Event | None:
        event = self._next_ready()
        while event is None and not self._over and not self._stopped:
            await self._client._changed()  # noqa: SLF001
            event = self._next_ready()
        if event is None and self._over:
            error = self._ending()
            if error is not None:
                raise error
        return event

    async def wait_kept(self) -> None:
        """Return when the daemon keeps all of the text or the recording; see `Followed.wait_kept`."""
        while not (self._reading.text_kept or self.over):
            await self._client._changed()  # noqa: SLF001
        error = None if self._reading.text_kept else self._ending()
        if error is not None:
            raise error

    def cancel(self) -> None:
        """End the job. No event comes any more; whoever iterates is let go. Returns at once."""
        self._silence()
        self._stop_feeding()
        self._act(lambda reading, now: reading.cancel(now))
        self._client._wake()  # noqa: SLF001

    def close(self) -> None:
        """Stop reading. The job goes on without us."""
        self._silence()
        self._stop_feeding()
        self._client._drop(self.job)  # noqa: SLF001

    def _stop_feeding(self) -> None:
        if self._feeder is not None:
            self._feeder.cancel()

    async def _send(self, data: bytes) -> bool:
        """Send more of a text or a recording, once there is room; False where the job is over."""
        while self._reading.pieces.backlog >= FEED_BYTES and not self.over:
            await self._client._changed()  # noqa: SLF001
        if self.over:
            return False
        self._append(data)
        return True
