"""Connections between the daemon's two sockets and everybody else.

Owns: what is on its way. Must not know: what messages mean. Invariant: what arrives over one connection arrives in the
order in which it was sent; what is lost is lost with a connection, from the end of what was on its way; the two ends
learn of it at different times, or, when it came back by itself, not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from .clock import Clock

PIPE = 24
"""Messages that a client's pipe takes before it is full."""

AGAIN_S = 0.1
"""So often whoever finds nobody looks again."""

Parts = tuple[bytes, bytes]
Deliver = Callable[[bytes, bytes, bytes], None]


class Unreachable(Exception):
    """There is no such peer any more."""


class Full(Exception):
    """Its pipe takes nothing now."""


class Wire:
    """One connection. peer: what the daemon calls it. Over: it is closed, and each end has its own idea of that."""

    def __init__(self, network: Network, peer: bytes, end: Plug) -> None:
        self.peer = peer
        self.end = end
        self.over = False
        self.known_over = False
        self.coming: deque[Parts] = deque()
        """Arrived at the peer, which has not read it."""
        self.on_the_way = 0
        self._network = network
        self._run = network.run
        self._up_at = self._down_at = 0.0
        self._up_left = self._down_left = 0
        self._up_cut = self._down_cut = 1 << 60
        self._ups = self._downs = 0

    def send_up(self, header: bytes, body: bytes) -> None:
        """From the peer to the daemon."""
        clock = self._network.clock
        self._up_at = max(self._up_at, clock.now + self._network.delay())
        self._ups += 1
        clock.at(self._up_at, self._up, self._ups, header, body)

    def _up(self, number: int, header: bytes, body: bytes) -> None:
        self._up_left = number
        if number <= self._up_cut and self._run == self._network.run:
            self._network.deliver(self.peer, header, body)

    def send_down(self, header: bytes, body: bytes) -> None:
        """From the daemon to the peer."""
        clock = self._network.clock
        self._down_at = max(self._down_at, clock.now + self._network.delay())
        self._downs += 1
        self.on_the_way += 1
        clock.at(self._down_at, self._down, self._downs, header, body)

    def _down(self, number: int, header: bytes, body: bytes) -> None:
        self._down_left = number
        if number > self._down_cut:
            return
        self.on_the_way -= 1
        self.coming.append((header, body))
        self.end.arrived()

    def cut(self, chance: Random, *, up: bool = True, down: bool = True) -> int:
        """The connection ends now; of what is on its way a part may still arrive. How many are lost."""
        self.over = True
        ways = self._ups - self._up_left, self._downs - self._down_left
        kept_up = chance.randint(0, ways[0]) if up and chance.random() < 0.7 else 0
        kept_down = chance.randint(0, ways[1]) if down and chance.random() < 0.7 else 0
        self._up_cut = min(self._up_cut, self._up_left + kept_up)
        self._down_cut = min(self._down_cut, self._down_left + kept_down)
        return ways[0] - kept_up + ways[1] - kept_down


class Plug:
    """The peer's end: what a DEALER is. It connects by itself, again and again."""

    def __init__(self, network: Network, deliver: Callable[[], None], kind: str) -> None:
        self.wire: Wire | None = None
        self.closed = False
        self.who: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._network = network
        self._arrived = deliver
        self._kind = kind
        self._tries = 0
        self.connect()

    @property
    def up(self) -> bool:
        """Whether something can be sent."""
        return self.wire is not None

    def connect(self) -> None:
        """Try to connect soon."""
        self._tries += 1
        self._network.clock.after(self._network.delay(), self.connect_to, self._tries)

    def connect_to(self, number: int) -> None:
        """The try of that number: if nobody listens, as soon as somebody does."""
        if self.closed or self.wire is not None or number != self._tries:
            return
        if not self._network.listening:
            self._network.patient.append((self, number))
            return
        self.wire = self._network.open(self, self._kind)
        self._arrived()

    def send(self, header: bytes, body: bytes) -> bool:
        """Send; False where nobody is there to send to."""
        if self.wire is None:
            return False
        self.wire.send_up(header, body)
        return True

    def receive(self) -> Parts | None:
        """The next message that has arrived."""
        return self.wire.coming.popleft() if self.wire is not None and self.wire.coming else None

    def arrived(self) -> None:
        """Something has arrived, or the connection is there."""
        if not self.closed:
            self._arrived()

    def lose(self, away_s: float) -> int:
        """The connection breaks, and comes back by itself as another one. How many messages are lost."""
        lost = 0
        if self.wire is not None:
            lost = self._network.break_wire(self.wire)
            self.wire = None
        self._tries += 1
        self._network.clock.after(away_s, self.connect_to, self._tries)
        return lost

    def close(self) -> int:
        """The process is gone. How many messages are lost."""
        self.closed = True
        lost = 0
        if self.wire is not None:
            lost = self._network.break_wire(self.wire)
            self.wire = None
        return lost


class Network:
    """All connections to one pair of sockets. deliver: to the daemon. listening: there is one; run: the how manieth.
    known: uid and pid behind each connection, as the kernel tells them."""

    def __init__(self, clock: Clock, deliver: Deliver) -> None:
        self.clock = clock
        self.listening = False
        self.patient: list[tuple[Plug, int]] = []
        self.wires: dict[bytes, Wire] = {}
        self.known: dict[bytes, tuple[int, int]] = {}
        self.lost = 0
        self.run = 0
        self._deliver = deliver
        self._chance = clock.chance("network")
        self._names = 0

    def delay(self) -> float:
        """How long a message is on its way: mostly next to nothing."""
        chance = self._chance
        draw = chance.random()
        if draw < 0.7:
            return 0.0001 + 0.0002 * chance.random()
        return chance.random() * (0.005 if draw < 0.97 else 0.15)

    def listen(self) -> None:
        """There are sockets: whoever looks for them, ten times a second, finds them at his next look."""
        self.listening = True
        patient, self.patient = self.patient, []
        for plug, number in patient:
            self.clock.after(AGAIN_S * self._chance.random(), plug.connect_to, number)

    def open(self, end: Plug, kind: str) -> Wire:
        """A connection is there."""
        self._names += 1
        wire = Wire(self, f"{kind}{self._names}".encode(), end)
        self.wires[wire.peer] = wire
        self.known[wire.peer] = end.who()
        return wire

    def deliver(self, peer: bytes, header: bytes, body: bytes) -> None:
        """Something has arrived at the daemon."""
        if self.listening:
            self._deliver(peer, header, body)

    def send(self, peer: bytes, header: bytes, body: bytes, *, bounded: bool) -> None:
        """The daemon sends. Raises Unreachable, Full. What goes to one that is gone and not known to be is lost."""
        wire = self.wires.get(peer)
        if wire is None or wire.known_over:
            raise Unreachable
        if bounded and wire.on_the_way + len(wire.coming) >= PIPE:
            raise Full
        wire.send_down(header, body)

    def break_wire(self, wire: Wire) -> int:
        """A connection ends; the daemon's socket learns of it a little later."""
        lost = wire.cut(self._chance) + len(wire.coming)
        self.lost += lost
        self.clock.after(self.delay() + self._chance.choice((0.0, 0.0, 0.02)), self._known, wire)
        return lost

    def _known(self, wire: Wire) -> None:
        wire.known_over = True
        self.wires.pop(wire.peer, None)

    def daemon_gone(self) -> int:
        """The sockets are gone with the daemon; what it had sent last may be lost. How many messages are."""
        self.listening = False
        self.run += 1
        lost = 0
        for wire in list(self.wires.values()):
            lost += wire.cut(self._chance, up=False)
            wire.known_over = True
            self.clock.after(0.02 + self.delay(), self._hung_up, wire)
        self.wires.clear()
        self.lost += lost
        return lost

    def _hung_up(self, wire: Wire) -> None:
        """The peer has read what was left, and connects anew."""
        if wire.end.wire is wire:
            wire.end.wire = None
            wire.end.connect()
