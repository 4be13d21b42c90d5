"""The daemon's decisions: events in, effects out.

Owns: the order of things after each event. Must not know: sockets, clocks, processes, files; time comes with every
event, as seconds of a clock that never goes back, and chance and names come from outside. Invariant: nothing here
waits, and nothing is done: whatever is to be done stands in `effects`, in order, and its outcome comes as an event.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...bus.messages import (
    Beat,
    Begun,
    Chunk,
    ClientMessage,
    Done,
    Failed,
    Greet,
    Heard,
    Need,
    Prompt,
    Ready,
    Register,
    Stopped,
    TakeMarks,
    WorkerMessage,
)
from . import (
    aging,
    asking,
    attempts,
    clientele,
    dispatch,
    feeding,
    fleet,
    importing,
    outcomes,
    packing,
    prompts,
    restoring,
    samples,
    stopping,
    supervise,
    transcripts,
    upkeep,
    waiting,
)
from .effects import Effect
from .log_events import LogEvents
from .records import Found, Outcome, Unfinished
from .settings import Settings
from .state import Worker
from .voice_events import VoiceEvents
from .world import Chance, World

LOOK_S = 0.05
"""How often at most all attempts are looked at whose time may have come: with a thousand of them, doing so at each pass
took a third of the loop's time. A deadline that begins between two looks is found at the next."""

SWEEP_S = 1.0
"""How often jobs and clients are looked at that wait for somebody. No timer is shorter without a reason of its own."""

READINGS = 8
"""So many readings of one client are fed at a time: with hundreds, what they have coming would not fit its pipe."""


class Core(VoiceEvents, LogEvents):
    """The pure part of the daemon. `effects` is the list that the shell empties after each event."""

    def __init__(
        self, settings: Settings, epoch: str, random: Chance, tickets: Callable[[], str], info: dict[str, Any]
    ) -> None:
        self.world = World(settings, epoch, random, tickets, info)
        self._seen = False
        self._looked_at = self._look_at = -math.inf
        self._unfinished: Sequence[Unfinished] = ()

    @property
    def effects(self) -> list[Effect]:
        """What is to be done; the shell does it in order, with what is added meanwhile, and empties the list."""
        return self.world.effects

    @effects.setter
    def effects(self, value: list[Effect]) -> None:
        self.world.effects = value

    @property
    def hungry(self) -> bool:
        """Whether there is more to be sent right now."""
        return bool(self.world.hungry or self.world.feeding)

    # ---------------------------------------------------------------------------------------------- life as a whole

    def start(self, now: float) -> None:
        """Begin: the fleet is started."""
        world = self.world
        world.started_at = world.swept_at = world.idle_since = now
        fleet.configure(world, world.settings, now)
        unfinished, self._unfinished = self._unfinished, ()
        restoring.restore(world, unfinished, now)
        self._settle(now)

    def restore(self, order: int, unfinished: Sequence[Unfinished], disk: Mapping[int, int]) -> None:
        """Before `start`: what the store has. order: the first number that no job has had; unfinished: jobs to go on
        with, in order of acceptance; disk: bytes of audio of all that are over, by uid."""
        world = self.world
        world.durable = True
        world.order = order - 1
        world.disk_of = +Counter(disk)
        world.disk = world.disk_of.total()
        self._unfinished = unfinished

    def reload(self, settings: Settings, now: float) -> None:
        """The configuration has changed."""
        self.world.report("info", "the configuration was read again")
        fleet.configure(self.world, settings, now)
        self._settle(now)

    def terminate(self, now: float) -> None:
        """Stop in an orderly way; the second time, at once."""
        world = self.world
        if world.draining:
            stopping.at_once(world)
        else:
            stopping.begin(world, now)
        self._settle(now)

    def late(self, by: float, now: float) -> None:
        """The loop was late by so much."""
        self.world.counters["late passes"] += 1
        supervise.shift(self.world, by)

    def tick(self, now: float) -> None:
        """Whatever is due by now."""
        world = self.world
        looking = now >= self._look_at or now >= self._looked_at + LOOK_S
        if looking:
            self._watch(now)
        for provider in world.providers.values():
            if dispatch.probe_due(provider, now):
                world.unsettled.add(provider.name)
        if now - world.swept_at >= SWEEP_S:
            world.swept_at = now
            self._sweep(now)
        if world.hungry:
            self._feed_hungry()
        if world.feeding:
            feeding.go_on(world)
        if world.again:
            outcomes.again(world, now)
        if world.draining:
            stopping.go_on(world, now)
        self._settle(now)
        if looking:
            self._look(now)

    def next_deadline(self, now: float) -> float | None:
        """When the next `tick` is needed, if nothing else happens; None for never."""
        world = self.world
        times = [self._look_at if self._seen else self._looked_at + LOOK_S]
        times += [at for p in world.providers.values() if (at := p.breaker.next_probe(now)) is not None and at > now]
        busy = world.unfinished or world.clients or world.settings.idle_exit_s or world.draining
        if busy or upkeep.watching(world):
            times.append(world.swept_at + SWEEP_S)
        if world.durable:
            at = min(world.expire_at, world.pack_at if world.packing is None else math.inf)
            times.append(max(at, world.swept_at + SWEEP_S))
        if world.draining:
            times.append(now + 0.05)
        times += [at for at, _ in world.again]
        at = min(times)
        return max(at, now + 0.005) if at < math.inf else None

    def _watch(self, now: float) -> None:
        world = self.world
        for worker in list(world.workers.values()):
            at = supervise.due(world, worker)
            if at is not None and at <= now:
                supervise.watch(world, worker, now)

    def _look(self, now: float) -> None:
        """See when the next worker's time comes."""
        world = self.world
        times = (supervise.due(world, worker) for worker in world.workers.values())
        self._look_at = min((at for at in times if at is not None), default=math.inf)
        self._looked_at, self._seen = now, True

    def _sweep(self, now: float) -> None:
        world = self.world
        waiting.sweep(world, now)
        clientele.sweep(world, now)
        fleet.drop_retired(world)
        upkeep.sweep(world, now)
        aging.sweep(world, now)
        packing.sweep(world, now)
        samples.sweep(world, now)
        importing.sweep(world, now)
        attempts.grant_again(world, now)
        for provider in world.providers.values():
            if any(queue.clients for queue in provider.queues.values()):
                world.unsettled.add(provider.name)
        if world.unfinished or world.clients:
            world.idle_since = now
        elif world.settings.idle_exit_s and now - world.idle_since >= world.settings.idle_exit_s and not world.draining:
            world.report("info", f"idle for {world.settings.idle_exit_s:g} s")
            self.terminate(now)

    def _feed_hungry(self) -> None:
        world = self.world
        fed: Counter[bytes] = Counter()
        turn = []
        for peer, key in list(world.hungry):
            fed[peer] += 1
            if fed[peer] <= READINGS:
                turn.append((peer, key))
                del world.hungry[peer, key]
        # Whoever is hungry still comes behind those whose turn it was not.
        for peer, key in turn:
            clientele.pump_one(world, peer, key)

    def _settle(self, now: float) -> None:
        """Give out what the event has made possible, until nothing more follows from it."""
        world = self.world
        self._seen = False
        supervise.spawn_due(world, now)
        while world.unsettled or world.reroute:
            rerouted, world.reroute = world.reroute, set()
            if rerouted:
                for job in list(world.unfinished.values()):
                    if any(entry.provider in rerouted for entry in job.chain):
                        waiting.reroute(world, job, now)
            names, world.unsettled = world.unsettled, set()
            for name in sorted(names & world.providers.keys()):  # in an order that is the same in every run
                provider = world.providers[name]
                upkeep.settle(world, provider, now)
                dispatch.fill(world, provider, now)
                upkeep.wake(world, provider, now)
        world.flush_commits()

    # ------------------------------------------------------------------------------------------------------- clients

    def client_message(self, peer: bytes, uid: int, pid: int, message: ClientMessage, body: bytes, now: float) -> None:
        """A client said something."""
        clientele.message(self.world, peer, uid, pid, message, body, now)
        self._settle(now)

    def bad_client_message(self, peer: bytes, uid: int, pid: int, reason: str, now: float) -> None:
        """A client sent something that is not a message."""
        self.world.count("bad client messages", reason)
        self.world.error(peer, "bad_message", reason[:500])

    def client_gone(self, peer: bytes, now: float) -> None:
        """A client cannot be reached any more."""
        client = self.world.clients.get(peer)
        if client is not None:
            clientele.forget(self.world, client, now)
        self._settle(now)

    def client_full(self, peer: bytes, now: float) -> None:
        """A client's pipe takes nothing more for now."""
        client = self.world.clients.get(peer)
        if client is not None:
            client.full = True

    def client_drained(self, peer: bytes, now: float) -> None:
        """A client's pipe is open again."""
        client = self.world.clients.get(peer)
        if client is not None:
            clientele.drained(self.world, client)
        self._settle(now)

    # ------------------------------------------------------------------------------------------------------- workers

    def worker_message(self, peer: bytes, uid: int, pid: int, message: WorkerMessage, body: bytes, now: float) -> None:
        """A worker said something. Frames come first: nothing else here is in a hurry."""
        world = self.world
        worker = world.by_peer.get(peer)
        if worker is None or worker.session != getattr(message, "session", worker.session):
            if type(message) is Register:
                supervise.register(world, peer, message, now)
            else:
                world.counters["strange worker messages"] += 1
                world.to_worker(peer, Greet())
            self._settle(now)
            return
        worker.heard_at = now
        if type(message) is Chunk:
            wrong = attempts.chunk(world, worker, message, body, now)
        else:
            wrong = _FROM_WORKER[type(message)](world, worker, message, body, now)
        if worker.state == "suspect":
            supervise.heard(world, worker)
        if wrong:
            supervise.misbehaved(world, worker, wrong, now)
        if world.unsettled or world.reroute:
            self._settle(now)

    def bad_worker_message(self, peer: bytes, reason: str, now: float) -> None:
        """A worker sent something that is not a message."""
        worker = self.world.by_peer.get(peer)
        self.world.count("bad worker messages", reason)
        if worker is not None:
            supervise.misbehaved(self.world, worker, reason, now)
        self._settle(now)

    def worker_gone(self, peer: bytes, now: float) -> None:
        """A worker cannot be reached any more."""
        worker = self.world.by_peer.get(peer)
        if worker is not None:
            supervise.unreachable(self.world, worker, now)
        self._settle(now)

    # ---------------------------------------------------------------------------------------- outcomes of effects

    def spawned(self, name: str, pid: int, now: float) -> None:
        """A worker's process is there."""
        worker = self.world.workers[name]
        worker.pid = pid

    def spawn_failed(self, name: str, reason: str, now: float) -> None:
        """A worker's process could not be started."""
        supervise.spawn_failed(self.world, self.world.workers[name], reason, now)
        self._settle(now)

    def exited(self, name: str, code: int | None, signal: int | None, stderr: list[str], now: float) -> None:
        """A worker's process is gone."""
        supervise.exited(self.world, self.world.workers[name], code, signal, stderr, now)
        if self.world.draining:
            stopping.go_on(self.world, now)
        self._settle(now)

    def committed(self, outcome: Outcome, now: float) -> None:
        """A commit has come to its end: what waited for it may happen, if it is durable."""
        outcomes.settled(self.world, outcome, now)
        self._settle(now)

    def found(self, found: Found, now: float) -> None:
        """The store has answered a question."""
        question = self.world.questions.get(found.ticket)
        if question is not None and question.kind in _FOR_ITSELF:
            del self.world.questions[found.ticket]
            _FOR_ITSELF[question.kind](self.world, found, now)
            self._settle(now)
            return
        asking.found(self.world, found, now, clientele.again)
        self._settle(now)


_FOR_ITSELF: dict[str, Callable[[World, Found, float], None]] = {
    "plain": packing.candidates,
    "expired": aging.expired,
    "import": importing.looked_up,
}
"""Who hears the answer to what the core asks for itself."""


def _register_again(world: World, worker: Worker, message: Register, body: bytes, now: float) -> str:
    supervise.register(world, worker.peer, message, now)
    return ""


_FROM_WORKER: dict[type, Callable[..., str]] = {
    Register: _register_again,
    Beat: supervise.beat,
    Ready: supervise.ready,
    Begun: attempts.begun,
    TakeMarks: attempts.take_marks,
    Heard: transcripts.heard,
    Done: attempts.done,
    Failed: attempts.failed,
    Prompt: prompts.came,
    Stopped: attempts.stopped,
    Need: feeding.need,
}
