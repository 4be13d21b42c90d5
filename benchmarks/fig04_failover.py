"""Figure 4: how soon new audio comes after the speaking worker died, hung, or died holding gigabytes.

Measured at a raw client, a second worker standing ready. *Killed*: from SIGKILL, upon the second frame of a long
espeak segment, to the first frame of the next take. *Hung*: a scripted worker stops in mid-chunk; from its last frame
to the first of the next take, less the deadline (`chunk_s`) that it was given. *Big*: a scripted worker that holds
gigabytes is killed; the system reports its end only when it has freed them, so the daemon must act on the missed chunk
before. All bring a process of its own size down: the floor is when the system reports that.
Floor: from SIGKILL to a readable pidfd, seen from here (for the hang: none, RTT is shown).
Aim: p99 under 25 ms with espeak; for the big one, less than until its exit is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from common import Row, median, percentile, say, until
from common_daemon import Daemon, Killed, espeak, tone
from common_floors import RoundTrip
from common_peers import RawClient

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_to_client

TITLE = "failover inside an utterance"
KILLS, HANGS, BIG = 20, 4, 2
"""Trials in a round."""

CHUNK_S = 0.5
GIGABYTES = 3
LONG = ("and then the river went on between the hills and under the old bridge " * 8).strip() + "."


class Speech:
    """A job as a client hears it: frames with the time of each and the take it belongs to."""

    def __init__(self, client: RawClient, text: str, provider: str) -> None:
        self.client = client
        self.take = ""
        self.at = 0.0
        client.submit(text, provider, pace="render")

    def frame(self) -> str:
        """Wait for a frame; its take."""
        while True:
            header, _ = self.client.receive()
            if header[1:7] == b"\xa5audio":
                self.at = time.perf_counter()
                self.take = decode_to_client(header).take
                return self.take
            message = decode_to_client(header)
            if isinstance(message, m.Terminal):
                raise EOFError(f"{message.state} {message.code} {message.message}")

    def next_take(self) -> float:
        """Wait for a frame of another take; when the last one of this take came."""
        take, last = self.take, self.at
        while self.frame() == take:
            last = self.at
        return last


def busy_worker(asker: RawClient) -> dict[str, Any]:
    """The worker that is speaking, as the list of workers has it; {} if none is."""
    return next((row for row in asker.rows("workers") if row["running"]), {})


def killed(daemon: Daemon, client: RawClient, asker: RawClient, text: str, provider: str) -> tuple[float, float] | None:
    """Milliseconds from SIGKILL to the next take's first frame, and to the system's word; None if it was too late."""
    until(lambda: daemon.serving(asker), 60, "ready workers again")
    speech = Speech(client, text, provider)
    try:
        speech.frame()
        row = busy_worker(asker)
        if not row:
            client.finish()
            return None
        kill = Killed(row["pid"])
        speech.next_take()
    except EOFError:
        return None
    took = speech.at - kill.sent
    client.finish()
    return took * 1000, kill.word_s() * 1000


def hung(daemon: Daemon, client: RawClient, asker: RawClient, number: int) -> float:
    """Milliseconds beyond the deadline until the next take's first frame."""
    until(lambda: daemon.serving(asker), 60, "ready workers again")
    speech = Speech(client, f"This is number {number} and here it {{{{hang}}}} hangs in the middle.", "tone")
    speech.frame()
    last = speech.next_take()
    took = speech.at - last - CHUNK_S
    client.finish()
    return took * 1000


@contextmanager
def prepared(*config: str) -> Iterator[tuple[Daemon, RawClient, RawClient]]:
    with (
        Daemon("[restart]\nbase_s = 0.05\nmax_s = 0.1\n[breaking]\nfailures = 100000\n", *config) as daemon,
        RawClient(daemon.runtime) as client,
        RawClient(daemon.runtime) as asker,
    ):
        yield daemon, client, asker


def collect(trials: int, trial: Callable[[], Any]) -> list[Any]:
    """So many trials that worked, out of at most three times as many."""
    found = []
    for _ in range(3 * trials):
        if len(found) < trials and (one := trial()) is not None:
            found.append(one)
    if len(found) < trials:
        raise RuntimeError(f"only {len(found)} of {trials} trials hit the worker while it spoke")
    return found


def measure(runs: int) -> list[Row]:
    return [*_killed(runs), _hung(runs), *_big(runs)]


def _killed(runs: int) -> list[Row]:
    with prepared(espeak(2)) as (daemon, client, asker):
        found = []
        for run in range(runs):
            found.append(collect(KILLS, lambda: killed(daemon, client, asker, LONG, "espeak")))
            say(f"  round {run}: {[round(took, 1) for took, _ in found[-1]]}")
    every = [one for block in found for one in block]
    floor = "exit reported"
    middle = Row(
        4,
        "espeak killed: next audio, median",
        "ms",
        [median([took for took, _ in block]) for block in found],
        [median([word for _, word in block]) for block in found],
        floor,
    )
    p99, floor99 = percentile([took for took, _ in every], 0.99), percentile([word for _, word in every], 0.99)
    tail = Row(4, "espeak killed: next audio, p99", "ms", [p99], [floor99], f"{floor}, p99", aim="< 25 ms")
    tail.met = p99 < 25
    tail.note = f"{len(every)} kills, the longest {max(took for took, _ in every):.1f} ms"
    return [middle, tail]


def _hung(runs: int) -> Row:
    with (
        TemporaryDirectory(prefix="vb-bench-") as once,
        RoundTrip() as echo,
        prepared(tone(2, {"factor": 0.5, "once_dir": once}, chunk_s=CHUNK_S, stop_s=0.2)) as (daemon, client, asker),
    ):
        values, floor, number = [], [], 0
        for _ in range(runs):
            block = []
            for _ in range(HANGS):
                number += 1
                block.append(hung(daemon, client, asker, number))
            values.append(median(block))
            floor.append(median([echo.trip_s() * 1000 for _ in range(50)]))
    own = "the engine's first 40 ms take it 20 ms"
    return Row(4, f"hung: next audio beyond {CHUNK_S} s", "ms", values, floor, "RTT", note=own)


def _big(runs: int) -> list[Row]:
    settings = {"factor": 0.5, "hold_mb": GIGABYTES * 1000}
    with prepared(tone(2, settings, chunk_s=5.0, load_s=60.0)) as (daemon, client, asker):
        found = []
        for run in range(runs):
            until(lambda: all(row["rss"] > 1e9 for row in asker.rows("workers")), 30, "beats that tell the size")
            found.append(collect(BIG, lambda: killed(daemon, client, asker, LONG, "tone")))
            say(f"  round {run}: {found[-1]}")
    took = [median([took for took, _ in block]) for block in found]
    word = [median([word for _, word in block]) for block in found]
    row = Row(4, f"killed with {GIGABYTES} GB: next audio", "ms", took, word, "exit reported", aim="< exit reported")
    row.met = row.ratio < 1
    row.extra["all"] = found
    return [row]
