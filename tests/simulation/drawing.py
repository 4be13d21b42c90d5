"""Plans, drawn from seeds.

Owns: how often what is wanted, and what goes wrong. Must not know: how any of it is carried out. Invariant: a seed
gives one plan; what was added later is drawn by chance of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from .plan import (
    FAULTS_END,
    OF_DISK,
    OF_ENGINE,
    OF_WORLD,
    OUTSIDE,
    UNSAYABLE,
    USERS,
    Fault,
    Listener,
    Order,
    Plan,
    Wish,
)
from .voice_plan import with_voices

WEIGHTS = {
    "daemon dies": 4,
    "power cut": 2,
    "worker is killed": 3,
    "client loses its connection": 2,
    "client vanishes": 2,
    "disk is full": 2,
}


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


def draw(
    seed: int,
    faults: int = 24,
    kinds: tuple[str, ...] = (),
    *,
    more: bool | None = None,
    voices: bool | None = None,
) -> Plan:
    """The plan of a seed. kinds: of faults, where only these are wanted. more: with wishes and a world that changes;
    voices: with voices of users' own. Both are left to the seed where nothing is said, and left out where there are
    kinds."""
    plan = Drawing(Random(f"plan {seed}"), seed, faults, kinds=kinds).plan()
    chance = Random(f"more {seed}")
    if chance.random() < 0.5 and not kinds if more is None else more:
        plan = Drawing(chance, seed, faults).more(plan)
    if Random(f"with voices {seed}").random() < 0.4 and not kinds if voices is None else voices:
        plan = with_voices(plan)
    return plan
