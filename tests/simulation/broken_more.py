"""Rules of the core about jobs that are removed or kept and about a fleet that changes, each broken on purpose.

Owns: the breaking; `mutants` says for how long and which seed finds it. Must not know: how it is found.
"""

from __future__ import annotations

from typing import Any

from voicebus.bus import messages as m
from voicebus.daemon.core import (
    aging,
    clientele,
    deleting,
    effects,
    fleet,
    leases,
    log,
    packing,
    readers,
    recordings,
    supervise,
    transcripts,
    upkeep,
)
from voicebus.daemon.core import core as whole

from .broken import Swap, nothing

# What is done with jobs besides hearing them, and with a fleet that changes.


def deleted_before_it_is_gone() -> list[Swap]:
    erase = deleting.erase

    def sooner(w: Any, job: Any, now: float) -> None:
        erase(w, job, now)
        for peer in job.deleters:
            w.to_client(peer, m.Deleted(job=job.id))
        job.deleters.clear()

    return [(deleting, "erase", sooner)]


def audio_left_behind() -> list[Swap]:
    def forgetful(w: Any, job: Any) -> None:
        w.charge_disk(job, -job.disk)

    return [(log, "drop_journal", forgetful)]


def readers_left_behind() -> list[Swap]:
    return [(readers, "unsubscribe", nothing)]


def packed_file_left_behind() -> list[Swap]:
    settled = packing.settled

    def both(w: Any, job: Any, outcome: Any, now: float) -> None:
        settled(w, job, outcome, now)
        w.effects[:] = [effect for effect in w.effects if not isinstance(effect, effects.DropFile)]

    return [(packing, "settled", both)]


def pinned_without_a_commit() -> list[Swap]:
    def pin(w: Any, client: Any, job: Any, message: Any, body: bytes, now: float) -> None:
        w.to_client(client.peer, m.Pinned(job=job.id, pinned=message.pinned))

    return [(clientele._ANSWERS, m.Pin, clientele._own(pin))]


def audio_of_what_is_past_its_time_is_left() -> list[Swap]:
    expired = aging.expired

    def forgetful(w: Any, found: Any, now: float) -> None:
        before = len(w.effects)
        expired(w, found, now)
        w.effects[before:] = [each for each in w.effects[before:] if not isinstance(each, effects.DropLog)]

    return [(whole._FOR_ITSELF, "expired", forgetful)]


def reload_kills() -> list[Swap]:
    def kill(w: Any, worker: Any, now: float) -> None:
        worker.quit_at = now
        if worker.state != "stopping":
            leases.kill(w, worker, "its configuration has changed")

    return [(fleet, "_quit", kill)]


def reload_forgets_its_jobs() -> list[Swap]:
    configure = fleet.configure

    def forgetful(w: Any, settings: Any, now: float) -> None:
        configure(w, settings, now)
        for provider in w.providers.values():
            provider.queues.clear()

    return [(fleet, "configure", forgetful)]


def recycled_with_work_in_hand() -> list[Swap]:
    def renew(w: Any, provider: Any, now: float) -> None:
        for worker in upkeep._own(w, provider):
            if worker.replaces and worker.state == "ready":
                upkeep._take_over(w, worker, now)
            elif worker.state == "ready" and worker.wanted in ("recycle", "down"):
                leases.dismiss(w, worker, now)

    return [(upkeep, "settle", renew)]


def old_and_new_at_work() -> list[Swap]:
    def take_over(w: Any, fresh: Any, now: float) -> None:
        fresh.replaces = ""

    return [(upkeep, "_take_over", take_over)]


def nobody_wakes() -> list[Swap]:
    return [(upkeep, "wake", nothing)]


def unloaded_at_work() -> list[Swap]:
    sweep = upkeep.sweep

    def sleepy(w: Any, now: float) -> None:
        before = {worker.id: worker.idle_since for worker in w.workers.values()}
        for worker in w.workers.values():
            worker.idle_since -= 100.0 * bool(worker.leases)
        leased = {worker.id: dict(worker.leases) for worker in w.workers.values()}
        for worker in w.workers.values():
            worker.leases = {}
        sweep(w, now)
        for worker in w.workers.values():
            worker.leases = leased.get(worker.id, worker.leases)
            worker.idle_since = before.get(worker.id, now)

    return [(upkeep, "sweep", sleepy)]


def leave_is_said_once() -> list[Swap]:
    return [(supervise, "Quit", lambda session: m.Grant(session=session))]


def outsiders_never_part() -> list[Swap]:
    return [(supervise, "_part", nothing)]


def heard_from_the_beginning() -> list[Swap]:
    put = transcripts._put

    def forgetful(*args: Any) -> None:
        put(*args)
        args[2].segment.start = args[2].segment.end = 0

    return [(transcripts, "_put", forgetful)]


def recording_left_behind() -> list[Swap]:
    return [(recordings, "DropInput", lambda log: effects.DropInput(f"{log}x"))]


# Found in the core by this simulation, and put back in.


def deleted_and_past_its_time() -> list[Swap]:
    return [(aging, "_used", lambda job: bool(job.readers or job.openers))]
