"""How the next code is drawn, for several utterances at once.

Owns: what is done to a network's scores before a code is drawn from them, and the draw. Must not know: networks,
utterances. Invariant: each row is drawn as the package (transformers' processors, then `torch.multinomial`) would draw
it alone with the same generator, bit for bit in float32, whatever the other rows are; nothing here asks the device for
a result, so nothing waits for it and all of it can be recorded into a graph.

`torch.multinomial` of one draw divides the probabilities by noise of an exponential distribution and takes the largest.
So the noise can be made beforehand, row by row, each from its own generator, and what follows is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Manner:
    """How one network's codes are drawn. greedy: the likeliest, always. top_k: 0 for all. penalty: on codes that came
    before, 1.0 for none."""

    greedy: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    penalty: float = 1.0

    @classmethod
    def of_talker(cls, sampling: dict[str, Any]) -> Manner:
        """Of the first code of each frame, as the package was asked."""
        names = ("temperature", "top_k", "top_p", "repetition_penalty")
        return cls(not sampling["do_sample"], *(sampling[name] for name in names))

    @classmethod
    def of_predictor(cls, sampling: dict[str, Any]) -> Manner:
        """Of the others."""
        names = ("subtalker_temperature", "subtalker_top_k", "subtalker_top_p")
        return cls(not sampling["subtalker_dosample"], *(sampling[name] for name in names))


FREE = Manner(top_k=1)
"""Of a row in which nobody is: what costs the others least."""


class Manners:
    """The manners of all rows, as tensors. codes: how many there are to draw from."""

    def __init__(self, rows: int, codes: int, device: Any) -> None:
        self.nucleus = False
        self._codes = codes
        self._set: list[Manner] = [FREE] * rows
        real = {"dtype": torch.float32, "device": device}
        self._temperature = torch.ones((rows, 1), **real)
        self._unlikely = torch.zeros((rows, 1), **real)
        self._penalty = torch.ones((rows, 1), **real)
        self._last = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._most, self._bounded = 1, True

    def set(self, row: int, manner: Manner = FREE) -> None:
        """Draw a row like this from now on."""
        self._set[row] = manner
        plain = manner.greedy
        self._temperature[row] = 1.0 if plain else manner.temperature
        self._unlikely[row] = 0.0 if plain else 1 - manner.top_p  # In double precision first, as the package.
        self._penalty[row] = manner.penalty
        self._last[row] = self._bound(manner) - 1
        bounds = [self._bound(each) for each in self._set]
        self._most, self._bounded = max(bounds), min(bounds) < self._codes
        self.nucleus = any(each.top_p < 1.0 and not each.greedy for each in self._set)

    def _bound(self, manner: Manner) -> int:
        return min(self._codes, manner.top_k) if manner.top_k and not manner.greedy else self._codes

    @property
    def shape(self) -> tuple[int, bool, bool]:
        """What of the manners is not in a tensor: a recorded draw holds as long as this is the same."""
        return self._most, self._bounded, self.nucleus

    def noise(self, row: int, out: Any, generator: Any) -> None:
        """The noise for one draw of a row, into `out` (codes,)."""
        if self._set[row].greedy:
            out.fill_(1.0)
        else:
            out.exponential_(1.0, generator=generator)

    def punished(self, scores: Any, seen: Any, rows: slice) -> Any:
        """The scores (rows, codes), less where `seen` (of that shape) is true."""
        penalty = self._penalty[rows]
        return torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)

    def draw(self, scores: Any, noise: Any, rows: slice) -> Any:
        """One code for each row, (rows, 1), of float32 scores (rows, codes)."""
        scores = scores / self._temperature[rows]
        if self._bounded:
            best = scores.topk(self._most).values.gather(-1, self._last[rows])
            scores = scores.masked_fill(scores < best, -torch.inf)
        if self.nucleus:
            scores = self._likeliest(scores, rows)
        return (torch.softmax(scores, dim=-1) / noise).argmax(-1, keepdim=True)

    def _likeliest(self, scores: Any, rows: slice) -> Any:
        """Only the codes that together have `top_p` of all probability; a row that has no such bound keeps all."""
        bound = self._unlikely[rows]
        ordered, order = torch.sort(scores, descending=False)
        unlikely = (ordered.softmax(dim=-1).cumsum(dim=-1) <= bound) & (bound > 0)
        unlikely[..., -1:] = False
        return scores.masked_fill(unlikely.scatter(1, order, unlikely), -torch.inf)
