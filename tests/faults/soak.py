"""A soak: a real daemon with real workers, clients that check what they hear, and faults, one after the other.

``make soak MINUTES=10 SEED=7`` (or ``python tests/faults/soak.py MINUTES [SEED]``). The last line says what came of it;
`docs/operations.md` says what it means. Owns: the order of things and the sums. Must not know: how a fault is done
(`soak_faults`), what a client wants (`soak_plan`) and hears (`soak_check`).
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

if not __package__:  # Run as a script.
    __package__ = "voicebus.tests.faults"

from voicebus.clients.sync import Client

from ..disks import small_disk
from .listening import TONE
from .service import Service
from .soak_check import Tally
from .soak_client import Ledger
from .soak_crowd import Crowd
from .soak_faults import Faults
from .soak_plan import NO_SPACE, plan_for

CLIENTS = 4
PAUSE_S = 0.25
"""Between two faults, on average."""
FINISH_S = 120.0
DISK = "96m"
WELL_UNDERSTOOD = 0.9
"""Of espeak's words, in all; the recogniser itself misses one in a hundred."""

CONFIG = """
[providers.espeak]
workers = @ESPEAK@
[providers.tone]
module = "voicebus.workers.tone"
workers = @TONE@
beat_s = 0.5
first_chunk_s = 4.0
chunk_s = 3.0
settings = { @SETTINGS@, factor = @FACTOR@, once_dir = "@ONCE@" }
[providers.alto]
module = "voicebus.workers.tone"
workers = 1
beat_s = 0.5
first_chunk_s = 4.0
chunk_s = 3.0
settings = { @SETTINGS@, factor = 0.02, salt = "alto", once_dir = "@ONCE@" }
[providers.brittle]
module = "voicebus.workers.tone"
workers = 1
settings = { @SETTINGS@ }
[defaults]
chain = ["tone"]
[limits]
finished_jobs = 300
disk_bytes = 33554432
text_wait_s = 6
abandon_s = 60
[history]
pack_after_s = 2
[restart]
base_s = 0.05
max_s = 0.5
intensity = 100000
[breaking]
failures = 100000
"""


def configuration(chance: random.Random) -> str:
    """One of many, in which every provider is there."""
    chosen = {
        "@ESPEAK@": chance.choice([1, 2, 2]),
        "@TONE@": chance.choice([1, 2, 2, 3]),
        "@FACTOR@": chance.choice([0.0, 0.05, 0.1, 0.2]),
        "@SETTINGS@": TONE,
    }
    text = CONFIG
    for name, value in chosen.items():
        text = text.replace(name, str(value))
    return text


@dataclass
class Outcome:
    """The sums of a soak."""

    tally: Tally = field(default_factory=Tally)
    jobs: int = 0
    faults: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    failed: int = 0
    why: list[str] = field(default_factory=list)
    no_space: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything is as it should be."""
        heard = self.tally.words_understood >= WELL_UNDERSTOOD * self.tally.words
        return not (self.why or self.missing or self.failed) and heard and self.jobs > 0

    def line(self) -> str:
        """The last line."""
        tally = self.tally
        return (
            f"{self.jobs} jobs, {self.faults} faults injected, {tally.compared} samples compared, "
            f"{tally.lost} samples lost, {tally.repeated} samples repeated, {tally.wrong} samples wrong, "
            f"{tally.words_understood} of {tally.words} words understood, {self.missing} terminals missing, "
            f"{self.failed} jobs failed by faults not their own ({self.no_space} more by name on a full disk)"
        )


class Soak:
    """One run. seconds: how long faults come. disk: a small file system for the data, None for an ordinary folder."""

    def __init__(self, seed: int, seconds: float, *, disk: Path | None = None, pause_s: float = PAUSE_S) -> None:
        self.seed, self.seconds, self.pause_s, self.disk = seed, seconds, pause_s, disk
        self.outcome = Outcome()
        self._nap = threading.Event()

    def run(self) -> Outcome:
        """All of it; the service is stopped, and has left nothing, when this returns. Raises AssertionError where the
        service itself does not do what it should."""
        chance = random.Random(self.seed)
        self.service = Service(configuration(chance), state=self.disk / "s" if self.disk else None)
        self.folder = self.service.root / "clients"
        self.folder.mkdir()
        crowd = Crowd(self.service.endpoint, self.seed, CLIENTS, self.folder)
        faults = Faults(self.service, crowd, chance, configuration, self.disk)
        try:
            self._inject(faults, crowd, chance)
            late = crowd.finish(FINISH_S)
            self._sum_up(faults, crowd, late)
            kept = self.kept()
            self.service.stop()
        except BaseException:
            crowd.kill_all()
            self.kept()
            raise
        finally:
            self.service.give_up()
        if self.outcome.clean:
            shutil.rmtree(kept)
        else:
            self.outcome.why.append(f"the logs are kept in {kept}")
        return self.outcome

    def _inject(self, faults: Faults, crowd: Crowd, chance: random.Random) -> None:
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self._nap.wait(min(chance.expovariate(1 / self.pause_s), 5 * self.pause_s))
            faults.due()
            kind = faults.one()
            assert not crowd.dead(), f"clients {crowd.dead()} ended after {kind!r}:\n{crowd.output()[-3000:]}"
            code = self.service.process.poll()
            assert code is None, f"the daemon ended with {code} after {kind!r}:\n{self.service.output()[-3000:]}"
        faults.close()

    # ------------------------------------------------------------------------------------------------- the sums

    def _sum_up(self, faults: Faults, crowd: Crowd, late: list[str]) -> None:
        found = self.outcome
        scripted = len(list(self.service.once.iterdir()))
        found.kinds = faults.counts + Counter({"scripted in a text": scripted})
        found.faults = found.kinds.total()
        no_space = NO_SPACE if faults.counts["disk full for a moment"] else frozenset()
        for name in crowd.names:
            self._client(name, no_space)
        if late:
            found.why.append(f"clients {late} did not finish:\n{crowd.output()[-3000:]}")
        if "Traceback" in crowd.output():
            found.why.append(crowd.output()[-3000:])
        with Client(endpoint=self.service.endpoint, start=False) as client:
            left = [row for row in client.jobs() if row["state"] not in ("finished", "failed", "cancelled")]
        found.missing += len(left)
        found.why += [f"not over: {row}" for row in left]

    def _client(self, name: str, no_space: frozenset[str]) -> None:
        found = self.outcome
        lines = Ledger.read(self.folder / f"{name}.ledger")
        done = {line["n"]: line for line in lines if line["what"] == "done"}
        for number in {line["n"] for line in lines if line["what"] == "begun"}:
            found.jobs += 1
            if number not in done:
                found.missing += 1
                found.why.append(f"{name}-{number} has no end")
            else:
                self._job(done[number], no_space)

    def _job(self, line: dict[str, Any], no_space: frozenset[str]) -> None:
        found = self.outcome
        tally = Tally(**{entry.name: line[entry.name] for entry in fields(Tally)})
        name, number = line["job"].rsplit("-", 1)
        plan = plan_for(self.seed, name, int(number))
        reasons, tally.why = tally.why, []
        found.tally.add(tally)
        found.ends[f"{line['way']}: {line['state']} {line['code']}".strip()] += 1
        allowed = line["code"] in plan.own or line["code"] in no_space or (plan.way == "cancel" and not line["code"])
        if line["state"] in ("finished", "cancelled") or not allowed:
            found.why += [f"{line['job']} ({line['way']}): {reason}" for reason in reasons]
        if tally.lost or tally.repeated or tally.wrong:
            found.why.append(f"{line['job']} ({line['way']}): {tally}")
        found.no_space += line["code"] in no_space
        good = line["state"] == "finished" or (plan.way == "cancel" and line["state"] == "cancelled")
        if not good and not allowed:
            found.failed += 1
            found.why.append(f"{line['job']} ({line['way']}): {line['state']} {line['code']}")
        if plan.way == "poison" and line["state"] == "finished":
            found.why.append(f"{line['job']} should have been quarantined")

    def kept(self) -> Path:
        """Put aside what is needed to find out why; the same folder every time."""
        kept = Path(tempfile.gettempdir()) / f"voicebus-soak-{self.seed}-{os.getpid()}"
        kept.mkdir(exist_ok=True)
        for path in [self.service.root / "output", *self.folder.glob("*.ledger"), *self.folder.glob("*.output")]:
            if path.exists():
                shutil.copy(path, kept)
        return kept


def main() -> int:
    """Run for so many minutes, with a seed or any."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else random.randrange(2**32)
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    with small_disk(DISK) as disk:
        soak = Soak(seed, 60 * minutes, disk=disk)
        try:
            outcome = soak.run()
        except BaseException as error:
            print(f"failed with seed {seed}: {error}\n" + "\n".join(soak.outcome.why), file=sys.stderr)
            print(f"the logs are kept in {soak.kept()}", file=sys.stderr)
            raise
    print("\n".join(f"  {count:6d}  {kind}" for kind, count in sorted(outcome.kinds.items())))
    print("\n".join(f"  {count:6d}  {end}" for end, count in sorted(outcome.ends.items())))
    if not outcome.clean:
        print("\n".join(outcome.why[:100]), file=sys.stderr)
        print(f"failed with seed {seed}", file=sys.stderr)
    print(outcome.line())
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main())
