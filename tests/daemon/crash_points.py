"""Kills a daemon's store at each write, and looks what the next one finds.

``python tests/daemon/crash_points.py [--every N] [--seeds N]``; ``make crash-points`` does all of them.

A session of commits runs in a forked process, which ends at its n-th write, sync, truncation or removal of a file, by
a kill (all that was written is there) or by a power cut (what was not synced is there in part, by a seed). It says
through a pipe what it has begun and what it was told is done. Then: all that was told is there, what was begun is
there wholly or not at all, in order; nothing else; the database is sound; what was deleted is in no file; and the
store goes on working.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from shim import Files, Shim
from stores import Desk, ended, saved, segment

from voicebus.bus.messages import Consent, SampleSpec, VoiceSpec
from voicebus.daemon import store_purge, store_upkeep
from voicebus.daemon.core.records import (
    JobDeleted,
    JobImported,
    JobPinned,
    Retention,
    SampleFacts,
    SampleSaved,
    TextAdded,
    TextClosed,
    VoiceRemoved,
    VoiceRenamed,
    VoiceSaved,
    Wanted,
)
from voicebus.daemon.store import open_store
from voicebus.daemon.store_schema import connect

SECRET = "Xylophon"
LONG = " ".join(f"word{number}" for number in range(3000))
BURST = 5


def voice(name: str, words: str) -> VoiceSaved:
    """A user's own voice, which says this in its recording."""
    sample = f"{len(words):064x}"
    spec = VoiceSpec(samples=[SampleSpec(sample, words)], consent=Consent("me", "It is my own voice."))
    return VoiceSaved(1000, name, spec, (SampleSaved(sample, 5, SampleFacts(5.0, 24_000, 1)),))


SESSION = (
    voice("anna", f"{SECRET}4"),
    saved(1, "Alpha", complete=False),
    TextAdded(1, 1, b" and beta"),
    TextClosed(1, 2),
    saved(2, LONG),
    ended(1, segments=tuple(segment(number) for number in range(20))),
    saved(3, f"{SECRET}1 is to go", keep="job"),
    ended(2, "failed", code="crash", trail=("a crash",)),
    JobPinned(1000, "job-2", pinned=True),
    ended(3),
    saved(4, f"{SECRET}2 " * 900),
    ended(4),
    JobDeleted(1000, "job-4"),
    saved(5, f"{SECRET}3", keep="job"),
    voice("berta", "Words of hers."),
    VoiceRenamed("berta", voice("clara", "Words of hers.")),
    voice("anna", "Other words."),
    # From here on, five at once: the first waits for its journal while the others gather.
    ended(5),
    saved(6, "Gamma"),
    saved(6, "Gamma"),
    ended(6),
    saved(7, "Delta", complete=False),
    # One by one again.
    TextAdded(7, 1, LONG.encode()),
    Retention(job_keep_s=1.0),
    JobDeleted(1000, "job-1"),
    saved(8, "Omega"),
    JobImported(saved(9, "Sigma"), (b"Sigma", LONG.encode()), ended(9), pinned=True),
    JobImported(saved(10, "Sigma", job="job-9"), (b"Sigma",), ended(10), pinned=False),
    voice("dora", f"{SECRET}5"),
    VoiceRemoved(1000, "Dora"),
)
FIRST_OF_BURST = 17
GONE = {1: "job-3", 2: "job-4", 3: "job-5"}
"""Which job says which of the secret words; the rest voices do, in their recordings."""

NAMES = [f"job-{number}" for number in range(1, 10)]


class Session(Desk):
    """Commits the records of SESSION, and says through `say` what was begun and what was told."""

    def __init__(self, path: Path, say, **options) -> None:
        self.say = say
        super().__init__(path, **options)
        self.clock.now = 1000.0

    def run(self, after=lambda count: None, burst: int = BURST) -> None:
        number = 0
        while number < len(SESSION):
            together = burst if number == FIRST_OF_BURST else 1
            if not FIRST_OF_BURST < number < FIRST_OF_BURST + BURST:
                self.clock.now += 10
            self.synced.asked.clear()
            if together > 1:
                self.synced.free.clear()
            tickets = [self.put(SESSION[number])]
            if together > 1:
                assert self.synced.asked.wait(20)
                tickets += map(self.put, SESSION[number + 1 : number + together])
                self.synced.free.set()
            self.collect(*tickets)
            for _ in tickets:
                self.say("told")
            self.job("job-2")  # a reader is there as well
            number += together
            after(number)
        self.store.close()

    def put(self, record) -> int:
        self.say("begun")
        if not isinstance(record, Retention):
            return self.begin(record)
        self.tickets += 1
        self.store.expire(self.tickets, record)
        return self.tickets

    def _open(self):
        return open_store(self.path, self.synced, clock=self.clock, elapsed=self.clock, **self.options)


def observed(desk: Desk) -> object:
    """All that a client can learn of what is kept."""
    jobs = [(found.saved, found.deleted) for found in map(desk.job, NAMES)]
    found = [
        desk.history(),
        desk.history(text=SECRET),
        desk.history(text="word2999"),
        desk.ask(Wanted("text", 1000, "job-7")),
    ]
    return jobs, [each.rows for each in found], desk.store.load(), desk.store.logs(), desk.store.voices()


def expected(folder: Path) -> list[object]:
    """What there is to see after each number of commits, without a crash."""
    session = Session(folder / "jobs.db", lambda word: None)
    states = [observed(session)]
    session.run(lambda count: states.append(observed(session)), burst=1)
    return states


def crash(path: Path, crash_at: int, power: int | None) -> tuple[int, int, int]:
    """Run the session in another process up to a step; how many commits were begun and told, and all its steps if it
    came to its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            logging.disable()  # its reads may meet the files while they lose their power
            shim = Shim("crash", crash_at, power)
            store_purge.os = Files(shim, path)
            Session(path, lambda word: os.write(writing, word[:1].encode()), vfs="crash").run()
            os.write(writing, b"%d" % shim.steps)
        except BaseException:  # noqa: BLE001 - the other process is told by the code
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    said = b""
    while chunk := os.read(reading, 65536):
        said += chunk
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (77 if crash_at else 0), f"the session ended with {code}"
    return said.count(b"b"), said.count(b"t"), int(said.lstrip(b"bt") or b"0")


def check(path: Path, begun: int, told: int, states: list[object]) -> None:
    """What the next daemon finds. Raises AssertionError."""
    desk = Desk(path)
    assert (desk.store.condition.mode, desk.store.condition.reason) == ("disk", "")
    seen = observed(desk)
    assert seen in states[told : begun + 1], f"told {told}, begun {begun}: {seen}"
    assert desk.commit(saved(50), ended(50), JobDeleted(1000, "job-50")) == ["done"] * 3
    said = [each.text for voice in desk.store.voices() for each in voice.spec.samples]
    for number in (1, 2, 3, 4, 5):
        word = f"{SECRET}{number}".encode()
        gone = desk.job(GONE[number]).saved is None if number in GONE else word.decode() not in said
        holding = [name for name, data in desk.files().items() if word in data or word.lower() in data]
        assert not (gone and holding), f"{word!r} is in {holding}"
    desk.store.close()
    db = connect(path, writing=True)
    assert db.pragma("integrity_check") == "ok"
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    db.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a store at each of its writes.")
    parser.add_argument("--every", type=int, default=1, help="only each n-th point (1)")
    parser.add_argument("--seeds", type=int, default=3, help="power cuts at each point (3)")
    chosen = parser.parse_args()
    store_upkeep.CHECKPOINT_BYTES = 100_000
    folder = Path(tempfile.mkdtemp(prefix="vb-crash-"))
    try:
        return _all(folder, chosen.every, chosen.seeds)
    finally:
        shutil.rmtree(folder)


def _all(folder: Path, every: int, seeds: int) -> int:
    (folder / "whole").mkdir()
    (folder / "count").mkdir()
    states = expected(folder / "whole")
    begun, told, steps = crash(folder / "count" / "jobs.db", 0, None)
    assert begun == told == len(SESSION)
    assert threading.active_count() == 1
    points, failed = 0, 0
    for step in range(1, steps + 1, every):
        for power in (None, *(1000 * step + seed for seed in range(seeds))):
            points += 1
            here = folder / f"{step}-{power}"
            here.mkdir()
            try:
                check(here / "jobs.db", *crash(here / "jobs.db", step, power)[:2], states)
            except Exception as error:  # noqa: BLE001 - all points are looked at
                failed += 1
                how = "killed" if power is None else f"power cut (seed {power})"
                print(f"at step {step}, {how}: {type(error).__name__}: {str(error)[:600]}")
            shutil.rmtree(here)
    print(f"{steps} steps, {points} crashes, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
