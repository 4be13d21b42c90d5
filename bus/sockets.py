"""The sockets of the bus, with their options, in one place.

Owns: every ZeroMQ option that the project sets. Must not know: messages, sessions, what a socket is for. Invariant: no
socket of the bus queues without bound, outlives its process by more than `LINGER_MS`, takes a part longer than
`codec.MESSAGE_BYTES`, or chooses its own routing id (a chosen one can be taken over, and is unroutable for seconds
after a reconnect).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import zmq
import zmq.backend

from .codec import MESSAGE_BYTES

HWM = 64
"""Messages in a pipe, each way. Only a fuse: what flows is bounded by credit long before."""

LINGER_MS = 500
"""How long a closed socket goes on sending what was given to it. ZeroMQ's default is for ever."""

RECONNECT_MS = 50
"""First pause before connecting again; doubled up to `RECONNECT_MAX_MS`."""

RECONNECT_MAX_MS = 400
"""Longest pause before connecting again: a restarted daemon is found within this."""

# Plain numbers: to combine zmq's flags costs as much as to send.
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)

_send_part = zmq.backend.Socket.send


def dealer(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    """A connecting socket for a client or a worker.

    Sending into a full pipe raises `zmq.Again` (send with `zmq.NOBLOCK`). A few messages may wait for a daemon that
    is not there; the one that comes next knows by their epoch that they are not for it. What was sent just before
    the daemon died is lost in silence, so every request is repeated until it is answered. Raises zmq.ZMQError for an
    endpoint that cannot be one.

    `ZMQ_IMMEDIATE` stays off: with it libzmq 4.3.5 throws the pipe away when the connection breaks, and one that
    breaks between the two parts of a message that is being received ends the whole process
    (``Assertion failed: !_more (src/fq.cpp:80)``: 5 of 5 trials of 100 deaths each; without it none in 500).
    """
    socket = _bounded(context.socket(zmq.DEALER))
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError:
        socket.close(linger=0)
        raise
    return socket


def router(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """A socket for the daemon, not bound yet (it may take over an inherited descriptor: `adopt`).

    Sending to a peer that is gone raises `zmq.ZMQError` (EHOSTUNREACH), into a full pipe `zmq.Again`; both are
    everyday events, and the socket stays usable.
    """
    socket = _bounded(context.socket(zmq.ROUTER))
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    return socket


def adopt(socket: zmq.Socket[bytes], descriptor: int) -> None:
    """Have the next `bind` listen on a descriptor that is bound already. From then on it is libzmq's, which closes it
    with the socket, and leaves its file alone."""
    socket.setsockopt(zmq.USE_FD, descriptor)


def _bounded(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    for option, value in (
        (zmq.SNDHWM, HWM),
        (zmq.RCVHWM, HWM),
        (zmq.LINGER, LINGER_MS),
        (zmq.MAXMSGSIZE, MESSAGE_BYTES),
    ):
        socket.setsockopt(option, value)
    return socket


def send(socket: zmq.Socket[bytes], *parts: bytes | memoryview) -> None:
    """Send all parts as one message, without waiting. Raises zmq.Again or zmq.ZMQError, having sent nothing.

    Single calls cost half of what `send_multipart` does. Only the first part can meet a full pipe.
    """
    for part in parts[:-1]:
        _send_part(socket, part, _MORE)
    _send_part(socket, parts[-1], _NOBLOCK)


def sender(socket: zmq.Socket[bytes]) -> Callable[[bytes | memoryview, int], object]:
    """What sends one part with these flags, at half the cost of `socket.send`: that looks first at options which
    nobody uses here."""
    return partial(_send_part, socket)


def receive(socket: zmq.Socket[bytes]) -> list[bytes] | None:
    """The parts of the next message, or None where none is there. Never waits."""
    # A frame knows whether there are more; asking the socket costs more than receiving.
    try:
        frame = socket.recv(_NOBLOCK, copy=False)
    except zmq.Again:
        return None
    parts = [frame.bytes]
    while frame.more:
        frame = socket.recv(_NOBLOCK, copy=False)
        parts.append(frame.bytes)
    return parts
