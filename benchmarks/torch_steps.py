"""The frames of the PyTorch engine by themselves, one and several at a time: ``make bench-torch-steps``.

Measured, in turns: a frame of the package's modules, called one after another as its `generate` does but without
transformers' machinery around them (what this engine did before); a frame of this engine alone; and a frame of several
utterances at once, per utterance. `--size` makes a random model of a published size instead of the tiny one, which
needs 2.2 GB (0.6B) or 4.5 GB (1.7B) in bfloat16.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch_model
from common import Row, machine, show
from qwen_engine import checkpoint

PROMPT = 40


class PackageLoop:
    """The package's own modules, a frame a call, with its memory that grows."""

    def __init__(self, model: Any, plan: Any) -> None:
        from voicebus.workers._qwen_draws import Manner, Manners

        self._talker, self._predictor = model.talker, model.talker.code_predictor
        self._plan, self._embed, self._cache = plan, plan.embeds, None
        config, device = model.talker.config, model.talker.codec_head.weight.device
        self._first = Manners(1, config.vocab_size, device)
        self._other = Manners(1, config.code_predictor_config.vocab_size, device)
        self._first.set(0, Manner.of_talker(plan.sampling))
        self._other.set(0, Manner.of_predictor(plan.sampling))
        self._end = config.vocab_size - 1024

    def _draw(self, manners: Any, logits: Any) -> Any:
        import torch

        noise = torch.empty(logits.shape[-1], device=logits.device).exponential_(1.0)
        return manners.draw(logits[:, -1].float(), noise, slice(0, 1))

    def frame(self) -> None:
        import torch

        with torch.inference_mode():
            made = self._talker.model(inputs_embeds=self._embed, past_key_values=self._cache, use_cache=True)
            self._cache, hidden = made.past_key_values, made.last_hidden_state[:, -1:]
            scores = self._talker.codec_head(hidden)
            scores[..., self._end :] = -torch.inf
            code = self._draw(self._first, scores)
            embedded = [self._talker.get_input_embeddings()(code)]
            made = self._predictor(inputs_embeds=torch.cat((hidden, embedded[0]), dim=1), use_cache=True)
            tables = self._predictor.get_input_embeddings()
            for book, table_ in enumerate(tables):
                code = self._draw(self._other, made.logits)
                embedded.append(table_(code))
                if book + 1 < len(tables):
                    made = self._predictor(
                        input_ids=code, past_key_values=made.past_key_values, use_cache=True, generation_steps=book + 1
                    )
            self._embed = torch.cat(embedded, dim=1).sum(1, keepdim=True) + self._plan.pad


def timed(call: Callable[[], Any], frames: int) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    for _ in range(frames):
        call()
    return 1000 * (time.perf_counter() - began) / frames


class Tried:
    """One model with its rows, and what is measured of it."""

    def __init__(self, model: Any, plans: list[Any], rows: int, recorder: Any) -> None:
        from voicebus.workers import _qwen_proofs
        from voicebus.workers._qwen_talker import Talker
        from voicebus.workers._qwen_utterance import Rows

        self.model, self.plans = model, plans
        self.loop = PackageLoop(model, plans[0])
        talker = Talker(model, rows, 2048 if recorder else 0)
        self.alike = rows > 1 and _qwen_proofs.alike(talker)
        if recorder:
            talker.recorded, why = _qwen_proofs.recorded(talker, recorder)
            print(f"recorded: {why or 'yes'}")
        self.rows = Rows(talker)

    def together(self, width: int, frames: int) -> float:
        """Milliseconds of a frame of each of so many utterances, for each."""
        from voicebus.workers._qwen_utterance import Utterance

        several = [Utterance(self.rows, self.plans[n], n, 400) for n in range(width)]
        try:
            for utterance in several:
                utterance.begin()
            self.rows.frames(several)
            return timed(lambda: self.rows.frames(several), frames) / width
        finally:
            for utterance in several:
                utterance.close()

    def package(self, frames: int) -> float:
        self.loop.frame()
        return timed(self.loop.frame, frames)


def tried(chosen: argparse.Namespace, folder: Path) -> Tried:
    import torch

    from voicebus.workers import _qwen_graphs

    torch.set_num_threads(chosen.threads)
    rows, recorder = max(chosen.widths), _qwen_graphs.recorder(chosen.device)
    if chosen.size == "tiny":
        model = torch_model.tiny(str(checkpoint("torch", folder)), chosen.device)
    else:
        model = torch_model.model(chosen.size, getattr(torch, chosen.dtype), chosen.device)
    return Tried(model, [torch_model.plan(model, PROMPT + 7 * n, n) for n in range(rows)], rows, recorder)


def measure(one: Tried, chosen: argparse.Namespace) -> list[Row]:
    found: dict[Any, list[float]] = {name: [] for name in ("package", *chosen.widths)}
    for _ in range(chosen.runs):
        found["package"].append(one.package(chosen.frames))
        for width in chosen.widths:
            found[width].append(one.together(width, chosen.frames))
    rows = [Row(1, "a frame, of the package's modules", "ms", found["package"], [80.0] * chosen.runs, "80 ms of audio")]
    rows.append(Row(2, "a frame, alone", "ms", found[1], found["package"], "the package's modules"))
    for number, width in enumerate(chosen.widths[1:], 3):
        rows.append(Row(number, f"a frame of {width} at once, for each", "ms", found[width], found[1], "alone"))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the frames of the PyTorch engine.")
    parser.add_argument("--size", choices=["tiny", "0.6B", "1.7B"], default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16", help="of a model that is not tiny")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--widths", type=lambda told: [int(each) for each in told.split(",")], default=[1, 2, 4])
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vb-bench-") as folder:
        one = tried(chosen, Path(folder))
        rows = measure(one, chosen)
    about = machine() | {"size": chosen.size, "threads": chosen.threads, "rows alike": one.alike}
    show(about, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
