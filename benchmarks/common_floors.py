"""What figures are compared with: ZeroMQ with nothing in between but what moves the bytes.

The pipes of the floors hold 1000 messages, which is ZeroMQ's default and for small frames up to a third faster than
the 64 of the bus: a floor is the best that can be had, not what we would like to be compared with.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import zmq
from common_process import Background, Child

HEADER = bytes(48)
BODY = bytes(1920)


def dealer(path: Path) -> zmq.Socket[bytes]:
    """A connecting socket that blocks."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(f"ipc://{path}")
    return socket


def router(path: Path) -> zmq.Socket[bytes]:
    """A bound socket that blocks where a pipe is full."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.bind(f"ipc://{path}")
    return socket


# ------------------------------------------------------------------------------------------------------------- RTT


def _echo(path: Path, ready: Callable[[], None]) -> None:
    socket = router(path)
    ready()
    while True:
        peer, header, body = socket.recv(), socket.recv(), socket.recv()
        socket.send(peer, zmq.SNDMORE)
        socket.send(header, zmq.SNDMORE)
        socket.send(body)


class RoundTrip:
    """A bare DEALER/ROUTER echo between two processes, blocking on both sides: 48 and 1920 bytes."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vb-bench-")
        path = Path(self._folder.name) / "echo"
        self._echo = Background(_echo, path)
        self._socket = dealer(path)
        for _ in range(50):
            self.trip_s()

    def trip_s(self) -> float:
        """Seconds there and back."""
        socket = self._socket
        begin = time.perf_counter()
        socket.send(HEADER, zmq.SNDMORE)
        socket.send(BODY)
        socket.recv()
        socket.recv()
        return time.perf_counter() - begin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close(linger=0)
        self._echo.__exit__()
        self._folder.cleanup()


# ----------------------------------------------------------------------------------------------------------- relays


def relay_multipart(folder: Path, ready: Callable[[], None]) -> None:
    """As relays are usually written: a poller, and the multipart calls, for as long as there is something."""
    workers, clients = router(folder / "workers"), router(folder / "clients")
    poller = zmq.Poller()
    poller.register(workers, zmq.POLLIN)
    poller.register(clients, zmq.POLLIN)
    ready()
    client = b""
    while True:
        for socket, _ in poller.poll():
            try:
                while True:
                    peer, *rest = socket.recv_multipart(zmq.NOBLOCK)
                    if socket is clients:
                        client = peer
                    else:
                        clients.send_multipart([client, *rest])
            except zmq.Again:
                pass


def relay_single(folder: Path, ready: Callable[[], None]) -> None:
    """The same with single calls, which is the fastest that still listens to both sides."""
    workers, clients = router(folder / "workers"), router(folder / "clients")
    poller = zmq.Poller()
    poller.register(workers, zmq.POLLIN)
    poller.register(clients, zmq.POLLIN)
    ready()
    client = b""
    more, at_once = zmq.SNDMORE, zmq.NOBLOCK
    receive, send = workers.recv, clients.send
    while True:
        for socket, _ in poller.poll():
            try:
                if socket is clients:
                    client, _ = clients.recv(at_once), clients.recv()
                    continue
                while True:
                    receive(at_once)
                    header, body = receive(), receive()
                    send(client, more)
                    send(header, more)
                    send(body)
            except zmq.Again:
                pass


def source(folder: Path) -> Callable[[int, int], None]:
    """Sends so many frames of such a size."""
    socket = dealer(folder / "workers")

    def send(size: int, frames: int) -> None:
        body, more = bytes(size), zmq.SNDMORE
        for _ in range(frames):
            socket.send(HEADER, more)
            socket.send(body)

    return send


def sink(folder: Path) -> Callable[[int], tuple[float, float]]:
    """Receives so many frames; when the first and the last came."""
    socket = dealer(folder / "clients")
    socket.send(b"here")

    def receive(frames: int) -> tuple[float, float]:
        take = socket.recv
        take()
        take()
        first = time.perf_counter()
        for _ in range(frames - 1):
            take()
            take()
        return first, time.perf_counter()

    return receive


class Relay:
    """A bare relay with its source and its sink, each in a process of its own."""

    def __init__(self, kind: Callable[..., None]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vb-bench-")
        folder = Path(self._folder.name)
        self._relay = Background(kind, folder)
        self._sink = Child(sink, folder)
        self._source = Child(source, folder)

    def rate(self, size: int, frames: int) -> float:
        """Frames a second."""
        self._sink.tell(frames)
        self._source.ask(size, frames)
        first, last = self._sink.wait()
        return (frames - 1) / (last - first)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._sink.close()
        self._source.close()
        self._relay.__exit__()
        self._folder.cleanup()
