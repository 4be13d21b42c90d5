"""Utterances under way: each has a row of the talker from its first frame to its end.

Owns: who stands in which row, and who is made together with whom. Must not know: tensors' shapes, audio, engines.
Invariant: whoever is made beside it, an utterance with a seed of its own says what it says alone; between two calls of
`frames` nothing runs, so whoever is not asked for the next one has stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ._qwen_plan import Plan
from ._qwen_talker import Talker
from .engine import EngineError


class Rows:
    """The utterances in the rows of a talker."""

    def __init__(self, talker: Talker) -> None:
        self.talker = talker
        self._taken: list[Utterance | None] = [None] * talker.rows

    def take(self, utterance: Utterance) -> int:
        """The first free row. Raises RuntimeError without one: whoever begins more than there is room for is wrong."""
        if None not in self._taken:
            raise RuntimeError(f"all {len(self._taken)} rows are taken")
        number = self._taken.index(None)
        self._taken[number] = utterance
        return number

    def free(self, number: int) -> None:
        """A row is free again."""
        self._taken[number] = None

    def frames(self, utterances: Sequence[Utterance]) -> list[Any]:
        """One frame for each of these, which have begun: its codes (books,), None where the text is at its end."""
        found: dict[int, Any] = {}
        for group in self._groups(utterances):
            found |= self._made(group)
        return [found[utterance.row] for utterance in utterances]

    def _groups(self, utterances: Sequence[Utterance]) -> list[list[Utterance]]:
        """Who is made together: all, unless somebody has a seed that would not say the same in company."""
        if self.talker.alike or len(utterances) == 1:
            return [list(utterances)]
        others = [utterance for utterance in utterances if not utterance.seeded]
        return [[utterance] for utterance in utterances if utterance.seeded] + ([others] if others else [])

    def _made(self, group: list[Utterance]) -> dict[int, Any]:
        talker, numbers = self.talker, [utterance.row for utterance in group]
        with torch.inference_mode():
            for utterance in group:
                utterance.prepare()
            # At full width a seed says the same alone as in company, which is not so for a width that fits.
            if talker.recorded is not None or (talker.alike and any(utterance.seeded for utterance in group)):
                talker.together(numbers, talker.rows)
            elif len(group) > 1:
                talker.together(numbers, max(numbers) + 1)
            else:
                talker.alone(numbers[0])
            codes = talker.codes[numbers]
            firsts = codes[:, 0].tolist()
        for utterance in group:
            utterance.made += 1
        rows = zip(numbers, firsts, codes, strict=True)
        return {number: None if first == talker.end else made for number, first, made in rows}


class Utterance:
    """One utterance. seed: of all its draws. frames: at most. seeded: whether somebody wants to hear the same again
    with this seed. Close it when it is over."""

    def __init__(self, rows: Rows, plan: Plan, seed: int, frames: int = 0, *, seeded: bool = False) -> None:
        self._rows = rows
        self._plan = plan
        self.seeded = seeded
        self._random = torch.Generator(rows.talker.device).manual_seed(seed)
        self._least = int(plan.sampling["min_new_tokens"])
        self._most = frames
        self.made = 0
        self.row = -1

    def begin(self) -> None:
        """Take a row, and read the prompt. Raises EngineError where it is too long."""
        if self.row >= 0:
            return
        self.row, talker, prompt = self._rows.take(self), self._rows.talker, self._plan.embeds
        with torch.inference_mode():
            if not talker.room(prompt.shape[1] + self._most):
                here = f"{prompt.shape[1]} tokens of text and voice, and at most {self._most} of speech"
                raise EngineError("invalid_input", f"{here}, are more than the {talker.length} that there is room for")
            talker.read(self.row, prompt)
            talker.describe(self.row, self._plan.sampling)

    def prepare(self) -> None:
        """What is different in each frame: what of the text goes with it, what may not be drawn, and chance."""
        talker = self._rows.talker
        talker.text[self.row] = self._plan.text(self.made)
        if self.made <= self._least:
            talker.bar_end(self.row, barred=self.made < self._least)
        talker.chance(self.row, self._random)

    def frame(self) -> Any:
        """The next frame's codes (books,), None at the end of the text."""
        self.begin()
        return self._rows.frames([self])[0]

    def close(self) -> None:
        """Give the row back."""
        if self.row >= 0:
            with torch.inference_mode():
                self._rows.talker.leave(self.row)
            self._rows.free(self.row)
            self.row = -1
