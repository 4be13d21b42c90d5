"""Frames that a device has recorded and plays again, without being told each of their thousands of steps.

Owns: when a frame is recorded, and which recording fits. Must not know: models, utterances. Invariant: what is played
is what was recorded with the same key; recording changes nothing but the tensors that a frame writes anyway.

A frame of Qwen3-TTS is some thousands of small kernels, and a GPU waits for the launch of each of them: the package
reaches a third of the speed that the same card has with them recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager

import torch

WARM_UPS = 3
"""Libraries choose and allocate in their first calls, which cannot be recorded."""

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Records some work, of which the tensors stay where they are, and gives what plays it."""


class Recorded:
    """What was recorded, by what it depends on. record: the device's own way. still: a context in which the work, which
    is done a few times before it is recorded, leaves no trace in what is under way."""

    def __init__(self, record: Record, still: Callable[[], AbstractContextManager[None]]) -> None:
        self._record = record
        self._still = still
        self._known: dict[Hashable, Callable[[], None]] = {}

    def play(self, key: Hashable, work: Callable[[], None]) -> None:
        """Do some work, by playing what was recorded of it with this key."""
        if key not in self._known:
            with self._still():
                self._known[key] = self._record(work)
        self._known[key]()


def recorder(device: str) -> Record | None:
    """How this device records, None where it cannot. Only CUDA's graphs are known."""
    if not device.startswith("cuda") or torch.version.cuda is None:
        return None
    pool = torch.cuda.graph_pool_handle()

    def record(work: Callable[[], None]) -> Callable[[], None]:
        aside = torch.cuda.Stream(device)
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream(device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            work()
        play: Callable[[], None] = graph.replay
        return play

    return record
