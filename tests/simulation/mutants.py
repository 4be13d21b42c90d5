"""Rules of the core, each broken on purpose, to show that the simulation finds out.

Owns: how each rule is broken: by another function or number in its place, for as long as a `with` lasts. Must not know:
how it is found. Invariant: outside the `with` the core is as it was. ``python -m voicebus.tests.simulation.mutants``
tells for each which seed finds it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from voicebus.bus import messages as m
from voicebus.bus.codec import encode
from voicebus.bus.messages import UNLIMITED
from voicebus.daemon.core import (
    aging,
    attempts,
    clientele,
    deadlines,
    deleting,
    effects,
    ending,
    fleet,
    jobs,
    leases,
    log,
    outcomes,
    packing,
    readers,
    restoring,
    schedule,
    state,
    supervise,
    upkeep,
    world,
)
from voicebus.daemon.core import core as whole

from .plan import draw
from .simulation import simulate

Swap = tuple[Any, Any, Any]
"""An object or a dict, the name or key in it, and what stands there meanwhile."""


@dataclass(frozen=True)
class Mutant:
    """A rule that is broken. seed: one that found it; where the plans or the core change, others do. kinds: of faults,
    where it takes some that seldom meet. more: with wishes and a world that changes, as in `plan.draw`."""

    name: str
    swaps: Callable[[], list[Swap]]
    seed: int = 0
    kinds: tuple[str, ...] = ()
    more: bool | None = None

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The core is like this for as long as the context lasts."""
        before: list[Swap] = []
        try:
            for owner, name, value in self.swaps():
                before.append((owner, name, _get(owner, name)))
                _put(owner, name, value)
            yield
        finally:
            for owner, name, value in reversed(before):
                _put(owner, name, value)

    def found_by(self, seed: int) -> str:
        """What a seed finds wrong, "" for nothing."""
        with self.alive():
            return self.on_the_core_as_it_is(seed)

    def on_the_core_as_it_is(self, seed: int) -> str:
        """What the same seed finds wrong without the mutant."""
        return simulate(draw(seed, kinds=self.kinds, more=self.more)).wrong


def _get(owner: Any, name: Any) -> Any:
    return owner[name] if isinstance(owner, dict) else owner.__dict__[name]


def _put(owner: Any, name: Any, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _no_reason(*args: Any, **kwargs: Any) -> str:
    return ""


# ------------------------------------------------------------------------------------------ rules, broken


def _no_rewind() -> list[Swap]:
    return [(readers, "rewind", _nothing)]


def _told_at_once() -> list[Swap]:
    def after(self: Any, pending: Any, peer: bytes, message: Any, *, at_last: bool = False) -> None:
        self.to_client(peer, message)

    return [(world.World, "after", after)]


def _audio_before_its_commit() -> list[Swap]:
    create = jobs._create

    def sooner(*args: Any) -> Any:
        job = create(*args)
        job.committed, job.committed_chars = True, 1 << 40
        return job

    return [(jobs, "_create", sooner)]


def _audio_of_pieces_before_their_commit() -> list[Swap]:
    append = jobs.append

    def sooner(w: Any, client: Any, job: Any, *args: Any) -> None:
        append(w, client, job, *args)
        job.committed_chars = job.text.length

    return [(clientele._ANSWERS, m.Append, clientele._own(sooner))]


def _end_before_its_commit() -> list[Swap]:
    end = ending.end

    def sooner(w: Any, job: Any, *args: Any, **more: Any) -> None:
        end(w, job, *args, **more)
        job.terminal = job.verdict
        readers.pump_all(w, job)

    return [(ending, "end", sooner)]


def _slot_kept_after_stopped() -> list[Swap]:
    return [(whole._FROM_WORKER, m.Stopped, _no_reason)]


def _late_and_judging() -> list[Swap]:
    return [(supervise, "shift", _nothing)]


def _killed_and_blamed() -> list[Swap]:
    return [(supervise, "KILLED_OUTSIDE", frozenset())]


def _short_takes_are_whole() -> list[Swap]:
    def flaw(provider: Any, attempt: Any, message: Any) -> None:
        return None

    return [(attempts, "_flaw", flaw)]


def _any_take_will_do() -> list[Swap]:
    def holds(segment: Any, at: int, message: Any) -> bool:
        take = segment.take if segment is not None else None
        return take is not None and at <= take.samples

    return [(readers, "_holds", holds)]


def _wrong_offset_behind_what_was_skipped() -> list[Swap]:
    advance = log.advance

    def wrong(w: Any, job: Any) -> None:
        before = job.placed
        advance(w, job)
        job.length += 5 * sum(segment.state == "skipped" for segment in job.segments[before : job.placed])

    return [(log, "advance", wrong)]


def _credit_of_clients_ignored() -> list[Swap]:
    subscribe = readers.subscribe

    def generous(w: Any, client: Any, job: Any, mode: str, credit: int) -> Any:
        return subscribe(w, client, job, mode, UNLIMITED)

    return [(readers, "subscribe", generous)]


def _window_of_workers_ignored() -> list[Swap]:
    return [(leases, "WINDOW_S", 80.0)]


def _two_leases_on_a_slot() -> list[Swap]:
    def free(self: Any) -> int:
        return self.slots + 1 - len(self.leases) if self.state == "ready" and self.wanted == "up" else 0

    return [(state.Worker, "free", property(free))]


def _segment_not_given_back() -> list[Swap]:
    return [(schedule, "give_back", _nothing)]


def _end_is_tried_once() -> list[Swap]:
    return [(outcomes._IN_VAIN, "end", _nothing)]


def _open_pipe_not_noticed() -> list[Swap]:
    return [(clientele, "drained", _nothing)]


def _memory_not_given_back() -> list[Swap]:
    def forget(w: Any, job: Any, take: Any) -> None:
        take.chunks, take.starts = [], []

    return [(log, "forget_chunks", forget)]


def _names_of_attempts_used_again() -> list[Swap]:
    def name(self: Any) -> str:
        self.names += 1
        return f"a.{self.names}"

    return [(world.World, "attempt_name", name)]


def _numbers_of_jobs_used_again() -> list[Swap]:
    restore = whole.Core.restore

    def again(self: Any, order: int, *args: Any) -> None:
        restore(self, max(order - 1, 1), *args)

    return [(whole.Core, "restore", again)]


def _parameters_that_are_none() -> list[Swap]:
    return [(jobs, "_parameters", encode)]


def _lost_take_forgotten() -> list[Swap]:
    return [(whole.Core, "take_lost", _nothing)]


def _marks_of_the_wrong_words() -> list[Swap]:
    send = readers.send_marks

    def wrong(w: Any, job: Any, peer: bytes, segment: Any, take: Any, body: Any) -> None:
        moved = state.Segment(segment.number, segment.start + 1, segment.end + 1, offset=segment.offset)
        send(w, job, peer, moved, take, body)

    return [(readers, "send_marks", wrong)]


def _dead_worker_keeps_its_attempts() -> list[Swap]:
    return [(deadlines, "lose", _nothing)]


def _hung_worker_is_left_alone() -> list[Swap]:
    return [(deadlines, "overdue", _nothing)]


def _reading_lost_with_a_full_pipe() -> list[Swap]:
    full = whole.Core.client_full

    def lost(self: Any, peer: bytes, now: float) -> None:
        full(self, peer, now)
        for job in self.world.jobs.values():
            reader = job.readers.get(peer)
            if reader is not None:
                reader.at += 3

    return [(whole.Core, "client_full", lost)]


# Found in the core by this simulation, and put back in.


def _text_that_was_never_durable() -> list[Swap]:
    return [(restoring, "_of_this_text", lambda job, meta: True)]


def _names_behind_a_gap_kept() -> list[Swap]:
    return [(restoring, "_rename", _nothing)]


def _told_between_two_tries() -> list[Swap]:
    behind = world.World.behind

    def sooner(self: Any, *args: Any) -> None:
        again, self.again = self.again, []
        behind(self, *args)
        self.again = again

    return [(world.World, "behind", sooner)]


def _torn_text_acknowledged() -> list[Swap]:
    in_vain = outcomes._IN_VAIN["text"]

    def whole_again(w: Any, pending: Any, job: Any, *args: Any) -> None:
        in_vain(w, pending, job, *args)
        if job is not None:
            job.torn = False

    return [(outcomes._IN_VAIN, "text", whole_again)]


def _loading_for_all_its_life() -> list[Swap]:
    register = supervise.register

    def late(w: Any, peer: bytes, message: Any, now: float) -> None:
        before = {worker.id: worker.spawned_at for worker in w.workers.values()}
        register(w, peer, message, now)
        for worker in w.workers.values():
            worker.spawned_at = before.get(worker.id, worker.spawned_at)

    return [(supervise, "register", late)]


# What is done with jobs besides hearing them, and with a fleet that changes.


def _deleted_before_it_is_gone() -> list[Swap]:
    erase = deleting.erase

    def sooner(w: Any, job: Any, now: float) -> None:
        erase(w, job, now)
        for peer in job.deleters:
            w.to_client(peer, m.Deleted(job=job.id))
        job.deleters.clear()

    return [(deleting, "erase", sooner)]


def _audio_left_behind() -> list[Swap]:
    def forgetful(w: Any, job: Any) -> None:
        w.charge_disk(job, -job.disk)

    return [(log, "drop_journal", forgetful)]


def _readers_left_behind() -> list[Swap]:
    return [(readers, "unsubscribe", _nothing)]


def _packed_file_left_behind() -> list[Swap]:
    settled = packing.settled

    def both(w: Any, job: Any, outcome: Any, now: float) -> None:
        settled(w, job, outcome, now)
        w.effects[:] = [effect for effect in w.effects if not isinstance(effect, effects.DropFile)]

    return [(packing, "settled", both)]


def _pinned_without_a_commit() -> list[Swap]:
    def pin(w: Any, client: Any, job: Any, message: Any, body: bytes, now: float) -> None:
        w.to_client(client.peer, m.Pinned(job=job.id, pinned=message.pinned))

    return [(clientele._ANSWERS, m.Pin, clientele._own(pin))]


def _audio_of_what_is_past_its_time_is_left() -> list[Swap]:
    expired = aging.expired

    def forgetful(w: Any, found: Any, now: float) -> None:
        before = len(w.effects)
        expired(w, found, now)
        w.effects[before:] = [each for each in w.effects[before:] if not isinstance(each, effects.DropLog)]

    return [(whole._FOR_ITSELF, "expired", forgetful)]


def _reload_kills() -> list[Swap]:
    def kill(w: Any, worker: Any, now: float) -> None:
        worker.quit_at = now
        if worker.state != "stopping":
            leases.kill(w, worker, "its configuration has changed")

    return [(fleet, "_quit", kill)]


def _reload_forgets_its_jobs() -> list[Swap]:
    configure = fleet.configure

    def forgetful(w: Any, settings: Any, now: float) -> None:
        configure(w, settings, now)
        for provider in w.providers.values():
            provider.queues.clear()

    return [(fleet, "configure", forgetful)]


def _recycled_with_work_in_hand() -> list[Swap]:
    def renew(w: Any, provider: Any, now: float) -> None:
        for worker in upkeep._own(w, provider):
            if worker.replaces and worker.state == "ready":
                upkeep._take_over(w, worker, now)
            elif worker.state == "ready" and worker.wanted in ("recycle", "down"):
                leases.dismiss(w, worker, now)

    return [(upkeep, "settle", renew)]


def _old_and_new_at_work() -> list[Swap]:
    def take_over(w: Any, fresh: Any, now: float) -> None:
        fresh.replaces = ""

    return [(upkeep, "_take_over", take_over)]


def _nobody_wakes() -> list[Swap]:
    return [(upkeep, "wake", _nothing)]


def _unloaded_at_work() -> list[Swap]:
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


def _leave_is_said_once() -> list[Swap]:
    return [(supervise, "Quit", lambda session: m.Grant(session=session))]


def _outsiders_never_part() -> list[Swap]:
    return [(supervise, "_part", _nothing)]


MUTANTS = (
    Mutant("no REWIND where a take is lost", _no_rewind, 3),
    Mutant("answers do not wait for commits", _told_at_once),
    Mutant("audio does not wait for the job's commit", _audio_before_its_commit, 1),
    Mutant("audio does not wait for a piece's commit", _audio_of_pieces_before_their_commit, 6),
    Mutant("the end does not wait for its commit", _end_before_its_commit),
    Mutant("a slot is kept after STOPPED", _slot_kept_after_stopped, 2),
    Mutant("deadlines run on while the daemon stands still", _late_and_judging, 2, ("daemon stalls",)),
    Mutant("a worker killed from outside is blamed", _killed_and_blamed, 117),
    Mutant("short and silent takes are whole", _short_takes_are_whole, 10),
    Mutant("ATTACH does not look at the take", _any_take_will_do, 46),
    Mutant("wrong offset behind a segment that was left out", _wrong_offset_behind_what_was_skipped, 6),
    Mutant("the credit of clients is ignored", _credit_of_clients_ignored),
    Mutant("the window of workers is ignored", _window_of_workers_ignored),
    Mutant("two leases on a slot", _two_leases_on_a_slot),
    Mutant("a lost segment is not given back", _segment_not_given_back, 3),
    Mutant("the end of a job is written once, or never", _end_is_tried_once, 35),
    Mutant("an open pipe is not noticed", _open_pipe_not_noticed),
    Mutant("memory is not given back", _memory_not_given_back),
    Mutant("names of attempts are used again", _names_of_attempts_used_again, 1),
    Mutant("numbers of jobs are used again", _numbers_of_jobs_used_again, 3),
    Mutant("a repeated SUBMIT with other credit is a conflict", _parameters_that_are_none, 15),
    Mutant("a take that could not be written is forgotten", _lost_take_forgotten, 35),
    Mutant("marks name the wrong words", _marks_of_the_wrong_words),
    Mutant("a dead worker keeps its attempts", _dead_worker_keeps_its_attempts, 5),
    Mutant("a hung worker is left alone", _hung_worker_is_left_alone, 31),
    Mutant("a full pipe loses its place", _reading_lost_with_a_full_pipe),
    Mutant(
        "takes of text that was never durable", _text_that_was_never_durable, 40, ("commits are slow", "daemon dies")
    ),
    Mutant(
        "names behind a gap are kept",
        _names_behind_a_gap_kept,
        118,
        ("power cut", "client vanishes", "worker is killed"),
    ),
    Mutant("told between two tries to write", _told_between_two_tries, 197),
    Mutant("torn text is acknowledged", _torn_text_acknowledged, 0, ("commits fail",)),
    Mutant("a worker loads for all its life", _loading_for_all_its_life, 0, ("worker loses its connection",)),
    Mutant("a deletion is told before it is done", _deleted_before_it_is_gone, 1, more=True),
    Mutant("the audio of a deleted job is left", _audio_left_behind, 1, more=True),
    Mutant("readers of a deleted job are left", _readers_left_behind, more=True),
    Mutant("a journal is left beside its packed file", _packed_file_left_behind, more=True),
    Mutant("a pin is told and not written down", _pinned_without_a_commit, 1, more=True),
    Mutant("the audio of what is past its time is left", _audio_of_what_is_past_its_time_is_left, 2, more=True),
    Mutant("a reload kills who works", _reload_kills, more=True),
    Mutant("a reload forgets who waits", _reload_forgets_its_jobs, more=True),
    Mutant("a worker is recycled with work in hand", _recycled_with_work_in_hand, more=True),
    Mutant("who is replaced stays", _old_and_new_at_work, 4, more=True),
    Mutant("nobody wakes who sleeps", _nobody_wakes, 31, more=True),
    Mutant("a worker is unloaded with work in hand", _unloaded_at_work, 1, more=True),
    Mutant("a worker is told to leave once", _leave_is_said_once, 1, more=True),
    Mutant("an outsider that is gone keeps its place", _outsiders_never_part, 4, more=True),
)


def search(mutant: Mutant, most: int) -> tuple[int, str]:
    """The first seed that finds a mutant, its own first, and what it finds; -1 where none of `most` does."""
    for seed in dict.fromkeys((mutant.seed, *range(most))):
        wrong = mutant.found_by(seed)
        if wrong:
            return seed, wrong
    return -1, ""


def main() -> int:
    """The program."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    missed = 0
    for mutant in MUTANTS:
        seed, wrong = search(mutant, most)
        missed += seed < 0
        print(f"{seed:5}  {mutant.name}: {wrong[:140]}", flush=True)
    print(f"{len(MUTANTS)} rules broken, {len(MUTANTS) - missed} found out")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
