"""One run: a plan is carried out, everything is healed, and nothing may be left over.

Owns: when which fault befalls whom. Must not know: what is right (`judge`). Invariant: the same plan gives the same
trace, whatever else the process has done before.
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass, field, replace

from .clients import Person
from .clock import Clock
from .configuration import LIMITS, settings
from .disk import Disk
from .faults import Faults
from .hearing import Heard
from .judge import Judge
from .network import Network
from .oracle import Oracle, Wrong
from .plan import FAULTS_END, USERS, Listener, Plan, Wish
from .shell import Daemon
from .store import Store
from .workers import Processes

HEALED_S = FAULTS_END + 14.0
"""When the last fault is over, after the beginning."""

LIVELY_S = 300.0
"""Every job must be over so long after that."""

AUDIT_S = 40.0
"""So long it may take, at most, to hear all of it again: what is packed is unpacked first."""

QUIET_S = 40.0
"""And so long later nothing may be left of anything."""

STEPS = 400_000
"""A run that takes more steps is stuck in a circle."""


@dataclass
class Outcome:
    """What came of a run. wrong: the promise that was broken, "" if none was. mark: of its trace."""

    wrong: str = ""
    mark: str = ""
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    samples: int = 0
    jobs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    lost_messages: int = 0
    effects: int = 0
    lines: list[str] = field(default_factory=list)


class Simulation(Faults):
    """A world in which a plan happens."""

    def __init__(self, plan: Plan, *, keep: int = 0) -> None:
        self.plan = plan
        self.clock = Clock(plan.seed, keep=keep)
        self.begin = self.clock.now
        self.oracle = Oracle()
        self.disk = Disk(self.clock.chance("disk"))
        self.store = Store(self.clock, self.disk)
        self.judge = Judge(self.oracle, self.store, LIMITS, plan.slots)
        self.network = Network(self.clock, self._arrived)
        self.processes = Processes(self.clock, self.network, self.oracle, plan.slots)
        self.daemon = Daemon(
            self.clock, self.network, self.disk, self.store, settings(plan), self.judge, self.processes
        )
        self.people = [Person(number, self.clock, self.network, self.oracle) for number in range(plan.clients + USERS)]
        self.faults: Counter[str] = Counter()
        self._chance = self.clock.chance("faults")
        self._wire_up()

    def _wire_up(self) -> None:
        judge, processes = self.judge, self.processes
        processes.exited = self.daemon.exited
        self.daemon.killed = self.died
        judge.now = judge.voices.now = lambda: self.clock.now
        judge.workers.leaving = lambda: self.daemon.leaving
        judge.held = lambda: self.daemon.held
        judge.who = self._who
        judge.workers.sick = lambda name: processes.by_name[name].sick if name in processes.by_name else "gone"
        judge.workers.idle = lambda name: name in processes.by_name and processes.by_name[name].idle
        judge.workers.alive = lambda name: name in processes.by_name and processes.by_name[name].alive
        for order in self.plan.orders:
            judge.orders[1000 + order.client % USERS, order.name] = order
        for person in self.people:
            person.ends = judge.heard_to_the_end

    def _arrived(self, peer: bytes, header: bytes, body: bytes) -> None:
        self.daemon.arrived(peer, header, body)

    def _who(self, peer: bytes) -> tuple[int, int]:
        return self._known[peer]

    @property
    def _known(self) -> dict[bytes, tuple[int, int]]:
        return self.network.known

    # ------------------------------------------------------------------------------------------------------ a run

    def run(self) -> Outcome:
        """All of it."""
        wrong = ""
        try:
            self._run()
        except AssertionError as error:
            wrong = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - whatever the core or a client trips over is a finding
            wrong = f"{type(error).__name__}: {error}"
        return Outcome(
            wrong,
            self.clock.mark,
            self.clock.steps,
            self.faults,
            self.judge.samples_compared,
            len(self.judge.accepted),
            Counter(f"{end.state} {end.code}".strip() for end in self.judge.terminals.values()),
            self.network.lost,
            self.daemon.effects_done,
            list(self.clock.lines),
        )

    def _run(self) -> None:
        clock, begin = self.clock, self.begin
        clock.at(begin, self.daemon.start)
        for person in self.people:
            clock.at(begin + 0.05, person.begin)
        for order in self.plan.orders:
            clock.at(begin + order.at, self.people[order.client].ask, order)
        for listener in self.plan.listeners:
            clock.at(begin + listener.at, self._listen, listener)
        for wish in self.plan.wishes:
            clock.at(begin + wish.at, self._want, wish)
        for act in self.plan.acts:
            clock.at(begin + act.at, self.people[act.client].act, act)
        for fault in self.plan.faults:
            clock.at(begin + fault.at, self.befall, fault)
        clock.run(begin + HEALED_S, STEPS)
        self._heal()
        until = clock.now + LIVELY_S
        while clock.now < until and not self._all_over():
            clock.run(clock.now + 5.0, STEPS)
        self._check_alive()
        self.judge.in_one_form()
        auditors = [self._auditor(user) for user in range(USERS)]
        until = clock.now + AUDIT_S
        while clock.now < until and not all(one.over for auditor in auditors for one in auditor.jobs.values()):
            clock.run(clock.now + 2.0, STEPS)
        for auditor in auditors:
            self._check_audit(auditor)
            auditor.vanish()
        clock.run(clock.now + QUIET_S, STEPS)
        self.judge.at_the_end()

    def _heal(self) -> None:
        self.clock.trace("all is well from now on")
        self.disk.full = False
        self.store.failing_until = self.store.slow_until = 0.0
        self.daemon.doom(0, "never", power=False)
        self.processes.next_load, self.processes.next_load_dies = 0.0, False
        for process in self.processes.living():
            process.engine.next_end = None  # who hangs goes on hanging: that is for the daemon to find out
        for person in self.people:
            person.begin()

    def _all_over(self) -> bool:
        heard = [one for person in self.people for one in person.jobs.values() if one.asked]
        core = self.daemon.core
        wished = all(person.wishes.over and person.doings.over for person in self.people)
        return wished and all(one.over for one in heard) and core is not None and not core.world.unfinished

    def _check_alive(self) -> None:
        for person in self.people:
            for heard in person.jobs.values():
                if heard.asked and not heard.over:
                    raise Wrong(f"client {person.number} waits for {heard.order.name} in vain: {self._stuck(heard)}")
            for wished in person.wishes.all:
                if not wished.answer:
                    raise Wrong(f"client {person.number} waits in vain for {wished.wish}")
            for doing in person.doings.all:
                if not doing.answer:
                    raise Wrong(f"client {person.number} waits in vain for {doing.act}")
        core = self.daemon.core
        if core is None or core.world.unfinished:
            raise Wrong(f"jobs do not end: {core and list(core.world.unfinished)}")

    def _stuck(self, heard: Heard) -> str:
        core = self.daemon.core
        job = core.world.jobs.get((heard.uid, heard.order.name)) if core is not None else None
        return f"accepted {heard.accepted}, reading {heard.reading is not None}, job {job and (job.state, job.readers)}"

    def _auditor(self, user: int) -> Person:
        """Somebody who asks for everything again when all is over, and must hear the same."""
        person = Person(len(self.people) + user, self.clock, self.network, self.oracle)
        person.uid = 1000 + user
        person.ends = self.judge.heard_to_the_end
        person.begin()
        for (uid, name), order in self.judge.orders.items():
            there = (uid, name) in self.judge.accepted and not self.judge.gone((uid, name))
            if uid == person.uid and there and order.options["keep"] != "nothing":
                # With room for much at a time: with little, a book takes longer than an audit may.
                person.hear(Heard(replace(order, window_s=30.0), uid, False, True, 0.0))
        return person

    def _check_audit(self, auditor: Person) -> None:
        for heard in auditor.jobs.values():
            key = (heard.uid, heard.order.name)
            end = self.judge.terminals.get(key)
            if self.judge.gone(key):  # it was past its time meanwhile
                continue
            if heard.result is None:
                raise Wrong(f"{key} cannot be heard again: {heard.lost}")
            if end is None or (end.state, end.code, end.samples) != (
                heard.result.state, heard.result.code, heard.result.samples
            ):  # fmt: skip
                raise Wrong(f"{key} ended as {end}, and is said to have ended as {heard.result}")

    def _want(self, wish: Wish) -> None:
        kept = self.judge.orders[1000 + wish.owner % USERS, wish.order].options["keep"] != "nothing"
        if kept:  # what is kept of nothing is forgotten with its daemon, and asked for again
            self.people[wish.client].want(wish)

    def _listen(self, listener: Listener) -> None:
        owner = self.people[listener.owner]
        first = owner.jobs.get(listener.order)
        person = self.people[listener.client]
        if first is None or (owner.uid, listener.order) not in self.judge.accepted or person.session is None:
            return
        heard = Heard(first.order, person.uid, False, listener.whole, listener.speed)
        upto = [at for at, _ in first.takes if at <= listener.share * (len(first.pcm) // 2)]
        if listener.share and upto and not listener.whole:
            heard.pcm = first.pcm[: 2 * upto[-1]]
            heard.takes = [(at, take) for at, take in first.takes if at < upto[-1]]
        if listener.share == 1.0 and not listener.whole:
            heard.pcm, heard.takes = bytearray(first.pcm), list(first.takes)
        heard.rows = first.rows[: len(heard.pcm) // 2]
        person.hear(heard)


def simulate(plan: Plan, *, keep: int = 0) -> Outcome:
    """Carry out a plan. keep: how many of the newest lines of the trace come along."""
    collects = gc.isenabled()
    gc.disable()  # a run is short, and looking for what it has thrown away took an eighth of its time
    try:
        return Simulation(plan, keep=keep).run()
    finally:
        if collects:
            gc.enable()
