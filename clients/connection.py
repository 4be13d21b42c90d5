"""The socket under a session, and the thread that serves it for the client without asyncio.

Owns: one DEALER and when it is read and written. Must not know: what messages mean (`session`), what callers do with
them. Invariant: a socket and its session are touched by one thread only; others hand it functions (`Service.post`).

A thread of its own, and not the caller's, because three things have to go on while the caller does not call: text that
is fed from a slow iterator, the signs of life of a reader who pauses, and a player's credit. Audio that it takes in
is bounded by credit, so an idle caller costs no memory.
"""

from __future__ import annotations

import contextlib
import math
import socket as plain
import threading
import time
from collections import deque
from collections.abc import Callable

import zmq

from ..bus import codec, sockets
from ..bus.errors import BadMessage, Disconnected
from .session import Session

BURST = 256
"""Messages taken in before others have their turn."""

ENDING_S = 0.5
"""How long closing waits for the answer to a CANCEL."""

CLOSE_S = 2.0
"""How long closing waits for the thread, whatever holds it up."""

Job = Callable[[Session, float], None]


class Link:
    """A socket and its session. `step` does all that can be done now, in the thread that calls it."""

    def __init__(self, endpoint: str, session: Session) -> None:
        self.session = session
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._endpoint = endpoint
        try:
            self.socket = sockets.dealer(self._context, endpoint)
        except zmq.ZMQError as error:
            self._context.term()
            raise Disconnected(f"{endpoint} cannot be connected to: {error}") from None

    def step(self, now: float) -> float:
        """Send what is due, take in what is there. Returns when to call again at the latest (0: at once)."""
        for _ in range(BURST):
            self.session.tick(now)
            sent = self._send()
            events = self._events()
            if events & zmq.POLLIN and (parts := sockets.receive(self.socket)) is not None:
                self.session.receive(parts, now)
                self.session.collect()
            elif not sent and not (self.session.outbox and events & zmq.POLLOUT):
                return self.session.sleep_until()
        return 0.0

    @property
    def descriptor(self) -> int:
        """Becomes readable when `step` may have something to do (edge-triggered: after `step` it is quiet)."""
        return int(self.socket.getsockopt(zmq.FD))

    @property
    def blocked(self) -> bool:
        """Whether something could not be sent yet."""
        return bool(self.session.outbox)

    def _events(self) -> int:
        """What the socket is ready for; asking is also what arms the descriptor, and takes in news of the connection
        between messages."""
        events = self.socket.getsockopt(zmq.EVENTS)
        assert isinstance(events, int)
        return events

    def _send(self) -> bool:
        outbox = self.session.outbox
        sent = False
        while outbox:
            message, body = outbox[0]
            try:
                header = codec.encode_checked(message, body)
                if body or type(message).__name__ in ("Submit", "Append"):
                    sockets.send(self.socket, header, body)
                else:
                    sockets.send(self.socket, header)
            except zmq.Again:
                return sent
            except BadMessage as error:  # requests are checked before; this is the last resort
                self.session.close(error)
                return sent
            outbox.popleft()
            sent = True
        return sent

    def close(self, *, wait: bool = True) -> None:
        """Say goodbye and close. What was given to the socket still goes out, for half a second at most, which is
        waited for, or left to a thread; to a daemon that does not answer anyhow, nothing."""
        there = self.session.ready
        self.session.leave()
        self._send()
        self.socket.close(linger=None if there else 0)
        if wait:
            self._context.term()
        else:
            threading.Thread(target=self._context.term, name="voicebus-closing").start()


class Service(threading.Thread):
    """Serves a link. changed: called in this thread after each step, to wake up whoever waits. lost: called once when
    the daemon has gone, or never greeted, in a thread of its own, and may start another; it may take its time."""

    def __init__(self, link: Link, changed: Callable[[], None], lost: Callable[[], None]) -> None:
        super().__init__(name="voicebus-client", daemon=True)
        self._link = link
        self._changed = changed
        self._lost = lost
        self._posted: deque[Job] = deque()
        self._leave_at: float | None = None
        self._was_lost = False
        self._wake_in, self._wake_out = plain.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def post(self, function: Job) -> None:
        """Have a function called with the session in the service's thread, soon. Callable from any thread."""
        self._posted.append(function)
        with contextlib.suppress(BlockingIOError, OSError):  # full: it wakes up anyhow; closed: nobody to wake
            self._wake_out.send(b"!")

    def stop(self) -> None:
        """End the thread, after what was posted before."""
        self.post(self._quit)
        if self.is_alive() and threading.current_thread() is not self:
            self.join(CLOSE_S)

    def _quit(self, _session: Session, now: float) -> None:
        self._leave_at = now + ENDING_S

    def _leaves(self) -> bool:
        """Whether it is time to end: that was asked for, and nothing is lost by it."""
        return self._leave_at is not None and (not self._link.session.ending or time.monotonic() >= self._leave_at)

    def run(self) -> None:
        """The thread."""
        poller = zmq.Poller()
        poller.register(self._wake_in, zmq.POLLIN)
        try:
            while True:
                wake = self._pass()
                if self._leaves():
                    break
                if self._leave_at is not None:
                    wake = min(wake, self._leave_at)
                poller.register(self._link.socket, zmq.POLLIN | (zmq.POLLOUT if self._link.blocked else 0))
                timeout = min(max(0.0, wake - time.monotonic()), 3600.0)
                if dict(poller.poll(math.ceil(timeout * 1000))).get(self._wake_in.fileno()):
                    with contextlib.suppress(BlockingIOError):
                        self._wake_in.recv(4096)
        finally:
            self._link.close()
            self._wake_in.close()
            self._wake_out.close()
            self._changed()

    def _pass(self) -> float:
        """Do what was asked for and what can be done now. Returns when to come back at the latest."""
        now = time.monotonic()
        while self._posted:
            self._posted.popleft()(self._link.session, now)
        wake = self._link.step(now)
        self._changed()
        lost = self._link.session.missing
        if lost and not self._was_lost:
            threading.Thread(target=self._lost, name="voicebus-looking", daemon=True).start()
        self._was_lost = lost
        return 0.0 if self._posted else wake
