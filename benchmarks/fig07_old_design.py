"""Figure 7: what a listener gains over the design that this one replaces (`old_design.py`).

Measured: a text of about 60 s, from the request to the first audio in the client's hands, and the bytes that came to
the client for all of it: here headers and PCM of all messages, there the answer's headers and JSON. The engine is the
same espeak. In the old design the first audio is there when the last is: when the JSON has been decoded.
Floor: the old design.
Aim: the first audio 50 times sooner.
"""

from __future__ import annotations

import base64
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import Row, median, rounds, say, until
from common_daemon import Daemon, espeak
from common_peers import RawClient

TITLE = "against one HTTP request for the whole clip"
TRIALS = 3
TEXT = " ".join(
    f"Chapter {number}: in which the traveller comes to another town and finds nobody at home but the cat."
    for number in range(1, 12)
)


@contextmanager
def old_service() -> Iterator[str]:
    """The old design as a process; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("old_design.py")), str(port)])
    try:
        until(lambda: _answers(port), 30, "the old design")
        yield f"http://127.0.0.1:{port}/generate"
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def old(client: object, address: str) -> tuple[float, int, int]:
    """Seconds to the first audio, bytes that came, samples."""
    begin = time.perf_counter()
    answer = client.post(address, json={"text": TEXT}, timeout=60)
    clip = base64.b64decode(answer.json()["audio"])
    took = time.perf_counter() - begin
    head = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
    return took, head + len(answer.content), len(clip) // 4


def new(client: RawClient) -> tuple[float, int, int]:
    """The same over the bus."""
    begin = time.perf_counter()
    client.submit(TEXT, "espeak", pace="render")
    took, moved, octets = 0.0, 0, 0
    while True:
        header, body = client.receive()
        moved += len(header) + len(body)
        if header[1:7] == b"\xa5audio":
            took = took or time.perf_counter() - begin
            octets += len(body)
        elif header[1:10] == b"\xa8terminal":
            return took, moved, octets // 2


def measure(runs: int) -> list[Row]:
    missing = [name for name in ("fastapi", "httpx", "uvicorn", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        say(f"  left out: {', '.join(missing)} not installed (pip install -e '.[bench]')")
        return []
    import httpx

    with (
        Daemon(espeak(1)) as daemon,
        old_service() as address,
        RawClient(daemon.runtime) as client,
        httpx.Client() as http,
    ):
        old(http, address)
        new(client)
        blocks = [rounds(TRIALS, old=lambda: old(http, address), new=lambda: new(client)) for _ in range(runs)]
    first = {name: [median([t * 1000 for t, _, _ in block[name]]) for block in blocks] for name in ("old", "new")}
    moved = {name: [median([n / 1e6 for _, n, _ in block[name]]) for block in blocks] for name in ("old", "new")}
    sooner = Row(7, "60 s of text: first audio", "ms", first["new"], first["old"], "old design", aim="50 times sooner")
    sooner.met = 1 / sooner.ratio >= 50
    sooner.note = f"{1 / sooner.ratio:.0f} times sooner; {blocks[0]['new'][0][2] / 22050:.0f} s of audio"
    fewer = Row(7, "60 s of text: bytes moved", "MB", moved["new"], moved["old"], "old design")
    fewer.note = f"{1 / fewer.ratio:.1f} times fewer"
    return [sooner, fewer]
