"""Figure 1: what going through the daemon adds to the time to first audio.

Measured: from SUBMIT to the first AUDIO at a raw client, and from `Client.speak` to the first frame it gives, with the
daemon, an espeak worker and the client in processes of their own, less the time to the first chunk of the same engine
in this process. One after another, 10 ms of rest before each, on a machine that should have nothing else to do.
Floor: a bare DEALER/ROUTER round trip (RTT). Four hops, client to daemon to worker and back, make two of them.
Aim: at most 2 RTT + 0.3 ms; its p99 is shown beside the floor's and the engine's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from common import Row, median, percentile, rounds
from common_daemon import Daemon, espeak
from common_engines import first_chunk_s, loaded
from common_floors import RoundTrip
from common_peers import RawClient

TITLE = "added time to first audio"
SENTENCE = "The quick brown fox jumps over the lazy dog while nobody at all is looking on."
TRIALS = 40
REST_S = 0.01


def client_first_audio(client: object) -> Callable[[], float]:
    """The client that people use."""

    def measure() -> float:
        begin = time.perf_counter()
        speech = client.speak(SENTENCE, provider="espeak")
        took = 0.0
        for _ in speech.frames():
            took = took or time.perf_counter() - begin
        return took

    return measure


def measure(runs: int) -> list[Row]:
    from voicebus.workers.espeak import EspeakEngine

    engine = first_chunk_s(loaded(EspeakEngine()), SENTENCE)
    with Daemon(espeak()) as daemon, RoundTrip() as echo, RawClient(daemon.runtime) as raw:
        os.environ.update(daemon.environment)
        from voicebus import Client

        with Client() as client:
            real = client_first_audio(client)
            parts = {
                "rtt": echo.trip_s,
                "engine": engine,
                "raw": lambda: raw.first_audio_s(SENTENCE, "espeak"),
                "client": real,
            }
            for part in parts.values():
                part()
            rested = {name: _rested(part) for name, part in parts.items()}
            blocks = [rounds(TRIALS, **rested) for _ in range(runs)]
    return _rows(blocks)


def _rested(part: Callable[[], float]) -> Callable[[], float]:
    def measure() -> float:
        time.sleep(REST_S)
        return part() * 1000

    return measure


def _rows(blocks: list[dict[str, list[float]]]) -> list[Row]:
    def p50(name: str) -> list[float]:
        return [median(block[name]) for block in blocks]

    def p99(name: str) -> list[float]:
        return [percentile([v for block in blocks for v in block[name]], 0.99)]

    rtt, engine = p50("rtt"), p50("engine")
    rows = []
    for name, what in (("raw", "raw client"), ("client", "Client")):
        added = [value - own for value, own in zip(p50(name), engine, strict=True)]
        allowed = [2 * trip + 0.3 for trip in rtt]
        row = Row(1, f"{what}: added, median", "ms", added, rtt, "RTT", aim="<= 2 RTT + 0.3 ms")
        row.met = median([a / b for a, b in zip(added, allowed, strict=True)]) <= 1
        row.note = f"{median([a / b for a, b in zip(added, allowed, strict=True)]):.2f} of what is allowed"
        rows.append(row)
        tail = [a - b for a, b in zip(p99(name), p99("engine"), strict=True)]
        rows.append(Row(1, f"{what}: added, p99", "ms", tail, p99("rtt"), "RTT p99"))
    whole = Row(1, "raw client: whole, median", "ms", p50("raw"), engine, "engine in-process")
    return [*rows, whole]
