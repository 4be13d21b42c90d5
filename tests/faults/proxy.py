"""A bad line, as a program between peers and a socket of the daemon: it drops, doubles, delays, holds messages.

``proxy.py LISTEN TARGET SEED RULES``: RULES is JSON with ``drop``, ``duplicate``, ``delay`` and ``hold``, each the
share of messages that it happens to, and ``delay_s`` and ``hold_s``, the longest time for each. It ends when its
standard input does, and then prints what it did, as JSON. Owns: the messages on their way. Must not know: what they
mean. Invariant: what arrives of a connection arrives in its order, as ZeroMQ would have it; a connection of a peer is
one connection of the daemon.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import zmq

from voicebus.bus import sockets

TICK_MS = 5


@dataclass
class Lane:
    """One direction of one connection: messages with the time before which they may not arrive."""

    chance: random.Random
    waiting: deque[tuple[float, list[bytes]]] = field(default_factory=deque)
    last: float = 0.0

    def put(self, parts: list[bytes], rules: dict[str, float], now: float, done: Counter[str]) -> None:
        """A message, and what becomes of it."""
        fate = self.chance.random()
        copies = 1
        for kind in ("drop", "duplicate", "delay", "hold"):
            share = rules.get(kind, 0.0)
            if fate < share:
                done[kind] += 1
                copies = {"drop": 0, "duplicate": 2}.get(kind, 1)
                if kind in ("delay", "hold"):
                    self.last = max(self.last, now + self.chance.random() * rules[f"{kind}_s"])
                break
            fate -= share
        else:
            done["passed"] += 1
        # Behind one that waits, all wait.
        self.waiting.extend([(self.last, parts)] * copies)


class Proxy:
    """The two sides. A peer is known by the name that ZeroMQ gave its connection."""

    def __init__(self, listen: str, target: str, seed: str, rules: dict[str, float]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = sockets.router(self._context)
        self._router.bind(listen)
        self._target, self._seed, self._rules = target, seed, rules
        self._peers: dict[bytes, zmq.Socket[bytes]] = {}
        self._in: dict[bytes, Lane] = {}
        self._out: dict[bytes, Lane] = {}
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        """Until standard input ends."""
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(0, zmq.POLLIN)
        while True:
            came = dict(poller.poll(TICK_MS if self._waits() else None))
            if 0 in came:
                break
            while parts := sockets.receive(self._router):
                peer, *rest = parts
                self._lane(self._in, peer, poller).put(rest, self._rules, time.monotonic(), self.done)
            for peer, socket in self._peers.items():
                while answer := sockets.receive(socket):
                    self._lane(self._out, peer, poller).put(answer, self._rules, time.monotonic(), self.done)
            self._deliver()
        self._context.destroy(linger=0)

    def _waits(self) -> bool:
        return any(lane.waiting for lane in (*self._in.values(), *self._out.values()))

    def _lane(self, lanes: dict[bytes, Lane], peer: bytes, poller: zmq.Poller) -> Lane:
        if peer not in self._peers:
            self._peers[peer] = sockets.dealer(self._context, self._target)
            poller.register(self._peers[peer], zmq.POLLIN)
        if peer not in lanes:
            direction = "in" if lanes is self._in else "out"
            lanes[peer] = Lane(random.Random(f"{self._seed}/{len(lanes)}/{direction}"))
        return lanes[peer]

    def _deliver(self) -> None:
        now = time.monotonic()
        for lanes, send in ((self._in, self._send_in), (self._out, self._send_out)):
            for peer, lane in lanes.items():
                with contextlib.suppress(zmq.Again):
                    while lane.waiting and lane.waiting[0][0] <= now:
                        send(peer, lane.waiting[0][1])
                        lane.waiting.popleft()

    def _send_in(self, peer: bytes, parts: list[bytes]) -> None:
        sockets.send(self._peers[peer], *parts)

    def _send_out(self, peer: bytes, parts: list[bytes]) -> None:
        try:
            sockets.send(self._router, peer, *parts)
        except zmq.Again:
            raise
        except zmq.ZMQError:  # it has left
            self.done["undeliverable"] += 1


def main() -> int:
    """Be the bad line."""
    listen, target, seed, rules = sys.argv[1:]
    proxy = Proxy(listen, target, seed, json.loads(rules))
    print("ready", flush=True)
    proxy.run()
    print(json.dumps(proxy.done), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
