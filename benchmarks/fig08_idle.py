"""Figure 8: what the daemon costs while nobody wants anything.

Measured: CPU time over windows of 20 s of a daemon with three ready espeak workers that beat, nobody connected; its
resident memory, and what of that it shares with nobody.
Floor: a process that imported what the daemon needs (ZeroMQ, msgspec) and wakes up once a second, in the same windows.
Aim: under 0.3 % of a core and 40 MB.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from common import Row, say
from common_daemon import Daemon, cpu_s, espeak, memory_mb
from common_process import Background

TITLE = "idle daemon with three workers"
WINDOW_S = 20.0


def once_a_second(ready: Callable[[], None]) -> None:
    """The floor."""
    import msgspec  # noqa: F401 - its memory counts
    import zmq

    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind("inproc://nobody")
    ready()
    while True:
        socket.poll(1000)


def measure(runs: int) -> list[Row]:
    with Daemon(espeak(3)) as daemon, Background(once_a_second) as floor:
        time.sleep(2)  # what starting up left to do is over
        ours, theirs, resident, private = [], [], [], []
        for run in range(runs):
            before, floor_before, begin = cpu_s(daemon.pid), cpu_s(floor.pid), time.perf_counter()
            time.sleep(WINDOW_S)
            took = time.perf_counter() - begin
            ours.append(100 * (cpu_s(daemon.pid) - before) / took)
            theirs.append(100 * (cpu_s(floor.pid) - floor_before) / took)
            whole, own = memory_mb(daemon.pid)
            resident.append(whole)
            private.append(own)
            say(f"  window {run}: {ours[-1]:.2f} %, floor {theirs[-1]:.2f} %, {whole:.1f} MB")
        floor_whole, floor_own = memory_mb(floor.pid)
    count = len(ours)
    cpu = Row(8, "CPU of a core", "%", ours, aim="< 0.3 %", floor=[], floor_name="")
    cpu.met = cpu.value < 0.3
    cpu.note = f"the floor used {sum(theirs) / count:.2f} %; CPU time is counted in 1/100 s, 0.05 % of a window"
    whole = Row(8, "resident memory", "MB", resident, [floor_whole] * count, "ZeroMQ, msgspec", aim="< 40 MB")
    whole.met = whole.value < 40
    own = Row(8, "of it private", "MB", private, [floor_own] * count, "ZeroMQ, msgspec")
    return [cpu, whole, own]
