"""The configuration of a simulated daemon, and the ways in which it changes.

Owns: which settings a plan leads to. Must not know: when they change. Invariant: whatever it is changed to, there is a
worker of each provider, and bounds on memory stay as the judge knows them.
"""

from __future__ import annotations

from dataclasses import replace

from voicebus.daemon.core.settings import Choice, History, Limits, Provider, Restart, Settings

from .plan import Plan

LIMITS = Limits(
    memory_bytes=300_000,
    memory_job_bytes=120_000,
    unsynced_bytes=20_000,
    segment_chars=200,
    look_ahead_s=6.0,
    finished_jobs=3,
    abandon_s=25.0,
    text_wait_s=12.0,
)

KEY = "of outsiders"
"""What workers show that somebody else has started."""

WORKER_BYTES = 10_000_000
"""What a worker says that it uses."""


def settings(plan: Plan) -> Settings:
    """Two providers, the second in case of need."""
    providers = {
        name: Provider(
            name,
            module="m",
            workers=count,
            rate=1000,
            load_s=8.0,
            first_chunk_s=3.0,
            chunk_s=2.0,
            stop_s=2.0,
            prompt_s=5.0,
            key=KEY if plan.outsiders else "",
            recycle_jobs=plan.recycle,
            idle_unload_s=plan.unload,
            keep_warm=plan.warm,
        )
        for name, count in (("a", plan.workers), ("b", 1))
    }
    return Settings(
        providers=providers,
        chain=(Choice("a"), Choice("b")),
        limits=replace(LIMITS, memory_budget_bytes=WORKER_BYTES * 5 // 2 if plan.tight else 0),
        history=History(pack_after_s=3.0, job_keep_s=plan.keep_s),
        restart=Restart(base_s=0.2, max_s=2.0, intensity=20),
    )


def changed(before: Settings, which: int, number: int) -> Settings:
    """Another configuration: how many workers, what they are given time for, whether they sleep, or only limits."""
    provider = before.providers["ab"[which // 4 % 2]]
    match which % 4:
        case 0:
            provider = replace(provider, workers=1 + number % 3)
        case 1:
            provider = replace(provider, chunk_s=2.0 + (number % 3) / 2)  # which restarts all of its workers
        case 2:
            provider = replace(provider, idle_unload_s=0.0 if provider.idle_unload_s else 2.0, recycle_jobs=number % 4)
        case _:
            limits = replace(before.limits, look_ahead_s=3.0 + number % 7, finished_jobs=1 + number % 4)
            return replace(before, limits=limits)
    return replace(before, providers={**before.providers, provider.name: provider})
