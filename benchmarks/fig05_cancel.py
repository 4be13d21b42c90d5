"""Figure 5: how long audio still comes after CANCEL.

Measured: a raw client with credit for everything hears a long text, sends CANCEL in mid-speech, and notes when the
last frame came after it (0 where none did) and when TERMINAL did. With espeak, which fills every pipe there is, and
with the scripted engine at real-time factor 0.5. What a person hears ends sooner still: a player is silent at once.
Floor: a bare round trip (RTT).
Aim: the last frame under 50 ms after CANCEL.
"""

from __future__ import annotations

import time

from common import Row, median, percentile
from common_daemon import Daemon, espeak, tone
from common_floors import RoundTrip
from common_peers import RawClient

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_to_client

TITLE = "cancel to the last frame"
TRIALS = 20
TEXT = " ".join(f"This is sentence number {number} of a text that nobody hears to its end." for number in range(200))


def cancelled(client: RawClient, provider: str, after: int) -> tuple[float, float]:
    """Milliseconds from CANCEL, sent after so many frames, to the last frame and to the terminal."""
    job = client.submit(TEXT, provider, pace="render")
    heard = 0
    while heard < after:
        header, _ = client.receive()
        heard += header[1:7] == b"\xa5audio"
    begin = last = time.perf_counter()
    client.send(m.Cancel(job=job))
    while True:
        header, _ = client.receive()
        now = time.perf_counter()
        if header[1:7] == b"\xa5audio":
            last = now
        elif header[1:10] == b"\xa8terminal":
            end = decode_to_client(header)
            if end.state != "cancelled":
                raise RuntimeError(f"it was over: {end.state} {end.code}")
            return (last - begin) * 1000, (now - begin) * 1000


def measure(runs: int) -> list[Row]:
    rows = []
    with (
        Daemon(espeak(1), tone(1, {"factor": 0.5})) as daemon,
        RoundTrip() as echo,
        RawClient(daemon.runtime) as client,
    ):
        for provider in ("espeak", "tone"):
            blocks, floor = [], []
            for _ in range(runs):
                blocks.append([cancelled(client, provider, 5 + trial) for trial in range(TRIALS)])
                floor.append(median([echo.trip_s() * 1000 for _ in range(50)]))
            last = [median([one for one, _ in block]) for block in blocks]
            worst = percentile([one for block in blocks for one, _ in block], 0.99)
            end = [median([one for _, one in block]) for block in blocks]
            row = Row(5, f"{provider}: last frame", "ms", last, floor, "RTT", aim="< 50 ms")
            row.met = worst < 50
            row.note = f"p99 of {runs * TRIALS}: {worst:.1f} ms"
            rows += [row, Row(5, f"{provider}: terminal", "ms", end, floor, "RTT")]
    return rows
