"""Several jobs at once on the PyTorch engine, and many one after another: ``make bench-torch-many``.

Measured through the bus, at a raw client: four jobs at once, from the first SUBMIT to the last terminal, on a worker of
four slots that makes them together, against one of one slot that makes them in turn; and the memory of a worker over
500 jobs, after the first 50 and at the end. The model is tiny unless `--model` names another.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Row, machine, rounds, show
from common_daemon import Daemon, spawned
from common_engines import loaded
from common_peers import RawClient
from qwen_engine import TEXT, checkpoint, seed_of_some_length

from voicebus.bus import messages as m
from voicebus.workers.qwen_torch import QwenEngine

PROVIDER = "pytorch"

AT_ONCE = 4

SETTLED = 50
"""Jobs after which a worker has all that it keeps."""


def config(settings: dict[str, Any], name: str) -> str:
    return spawned(name, 1, module="voicebus.workers.qwen_torch", settings=settings, rate=24000, load_s=300,
                   first_chunk_s=300, chunk_s=300, beat_s=0.5)  # fmt: skip


def at_once(client: RawClient, provider: str, voice: str, seed: int) -> tuple[float, int]:
    """Seconds for four jobs at once, and their samples."""
    chain, begun = [m.Choice(provider=provider, voice=voice)], time.perf_counter()
    for _ in range(AT_ONCE):
        client.submit(TEXT, chain=chain, language="en", seed=seed)
    samples = sum(client.finish().samples for _ in range(AT_ONCE))
    return time.perf_counter() - begun, samples


def batched(settings: dict[str, Any], seed: int, voice: str, runs: int) -> Row:
    names = {f"{PROVIDER}-4": settings | {"slots": AT_ONCE}, f"{PROVIDER}-1": settings | {"slots": 1}}
    with Daemon(*(config(told, name) for name, told in names.items())) as daemon, RawClient(daemon.runtime) as client:
        for name in names:
            at_once(client, name, voice, seed)
        calls = {name: lambda name=name: at_once(client, name, voice, seed) for name in names}
        found = rounds(runs, **{name.replace("-", "_"): call for name, call in calls.items()})
    four, one = (found[f"{PROVIDER}_{slots}"] for slots in (4, 1))
    if len({samples for _, samples in four + one}) != 1:
        raise RuntimeError("what was made together is not what was made in turn")
    seconds = four[0][1] / 24000
    return Row(1, f"{AT_ONCE} jobs at once, {seconds:.1f} s of audio", "s", [each for each, _ in four],
               [each for each, _ in one], "in turn", aim="< 1", met=max(four)[0] < min(one)[0])  # fmt: skip


def memory(settings: dict[str, Any], seed: int, voice: str, jobs: int) -> Row:
    name, sizes = PROVIDER, []
    with Daemon(config(settings, name)) as daemon, RawClient(daemon.runtime) as client:
        for _ in range(jobs):
            client.submit(TEXT, chain=[m.Choice(provider=name, voice=voice)], language="en", seed=seed, keep="nothing")
            client.finish()
            sizes.append(client.rows("workers")[0]["rss"])
    before, after = max(sizes[:SETTLED]) / 1e6, max(sizes[-SETTLED:]) / 1e6
    return Row(2, f"memory of the worker after {jobs} jobs", "MB", [after], [before], f"after {SETTLED}",
               aim="< 1.02", met=after < 1.02 * before)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure many jobs on the PyTorch engine.")
    parser.add_argument("--model", default="", metavar="FOLDER")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vb-bench-") as folder:
        settings = {"model": chosen.model or str(checkpoint("torch", Path(folder))), "device": chosen.device,
                    "dtype": chosen.dtype, "threads": chosen.threads}  # fmt: skip
        engine = loaded(QwenEngine(), settings)
        seed, voice = seed_of_some_length(engine), engine.voices()[0].name
        rows = [batched(settings, seed, voice, chosen.runs)] if chosen.runs else []
        rows += [memory(settings, seed, voice, chosen.jobs)] if chosen.jobs else []
    show(machine(), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
