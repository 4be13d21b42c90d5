"""Receiving on one of the two sockets: shape, sender and limits of each message, before the core sees it.

Owns: who the peers are by the kernel's word, and the count of what was not fit to be delivered. Must not
know: what a message means. Invariant: the core gets messages only from this user's processes (and root's), and at the
clients' socket of a system daemon from those of every user the kernel can name;
whatever else arrives is taken off the socket whole, counted, and logged once for each kind.

Single `recv` calls are used, and frames for the parts that may have more behind them: asking the socket for
RCVMORE costs 1.7 us each time, `recv_multipart` three times as much as the message itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import zmq

from ..bus.errors import BadMessage
from .logs import log

DRAIN = 256
"""Most messages of one pass: a flood on one socket must not delay the other."""

KNOWN_PEERS = 8192

STRANGER = (-1, -1)

NOBODY = 65534
"""The uid that the kernel gives to everybody it has no name for here (from outside of a container). All of them would
be one user to us."""

_NOBLOCK = int(zmq.NOBLOCK)

Who = tuple[int, int]


class Deliver(Protocol):
    """`Core.client_message` or `Core.worker_message`."""

    def __call__(self, peer: bytes, uid: int, pid: int, message: Any, body: bytes, now: float) -> None: ...


class Inbox:
    """One socket's incoming side.

    decode: header to message, raising BadMessage. deliver: to the core. bad: tells the core of a message that
    is none. after: called with the peer after each message that was delivered. everybody: every user is let in. counts:
    what was refused, by kind.
    """

    def __init__(
        self,
        name: str,
        socket: zmq.Socket[bytes],
        decode: Callable[[bytes], Any],
        deliver: Deliver,
        bad: Callable[[bytes, Who, str, float], None],
        after: Callable[[bytes, float], None],
        *,
        everybody: bool = False,
    ) -> None:
        self.counts: dict[str, int] = {}
        self._name = name
        self._socket = socket
        self._decode = decode
        self._deliver = deliver
        self._bad = bad
        self._after = after
        self._known: dict[bytes, Who] = {}
        self._uids = {os.geteuid(), 0}
        self._everybody = everybody

    def drain(self, now: float) -> bool:
        """Deliver what is there, at most DRAIN messages; True if there may be more."""
        # All names local: this is run for each frame of audio.
        recv, known, decode = self._socket.recv, self._known, self._decode
        deliver, after = self._deliver, self._after
        for _ in range(DRAIN):
            try:
                peer = recv(_NOBLOCK)
            except zmq.Again:
                return False
            header = recv(_NOBLOCK, False)
            body = b""
            if header.more:
                part = recv(_NOBLOCK, False)
                body = part.bytes
                if part.more:
                    self._too_many_parts(peer, header, now)
                    continue
            who = known.get(peer) or self._meet(peer, header)
            if who is STRANGER:
                self._count("stranger", f"from {_address(header)}")
                continue
            try:
                message = decode(header.bytes)
            except BadMessage as error:
                self._refuse(peer, who, "message", error.message, now)
                continue
            try:
                deliver(peer, who[0], who[1], message, body, now)
            except Exception as error:  # noqa: BLE001 - a fault met by one peer must not silence all others
                self._fault(peer, who, message, error, now)
            after(peer, now)
        return True

    def _meet(self, peer: bytes, frame: zmq.Frame) -> Who:
        """Who a new peer is, by the credentials of its connection: ``host:uid:gid:pid``, on macOS without the
        pid."""
        try:
            uid, _, pid = _address(frame).rsplit(":", 3)[1:]
            who = (int(uid), int(pid or 0)) if self._admitted(int(uid)) else STRANGER
        except ValueError:
            who = STRANGER
        if len(self._known) >= KNOWN_PEERS:
            # Oldest first; one that is still there is met again with its next message.
            for old in list(self._known)[: KNOWN_PEERS // 2]:
                del self._known[old]
        self._known[peer] = who
        return who

    def _admitted(self, uid: int) -> bool:
        return uid in self._uids or (self._everybody and uid != NOBODY)

    def _too_many_parts(self, peer: bytes, header: zmq.Frame, now: float) -> None:
        while self._socket.recv(_NOBLOCK, False).more:
            pass
        who = self._known.get(peer) or self._meet(peer, header)
        if who is STRANGER:
            self._count("stranger", "with too many parts")
        else:
            self._refuse(peer, who, "parts", "a message has one or two parts", now)

    def _refuse(self, peer: bytes, who: Who, kind: str, reason: str, now: float) -> None:
        self._count(kind, f"from process {who[1]}: {reason}")
        self._bad(peer, who, reason, now)
        self._after(peer, now)

    def _fault(self, peer: bytes, who: Who, message: object, error: Exception, now: float) -> None:
        """The core has stumbled over a message. It is a mistake of ours, and is logged as one each time; the peer is
        told, a worker is replaced, and everybody else goes on."""
        self.counts["fault"] = self.counts.get("fault", 0) + 1
        kind = type(message).__name__
        log.error("%s: a fault of the daemon itself, at %s of process %d", self._name, kind, who[1], exc_info=error)
        self._bad(peer, who, f"the daemon made a mistake with this {kind}; its log has more", now)

    def _count(self, kind: str, detail: str) -> None:
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        if count == 1:
            log.warning("%s: refused (%s) %s; more of this kind are counted only", self._name, kind, detail)


def _address(frame: zmq.Frame) -> str:
    """Where a message came from. A connection that began like one of very old libraries, as any
    bytes may, has no credentials."""
    try:
        return str(frame.get("Peer-Address"))
    except zmq.ZMQError:
        return "somebody without credentials"
