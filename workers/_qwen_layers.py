"""A stack of transformer layers, run over memory that stays where it is.

Owns: how one of the model's two networks is computed, with fewer and larger steps than the package's own modules take.
Must not know: codes, draws, utterances. Invariant: in float32 it computes what the package's layers compute, but for
the order in which a product is summed; no call allocates memory that grows with the utterance.

What is gone: three projections of the attention are one product, and two of the MLP; the keys and values of all rows
live in one block that is written in place, where the package appends and so copies all of it in each layer of each
step; a query looks at its keys by groups, so that none is repeated; masks and positions are made once a step, not in
each layer. The weights are the model's own, of which the package's modules keep views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn import functional


class Place(Protocol):
    """Where the tokens of a call are in the memory, and what they see of it."""

    def put(self, kept: Any, keys: Any, values: Any) -> None:
        """Write keys and values (rows, tokens, heads, width) into one layer's memory."""

    def seen(self, kept: Any) -> tuple[Any, Any, Any]:
        """The keys and values to look at, (rows, heads, length, width), and a mask or None."""


@dataclass(frozen=True, slots=True)
class At:
    """The same place in some neighbouring rows: `tokens` of them from `start` on, which see all before them."""

    rows: slice
    start: int
    tokens: int = 1

    def put(self, kept: Any, keys: Any, values: Any) -> None:
        there = kept[:, self.rows, :, self.start : self.start + self.tokens]
        there[0].copy_(keys.transpose(1, 2))
        there[1].copy_(values.transpose(1, 2))

    def seen(self, kept: Any) -> tuple[Any, Any, Any]:
        there = kept[:, self.rows, :, : self.start + self.tokens]
        return there[0], there[1], None


@dataclass(frozen=True, slots=True)
class Each:
    """One token in each row, at the row's own place. rows, places: (rows,). length: of the memory that is looked at, at
    least one more than each place. mask: (rows, 1, 1, length), true where there is something to see."""

    rows: Any
    places: Any
    length: int
    mask: Any

    def put(self, kept: Any, keys: Any, values: Any) -> None:
        kept[0].transpose(1, 2)[self.rows, self.places] = keys[:, 0]
        kept[1].transpose(1, 2)[self.rows, self.places] = values[:, 0]

    def seen(self, kept: Any) -> tuple[Any, Any, Any]:
        there = kept[:, : len(self.rows), :, : self.length]
        return there[0], there[1], self.mask


class Stack:
    """The layers of one network. model: the package's, with `layers`, `norm` and `rotary_emb`."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._layers = [_Layer(layer) for layer in model.layers]
        weight = self._layers[0].joined
        self.dtype, self.device = weight.dtype, weight.device

    def memory(self, rows: int, length: int) -> Any:
        """Room for the keys and values of so many tokens in each row: (layers, 2, rows, heads, length, width)."""
        one = self._layers[0]
        shape = (len(self._layers), 2, rows, one.kept, length, one.width)
        # Zeros, not just anything: what no mask lets through is multiplied by nothing, and nothing times NaN is NaN.
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def turns(self, length: int) -> tuple[Any, Any]:
        """How the tokens at the places 0 to `length` are turned: two tables (length, width)."""
        places = torch.arange(length, device=self.device)[None]
        rotary = self._model.rotary_emb
        three = type(rotary).__name__ == "Qwen3TTSTalkerRotaryEmbedding"
        # Text has one position, which counts for all three of the talker's.
        cos, sin = rotary(
            torch.empty(0, dtype=self.dtype, device=self.device), places.expand(3, 1, -1) if three else places
        )
        cos, sin = (cos[0, 0], sin[0, 0]) if three else (cos[0], sin[0])
        half = sin.shape[-1] // 2
        return cos, torch.cat((-sin[:, :half], sin[:, half:]), dim=-1)

    def run(self, tokens: Any, turns: tuple[Any, Any], place: Place, memory: Any) -> Any:
        """The last hidden states of `tokens` (rows, tokens, width), of which each row has one, or all begin at 0.
        turns: the rows of `turns` for their places, (rows or 1, tokens, 1, width)."""
        for layer, kept in zip(self._layers, memory, strict=True):
            tokens = layer.run(tokens, turns, place, kept)
        return _normed(tokens, self._model.norm)


class _Layer:
    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.width = int(attention.head_dim)
        self.joined, self._bias = _joined(attention.q_proj, attention.k_proj, attention.v_proj)
        self._heads = attention.q_proj.weight.shape[0] // self.width
        self.kept = attention.k_proj.weight.shape[0] // self.width
        self._out = attention.o_proj
        self._scale = float(attention.scaling)
        counts = torch.tensor([self._heads, self.kept], device=self.joined.device)
        # One norm for the queries, another for the keys, in one multiplication.
        norms = torch.stack((attention.q_norm.weight, attention.k_norm.weight))
        self._norms = norms.detach().repeat_interleave(counts, dim=0)
        self._epsilon = float(attention.q_norm.variance_epsilon)
        self._gates, self._gates_bias = _joined(mlp.gate_proj, mlp.up_proj)
        self._down, self._act = mlp.down_proj, mlp.act_fn
        self._before, self._between = layer.input_layernorm, layer.post_attention_layernorm

    def run(self, tokens: Any, turns: tuple[Any, Any], place: Place, kept: Any) -> Any:
        tokens = tokens + self._attended(_normed(tokens, self._before), turns, place, kept)
        gates = functional.linear(_normed(tokens, self._between), self._gates, self._gates_bias)
        gate, up = gates.chunk(2, dim=-1)
        return tokens + self._down(self._act(gate) * up)

    def _attended(self, tokens: Any, turns: tuple[Any, Any], place: Place, kept: Any) -> Any:
        rows, count, _ = tokens.shape
        made = functional.linear(tokens, self.joined, self._bias).view(rows, count, -1, self.width)
        both, values = made.split((self._heads + self.kept, self.kept), dim=2)
        both = functional.rms_norm(both, (self.width,), None, self._epsilon) * self._norms
        cos, sin = turns
        both = both * cos + both.roll(self.width // 2, dims=-1) * sin
        queries, keys = both.split((self._heads, self.kept), dim=2)
        place.put(kept, keys, values)
        if count > 1:
            found = self._all_of(queries, keys, values)
        else:
            grouped = queries.reshape(rows, self.kept, -1, self.width)
            seen, meant, mask = place.seen(kept)
            found = functional.scaled_dot_product_attention(grouped, seen, meant, mask, scale=self._scale)
        return self._out(found.reshape(rows, count, -1))

    def _all_of(self, queries: Any, keys: Any, values: Any) -> Any:
        """Each token looks at itself and at those before it, of which the memory knows nothing yet."""
        each = self._heads // self.kept
        heads = [queries.transpose(1, 2), *(kept.transpose(1, 2).repeat_interleave(each, 1) for kept in (keys, values))]
        found = functional.scaled_dot_product_attention(*heads, is_causal=True, scale=self._scale)
        return found.transpose(1, 2)


def _normed(tokens: Any, norm: Any) -> Any:
    return functional.rms_norm(tokens, (tokens.shape[-1],), norm.weight, norm.variance_epsilon)


def _joined(*linears: Any) -> tuple[Any, Any]:
    """The weights of several projections of the same tokens as those of one, of which each keeps its part."""
    weight = torch.cat([linear.weight.detach() for linear in linears])
    at = 0
    for linear in linears:
        count = linear.weight.shape[0]
        linear.weight.data = weight[at : at + count]
        at += count
    biased = linears[0].bias is not None
    return weight, torch.cat([linear.bias.detach() for linear in linears]) if biased else None
