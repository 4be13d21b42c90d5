"""Figure 3: how many real-time listeners two cores carry, each on a connection of its own.

Measured: `n` clients, each hearing a job of sentences of 4 s, which a paced worker with many slots makes in real time
as frames of 40 ms at 24 kHz. A frame bears the time at which it was due; it is late when it arrives more than one
frame (40 ms) after that. Sentences are written to the journal as they end, clients renew their credit every 200 ms.
The worker is one process, the clients are two, and all share the machine with the daemon, so what is late may be late
because of them: they look at their sockets every 10 ms, which is the 5 ms seen in the median, and the worker sends what
is due every 2 ms (one that woke up for each frame needed a core for itself).
Floor: the same worker and clients with a bare relay between them, without log, credit or checks.
Aim: under 1 % late with 500; 800 is worth reaching for.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from common import Row, median, percentile, rounds, say, touch_memory
from common_daemon import Daemon, cpu_s, keyed, section
from common_listeners import RATE, SENTENCE_S, bare_listeners, bare_source, bare_switch, paced_worker, real_listeners
from common_process import Background, Child

TITLE = "concurrent real-time listeners"
COUNTS = (500, 800)
SECONDS = 8.0
SETTLE_S = 5.0
"""Of each run this much at the beginning is not counted: connections and jobs are being made."""

Found = dict[str, Any]


def through_daemon(count: int) -> Found:
    """One run with the daemon."""
    # Jobs are given all their sentences' slots in turn: with fewer, some would wait for a slot and not for time.
    slots = count * (int((SETTLE_S + SECONDS) / SENTENCE_S) + 2)
    config = (
        keyed("paced", RATE, first_chunk_s=60.0, chunk_s=10.0, beat_s=60.0),
        section("limits", clients=count + 10, jobs=2 * count + 10, jobs_per_client=2 * count),
    )
    with Daemon(*config) as daemon, Child(paced_worker, daemon.runtime, slots) as worker:
        halves = [Child(real_listeners, daemon.runtime, first, count // 2) for first in (0, count // 2)]
        worker.tell(SETTLE_S + SECONDS + 1)
        return _run(halves, worker, daemon.pid)


def through_nothing(count: int) -> Found:
    """One run with the floor."""
    with tempfile.TemporaryDirectory(prefix="vb-bench-") as name:
        folder = Path(name)
        with Background(bare_switch, folder) as switch, Child(bare_source, folder, count) as source:
            halves = [Child(bare_listeners, folder, first, count // 2) for first in (0, count // 2)]
            source.tell(SETTLE_S + SECONDS + 1)
            return _run(halves, source, switch.pid)


def _run(halves: list[Child], generator: Child, pid: int) -> Found:
    try:
        begin = cpu_s(pid)
        for half in halves:
            half.tell(SETTLE_S, SECONDS)
        late_ms = [late for half in halves for late in half.wait()]
        used = cpu_s(pid) - begin
        generator_lag = generator.wait()
        if not late_ms:
            raise RuntimeError("nobody heard anything")
    finally:
        for half in halves:
            half.close()
    return {
        "frames": len(late_ms),
        "late": 100 * sum(late > 40 for late in late_ms) / max(1, len(late_ms)),
        "p50_ms": median(late_ms),
        "p99_ms": percentile(late_ms, 0.99),
        "cpu": 100 * used / (SETTLE_S + SECONDS),
        "generator_p99_ms": generator_lag,
    }


def measure(runs: int) -> list[Row]:
    touch_memory(1)
    rows = []
    for count in COUNTS:
        wanted = count * SECONDS / 0.04
        found = rounds(runs, daemon=lambda: through_daemon(count), bare=lambda: through_nothing(count))  # noqa: B023
        for run in found["daemon"] + found["bare"]:
            say(f"  {count}: {run}")
        values = {key: [run[key] for run in found["daemon"]] for key in found["daemon"][0]}
        floors = {key: [run[key] for run in found["bare"]] for key in found["bare"][0]}
        row = Row(3, f"{count} listeners: late frames", "%", values["late"], floors["late"], "bare", aim="< 1 %")
        row.ratios = []
        row.met = row.value < 1 and median(values["frames"]) > 0.97 * wanted
        row.note = (
            f"{median(values['frames']):.0f} of {wanted:.0f} frames; the worker itself sent them up to "
            f"{median(values['generator_p99_ms']):.0f} ms late (p99; bare: {median(floors['generator_p99_ms']):.0f} ms)"
        )
        row.extra = {"daemon": found["daemon"], "bare": found["bare"]}
        tail = Row(3, f"{count} listeners: p99", "ms", values["p99_ms"], floors["p99_ms"], "bare")
        cpu = Row(3, f"{count} listeners: CPU of a core", "%", values["cpu"], floors["cpu"], "bare relay")
        rows += [row, tail, cpu]
    return rows
