"""Leaving a command early: what INT, TERM, HUP and `voicebus stop` mean while it works.

Owns: the handlers of these signals, and where what they mean comes out as an exception. Must not know: what a command
does. Invariant: nothing is raised into code that does not expect it, as long as whoever waits lets go when he is woken;
and no signal is ever lost, whatever swallowed what was raised.

A handler notes why, and wakes whoever registered (`wakes`): the exception is raised where the client waits, or at the
end of such a block. Where nobody let go in time (a pipe that nobody reads, an import), and at a second signal, it is
raised where the command stands, again and again until somebody is seen to handle it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from ...bus.errors import JobCancelled
from . import seam, turns

if TYPE_CHECKING:
    from ..sync import Client

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask to leave."""

GRACE_S = 0.5
"""Who has not let go by himself after so long is interrupted wherever he is; and after as long again, if that was
lost."""


class Leave(BaseException):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class _Way:
    """Out of one command. reason: what is to be raised, None as long as nobody asked to leave."""

    def __init__(self) -> None:
        self.reason: BaseException | None = None
        self.wakers: list[Callable[[], object]] = []
        self.direct = 0
        self._raised = False
        self._before: tuple[Any, tuple[float, float]] | None = None

    def ask(self, reason: BaseException) -> None:
        """In a handler: leave for this reason. Raises it where that is wanted, or where it is not the first."""
        first = self.reason is None
        self.reason = self.reason or reason
        if first:
            alarm = signal.signal(signal.SIGALRM, lambda _number, _frame: self._insist())
            self._before = alarm, signal.setitimer(signal.ITIMER_REAL, GRACE_S, GRACE_S)
            for wake in self.wakers:
                wake()
        if self.direct or not first:
            self._raise()

    def look(self) -> None:
        """Raise the reason, if there is one and nobody has raised it."""
        if self.reason is not None and not self._raised:
            self._raise()

    def _insist(self) -> None:
        """In the timer's handler: raise the reason again, unless it is on its way."""
        if self.reason is not None and not _handled(self.reason):
            self._raise()

    def _raise(self) -> None:
        assert self.reason is not None
        self._raised = True
        raise self.reason

    def close(self) -> None:
        """The command is over: the timer is whose it was before."""
        if self._before is not None:
            alarm, timer = self._before
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)
            signal.setitimer(signal.ITIMER_REAL, *timer)


def _handled(reason: BaseException) -> bool:
    """Whether the main thread is just handling an error: a `finally`, an `except`, or what these have made of it."""
    error = sys.exc_info()[1]
    while error is not None and error is not reason:
        error = error.__context__
    return error is not None


_way = _Way()
"""That of the command which runs; one that nobody asks to take before."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """INT, TERM and HUP inside become an end in order (the sound first), and then an exit code of 128 + signal."""
    global _way  # noqa: PLW0603 - handlers of signals belong to the process too

    outer, way = _way, _Way()
    numbers = [n for n in ENDING if signal.getsignal(n) is not signal.SIG_IGN]
    # Who was started with one ignored (nohup, a background job of a script) goes on ignoring it.
    before: dict[int, Any] = {}
    try:
        _way = way
        for each in numbers:
            before[each] = signal.signal(each, lambda number, _frame: way.ask(Leave(number)))
        yield
        way.look()
    except Leave as end:
        raise click.exceptions.Exit(end.exit_code) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        way.close()
        _way = outer


@contextlib.contextmanager
def handling(number: int, handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Another handler of a signal while this lasts."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """What `voicebus stop` sends to players means JobCancelled inside."""
    way = _way

    def stop(_number: int, _frame: Any) -> None:
        way.ask(JobCancelled("Stopped from elsewhere."))

    with handling(turns.SILENCE, stop):
        yield


@contextlib.contextmanager
def wakes(wake: Callable[[], object]) -> Iterator[None]:
    """Call `wake` in the handler when somebody asks to leave while this lasts: a function that takes no lock and raises
    nothing, and makes what happens inside come to its end. At that end the reason is raised."""
    way = _way
    try:
        way.wakers.append(wake)
        way.look()
        yield
    finally:
        way.wakers.remove(wake)
    way.look()


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Inside, the reason is raised by the handler itself: for waiting in the system, where nothing else ends it."""
    way = _way
    try:
        way.direct += 1
        way.look()
        yield
    finally:
        way.direct -= 1


@contextlib.contextmanager
def connected(*, start: bool = False) -> Iterator[Client]:
    """A connected client (see `seam.connect`), in which waiting ends when somebody asks to leave."""
    way = _way
    with seam.connect(start=start) as client, wakes(lambda: client.interrupt(way.look)):
        yield client
