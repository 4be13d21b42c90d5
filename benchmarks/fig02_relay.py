"""Figure 2: how many frames a second the daemon relays, with its log, credit and checks.

Measured: a worker that registered by key sends takes of 30 s as fast as it may, a raw client with credit for all of it
receives; each is a process of its own. Everything the daemon does for a real job is done: decoding and checking each
frame, the log in memory, the journal on disk, credit towards both sides.
Floor: a bare ROUTER/ROUTER relay that polls and drains both sides, written with the multipart calls, and the same with
single calls, which is the fastest there is in Python.
Aim: at least 0.9 of the one and 0.6 of the other at 960, 1920 and 4800 bytes a frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import zmq
from common import Row, median, rounds, touch_memory
from common_daemon import Daemon, cpu_s, key_of, keyed
from common_floors import Relay, relay_multipart, relay_single
from common_peers import RawClient, RawWorker
from common_process import Child

from voicebus.bus import messages as m

TITLE = "frames a second relayed"
SIZES = (960, 1920, 4800)
FRAMES = 30_000
TAKE_S = 30
RATE = 24_000


def flooding_worker(runtime: Path) -> Callable[[int, int], None]:
    """Serves WORK until so many frames have gone; each take has `TAKE_S` of audio, the last what is left."""
    worker = RawWorker(runtime, "flood", key_of("flood"), rate=RATE, slots=2)

    def flood(size: int, frames: int) -> None:
        pcm = bytes(range(1, 241)) * (size // 240)
        samples, per_take = size // 2, TAKE_S * RATE // (size // 2)
        queue: list[m.Work] = []
        grants: dict[str, int] = {}
        while frames:
            hear(queue, grants, block=not queue)
            if queue:
                work = queue.pop(0)
                worker.begun(work.attempt)
                count = min(per_take, frames)
                frames -= count
                for seq in range(count):
                    while (seq + 1) * samples > grants[work.attempt]:
                        hear(queue, grants, block=True)
                    worker.chunk(work.attempt, seq, seq * samples, pcm)
                    if not seq % 64:
                        hear(queue, grants, block=False)
                worker.done(work.attempt, count * samples)

    def hear(queue: list[m.Work], grants: dict[str, int], *, block: bool) -> None:
        while block or worker.waiting():
            message = worker.next()
            if isinstance(message, m.Work):
                queue.append(message)
                grants[message.attempt] = message.credit
                block = False
            elif isinstance(message, m.Grant):
                grants[message.attempt] = message.up_to
                block = False
            elif isinstance(message, m.Stop):
                raise RuntimeError(f"told to stop: {message}")
            worker.beat_if_due(time.monotonic())

    return flood


def listening_client(runtime: Path) -> Callable[[int, int], tuple[float, float]]:
    """Submits a job of so many segments and receives so many frames: when the first and the last came."""
    client = RawClient(runtime)

    def listen(size: int, frames: int) -> tuple[float, float]:
        per_take = TAKE_S * RATE // (size // 2)
        segments = -(-frames // per_take)
        text = " ".join(f"This is the sentence with the number {number + 100}." for number in range(segments))
        client.submit(text, "flood", rate=RATE, pace="render")
        take, more = client.socket.recv, zmq.RCVMORE
        count = octets = 0
        first = last = 0.0
        while True:
            header = take()
            body = take() if client.socket.getsockopt(more) else b""
            if header[1:7] == b"\xa5audio":
                octets += len(body)
                count += 1
                if count == 1:
                    first = time.perf_counter()
            elif header[1:10] == b"\xa8terminal":
                last = last or time.perf_counter()
                break
            if octets == frames * size:
                last = last or time.perf_counter()
        if octets != frames * size:
            raise RuntimeError(f"{octets} bytes of {frames * size} came: {header!r}")
        return first, last

    return listen


def measure(runs: int) -> list[Row]:
    touch_memory(1)
    rows: list[Row] = []
    config = keyed("flood", RATE, first_chunk_s=60.0, chunk_s=60.0, beat_s=60.0)
    with (
        Daemon(config) as daemon,
        Relay(relay_multipart) as usual,
        Relay(relay_single) as fastest,
        Child(flooding_worker, daemon.runtime) as worker,
        Child(listening_client, daemon.runtime) as client,
    ):

        def relayed(size: int, frames: int) -> tuple[float, float]:
            begin = cpu_s(daemon.pid)
            worker.tell(size, frames)
            first, last = client.ask(size, frames)
            worker.wait()
            return (frames - 1) / (last - first), (cpu_s(daemon.pid) - begin) / frames * 1e6

        relayed(1920, 3000)
        for size in SIZES:
            found = rounds(
                runs,
                ours=partial(relayed, size, FRAMES),
                usual=partial(usual.rate, size, FRAMES),
                fastest=partial(fastest.rate, size, FRAMES),
            )
            rows += _rows(size, found)
    return rows


def _rows(size: int, found: dict[str, list[Any]]) -> Iterator[Row]:
    ours = [rate for rate, _ in found["ours"]]
    cost = [us for _, us in found["ours"]]
    for name, against, aim in (("multipart", "usual", 0.9), ("fastest", "fastest", 0.6)):
        row = Row(2, f"{size} B, against {name} bare", "frames/s", ours, found[against], name, aim=f">= {aim}")
        row.met = row.ratio >= aim
        row.note = f"the daemon took {median(cost):.1f} us of CPU for a frame, I/O thread included"
        row.extra["daemon_us_per_frame"] = cost
        yield row
