"""Puts an engine on the bus: the process of a worker, from its ticket to its exit.

Owns: the one socket, the wake-up between the two threads, signals, and the carrying out of what `Session` decides.
Must not know: what any message means (`session`), how an attempt is made (`performer`). Invariant: the socket is
touched by this thread only, which never waits for the engine; nothing waits for a daemon without bound: what the
engine makes faster than the pipe takes it is held up at `ROOM` messages.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

import zmq

from .. import __version__
from ..bus import messages as m
from ..bus import sockets
from ..bus.codec import decode_to_worker, encode, encode_checked
from ..bus.errors import BadMessage
from . import lifeline
from .engine import Engine
from .performer import Performer
from .reports import Progressed, Report, Unusable, complain
from .session import LEAVE_S, REFUSED_EXIT, Action, Allow, Begin, Drop, Exit, Fed, Halt, Identity, Load, Say, Session

ROOM = 64
"""Messages of the engine that may wait for the socket."""

CLOSE_S = 1.0
"""How long an engine has to close before the process ends without it."""

DRAIN = 256
"""Messages taken from the socket before anything else has its turn."""

Body = bytes | memoryview
Outgoing = tuple[m.WorkerMessage, Body]


class Outbox:
    """What the engine thread has for the socket thread, which sleeps on `fileno`."""

    def __init__(self) -> None:
        self._items: deque[Outgoing | Report] = deque()
        self._room = threading.Condition()
        self._asleep = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        return self._read

    def post(self, message: m.WorkerMessage, body: Body) -> None:
        """From the engine thread: send this. Waits while there is no room."""
        if len(self._items) >= ROOM:
            self.wake()
            with self._room:
                self._room.wait_for(lambda: len(self._items) < ROOM)
        self._put((message, body))

    def report(self, report: Report) -> None:
        """From the engine thread: tell the session."""
        self._put(report)

    def wake(self) -> None:
        """Rouse the socket thread; from any thread, and from a signal handler."""
        with contextlib.suppress(BlockingIOError):  # It is full of wake-ups already.
            os.write(self._write, b"\0")

    def _put(self, item: Outgoing | Report) -> None:
        self._items.append(item)
        # Marks are always followed by a frame or the end, which are worth a wake-up.
        if isinstance(item, tuple) and isinstance(item[0], m.TakeMarks):
            return
        # Appending before looking, here, and saying so before looking, there: one of the two sees the other.
        if self._asleep:
            self._asleep = False
            self.wake()

    def first(self) -> Outgoing | Report | None:
        """What is next; stays until `drop`."""
        return self._items[0] if self._items else None

    def drop(self) -> None:
        """The first is dealt with."""
        self._items.popleft()
        if len(self._items) == ROOM - 1:
            with self._room:
                self._room.notify_all()

    def sleep(self) -> bool:
        """Say that the socket thread is about to wait; False where it must not."""
        self._asleep = True
        return not self._items

    def awake(self) -> None:
        """It has waited."""
        self._asleep = False
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)


class Worker:
    """One worker on one socket. `run` returns the exit code."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        endpoint: str,
        identity: Identity,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._outbox = Outbox()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = sockets.dealer(self._context, endpoint)
        self._session = Session(identity, clock())
        self._performer = Performer(engine, self._outbox.post, self._outbox.report, clock)
        self._urgent: deque[tuple[bytes, bytes]] = deque()
        self._signalled = 0
        self._code: int | None = None

    def run(self) -> int:
        """Serve until told to leave."""
        poller = zmq.Poller()
        poller.register(self._outbox.fileno(), zmq.POLLIN)
        while not self._over():
            now = self._clock()
            if now >= self._session.next_at:
                self._do(self._session.tick(now, rss(), self._performer.memory()))
            # Out before in: a listener waits for what the engine made.
            full = not self._write()
            self._read()
            if self._over():
                break
            poller.register(self._socket, zmq.POLLIN | zmq.POLLOUT if full else zmq.POLLIN)
            self._wait(poller, full=full)
        self._performer.finish(CLOSE_S)
        self._socket.close()
        self._context.term()
        return self._code or 0

    def _over(self) -> bool:
        return self._code is not None

    def terminate(self) -> None:
        """From a signal handler: finish what is running and leave; a second time, leave at once."""
        self._signalled += 1
        self._outbox.wake()

    def _wait(self, poller: zmq.Poller, *, full: bool) -> None:
        # The socket tells of messages only by its edge: one that came since `_read` must be looked for by poll.
        if self._outbox.sleep() or full:
            pause = self._session.next_at - self._clock()
            poller.poll(max(0, int(pause * 1000) + 1))
        self._outbox.awake()
        while self._signalled:
            self._signalled -= 1
            self._do(self._session.leave(within=self._clock() + LEAVE_S))

    def _read(self) -> None:
        for _ in range(DRAIN):
            parts = sockets.receive(self._socket)
            if parts is None:
                return
            try:
                message = decode_to_worker(parts[0])
            except BadMessage as error:
                complain(f"not understood: {error}")
                continue
            body = parts[1] if len(parts) > 1 else b""
            self._do(self._session.receive(message, body, self._clock()))

    def _write(self) -> bool:
        """Send what there is; False where the pipe is full, or nobody is at its other end."""
        while True:
            # What the session says goes in between, but what it says of an attempt stays in order: BEGUN is
            # said before the engine starts, and STOPPED only of attempts that the engine does not have.
            if self._urgent:
                if not self._send(*self._urgent[0]):
                    return False
                self._urgent.popleft()
                continue
            item = self._outbox.first()
            if item is None:
                return True
            if not isinstance(item, tuple):
                self._outbox.drop()
                self._heard(item)
                continue
            message, body = item
            if self._session.current(message):
                if not self._send(encode(message), body):
                    return False
                self._outbox.drop()
                if isinstance(message, m.Done | m.Failed | m.Stopped):
                    self._do(self._session.ended(message))
            else:
                self._outbox.drop()

    def _send(self, header: bytes, body: Body) -> bool:
        try:
            if body:
                sockets.send(self._socket, header, body)
            else:
                sockets.send(self._socket, header)
        except zmq.Again:
            return False
        return True

    def _heard(self, report: Report) -> None:
        if isinstance(report, Progressed):
            self._session.percent, self._session.note = report.percent, report.note
        elif isinstance(report, Unusable):
            self._do([Exit(REFUSED_EXIT if report.lasting else 1, report.message)])
        else:
            self._do(self._session.loaded(report.ready, report.body, rss(), self._performer.memory()))

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Say():
                    self._say(action)
                case Begin():
                    self._performer.begin(action.work, action.text)
                case Allow():
                    self._performer.allow(action.attempt, action.up_to)
                case Halt():
                    self._performer.halt(action.attempt)
                case Fed():
                    self._performer.fetches.fed(action.message, action.body)
                case Drop():
                    self._performer.forget(action.prompt)
                case Load():
                    self._performer.load(action.settings)
                case Exit():
                    if action.line:
                        complain(action.line)
                    self._code = action.code

    def _say(self, action: Say) -> None:
        if isinstance(action.message, m.Register):
            # What was left to say was said to a daemon that did not know us; and one REGISTER waiting is enough.
            self._urgent.clear()
        header = encode_checked(action.message, action.body)
        if isinstance(action.message, m.Beat) and self._urgent:
            return  # A beat behind others would tell of the past.
        if self._urgent or not self._send(header, action.body):
            self._urgent.append((header, action.body))


def rss() -> int:
    """Bytes of memory that this process uses now (on systems without /proc: at most used so far)."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read every second, so without a Path
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(engine: Callable[[], Engine]) -> int:
    """The life of a worker's process. Call it as ``raise SystemExit(main(MyEngine))``; does not return normally.

    Reads the ticket from standard input (or the key from VOICEBUS_KEY), the endpoint from VOICEBUS_WORKERS and the
    provider's name from VOICEBUS_PROVIDER. Exit codes: 0 asked to leave, 1 could not load, 78 not let in, or could not
    load and will not before somebody changes something.
    """
    faulthandler.enable()
    # Libraries print where they like; nothing here is anybody's input.
    os.dup2(2, 1)
    # And what they print is not to be lost in a buffer when the process dies of it.
    sys.stdout = sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    endpoint = os.environ.get("VOICEBUS_WORKERS", "")
    if not endpoint:
        complain("VOICEBUS_WORKERS does not say where the daemon is; the daemon starts workers")
        return REFUSED_EXIT
    try:
        ticket = lifeline.hold()
    except lifeline.NoTicketError as error:
        complain(str(error))
        return REFUSED_EXIT
    identity = Identity(ticket, os.environ.get("VOICEBUS_PROVIDER", ""), __version__, os.getpid())
    worker = Worker(engine, endpoint, identity)
    signal.signal(signal.SIGTERM, lambda _number, _frame: worker.terminate())
    code = worker.run()
    sys.stderr.flush()
    # An engine that does not close must not keep the process: no threads are waited for from here on.
    os._exit(code)
