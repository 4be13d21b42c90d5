"""Sending to clients that may be slow, gone, or both.

Owns: for each client whose pipe is full, the messages that wait for it, in order. Must not know: what is in a
message. Invariant: a client gets its messages whole and in order; what cannot be sent now waits, and
everything after it too. How much audio waits is bounded by the core, which hears `client_full` and stops; who
asks on and on and reads no answers counts as gone when LANE_BYTES wait for him.

With ROUTER_MANDATORY both everyday errors, an unreachable peer and a full pipe, come from sending the first
part (the routing id). Once that is through, the other parts are taken or, if the peer dies between, dropped
together.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import zmq

from ..bus import sockets
from .core.effects import Body, Filed, Stored, ToClient
from .journal import Journals
from .logs import log
from .voice_files import VoiceFiles

RETRY_S = 0.001
RETRY_MAX_S = 0.5
"""Between two tries of full pipes, doubled while nothing moves. A reader that is only slower than a flood empties its
64 places in two milliseconds (20 between tries halved what it got); a stopped one must not keep a core awake."""

LANE_BYTES = 64 * 1024 * 1024
"""The most that waits for one client. What a slow but honest one can have coming is well below."""

MESSAGE_BYTES = 200
"""What a waiting message takes besides its body."""

_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)


class Hears(Protocol):
    """What the lanes tell the core."""

    def client_gone(self, peer: bytes, now: float) -> None: ...
    def client_full(self, peer: bytes, now: float) -> None: ...
    def client_drained(self, peer: bytes, now: float) -> None: ...


class Lanes:
    """The way to the clients. retry_at: when to call `retry_all`, None while no pipe is full."""

    def __init__(
        self, socket: zmq.Socket[bytes], core: Hears, journals: Journals, voices: VoiceFiles | None = None
    ) -> None:
        self.retry_at: float | None = None
        self.waiting: dict[bytes, deque[tuple[bytes, bytes | memoryview | None]]] = {}
        self._send = sockets.sender(socket)
        self._core = core
        self._journals = journals
        self._voices = voices
        self._pause = RETRY_S
        self._held: dict[bytes, int] = {}

    def send(self, effect: ToClient, now: float) -> None:
        """Send, or keep behind what already waits."""
        peer, header, body = effect.peer, effect.header, effect.body
        if type(body) is Stored or type(body) is Filed:
            body = self._read(body)
            if body is None:
                self._give_up(peer, now)
                return
        if peer in self.waiting:
            self._wait(peer, header, body, now)  # type: ignore[arg-type]
            return
        try:
            self._send(peer, _MORE)
        except zmq.Again:
            self.waiting[peer] = deque()
            self._wait(peer, header, body, now)  # type: ignore[arg-type]
            if self.retry_at is None:
                self._pause = RETRY_S
                self.retry_at = now + RETRY_S
            self._core.client_full(peer, now)
            return
        except zmq.ZMQError:
            self._core.client_gone(peer, now)
            return
        if body is None:
            self._send(header, _NOBLOCK)
        else:
            self._send(header, _MORE)
            self._send(body, _NOBLOCK)  # type: ignore[arg-type]

    def _wait(self, peer: bytes, header: bytes, body: bytes | memoryview | None, now: float) -> None:
        """Keep a message for later."""
        self.waiting[peer].append((header, body))
        held = self._held[peer] = self._held.get(peer, 0) + _size(header, body)
        if held > LANE_BYTES:
            log.warning("a client asks and does not read: %d bytes waited for it and are dropped", held)
            self._give_up(peer, now)

    def _give_up(self, peer: bytes, now: float) -> None:
        """What was missing in between would be a gap; a client that is told it is unknown begins anew."""
        self.waiting.pop(peer, None)
        self._held.pop(peer, None)
        self._core.client_gone(peer, now)

    def _read(self, place: Body) -> bytes | None:
        """Audio from a journal, read now: the journal may be dropped while the message waits."""
        if isinstance(place, Filed):
            return self._read_file(place)
        assert isinstance(place, Stored)
        try:
            return self._journals.read(place.log, place.at, place.length)
        except (OSError, ValueError) as error:
            # A gap would be worse than a broken connection, after which the reader says what it has.
            log.error("audio of %s cannot be read: %s", place.log, error)
            return None

    def _read_file(self, place: Filed) -> bytes | None:
        assert self._voices is not None
        try:
            return self._voices.read(place.uid, place.name, place.at, place.length)
        except OSError as error:
            log.error("%s cannot be read: %s", place.name, error)
            return None

    def retry(self, peer: bytes, now: float) -> bool:
        """Try again to send what waits for a client; True if anything moved."""
        lane = self.waiting[peer]
        before = len(lane)
        try:
            while lane:
                header, body = lane[0]
                self._send(peer, _MORE)
                lane.popleft()
                self._held[peer] -= _size(header, body)
                if body is None:
                    self._send(header, _NOBLOCK)
                else:
                    self._send(header, _MORE)
                    self._send(body, _NOBLOCK)
        except zmq.Again:
            return len(lane) < before
        except zmq.ZMQError:
            self._give_up(peer, now)
            return True
        del self.waiting[peer], self._held[peer]
        self._core.client_drained(peer, now)
        return True

    def retry_all(self, now: float) -> None:
        """Try all full pipes again and set the next time for it."""
        moved = [self.retry(peer, now) for peer in list(self.waiting)]
        self._pause = RETRY_S if any(moved) else min(self._pause * 2, RETRY_MAX_S)
        self.retry_at = now + self._pause if self.waiting else None


def _size(header: bytes, body: bytes | memoryview | None) -> int:
    return MESSAGE_BYTES + len(header) + (0 if body is None else len(body))
