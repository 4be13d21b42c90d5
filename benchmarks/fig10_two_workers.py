"""Figure 10: a long text over two workers against one.

Measured: seconds until a text of about 24 s of audio is whole at a raw client, rendered by the scripted engine at
real-time factor 0.5, with two workers and with one. espeak outruns the bus, so there is nothing to gain with it.
Floor: one worker. Half of it is the best that two can do.
Aim: none was set; 0.55 would be within a tenth of the best.
"""

from __future__ import annotations

import time

from common import Row, rounds
from common_daemon import Daemon, tone
from common_peers import RawClient

TITLE = "a long text over two workers"
SETTINGS = {"factor": 0.5, "seconds_per_char": 0.02}
TEXT = " ".join(f"This is the sentence with the number {number} of a long text." for number in range(100, 124))


def seconds(client: RawClient) -> float:
    begin = time.perf_counter()
    client.submit(TEXT, "tone", pace="render")
    client.finish()
    return time.perf_counter() - begin


def measure(runs: int) -> list[Row]:
    with (
        Daemon(tone(1, SETTINGS)) as one,
        Daemon(tone(2, SETTINGS)) as two,
        RawClient(one.runtime) as single,
        RawClient(two.runtime) as double,
    ):
        found = rounds(runs, one=lambda: seconds(single), two=lambda: seconds(double))
    row = Row(10, "whole text, two workers", "s", found["two"], found["one"], "one worker", aim="(<= 0.55)")
    row.met = row.ratio <= 0.55
    return [row]
