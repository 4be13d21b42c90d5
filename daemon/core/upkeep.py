"""Workers that are let sleep, and workers that are replaced before they must be.

Owns: which worker sleeps, which is woken, which one's place is taken by a fresh one, and in which order. Must not know:
how a worker is started and dismissed (`supervise`, `leases`). Invariant: nothing here costs anybody a take: a worker is
told to leave only when it has none in hand; none of it counts as a failure; at most one worker of a provider is being
replaced at a time; while a provider's breaker is not closed, nobody there is sent to sleep, since somebody has to prove
that it works again.
"""

from __future__ import annotations

from ...bus.wording import counted
from . import fleet, leases, schedule, supervise
from .state import ProviderState, Worker
from .world import World

SPARED_S = 300.0
"""How long a worker beyond its limits is left as it is after its replacement did not get ready."""


def sweep(world: World, now: float) -> None:
    """See who has had nothing to do for long, and who has grown too old; once a second."""
    if world.draining:
        return
    for provider in world.providers.values():
        own = _own(world, provider)
        for worker in own:
            if worker.leases:
                worker.idle_since = now
        _rest(world, provider, own, now)
        _renew(world, provider, own, now)


def watching(world: World) -> bool:
    """Whether there is anything that `sweep` may find while nothing else happens."""
    for worker in world.workers.values():
        told = worker.settings
        limited = told.idle_unload_s or told.recycle_jobs or told.recycle_rss_bytes or told.recycle_vram_bytes
        if limited and worker.state == "ready" and not worker.external:
            return True
    return False


def _own(world: World, provider: ProviderState) -> list[Worker]:
    return [worker for name in provider.workers if not (worker := world.workers[name]).external]


# ------------------------------------------------------------------------------------------------- sleeping, waking


def _rest(world: World, provider: ProviderState, own: list[Worker], now: float) -> None:
    """Send to sleep who has been idle for long, the longest first, but for those that are kept warm."""
    after = provider.settings.idle_unload_s
    if not after or provider.breaker.state != "closed" or schedule.anybody_waits(provider):
        return
    replaced = {worker.replaces for worker in own}
    up = [worker for worker in own if worker.state == "ready" and worker.wanted == "up" and not worker.replaces]
    idle = [worker for worker in up if now - worker.idle_since >= after and worker.id not in replaced]
    idle.sort(key=lambda worker: worker.idle_since)
    for worker in idle[: max(len(up) - provider.settings.keep_warm, 0)]:
        world.report("info", f"{worker.id} had nothing to do for {after:g} s and is unloaded")
        worker.wanted = "sleep"
        world.tended.add(provider.name)
        leases.dismiss(world, worker, now)


def wake(world: World, provider: ProviderState, now: float) -> None:
    """Start sleepers for the jobs that nobody else will take: those that have a worker coming are not counted."""
    if provider.name not in world.tended or world.draining:
        return
    own = _own(world, provider)
    waiting = schedule.waiting_jobs(provider)
    if not waiting or any(worker.free > 0 for worker in own):
        return
    coming = sum(worker.slots for worker in own if _comes(worker))
    for worker in sorted((worker for worker in own if worker.wanted == "sleep"), key=lambda w: w.state != "asleep"):
        if coming >= waiting:
            return
        coming += worker.slots
        worker.wanted = "up"
        # One that is still on its way out is started when it is gone.
        if worker.state == "asleep":
            supervise.spawn(world, worker, now)


def _comes(worker: Worker) -> bool:
    return worker.wanted == "up" and worker.state in ("spawned", "connected", "draining")


# -------------------------------------------------------------------------------------------------------- replacing


def _renew(world: World, provider: ProviderState, own: list[Worker], now: float) -> None:
    """Begin to replace a worker that is beyond its limits, if nobody else there is being replaced."""
    if any(worker.replaces or worker.wanted in ("recycle", "down") for worker in own):
        return
    for worker in own:
        reason = _beyond(worker)
        if not reason or worker.state != "ready" or worker.wanted != "up" or now < worker.spared_until:
            continue
        world.tended.add(provider.name)
        world.unsettled.add(provider.name)
        if _room_for_both(world, worker):
            fresh = fleet.add(world, provider, world.settings)
            fresh.replaces = worker.id
            world.report("info", f"{worker.id} {reason}; {fresh.id} is made ready to take its place")
        else:
            worker.wanted = "recycle"
            world.report("info", f"{worker.id} {reason}; it finishes what it has and is started anew")
        return


def _beyond(worker: Worker) -> str:
    """Which of its limits a worker has passed, in words; "" for none.

    Memory counts from what it was when the worker was ready: how much that is depends on the model and the machine, and
    with an absolute limit below it a worker would be replaced for ever. One that has made no take is left alone: what
    it has grown by is not the work's doing, and the next one would do the same.
    """
    told, takes = worker.settings, worker.jobs_done - worker.jobs_before
    if takes < 1:
        return ""
    if told.recycle_jobs and takes >= told.recycle_jobs:
        return f"has made {counted(takes, 'take')}"
    for name, most, now, then in (
        ("memory", told.recycle_rss_bytes, worker.rss, worker.rss_ready),
        ("memory on its device", told.recycle_vram_bytes, worker.vram, worker.vram_ready),
    ):
        if most and then and now - then >= most:
            return f"uses {(now - then) / 1e6:.0f} MB more {name} than when it was ready"
    return ""


def _room_for_both(world: World, worker: Worker) -> bool:
    """Whether the budgets hold a second one like it, of the size that it had when it was ready."""
    limits = world.settings.limits
    size = worker.rss_ready or worker.rss
    used = sum(other.rss for other in world.workers.values())
    if limits.memory_budget_bytes and used + size > limits.memory_budget_bytes:
        return False
    size = worker.vram_ready or worker.vram
    if not size:
        return True
    # Memory of a device does not swap: unless it is known to be enough, it is taken for too little.
    used = sum(other.vram for other in world.workers.values() if other.device == worker.device)
    return used + size <= limits.vram_budget_bytes.get(worker.device, 0)


def settle(world: World, provider: ProviderState, now: float) -> None:
    """Go on with what has begun: a fresh worker that is ready takes over, an old one that is done leaves."""
    if provider.name not in world.tended:
        return
    for worker in _own(world, provider):
        if worker.replaces and worker.state == "ready":
            _take_over(world, worker, now)
        elif worker.replaces and worker.state == "fatal":
            _give_up(world, provider, worker, now)
    for worker in _own(world, provider):
        if worker.state == "ready" and worker.wanted in ("recycle", "down") and not worker.leases:
            leases.dismiss(world, worker, now)
    if not any(worker.replaces or worker.wanted != "up" for worker in _own(world, provider)):
        world.tended.discard(provider.name)


def _take_over(world: World, fresh: Worker, now: float) -> None:
    old = world.workers.get(fresh.replaces)
    fresh.replaces = ""
    if old is not None:
        fresh.recycled, fresh.restarts = old.recycled + 1, old.restarts
        fleet.retire(world, old, now)


def _give_up(world: World, provider: ProviderState, fresh: Worker, now: float) -> None:
    """The old one goes on as it is; better a worker that has grown than none."""
    old = world.workers.get(fresh.replaces)
    fleet.forget(world, fresh)
    if old is not None:
        old.spared_until = now + SPARED_S
        provider.reason = ""
        world.report("warning", f"{old.id} stays as it is: {fresh.reason}")
