"""One frame of codes after another, for the utterances that stand in the rows of one model.

Owns: the order of the model's calls and of the draws from its distributions; the tensors of the rows. Must not know:
audio, texts, who an utterance belongs to. Invariant: with the same generator a row draws the same codes as the
package's own `generate`, which a test holds; between two frames nothing runs.

The package keeps every layer's state of every step until the end, and runs a whole `generate` of transformers inside
each frame for the other 15 books. Here a frame is one function (`frame`) over tensors that stay where they are: the
talker reads what was said last, the first code is drawn, and the predictor finds the other ones. Nothing of it asks
the device for a result, so that a device which can record it plays it without us (`_qwen_graphs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from ._qwen_draws import Manner, Manners
from ._qwen_graphs import Recorded
from ._qwen_layers import At, Each, Place, Stack

STEP = 64
"""The memory that rows of different lengths look at is as long as the longest, rounded up to this."""

USUAL = 512
"""Tokens for which there is always room in a row: a prompt, and some half a minute of speech."""

LEAST_RECORDED = 256
"""The same where frames are recorded: this, or two, four ... times it."""


class Talker:
    """The model's two networks, the talker and the predictor, and the rows in which they are run.

    rows: how many there are. longest: tokens for which there is room in each; 0 makes more room where it is needed.
    """

    def __init__(self, model: Any, rows: int = 1, longest: int = 0) -> None:
        self._model = model.talker
        self._predictor = model.talker.code_predictor
        self.rows = rows
        self.end = int(model.config.talker_config.codec_eos_token_id)
        self.books = int(model.talker.config.num_code_groups)
        self._talking, self._predicting = Stack(self._model.model), Stack(self._predictor.model)
        self.device = self._talking.device
        self.alike = False
        """Whether a row says the same to the last bit whatever is in the others (`_qwen_proofs` finds out)."""
        self.recorded: Recorded | None = None
        """Frames that the device has recorded, where it can."""
        self._fixed = longest > 0
        self._tensors()
        self._predicting_turns = self._predicting.turns(self.books + 1)
        self._predicting_memory = self._predicting.memory(rows, self.books + 1)
        self._room(longest or USUAL)

    def _tensors(self) -> None:
        """What a frame reads and writes."""
        rows, device, width = self.rows, self.device, self._model.config.hidden_size
        firsts, others = self._model.config.vocab_size, self._predictor.config.vocab_size
        hidden = {"dtype": self._talking.dtype, "device": device}
        real, truth = ({"dtype": kind, "device": device} for kind in (torch.float32, torch.bool))
        self.said = torch.zeros((rows, 1, width), **hidden)
        self.text = torch.zeros((rows, 1, width), **hidden)
        self.codes = torch.zeros((rows, self.books), dtype=torch.long, device=device)
        self.scores: list[Any] = []
        self._heard, self._barred = (torch.zeros((rows, firsts), **truth) for _ in range(2))
        self._first, self._other = Manners(rows, firsts, device), Manners(rows, others, device)
        self._first_noise = torch.ones((rows, firsts), **real)
        self._other_noise = torch.ones((self.books - 1, rows, others), **real)
        self._numbers = torch.arange(rows, device=device)
        self._places, self._active = torch.zeros_like(self._numbers), torch.zeros((rows, 1), **truth)
        self._stands = [0] * rows

    def _room(self, length: int) -> None:
        """Have room for so many tokens in each row."""
        before: Any = getattr(self, "memory", None)
        self.length = length
        self.memory = self._talking.memory(self.rows, length)
        self._turns = self._talking.turns(length)
        if before is not None:
            kept = min(length, before.shape[-2])
            self.memory[..., :kept, :].copy_(before[..., :kept, :])

    # ------------------------------------------------------------------------------------------------ rows

    def room(self, length: int) -> bool:
        """Have room for an utterance of so many tokens, prompt and all; False where there is less and no more to be
        had."""
        if not self._fixed and length > self.length:
            self._room(-(-length // STEP) * STEP)
        return length <= self.length

    def read(self, number: int, prompt: Any) -> None:
        """All of a prompt (1, tokens, width) but its last token, which is what was said last."""
        count = prompt.shape[1] - 1
        turns = tuple(table[None, :count, None] for table in self._turns)
        self._talking.run(prompt[:, :-1], turns, At(slice(number, number + 1), 0, count), self.memory)
        self.said[number] = prompt[0, -1]
        self._stands[number] = count

    def describe(self, number: int, sampling: dict[str, Any]) -> None:
        """How a row is drawn, in the package's words; nothing was heard of it yet."""
        self._first.set(number, Manner.of_talker(sampling))
        self._other.set(number, Manner.of_predictor(sampling))
        self._heard[number] = False
        self._barred[number] = False
        self._barred[number, torch.tensor(sampling["suppress_tokens"], dtype=torch.long, device=self.device)] = True

    def bar_end(self, number: int, *, barred: bool) -> None:
        """Whether a row may not end with the next frame."""
        self._barred[number, self.end] = barred

    def chance(self, number: int, random: Any) -> None:
        """Throw the dice for a row's next frame, in the order in which the package does."""
        self._first.noise(number, self._first_noise[number], random)
        for noise in self._other_noise[:, number]:
            self._other.noise(number, noise, random)

    def stand(self, number: int, place: int) -> None:
        """So many tokens of a row are read."""
        self._stands[number] = place

    def leave(self, number: int) -> None:
        """A row is free again; room that was made for long ones goes when all are."""
        self._stands[number] = 0
        self._first.set(number)
        self._other.set(number)
        if not self._fixed and self.length > USUAL and not any(self._stands):
            del self.memory
            self._room(USUAL)

    def clear(self) -> None:
        """Nothing is known of any row."""
        for tensor in (self.said, self.text, self.memory, self._heard, self._barred, self._active):
            tensor.zero_()
        for number in range(self.rows):
            self.leave(number)

    # ---------------------------------------------------------------------------------------------- frames

    def alone(self, number: int) -> None:
        """A frame in one row, at the least cost."""
        place, rows = self._stands[number], slice(number, number + 1)
        turns = tuple(table[None, place : place + 1, None] for table in self._turns)
        self.frame(rows, At(rows, place), turns)
        self._stands[number] += 1

    def together(self, numbers: list[int], width: int) -> None:
        """A frame in the first `width` rows at once, which counts in those of these numbers only."""
        of = set(numbers)
        self._active.copy_(torch.tensor([[number in of] for number in range(self.rows)]))
        self._places.copy_(torch.tensor(self._stands))
        length = self._looked_at(max(self._stands) + 1)
        if self.recorded is None:
            self._wide(width, length)
        else:
            key = (width, length, self._first.shape, self._other.shape)
            self.recorded.play(key, partial(self._wide, width, length))
        for number in numbers:
            self._stands[number] += 1

    def _looked_at(self, tokens: int) -> int:
        if self.recorded is None:
            return min(self.length, -(-tokens // STEP) * STEP)
        # Each length is a recording of its own, and to look at what is masked costs a device that records little.
        return min(self.length, max(LEAST_RECORDED, 1 << (tokens - 1).bit_length()))

    def _wide(self, width: int, length: int) -> None:
        rows = slice(0, width)
        places = self._places[rows]
        mask = torch.arange(length, device=self.device) <= places[:, None]
        turns = tuple(table[places][:, None, None] for table in self._turns)
        self.frame(rows, Each(self._numbers[rows], places, length, mask[:, None, None]), turns)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Frames that are made meanwhile count in no row."""
        active = self._active.clone()
        self._active.zero_()
        yield
        self._active.copy_(active)

    def frame(self, rows: slice, place: Place, turns: tuple[Any, ...]) -> None:
        """Make one frame in each of these rows: reads what was said last, writes the codes."""
        hidden = self._talking.run(self.said[rows], turns, place, self.memory)
        scores = self._model.codec_head(hidden)[:, -1].float()
        self.scores = [scores]
        scores = self._first.punished(scores, self._heard[rows], rows).masked_fill(self._barred[rows], -torch.inf)
        code = self._first.draw(scores, self._first_noise[rows], rows)
        codes, said = self._others(hidden, code, rows)
        self.codes[rows] = codes
        said, heard = said + self.text[rows], self._heard[rows].scatter(1, code, True)
        if isinstance(place, Each):
            active = self._active[rows]
            said = torch.where(active[:, None], said, self.said[rows])
            heard = torch.where(active, heard, self._heard[rows])
        self.said[rows], self._heard[rows] = said, heard

    def _others(self, hidden: Any, code: Any, rows: slice) -> tuple[Any, Any]:
        """All codes of a frame whose first is given (rows, 1), and the sum of their embeddings (rows, 1, width)."""
        codes, embedded = [code], [self._model.get_input_embeddings()(code)]
        project, tables = self._predictor.small_to_mtp_projection, self._predictor.get_input_embeddings()
        tokens, at = torch.cat((hidden, embedded[0]), dim=1), 0
        for book, head in enumerate(self._predictor.lm_head):
            count = tokens.shape[1]
            turns = tuple(table[None, at : at + count, None] for table in self._predicting_turns)
            hidden = self._predicting.run(project(tokens), turns, At(rows, at, count), self._predicting_memory)
            scores = head(hidden[:, -1]).float()
            self.scores.append(scores)
            codes.append(self._other.draw(scores, self._other_noise[book, rows], rows))
            tokens, at = tables[book](codes[-1]), at + count
            embedded.append(tokens)
        return torch.cat(codes, dim=-1), torch.cat(embedded, dim=1).sum(1, keepdim=True)
