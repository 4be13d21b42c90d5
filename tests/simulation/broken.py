"""Rules of the core about jobs and their audio, each broken on purpose: what stands in the place of what.

Owns: the breaking; `mutants` says for how long and which seed finds it. Must not know: how it is found.
"""

from __future__ import annotations

from typing import Any

from voicebus.bus import messages as m
from voicebus.bus.codec import encode
from voicebus.bus.messages import UNLIMITED
from voicebus.daemon.core import (
    clientele,
    deadlines,
    ending,
    flaws,
    jobs,
    leases,
    log,
    log_events,
    outcomes,
    readers,
    restoring,
    schedule,
    state,
    supervise,
    world,
)
from voicebus.daemon.core import core as whole

Swap = tuple[Any, Any, Any]
"""An object or a dict, the name or key in it, and what stands there meanwhile."""


def nothing(*args: Any, **kwargs: Any) -> None:
    return None


def no_reason(*args: Any, **kwargs: Any) -> str:
    return ""


# ------------------------------------------------------------------------------------------ rules, broken


def no_rewind() -> list[Swap]:
    return [(readers, "rewind", nothing)]


def told_at_once() -> list[Swap]:
    def after(self: Any, pending: Any, peer: bytes, message: Any, *, at_last: bool = False) -> None:
        self.to_client(peer, message)

    return [(world.World, "after", after)]


def audio_before_its_commit() -> list[Swap]:
    create = jobs._create

    def sooner(*args: Any) -> Any:
        job = create(*args)
        job.committed, job.committed_chars = True, 1 << 40
        return job

    return [(jobs, "_create", sooner)]


def audio_of_pieces_before_their_commit() -> list[Swap]:
    append = jobs.append

    def sooner(w: Any, client: Any, job: Any, *args: Any) -> None:
        append(w, client, job, *args)
        job.committed_chars = job.text.length

    return [(clientele._ANSWERS, m.Append, clientele._own(sooner))]


def end_before_its_commit() -> list[Swap]:
    end = ending.end

    def sooner(w: Any, job: Any, *args: Any, **more: Any) -> None:
        end(w, job, *args, **more)
        job.terminal = job.verdict
        readers.pump_all(w, job)

    return [(ending, "end", sooner)]


def slot_kept_after_stopped() -> list[Swap]:
    return [(whole._FROM_WORKER, m.Stopped, no_reason)]


def late_and_judging() -> list[Swap]:
    return [(supervise, "shift", nothing)]


def killed_and_blamed() -> list[Swap]:
    return [(supervise, "KILLED_OUTSIDE", frozenset())]


def short_takes_are_whole() -> list[Swap]:
    def flaw(provider: Any, attempt: Any, message: Any) -> None:
        return None

    return [(flaws, "flaw", flaw)]


def any_take_will_do() -> list[Swap]:
    def holds(segment: Any, at: int, message: Any) -> bool:
        take = segment.take if segment is not None else None
        return take is not None and at <= take.samples

    return [(readers, "_holds", holds)]


def wrong_offset_behind_what_was_skipped() -> list[Swap]:
    advance = log.advance

    def wrong(w: Any, job: Any) -> None:
        before = job.placed
        advance(w, job)
        job.length += 5 * sum(segment.state == "skipped" for segment in job.segments[before : job.placed])

    return [(log, "advance", wrong)]


def credit_of_clients_ignored() -> list[Swap]:
    subscribe = readers.subscribe

    def generous(w: Any, client: Any, job: Any, mode: str, credit: int) -> Any:
        return subscribe(w, client, job, mode, UNLIMITED)

    return [(readers, "subscribe", generous)]


def window_of_workers_ignored() -> list[Swap]:
    return [(leases, "WINDOW_S", 80.0)]


def two_leases_on_a_slot() -> list[Swap]:
    def free(self: Any) -> int:
        return self.slots + 1 - len(self.leases) if self.state == "ready" and self.wanted == "up" else 0

    return [(state.Worker, "free", property(free))]


def segment_not_given_back() -> list[Swap]:
    return [(schedule, "give_back", nothing)]


def end_is_tried_once() -> list[Swap]:
    return [(outcomes._IN_VAIN, "end", nothing)]


def open_pipe_not_noticed() -> list[Swap]:
    return [(clientele, "drained", nothing)]


def memory_not_given_back() -> list[Swap]:
    def forget(w: Any, job: Any, take: Any) -> None:
        take.chunks, take.starts = [], []

    return [(log, "forget_chunks", forget)]


def names_of_attempts_used_again() -> list[Swap]:
    def name(self: Any) -> str:
        self.names += 1
        return f"a.{self.names}"

    return [(world.World, "attempt_name", name)]


def numbers_of_jobs_used_again() -> list[Swap]:
    restore = whole.Core.restore

    def again(self: Any, order: int, *args: Any) -> None:
        restore(self, max(order - 1, 1), *args)

    return [(whole.Core, "restore", again)]


def parameters_that_are_none() -> list[Swap]:
    return [(jobs, "_parameters", encode)]


def lost_take_forgotten() -> list[Swap]:
    return [(log_events.LogEvents, "take_lost", nothing)]


def marks_of_the_wrong_words() -> list[Swap]:
    send = readers.send_marks

    def wrong(w: Any, job: Any, peer: bytes, segment: Any, take: Any, body: Any) -> None:
        moved = state.Segment(segment.number, segment.start + 1, segment.end + 1, offset=segment.offset)
        send(w, job, peer, moved, take, body)

    return [(readers, "send_marks", wrong)]


def dead_worker_keeps_its_attempts() -> list[Swap]:
    return [(deadlines, "lose", nothing)]


def hung_worker_is_left_alone() -> list[Swap]:
    return [(deadlines, "overdue", nothing)]


def reading_lost_with_a_full_pipe() -> list[Swap]:
    full = whole.Core.client_full

    def lost(self: Any, peer: bytes, now: float) -> None:
        full(self, peer, now)
        for job in self.world.jobs.values():
            reader = job.readers.get(peer)
            if reader is not None:
                reader.at += 3

    return [(whole.Core, "client_full", lost)]


# Found in the core by this simulation, and put back in.


def text_that_was_never_durable() -> list[Swap]:
    return [(restoring, "_of_this_text", lambda job, meta: True)]


def names_behind_a_gap_kept() -> list[Swap]:
    return [(restoring, "_rename", nothing)]


def told_between_two_tries() -> list[Swap]:
    behind = world.World.behind

    def sooner(self: Any, *args: Any) -> None:
        again, self.again = self.again, []
        behind(self, *args)
        self.again = again

    return [(world.World, "behind", sooner)]


def torn_text_acknowledged() -> list[Swap]:
    in_vain = outcomes._IN_VAIN["text"]

    def whole_again(w: Any, pending: Any, job: Any, *args: Any) -> None:
        in_vain(w, pending, job, *args)
        if job is not None:
            job.torn = False

    return [(outcomes._IN_VAIN, "text", whole_again)]


def loading_for_all_its_life() -> list[Swap]:
    register = supervise.register

    def late(w: Any, peer: bytes, message: Any, now: float) -> None:
        before = {worker.id: worker.spawned_at for worker in w.workers.values()}
        register(w, peer, message, now)
        for worker in w.workers.values():
            worker.spawned_at = before.get(worker.id, worker.spawned_at)

    return [(supervise, "register", late)]
