"""What is going to happen in a run: who asks for what, and what goes wrong when.

Owns: the plan. Must not know: how it comes about (`drawing`), how any of it is carried out. Invariant: a plan is plain
data of which any part can be left out, the rest staying as it is; that is what makes a failing run small (`shrink`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

USERS = 2
"""Clients belong to users by turns. Behind those that ask for jobs there is one of each user that only listens."""

FAULTS_END = 30.0
"""Seconds after the beginning at which the last fault begins."""

UNSAYABLE = "Unsayable"
"""A word that no engine takes."""

OUTSIDE = (
    "daemon dies",
    "power cut",
    "daemon stalls",
    "daemon is stopped",
    "worker is killed",
    "worker loses its connection",
    "worker stalls",
    "worker's pipe is full",
    "client vanishes",
    "client stalls",
    "client loses its connection",
    "client is cut off",
    "client pauses",
    "commits are slow",
    "wall clock jumps",
)
"""Faults for which no text, no engine and no job can be blamed."""

OF_WORLD = ("configuration is read again", "an outsider comes", "an outsider goes", "retention is due")
"""What happens to a daemon that is well: somebody changes its configuration, workers come and go that it has not
started, what is past its time is removed."""

OF_DISK = ("disk is full", "commits fail")
"""Faults of ours: jobs may fail by them, under their names."""

OF_ENGINE = (
    "engine crashes",
    "engine hangs",
    "engine is silent",
    "engine lies",
    "engine fails",
    "engine breaks the protocol",
    "worker loads slowly",
    "worker dies loading",
)
"""Faults for which a worker pays, and where they come thick a job."""


@dataclass(frozen=True, slots=True)
class Order:
    """A job that a client will ask for. gaps: between its pieces. speed: how fast the client plays, in seconds of
    audio a second; 0: at once. cancel: after so long, None: never. voice: of the user's own, "" for none."""

    name: str
    client: int
    at: float
    pieces: tuple[str, ...]
    gap: float
    speed: float
    window_s: float
    options: dict[str, Any]
    cancel: float | None = None
    voice: str = ""

    @property
    def hears(self) -> bool:
        """Whether its pieces are a recording."""
        return self.options.get("kind") == "transcribe"

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Listener:
    """Another client that hears a job too. share: from where on, as a share of what its first client has."""

    order: str
    owner: int
    client: int
    at: float
    share: float
    whole: bool
    speed: float


@dataclass(frozen=True, slots=True)
class Wish:
    """Something that a client wants done with a job: "delete" or "pin"."""

    kind: str
    order: str
    owner: int
    client: int
    at: float


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a client wants done with a voice. to: its new name. samples: which of its user's recordings it is
    cloned from."""

    kind: Literal["add", "change", "rename", "remove"]
    name: str
    to: str
    samples: tuple[int, ...]
    client: int
    at: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong. target: which of those it can befall; length: for how long, in seconds; number,
    before: at which boundary between two effects, counted from then, or from the next of that kind."""

    kind: str
    at: float
    target: int
    length: float
    number: int
    before: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it. mean: engines misbehave too. full: and disks. slots: of each worker; workers: of each provider.
    outsiders: workers may come that the daemon has not started. recycle: takes after which a worker is replaced; tight:
    there is no memory for two at a time. unload: seconds after which an idle one sleeps, but for `warm`. keep_s: how
    long a job is kept that is only kept as a job."""

    seed: int
    mean: bool
    full: bool
    slots: int
    workers: int
    clients: int
    orders: tuple[Order, ...]
    listeners: tuple[Listener, ...]
    faults: tuple[Fault, ...]
    wishes: tuple[Wish, ...] = ()
    acts: tuple[Act, ...] = ()
    outsiders: bool = False
    recycle: int = 0
    tight: bool = False
    unload: float = 0.0
    warm: int = 0
    keep_s: float = 3600.0

    def parts(self) -> list[Any]:
        """What can be left out."""
        return [*self.faults, *self.wishes, *self.acts, *self.listeners, *self.orders]

    def only(self, parts: list[Any]) -> Plan:
        """The same with these parts only."""
        kept = set(map(id, parts))

        def those(all_of_a_kind: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(part for part in all_of_a_kind if id(part) in kept)

        return replace(
            self,
            faults=those(self.faults),
            wishes=those(self.wishes),
            acts=those(self.acts),
            listeners=those(self.listeners),
            orders=those(self.orders),
        )

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"seed {self.seed}, {self.workers} workers of {self.slots} slots for each provider",
            f"  recycled after {self.recycle} takes (tight: {self.tight})",
            f"  unloaded after {self.unload:g} s but for {self.warm}, jobs kept {self.keep_s:g} s",
            *(
                f"  {order.at:6.2f}  client {order.client} asks for {order.name} "
                f"({len(order.pieces)} pieces, {len(order.text)} characters, {order.options}, window "
                f"{order.window_s:g} s, speed {order.speed:g}, cancelled: {order.cancel}, voice: {order.voice or None})"
                for order in self.orders
            ),
            *(
                f"  {one.at:6.2f}  client {one.client} hears {one.order} of client {one.owner} from {one.share:.2f} on"
                + (", whole takes" if one.whole else "")
                for one in self.listeners
            ),
            *(f"  {wish.at:6.2f}  client {wish.client} wants to {wish.kind} {wish.order}" for wish in self.wishes),
            *(
                f"  {act.at:6.2f}  client {act.client} wants to {act.kind} the voice {act.name} "
                f"(to {act.to}, recordings {act.samples})"
                for act in self.acts
            ),
            *(
                f"  {fault.at:6.2f}  {fault.kind} (target {fault.target}, {fault.length:.2f} s"
                + (f", {fault.number} effects on" if "die" in fault.kind or "cut" in fault.kind else "")
                + (f" from the next {fault.before}" if fault.before else "")
                + ")"
                for fault in self.faults
            ),
        ]
