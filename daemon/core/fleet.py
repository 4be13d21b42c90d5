"""Which providers there are, and the places for their workers.

Owns: `World.providers` and `World.workers`, made what the settings say. Must not know: what goes on in a place
(`supervise`), jobs. Invariant: each provider has as many places as are configured, plus those whose workers are on
their way out; a provider is forgotten only when nobody works for it and no job may come back to it.
"""

from __future__ import annotations

from dataclasses import replace

from . import leases
from .breaker import Breaker
from .lifecycle import WORKER, move
from .pronunciations import Pronunciations
from .restart import RestartPolicy
from .settings import Provider, Settings
from .state import ProviderState, Worker
from .world import World

NO_PROCESS = ("down", "fatal", "backoff")
"""States of a worker without a process."""


def configure(world: World, settings: Settings, now: float) -> None:
    """Make the fleet what the settings say: what changed is restarted, the rest is left alone."""
    for name, provider in list(world.providers.items()):
        if name not in settings.providers:
            _retire(world, provider, now)
    for name, wanted in settings.providers.items():
        provider = world.providers.get(name) or _new_provider(world, wanted, settings)
        changed = replace(wanted, workers=0) != replace(provider.settings, workers=0)
        provider.settings = wanted
        provider.rate = wanted.rate or provider.rate
        _resize(world, provider, settings, now)
        if changed:
            _restart_all(world, provider, settings, now)
    world.settings = settings
    world.pronunciations = Pronunciations(settings.pronunciations)


def _new_provider(world: World, wanted: Provider, settings: Settings) -> ProviderState:
    provider = ProviderState(wanted.name, wanted, Breaker(settings.breaking), rate=wanted.rate)
    world.providers[wanted.name] = provider
    return provider


def _resize(world: World, provider: ProviderState, settings: Settings, now: float) -> None:
    started = bool(provider.settings.module or provider.settings.command)
    count = provider.settings.workers if started else 0
    names = [f"{provider.name}/{index}" for index in range(count)]
    for name in [name for name in provider.workers if name not in names and not world.workers[name].external]:
        let_go(world, world.workers[name], now)
    for name in names:
        worker = world.workers.get(name)
        if worker is None:
            worker = Worker(name, provider.name, provider.settings, RestartPolicy(settings.restart))
            world.workers[name] = worker
            provider.workers.append(name)
        worker.wanted = "up" if worker.wanted == "down" else worker.wanted


def _restart_all(world: World, provider: ProviderState, settings: Settings, now: float) -> None:
    """What it did under its old configuration is no longer held against it."""
    provider.breaker = Breaker(settings.breaking)
    for name in provider.workers:
        worker = world.workers[name]
        worker.settings = provider.settings
        worker.restart.clear()
        if worker.state in ("fatal", "backoff"):
            move(WORKER, worker, "forgive")
            worker.retry_at = now
        elif worker.state != "down" and worker.wanted != "down" and not worker.external:
            worker.wanted = "restart"
            _quit(world, worker, now)


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
