"""Which providers there are, and the places for their workers.

Owns: `World.providers` and `World.workers`, made what the settings say. Must not know: what goes on in a place
(`supervise`), jobs. Invariant: each provider has as many places as are configured, plus those whose workers are on
their way out; a provider is forgotten only when nobody works for it and no job may come back to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from . import leases
from .breaker import Breaker
from .lifecycle import WORKER, move
from .pronunciations import Pronunciations
from .restart import RestartPolicy
from .settings import Provider, Settings
from .state import ProviderState, Worker
from .world import World

NO_PROCESS = ("down", "fatal", "backoff", "asleep")
"""States of a worker without a process."""


def configure(world: World, settings: Settings, now: float) -> None:
    """Make the fleet what the settings say: what changed is restarted; of the rest, who had been given up gets another
    chance, since whoever has the configuration read again has mended something."""
    for name, provider in list(world.providers.items()):
        if name not in settings.providers:
            _retire(world, provider, now)
    for name, wanted in settings.providers.items():
        provider = world.providers.get(name) or _new_provider(world, wanted, settings)
        changed = replace(wanted, workers=0) != replace(provider.settings, workers=0)
        if wanted != provider.settings:
            _call_off(world, provider, now)
        provider.settings = wanted
        provider.rate = wanted.rate or provider.rate
        _resize(world, provider, settings, now)
        if changed:
            _restart_all(world, provider, settings, now)
        else:
            _forgive(world, provider, ("fatal",), now)
    world.settings = settings
    world.pronunciations = Pronunciations(settings.pronunciations)


def _new_provider(world: World, wanted: Provider, settings: Settings) -> ProviderState:
    provider = ProviderState(wanted.name, wanted, Breaker(settings.breaking), rate=wanted.rate)
    world.providers[wanted.name] = provider
    return provider


def _resize(world: World, provider: ProviderState, settings: Settings, now: float) -> None:
    started = bool(provider.settings.module or provider.settings.script or provider.settings.command)
    wanted = provider.settings.workers if started else 0
    places = [worker for name in provider.workers if not (worker := world.workers[name]).external]
    places.sort(key=lambda worker: int(worker.id.rpartition("/")[2]))
    standing = [worker for worker in places if worker.wanted != "down" and not worker.replaces]
    leaving = [worker for worker in places if worker.wanted == "down"]
    lacking = wanted - len(standing)
    for worker in standing[wanted:]:
        let_go(world, worker, now)
    for worker in leaving[: max(lacking, 0)]:
        worker.wanted = "up"
    for _ in range(lacking - len(leaving)):
        add(world, provider, settings)


def add(world: World, provider: ProviderState, settings: Settings) -> Worker:
    """Make a place, under the first name that is free."""
    name = next(name for index in count() if (name := f"{provider.name}/{index}") not in world.workers)
    worker = Worker(name, provider.name, provider.settings, RestartPolicy(settings.restart))
    world.workers[name] = worker
    provider.workers.append(name)
    return worker


def _call_off(world: World, provider: ProviderState, now: float) -> None:
    """What was to take somebody's place is of an older configuration."""
    for name in [name for name in provider.workers if world.workers[name].replaces]:
        world.workers[name].replaces = ""
        let_go(world, world.workers[name], now)


def _restart_all(world: World, provider: ProviderState, settings: Settings, now: float) -> None:
    """What it did under its old configuration is no longer held against it."""
    provider.breaker = Breaker(settings.breaking)
    for name in provider.workers:
        worker = world.workers[name]
        worker.settings = provider.settings
        worker.restart.clear()
    _forgive(world, provider, ("fatal", "backoff"), now)
    for name in provider.workers:
        worker = world.workers[name]
        if worker.state == "asleep":
            worker.wanted = "up"
        elif worker.state not in ("down", "backoff") and worker.wanted != "down" and not worker.external:
            worker.wanted = "restart"
            _quit(world, worker, now)


def _forgive(world: World, provider: ProviderState, states: Sequence[str], now: float) -> None:
    """Start those of its workers at once that are in one of these states."""
    for name in provider.workers:
        worker = world.workers[name]
        if worker.state in states:
            worker.restart.clear()
            move(WORKER, worker, "forgive")
            worker.retry_at = now


def _retire(world: World, provider: ProviderState, now: float) -> None:
    provider.reason = "it is no longer configured"
    for name in list(provider.workers):
        let_go(world, world.workers[name], now)
    world.reroute.add(provider.name)


def drop_retired(world: World) -> None:
    """Forget the providers that are configured no longer, have no worker left and stand in no job's chain."""
    used = {entry.provider for job in world.unfinished.values() for entry in job.chain}
    for name, provider in list(world.providers.items()):
        if name not in world.settings.providers and not provider.workers and name not in used:
            del world.providers[name]


def let_go(world: World, worker: Worker, now: float) -> None:
    """Let a worker finish what it has and leave for good."""
    worker.wanted = "down"
    if worker.state in NO_PROCESS:
        forget(world, worker)
    else:
        _quit(world, worker, now)


def retire(world: World, worker: Worker, now: float) -> None:
    """Let a worker go for good once it has done what it has in hand, however long that takes."""
    worker.wanted = "down"
    if worker.state != "ready" or not worker.leases:
        let_go(world, worker, now)


def _quit(world: World, worker: Worker, now: float) -> None:
    if worker.state == "stopping":
        return
    if worker.session:
        leases.dismiss(world, worker, now)
    else:
        worker.quit_at = now
        leases.kill(world, worker, "it is not needed any more")


def forget(world: World, worker: Worker) -> None:
    """Remove a worker's place. The one function that does."""
    del world.workers[worker.id]
    world.by_peer.pop(worker.peer, None)
    world.providers[worker.provider].workers.remove(worker.id)
    world.reroute.add(worker.provider)
