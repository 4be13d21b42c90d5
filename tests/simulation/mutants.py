"""Rules of the core, each broken on purpose, to show that the simulation finds out.

Owns: for how long a rule is broken (`broken`, `broken_more` say by what), and which seed finds it. Must not know:
how it is found. Invariant: outside the `with` the core is as it was. ``python -m voicebus.tests.simulation.mutants``
tells for each which seed finds it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from . import broken, broken_more, broken_voices
from .broken import Swap
from .drawing import draw
from .plan import Act
from .simulation import simulate


@dataclass(frozen=True)
class Mutant:
    """A rule that is broken. seed: one that found it; where the plans or the core change, others do. kinds: of faults,
    where it takes some that seldom meet. more: with wishes and a world that changes; voices: with users' own, as in
    `drawing.draw`. acts: done in place of what is drawn, for what seldom meets, and all jobs spoken with `speak`."""

    name: str
    swaps: Callable[[], list[Swap]]
    seed: int = 0
    kinds: tuple[str, ...] = ()
    more: bool | None = None
    voices: bool | None = None
    acts: tuple[Act, ...] = ()
    speak: str = ""

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
        plan = draw(seed, kinds=self.kinds, more=self.more, voices=self.voices)
        if self.acts:
            orders = tuple(order if order.hears else replace(order, voice=self.speak) for order in plan.orders)
            plan = replace(plan, acts=self.acts, orders=orders)
        return simulate(plan).wrong


def _get(owner: Any, name: Any) -> Any:
    return owner[name] if isinstance(owner, dict) else owner.__dict__[name]


def _put(owner: Any, name: Any, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def _act(kind: Any, name: str, at: float, sample: int = 0) -> Act:
    return Act(kind, name, "v2", (sample,), 0, at)


MUTANTS = (
    Mutant("no REWIND where a take is lost", broken.no_rewind, 5),
    Mutant("answers do not wait for commits", broken.told_at_once),
    Mutant("audio does not wait for the job's commit", broken.audio_before_its_commit, 2),
    Mutant("audio does not wait for a piece's commit", broken.audio_of_pieces_before_their_commit, 6),
    Mutant("the end does not wait for its commit", broken.end_before_its_commit),
    Mutant("a slot is kept after STOPPED", broken.slot_kept_after_stopped, 2),
    Mutant("deadlines run on while the daemon stands still", broken.late_and_judging, 2, ("daemon stalls",)),
    Mutant("a worker killed from outside is blamed", broken.killed_and_blamed, 300),
    Mutant("short and silent takes are whole", broken.short_takes_are_whole, 10),
    Mutant("ATTACH does not look at the take", broken.any_take_will_do, 78),
    Mutant("wrong offset behind a segment that was left out", broken.wrong_offset_behind_what_was_skipped, 6),
    Mutant("the credit of clients is ignored", broken.credit_of_clients_ignored),
    Mutant("the window of workers is ignored", broken.window_of_workers_ignored),
    Mutant("two leases on a slot", broken.two_leases_on_a_slot),
    Mutant("a lost segment is not given back", broken.segment_not_given_back, 3),
    Mutant("the end of a job is written once, or never", broken.end_is_tried_once, 0, ("commits fail",)),
    Mutant("an open pipe is not noticed", broken.open_pipe_not_noticed),
    Mutant("memory is not given back", broken.memory_not_given_back),
    Mutant("names of attempts are used again", broken.names_of_attempts_used_again, 1),
    Mutant("numbers of jobs are used again", broken.numbers_of_jobs_used_again, 3),
    Mutant("a repeated SUBMIT with other credit is a conflict", broken.parameters_that_are_none, 33),
    Mutant("a take that could not be written is forgotten", broken.lost_take_forgotten, 35),
    Mutant("marks name the wrong words", broken.marks_of_the_wrong_words),
    Mutant("a dead worker keeps its attempts", broken.dead_worker_keeps_its_attempts, 5),
    Mutant("a hung worker is left alone", broken.hung_worker_is_left_alone, 31),
    Mutant("a full pipe loses its place", broken.reading_lost_with_a_full_pipe),
    Mutant(
        "takes of text that was never durable",
        broken.text_that_was_never_durable,
        13,
        ("commits are slow", "daemon dies"),
    ),
    Mutant(
        "names behind a gap are kept",
        broken.names_behind_a_gap_kept,
        192,
        ("power cut", "client vanishes", "worker is killed"),
    ),
    Mutant("told between two tries to write", broken.told_between_two_tries, 197),
    Mutant("torn text is acknowledged", broken.torn_text_acknowledged, 0, ("commits fail",)),
    Mutant("a worker loads for all its life", broken.loading_for_all_its_life, 0, ("worker loses its connection",)),
    Mutant("a deletion is told before it is done", broken_more.deleted_before_it_is_gone, 1, more=True),
    Mutant("the audio of a deleted job is left", broken_more.audio_left_behind, 1, more=True),
    Mutant("readers of a deleted job are left", broken_more.readers_left_behind, more=True),
    Mutant("a journal is left beside its packed file", broken_more.packed_file_left_behind, more=True),
    Mutant("a pin is told and not written down", broken_more.pinned_without_a_commit, 1, more=True),
    Mutant(
        "the audio of what is past its time is left", broken_more.audio_of_what_is_past_its_time_is_left, 2, more=True
    ),
    Mutant("a reload kills who works", broken_more.reload_kills, more=True),
    Mutant("a reload forgets who waits", broken_more.reload_forgets_its_jobs, more=True),
    Mutant("a worker is recycled with work in hand", broken_more.recycled_with_work_in_hand, more=True),
    Mutant("who is replaced stays", broken_more.old_and_new_at_work, 21, more=True),
    Mutant("nobody wakes who sleeps", broken_more.nobody_wakes, 31, more=True),
    Mutant("a worker is unloaded with work in hand", broken_more.unloaded_at_work, 1, more=True),
    Mutant("a worker is told to leave once", broken_more.leave_is_said_once, 1, more=True),
    Mutant("an outsider that is gone keeps its place", broken_more.outsiders_never_part, 4, more=True),
    Mutant(
        "a recording is heard from its beginning again", broken_more.heard_from_the_beginning, 23, ("worker is killed",)
    ),
    Mutant("recordings are left behind", broken_more.recording_left_behind, 3),
    Mutant(
        "what its owner deletes is past its time as well",
        broken_more.deleted_and_past_its_time,
        8,
        ("retention is due", "commits are slow"),
        more=True,
    ),
    Mutant("a voice is there before it is written down", broken_voices.told_before_it_is_written_down, voices=True),
    Mutant("jobs go on with a voice that is gone", broken_voices.spoken_with_what_is_gone, 11, voices=True),
    Mutant("files of voices are left behind", broken_voices.files_left_behind, voices=True),
    Mutant("voices are forgotten with their daemon", broken_voices.voices_forgotten, 1, voices=True),
    Mutant("voice prompts are forgotten with their daemon", broken_voices.prompts_forgotten, 2, voices=True),
    Mutant("two make the same voice prompt", broken_voices.made_by_two, voices=True),
    Mutant("a sentence goes out before its voice prompt is there", broken_voices.spoken_without_a_prompt, voices=True),
    Mutant("whoever was lost is still making a voice prompt", broken_voices.maker_lost_for_good, 29, voices=True),
    Mutant("a worker is fed more than it needs", broken_voices.fed_beyond_the_need, voices=True),
    Mutant("a worker is fed from the beginning again", broken_voices.fed_from_the_beginning, voices=True),
    Mutant("a recording is ready before anybody looked", broken_voices.ready_before_anybody_looked, voices=True),
    Mutant(
        "a voice that was changed is another",
        broken_voices.a_changed_voice_is_another,
        1,
        ("client pauses",),
        acts=(_act("add", "v0", 0.1), _act("change", "v0", 11.0), _act("remove", "v0", 12.0)),
        speak="v0",
    ),
    Mutant(
        "a voice that is coming has no recordings yet",
        broken_voices.a_coming_voice_has_no_recordings,
        43,
        ("commits are slow",),
        voices=True,
    ),
    Mutant(
        "a name that is coming is free",
        broken_voices.a_coming_name_is_free,
        10,
        ("commits are slow",),
        acts=(_act("add", "v0", 0.5), _act("add", "v1", 0.6, 1), _act("rename", "v0", 9.0), _act("add", "v2", 9.05, 1)),
        speak="v2",
    ),
    Mutant(
        "two voices of one moment are one",
        broken_voices.two_of_one_moment_are_one,
        2,
        ("commits are slow",),
        acts=(_act("add", "v0", 1.0), _act("add", "v2", 1.0), _act("remove", "v0", 11.0)),
        speak="v2",
    ),
    Mutant(
        "a job is spoken by two voices of one name",
        broken_voices.half_of_two_voices,
        126,
        ("daemon dies", "daemon is stopped"),
        voices=True,
    ),
    Mutant(
        "a prompt that is doubted is left behind",
        broken_voices.doubted_and_left_behind,
        102,
        ("engine fails",),
        voices=True,
    ),
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
