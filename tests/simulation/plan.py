"""What is going to happen in a run, drawn from its seed: who asks for what, and what goes wrong when.

Owns: the plan. Must not know: how any of it is carried out. Invariant: a plan is plain data of which any part can be
left out, the rest staying as it is; that is what makes a failing run small (`shrink`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

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

WEIGHTS = {
    "daemon dies": 4,
    "power cut": 2,
    "worker is killed": 3,
    "client loses its connection": 2,
    "client vanishes": 2,
    "disk is full": 2,
}


@dataclass(frozen=True, slots=True)
class Order:
    """A job that a client will ask for. gaps: between its pieces. speed: how fast the client plays, in seconds of
    audio a second; 0: at once. cancel: after so long, None: never."""

    name: str
    client: int
    at: float
    pieces: tuple[str, ...]
    gap: float
    speed: float
    window_s: float
    options: dict[str, Any]
    cancel: float | None = None

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
    outsiders: bool = False
    recycle: int = 0
    tight: bool = False
    unload: float = 0.0
    warm: int = 0
    keep_s: float = 3600.0

    def parts(self) -> list[Any]:
        """What can be left out."""
        return [*self.faults, *self.wishes, *self.listeners, *self.orders]

    def only(self, parts: list[Any]) -> Plan:
        """The same with these parts only."""
        kept = set(map(id, parts))

        def those(all_of_a_kind: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(part for part in all_of_a_kind if id(part) in kept)

        return replace(
            self,
            faults=those(self.faults),
            wishes=those(self.wishes),
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
                f"{order.window_s:g} s, speed {order.speed:g}, cancelled: {order.cancel})"
                for order in self.orders
            ),
            *(
                f"  {one.at:6.2f}  client {one.client} hears {one.order} of client {one.owner} from {one.share:.2f} on"
                + (", whole takes" if one.whole else "")
                for one in self.listeners
            ),
            *(f"  {wish.at:6.2f}  client {wish.client} wants to {wish.kind} {wish.order}" for wish in self.wishes),
            *(
                f"  {fault.at:6.2f}  {fault.kind} (target {fault.target}, {fault.length:.2f} s"
                + (f", {fault.number} effects on" if "die" in fault.kind or "cut" in fault.kind else "")
                + (f" from the next {fault.before}" if fault.before else "")
                + ")"
                for fault in self.faults
            ),
        ]


BOUNDARIES = ("", "", "Commit", "WriteTake", "ToClient", "ToWorker", "applied", "WriteNote")
"""Where a daemon dies: anywhere, or at an effect of that kind; "applied": when a commit is durable and nobody knows."""


@dataclass
class Drawing:
    """Draws a plan."""

    chance: Random
    seed: int
    faults_per_run: int
    mean: bool = False
    kinds: tuple[str, ...] = ()
    named: Counter[int] = field(default_factory=Counter)

    def plan(self) -> Plan:
        """The plan of this seed."""
        chance = self.chance
        mean = self.mean = chance.random() < 0.5
        full = chance.random() < 0.35
        kinds = OUTSIDE + (OF_ENGINE if mean else ()) + (OF_DISK if full else ())
        if chance.random() < 0.6:
            # A few kinds, often, find what all of them together hide from each other.
            kinds = tuple(chance.sample(kinds, chance.randint(2, 6)))
        self.kinds = self.kinds or tuple(kind for kind in kinds for _ in range(WEIGHTS.get(kind, 1)))
        clients = chance.randint(1, 4)
        orders = tuple(self._order(number, clients) for number in range(chance.randint(2, 7)))
        listeners = tuple(self._listener(orders, clients) for _ in range(chance.randint(0, 4)))
        count = chance.randint(self.faults_per_run // 2, self.faults_per_run * 3 // 2)
        faults = tuple(sorted((self._fault() for _ in range(count)), key=lambda fault: fault.at))
        slots, workers = chance.choice((1, 1, 2, 3)), chance.choice((1, 2, 2))
        return Plan(self.seed, mean, full, slots, workers, clients, orders, listeners, faults)

    def _order(self, number: int, clients: int) -> Order:
        chance = self.chance
        text = self._text(number)
        pieces = self._pieces(text) if chance.random() < 0.35 else (text,)
        client = chance.randrange(clients)
        # Two users may have jobs of one name.
        name = f"j{self.named[client % USERS]}"
        self.named[client % USERS] += 1
        options = {
            "priority": chance.choice(("text", "text", "important", "notification")),
            "pace": chance.choice(("listen", "listen", "render")),
            "keep": chance.choices(("job", "history", "nothing"), (6, 3, 1))[0],
            "read": chance.choices(("live", "whole", "none"), (6, 3, 1))[0],
            "skip_bad": chance.random() < 0.3,
            "complete": len(pieces) == 1,
        }
        if options["read"] == "none":
            options["pace"] = "render"
        # Chosen by chance of its own: in all other runs nothing is drawn otherwise because of it.
        if self.seed % 4 == 3 and Random(f"{self.seed} recording {number}").random() < 0.4:
            options |= {"kind": "transcribe", "skip_bad": False}
        return Order(
            name,
            client,
            chance.uniform(0.0, 12.0),
            pieces,
            chance.choice((0.0, 0.05, 0.5, 2.0)),
            chance.choice((0.0, 0.0, 1.0, 3.0, 10.0)),
            chance.choice((0.3, 2.0, 30.0)),
            options,
            chance.uniform(0.1, 15.0) if chance.random() < 0.12 else None,
        )

    def _text(self, number: int) -> str:
        """Sentences of which no two are the same in any job, some long enough to be cut."""
        chance = self.chance
        sentences = []
        for index in range(chance.choice((1, 2, 4, 7, 12))):
            words = chance.choice((3, 5, 8, 8, 40))
            said = [f"J{number}s{index}w{word}" for word in range(words)]
            if self.mean and chance.random() < 0.04:
                said.insert(1, UNSAYABLE)
            sentences.append(" ".join(said) + ".")
        return chance.choice((" ", " ", "\n")).join(sentences)

    def _pieces(self, text: str) -> tuple[str, ...]:
        """A text in pieces that are cut anywhere."""
        cuts = sorted(self.chance.randint(0, len(text)) for _ in range(self.chance.randint(1, 5)))
        return tuple(text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True))

    def _listener(self, orders: tuple[Order, ...], clients: int) -> Listener:
        chance = self.chance
        order = chance.choice(orders)
        return Listener(
            order.name,
            order.client,
            clients + (order.client - clients) % USERS,
            order.at + chance.uniform(0.05, 15.0),
            chance.choice((0.0, 0.0, 0.5, 1.0)),
            chance.random() < 0.3,
            chance.choice((0.0, 1.0, 4.0)),
        )

    def _fault(self) -> Fault:
        chance = self.chance
        return Fault(
            chance.choice(self.kinds),
            chance.uniform(0.3, FAULTS_END),
            chance.randrange(60),
            min(chance.expovariate(0.7), 12.0),
            chance.choice((0, 0, 1, 2, 3, 5, 9, 17, 40)),
            chance.choice(BOUNDARIES),
        )

    def more(self, plan: Plan) -> Plan:
        """The same plan with what people want besides, and with a world that changes."""
        chance = self.chance
        self.kinds = OF_WORLD
        faults = [self._fault() for _ in range(chance.randint(0, max(self.faults_per_run // 3, 1)))]
        kinds = {fault.kind for fault in (*plan.faults, *faults)}
        return replace(
            plan,
            faults=tuple(sorted((*plan.faults, *faults), key=lambda fault: fault.at)),
            wishes=tuple(self._wish(plan.orders, plan.clients) for _ in range(chance.randint(0, 5))),
            outsiders="an outsider comes" in kinds,
            recycle=chance.choice((0, 1, 2, 5)),
            tight=chance.random() < 0.5,
            unload=chance.choice((0.0, 0.5, 3.0)),
            warm=chance.choice((0, 0, 1)),
            keep_s=chance.choice((5.0, 20.0, 3600.0)),
        )

    def _wish(self, orders: tuple[Order, ...], clients: int) -> Wish:
        """Whoever asked for the job wants it, or the same user in another program."""
        chance = self.chance
        order = chance.choice(orders)
        client = order.client if chance.random() < 0.6 else clients + (order.client - clients) % USERS
        kind = chance.choice(("delete", "pin"))
        return Wish(kind, order.name, order.client, client, order.at + chance.uniform(0.02, 20.0))


def draw(seed: int, faults: int = 24, kinds: tuple[str, ...] = (), *, more: bool | None = None) -> Plan:
    """The plan of a seed. kinds: of faults, where only these are wanted. more: with wishes and a world that changes;
    left to the seed where nothing is said, and without where there are kinds."""
    plan = Drawing(Random(f"plan {seed}"), seed, faults, kinds=kinds).plan()
    chance = Random(f"more {seed}")
    if chance.random() < 0.5 and not kinds if more is None else more:
        return Drawing(chance, seed, faults).more(plan)
    return plan
