"""What the daemon is told to do, as plain data: the meaning of ``voicebus.toml``, after validation.

Owns: the settings' names, units and defaults. Must not know: TOML, files, the environment (that is
``daemon/config.py``). Invariant: a `Settings` object is complete and consistent; whoever holds one need not check it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ...bus.messages import Choice, Keep

LOWEST_RATE, HIGHEST_RATE = 1000, 192_000
"""Samples a second that make sense."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider and how its workers are run.

    module: the Python module to run, for a provider written in Python; script: or a file with an engine in it; command:
    or the whole command line. digest: of the script's text, so that another text is another provider. python: the
    interpreter that runs `module` or `script` ("" is the daemon's own). env: added to the small environment of a
    worker. settings: handed to the engine over the bus, secrets included, never on a command line. key: for workers
    that the daemon does not start ("" lets none in). workers: how many. rate: native samples a second, where the
    provider's manifest says so before a worker is up (0: unknown). load_s: longest time from start to READY.
    first_chunk_s, chunk_s: longest time without audio before an attempt counts as hung. fence_s: silence after which a
    *big* worker's attempt goes to a spare already. stop_s: grace between STOP and kill. prompt_s: longest time for
    making a voice prompt. beat_s: between beats. idle_unload_s: a worker without work for so long is let sleep (0:
    never), except that keep_warm of them stay up. recycle_jobs, recycle_rss_bytes, recycle_vram_bytes: a worker that
    has made so many takes, or whose memory has grown by so much since it was ready, is replaced by a fresh one (0:
    never).
    """

    name: str
    module: str = ""
    script: str = ""
    digest: str = ""
    command: tuple[str, ...] = ()
    python: str = ""
    env: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    workers: int = 1
    rate: int = 0
    load_s: float = 60.0
    first_chunk_s: float = 10.0
    chunk_s: float = 5.0
    fence_s: float = 0.1
    stop_s: float = 2.0
    prompt_s: float = 60.0
    beat_s: float = 1.0
    idle_unload_s: float = 0.0
    keep_warm: int = 0
    recycle_jobs: int = 0
    recycle_rss_bytes: int = 0
    recycle_vram_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what the daemon takes on. Sizes in bytes, times in seconds. Those for one user may be 0, which is as
    much as there is for all. memory_budget_bytes: what all workers together may use (0: not known, so taken for
    enough); vram_budget_bytes: the same for each device by its name. voices: of one user; voice_bytes: what all
    recordings and voice prompts take on the disk; sample_bytes: one recording."""

    clients: int = 1000
    jobs: int = 2000
    jobs_per_client: int = 500
    text_bytes: int = 16 * 1024 * 1024
    texts_bytes: int = 64 * 1024 * 1024
    input_bytes: int = 1024 * 1024 * 1024
    segment_chars: int = 600
    first_segment_chars: int = 80
    look_ahead_s: float = 60.0
    memory_bytes: int = 64 * 1024 * 1024
    memory_job_bytes: int = 16 * 1024 * 1024
    memory_budget_bytes: int = 0
    vram_budget_bytes: dict[str, int] = field(default_factory=dict)
    unsynced_bytes: int = 64 * 1024 * 1024
    disk_bytes: int = 4 * 1024 * 1024 * 1024
    finished_jobs: int = 500
    abandon_s: float = 120.0
    text_wait_s: float = 30.0
    client_quiet_s: float = 30.0
    class_share_s: float = 10.0
    clients_per_user: int = 0
    jobs_per_user: int = 0
    texts_bytes_per_user: int = 0
    disk_bytes_per_user: int = 0
    voices: int = 500
    voice_bytes: int = 1024 * 1024 * 1024
    voice_bytes_per_user: int = 0
    sample_bytes: int = 32 * 1024 * 1024

    def shared(self) -> Limits:
        """The same where several users share the daemon: one that says nothing else gets a quarter of the whole."""
        return replace(
            self,
            clients_per_user=self.clients_per_user or max(self.clients // 4, 1),
            jobs_per_user=self.jobs_per_user or max(self.jobs // 4, 1),
            texts_bytes_per_user=self.texts_bytes_per_user or max(self.texts_bytes // 4, 1),
            disk_bytes_per_user=self.disk_bytes_per_user or max(self.disk_bytes // 4, 1),
            voice_bytes_per_user=self.voice_bytes_per_user or max(self.voice_bytes // 4, 1),
        )


@dataclass(frozen=True, slots=True)
class Restart:
    """When a worker is started again. Deaths before READY: at most `intensity` in `window_s`, then fatal. The pause
    is a random part (full jitter) of `base_s` doubled for each death, at most `max_s`; a worker that was ready for
    `stable_s` starts from the beginning."""

    base_s: float = 0.5
    max_s: float = 60.0
    intensity: int = 5
    window_s: float = 60.0
    stable_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Breaking:
    """When a provider is kept out of chains: after `failures` in `window_s`, for `open_s`, doubled each time up to
    `max_open_s`."""

    failures: int = 3
    window_s: float = 60.0
    open_s: float = 5.0
    max_open_s: float = 300.0


@dataclass(frozen=True, slots=True)
class History:
    """What stays of jobs that are over. keep: of those whose caller did not say. job_keep_s: how long those stay of
    which only the job is kept. keep_days, keep_bytes: how long, and how many bytes of, the history; 0: without end, as
    far as `limits.disk_bytes` goes. pack_after_s: audio is packed so long after its job's end (0: never)."""

    keep: Keep = "history"
    job_keep_s: float = 3600.0
    keep_days: float = 0.0
    keep_bytes: int = 0
    pack_after_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the configuration that is not in force, with the place and the reason. alone: it is a file of its own
    (an engine in its folder), on which nothing else depends."""

    where: str
    line: int
    reason: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. chain: the default chain; transcribe: that of jobs that transcribe. chains: named ones, usable as a
    voice. language: the default language. pronunciations: word to spelling, replaced before segmentation.
    idle_exit_s: leave after so long without a client or a job (0: never). problems: parts left out."""

    providers: dict[str, Provider] = field(default_factory=dict)
    chain: tuple[Choice, ...] = ()
    transcribe: tuple[Choice, ...] = ()
    chains: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    language: str = "en"
    pronunciations: dict[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    restart: Restart = Restart()
    breaking: Breaking = Breaking()
    history: History = History()
    idle_exit_s: float = 0.0
    problems: tuple[Problem, ...] = ()
