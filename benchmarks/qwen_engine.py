"""An engine of Qwen3-TTS alone, and the same engine through the bus: ``make bench-torch``, ``make bench-mlx``.

Measured, in turns, with the same seed and so with the same audio: the time from the request to the first audio, and
the real-time factor of the whole utterance, of the engine in this process; then the same from SUBMIT to the terminal
at a raw client, with the daemon, the worker and the client in processes of their own. Aim: within 2 %.

The weights are random, since speed does not depend on their values, and by default the model is tiny: the figures say
what the bus adds to a frame of some milliseconds and nothing about the speed of speech. With `--deep` it has the layers
of the published models (28 and 5, as narrow as ever), and so as many steps to a frame; `--model` takes a real one.
"""

from __future__ import annotations

import argparse
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
from common_peers import RawClient

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_to_client
from voicebus.workers.engine import Engine, EngineError, Request
from voicebus.workers.registry import find

TEXT = "The quick brown fox jumps over the lazy dog while nobody at all is looking on."
"""One segment: the job's seed is that of its first segment."""

PROVIDER = "qwen"

MODULES = {"torch": "qwen_torch", "mlx": "qwen_mlx"}
TINY = {"torch": ("qwen", {"books": 16}), "mlx": ("qwen_mlx", {})}
"""What the tests make their models with: random, with the real number of codes a frame."""


@dataclass
class Said:
    """One utterance: seconds to its first audio, seconds in all, its samples."""

    first_s: float
    all_s: float
    samples: int

    def factor(self, rate: int) -> float:
        return self.all_s / (self.samples / rate)


def checkpoint(library: str, folder: Path, *, deep: bool = False) -> Path:
    """A tiny model. deep: with as many layers as the published ones; PyTorch only."""
    tests, options = TINY[library]
    tiny = import_module(f"voicebus.tests.workers.{tests}.tiny")
    return tiny.build(folder, **options, **({"layers": tiny.PUBLISHED} if deep else {}))


def alone(engine: Engine, seed: int) -> Said:
    first, samples, begin = 0.0, 0, time.perf_counter()
    for chunk in engine.synthesize(Request(TEXT, engine.voices()[0].name, "en", seed=seed)):
        if chunk.pcm:
            first = first or time.perf_counter() - begin
            samples += len(chunk.pcm) // 2
    return Said(first, time.perf_counter() - begin, samples)


def through_the_bus(client: RawClient, voice: str, seed: int) -> Said:
    chain, begin = [m.Choice(provider=PROVIDER, voice=voice)], time.perf_counter()
    client.submit(TEXT, chain=chain, language="en", seed=seed)
    first = 0.0
    while True:
        message = decode_to_client(client.receive()[0])
        if isinstance(message, m.Audio):
            first = first or time.perf_counter() - begin
        elif isinstance(message, m.Terminal):
            if message.state != "finished":
                raise RuntimeError(f"{message.state} {message.code}: {message.message}")
            return Said(first, time.perf_counter() - begin, message.samples)


def seed_of_some_length(engine: Engine) -> int:
    """A seed with which random weights find an end, and not too soon."""
    for seed in range(100):
        try:
            if alone(engine, seed).samples > 2.5 * engine.sample_rate:
                return seed
        except EngineError:
            continue
    raise SystemExit("with none of 100 seeds does this model say more than 2.5 s")


def rows_of(found: dict[str, list[Said]], rate: int) -> list[Row]:
    bus, engine = found["bus"], found["engine"]
    if {said.samples for said in bus} != {said.samples for said in engine}:
        raise RuntimeError("the bus and the engine alone did not say the same")
    length = f"{engine[0].samples / rate:.1f} s of audio"
    firsts = Row(1, "time to first audio", "ms", [1000 * said.first_s for said in bus],
                 [1000 * said.first_s for said in engine], "alone", aim="(<= 1.02)")  # fmt: skip
    factors = Row(2, f"real-time factor, {length}", "", [said.factor(rate) for said in bus],
                  [said.factor(rate) for said in engine], "alone", aim="(<= 1.02)")  # fmt: skip
    for row in (firsts, factors):
        row.met = row.ratio <= 1.02
    return [firsts, factors]


def measure(library: str, settings: dict[str, Any], runs: int) -> list[Row]:
    engine = loaded(find(MODULES[library])(), settings)
    seed, voice = seed_of_some_length(engine), engine.voices()[0].name
    config = spawned(PROVIDER, 1, module=f"voicebus.workers.{MODULES[library]}", settings=settings, rate=24000,
                     load_s=300, first_chunk_s=300, chunk_s=300)  # fmt: skip
    with Daemon(config) as daemon, RawClient(daemon.runtime) as client:
        through_the_bus(client, voice, seed)
        found = rounds(runs, engine=lambda: alone(engine, seed), bus=lambda: through_the_bus(client, voice, seed))
    return rows_of(found, engine.sample_rate)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure an engine of Qwen3-TTS alone and through the bus.")
    parser.add_argument("library", choices=sorted(MODULES))
    parser.add_argument(
        "--model", default="", metavar="FOLDER", help="a checkpoint with preset voices; a tiny one else"
    )
    parser.add_argument("--deep", action="store_true", help="tiny, with all the layers; PyTorch only")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=1, help="of the processor; PyTorch only")
    parser.add_argument("--packet", type=int, default=4, help="frames in a packet")
    parser.add_argument("--runs", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vb-bench-") as folder:
        settings = {
            "model": chosen.model or str(checkpoint(chosen.library, Path(folder), deep=chosen.deep)),
            "device": chosen.device,
            "dtype": chosen.dtype if chosen.model else "float32",
            **({"threads": chosen.threads} if chosen.library == "torch" else {}),
            "packet_frames": chosen.packet,
        }
        rows = measure(chosen.library, settings, chosen.runs)
    about = machine() | {"library": chosen.library, "runs": chosen.runs, "packet": chosen.packet}
    show(about, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
