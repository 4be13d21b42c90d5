"""What the clients with and without asyncio have in common.

Owns: what a client is told before it connects, how a reading begins and ends for its consumer, and how consumption
turns into credit. Must not know: threads, event loops, sockets. Invariant: a consumer gets every event in order, then
exactly one end: nothing (finished, or cancelled by himself) or the error that says how the job ended. Only a
cancellation does not wait for its turn: what was not read by then is dropped.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from .. import __version__
from ..bus.codec import BODY_BYTES
from ..bus.errors import InvalidRequest, JobCancelled, JobFailed
from ..bus.messages import UNLIMITED
from . import asking, starting
from .events import Event, Frame, Result, Rewound
from .reading import Reading
from .session import Session

AHEAD_S = 30.0
"""How much audio may come beyond what was consumed."""

FEED_BYTES = 1 << 20
"""An iterator of text is read on when less than this is still on its way to the daemon."""

Act = Callable[[Callable[[Reading, float], None]], None]
"""Have something done to the reading, by whoever may touch it, with the time."""


def reading_for(text: object, options: Mapping[str, Any], now: float) -> Reading:
    """The reading of a new job. text: the whole of it, or anything else for one whose pieces come later. Raises
    InvalidRequest."""
    ssml = bool(options.get("ssml"))
    if not isinstance(text, str) and ssml:
        raise InvalidRequest("SSML cannot come in pieces: join them first.", code="unsupported")
    body = asking.checked_text(text, ssml=ssml) if isinstance(text, str) else b""
    submit = asking.submit_for(options, complete=isinstance(text, str) and len(body) <= BODY_BYTES)
    reading = Reading(submit.job, now=now, read=submit.read, window_s=AHEAD_S, submit=submit, text=body)
    reading.chars = len(text) if isinstance(text, str) else 0
    if isinstance(text, str) and not submit.complete:
        reading.end(now)
    return reading


def attached_reading(job: str, offset: int, take: str, whole: bool, now: float) -> Reading:
    """The reading of a job that is there. Raises InvalidRequest."""
    read: Literal["live", "whole"] = "whole" if whole else "live"
    if not 0 <= offset <= UNLIMITED:
        raise InvalidRequest(f"offset is {offset!r}; it is counted in samples, from 0.")
    return Reading(asking.job_name(job), now=now, read=read, window_s=AHEAD_S, offset=offset, take=take)


class ClientBase:
    """What a client is before it is connected: where to, and what it calls itself. See `Client` for the arguments."""

    def __init__(self, *, start: bool, name: str, endpoint: str | None, reconnect_s: float) -> None:
        self._start = start and endpoint is None
        self._endpoint = endpoint
        self._at = ""
        self._name = name or Path(sys.argv[0] if sys.argv else "").name or "python"
        self._reconnect_s = reconnect_s

    def _find(self) -> str:
        """The endpoint of the daemon, after starting one if that is ours to do."""
        if self._endpoint is not None:
            self._at = self._endpoint
        else:
            self._at = starting.ensure_daemon() if self._start else starting.require_daemon()
        return self._at

    def _new_session(self) -> Session:
        return Session(time.monotonic(), name=self._name, version=__version__, reconnect_s=self._reconnect_s)


class SpeechBase:
    """One job's audio on its way here. `job` is its name."""

    def __init__(self, reading: Reading, act: Act) -> None:
        self.job = reading.job
        self._reading = reading
        self._act = act
        self._events: deque[Event] = deque()
        self._over = False
        self._stopped = False
        self._consumed = 0
        self._told = reading.line.end
        self._held = 0
        self._feed_error: BaseException | None = None

    @property
    def rate(self) -> int:
        """Samples a second; 0 while nobody knows."""
        return self._reading.rate

    @property
    def keep(self) -> str:
        """What will stay of the job: "nothing", "job" or "history"; "" while nobody knows."""
        return self._reading.keep

    @property
    def whole(self) -> bool:
        """Whether only finished takes come, which are never rewound."""
        return self._reading.read == "whole"

    @property
    def result(self) -> Result | None:
        """How the job ended; None before it has."""
        return self._reading.result

    @property
    def over(self) -> bool:
        """Whether nothing more will come than what is already here."""
        return self._over or self._stopped

    def _finished(self) -> Result:
        """The result; where the daemon has not answered our own CANCEL yet, what it will say."""
        return self.result or Result(self.job, "cancelled", "cancelled", rate=self.rate)

    def _take_over(self) -> bool:
        """Called by whoever serves the reading, after each step: fetch what is new. Whether there was anything."""
        reading = self._reading
        news = bool(reading.events) or reading.over != self._over
        if reading.events:
            self._events.extend(reading.events)
            reading.events.clear()
        self._over = reading.over
        if reading.result is not None and reading.result.state == "cancelled":
            self._events.clear()  # whoever cancelled it wants silence now
        return news

    def _append(self, data: bytes) -> None:
        """Give more of a text or a recording to the reading, in pieces."""
        for at in range(0, len(data), FEED_BYTES):
            part = data[at : at + FEED_BYTES]
            self._act(lambda reading, now, part=part: reading.append(part, now))  # type: ignore[misc]

    def _feed_failed(self, error: BaseException) -> None:
        """What was to be sent cannot be read: whoever waits hears of it, and the job ends."""
        self._feed_error = error
        self._act(lambda reading, now: reading.cancel(now))

    def _next_ready(self) -> Event | None:
        """The next event, if there is one, and what it means for credit."""
        if self._stopped:
            self._events.clear()
            return None
        try:
            event = self._events.popleft()
        except IndexError:
            return None
        if isinstance(event, Frame):
            self._held = event.end
        elif isinstance(event, Rewound):
            self._held = min(self._held, event.offset)
            # What was told of audio that is void says nothing about what comes in its place.
            self._told = min(self._told, event.offset)
        return event

    def _report(self, offset: int, heard: int | None = None) -> None:
        """The consumer is done with the audio before `offset`; now and then that is passed on as credit."""
        step = max(1, int(self._reading.window.seconds * (self.rate or 8000)) // 16)
        if abs(offset - self._told) >= step or offset < self._told:
            self._told = offset
            self._act(lambda reading, now: reading.consumed(offset, heard, now))

    def _ending(self) -> BaseException | None:
        """The error that the consumer gets at the end, if any."""
        reading = self._reading
        if self._feed_error is not None:
            return self._feed_error
        if reading.error is not None:
            return reading.error
        result = reading.result
        if result is None or result.state == "finished" or self._stopped:
            return None
        kind = JobCancelled if result.state == "cancelled" else JobFailed
        return kind(result.message or f"{self.job} {result.state} ({result.code})", code=result.code)

    def _silence(self) -> None:
        """Nothing more is handed out: the consumer has had enough."""
        self._stopped = True
        self._events.clear()
