"""Whisper alone, and the same engine through the bus: ``make bench-whisper``.

Measured, in turns, of the same recording and so with the same transcript: the time from the request to the first
passage, and to the last, of the engine in this process; then the same from `Client.transcribe` to the end, with the
daemon and the worker in processes of their own: the recording goes to the disk, is synced, and comes to the worker by
pieces. Aim: within 2 %.

The weights are random, since speed does not depend on their values, of a real model's size (but for its vocabulary):
each window makes as many tokens as `--tokens` says. `--model` takes a real one.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from common import Row, machine, rounds, show
from common_daemon import Daemon, spawned
from common_engines import loaded

from voicebus.clients import events
from voicebus.clients.sync import Client
from voicebus.workers.engine import Chunk, Engine, Passage, Recording, Request
from voicebus.workers.registry import find

PROVIDER = "whisper"
SENTENCE = "The harbour was still asleep, and the gulls had not begun to quarrel over the nets. "


@dataclass
class Heard:
    """One transcription: seconds to its first passage, seconds in all, what was heard."""

    first_s: float
    all_s: float
    text: str


def spoken(seconds: float) -> bytes:
    """A recording of espeak: wav, about so long."""
    import numpy as np
    import soundfile

    speaker = loaded(find("espeak")())
    items = speaker.synthesize(Request(SENTENCE, speaker.voices()[0].name))
    one = np.frombuffer(b"".join(item.pcm for item in items if isinstance(item, Chunk)), "<i2")
    times = max(1, round(seconds * speaker.sample_rate / len(one)))
    file = io.BytesIO()
    soundfile.write(file, np.tile(one, times), speaker.sample_rate, format="wav")
    speaker.close()
    return file.getvalue()


def alone(engine: Engine, data: bytes, *, vad: bool) -> Heard:
    begin, first, texts = time.perf_counter(), 0.0, []
    for item in engine.transcribe(Recording(io.BytesIO(data), language="en", vad=vad)):
        if isinstance(item, Passage):
            first = first or time.perf_counter() - begin
            texts.append(item.text)
    return Heard(first, time.perf_counter() - begin, "".join(texts))


def through_the_bus(client: Client, data: bytes, *, vad: bool) -> Heard:
    begin, first, texts = time.perf_counter(), 0.0, []
    for event in client.transcribe(data, provider=PROVIDER, language="en", vad=vad):
        if isinstance(event, events.Passage):
            first = first or time.perf_counter() - begin
            texts.append(event.text)
    return Heard(first, time.perf_counter() - begin, "".join(texts))


def rows_of(found: dict[str, list[Heard]], seconds: float) -> list[Row]:
    bus, engine = found["bus"], found["engine"]
    if {heard.text for heard in (*bus, *engine)} != {bus[0].text}:
        raise RuntimeError("the bus and the engine alone did not hear the same")
    firsts = Row(1, "time to first passage", "ms", [1000 * heard.first_s for heard in bus],
                 [1000 * heard.first_s for heard in engine], "alone", aim="(<= 1.02)")  # fmt: skip
    factors = Row(2, f"real-time factor, {seconds:.0f} s", "", [heard.all_s / seconds for heard in bus],
                  [heard.all_s / seconds for heard in engine], "alone", aim="(<= 1.02)")  # fmt: skip
    for row in (firsts, factors):
        row.met = row.ratio <= 1.02
    return [firsts, factors]


def measure(settings: dict[str, Any], seconds: float, runs: int, *, vad: bool) -> list[Row]:
    data = spoken(seconds)
    engine = loaded(find("whisper")(), settings)
    config = spawned(PROVIDER, 1, module="voicebus.workers.whisper", settings=settings, load_s=300, first_chunk_s=300,
                     chunk_s=300)  # fmt: skip
    with Daemon(config) as daemon, Client(endpoint=f"ipc://{daemon.runtime}/bus.sock", start=False) as client:
        through_the_bus(client, data, vad=vad)
        alone(engine, data, vad=vad)
        found = rounds(
            runs, engine=lambda: alone(engine, data, vad=vad), bus=lambda: through_the_bus(client, data, vad=vad)
        )
    return rows_of(found, len(data) / 2 / 22050)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Whisper alone and through the bus.")
    parser.add_argument("--model", default="", metavar="FOLDER", help="a model; one of random weights else")
    parser.add_argument("--size", default="base", help="of the random one: tiny, base, small")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the recording")
    parser.add_argument("--tokens", type=int, default=64, help="that a window makes at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--vad", action="store_true", help="with voice activity detection")
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vb-bench-") as folder:
        build = import_module("voicebus.tests.workers.whisper.tiny").build
        model = chosen.model or str(build(Path(folder) / chosen.size, size=chosen.size))
        settings = {"model": model, "device": chosen.device, "threads": chosen.threads, "temperature": 0.0,
                    "max_new_tokens": chosen.tokens, "condition_on_previous_text": False}  # fmt: skip
        rows = measure(settings, chosen.seconds, chosen.runs, vad=chosen.vad)
    about = machine() | {
        "model": chosen.model or f"random, {chosen.size}",
        "runs": chosen.runs,
        "threads": chosen.threads,
    }
    show(about, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
