"""The step loop: from a prompt to one frame of codes after another.

Owns: the order of the model's calls and of the draws from its distributions. Must not know: audio, engines, the bus.
Invariant: with the same seed it draws the same codes as the package's own `generate`, which a test holds; between two
frames nothing runs, so whoever does not ask for the next one has stopped the work.

The package only returns when everything is made, ignores stopping criteria, keeps every layer's state of every step
until then, and runs a whole `generate` of transformers inside each frame for the other 15 books. So it is asked for
the prompt alone: its public method is called, and stopped where it would begin to generate. What follows here are two
plain loops over the model's own modules, one frame a call. That is also where a static cache, a captured graph or a
batch would go: `Talker.prefill` and `Talker.step` take and give tensors, and keep nothing to themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessorList
from transformers.generation.logits_process import (
    MinNewTokensLengthLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the package has prepared: the prompt's embeddings, the text that is fed with each frame, and how to draw."""

    embeds: Any
    trailing: Any
    pad: Any
    sampling: dict[str, Any]


class _PreparedError(Exception):
    def __init__(self, prepared: dict[str, Any]) -> None:
        super().__init__()
        self.prepared = prepared


def plan(model: Any, call: Callable[[], Any]) -> Plan:
    """Let `call`, one of the package's public methods, prepare an utterance. Raises what it raises."""
    talker = model.talker

    def instead(**prepared: Any) -> None:
        raise _PreparedError(prepared)

    talker.generate = instead
    try:
        call()
    except _PreparedError as stopped:
        told = stopped.prepared
        embeds, trailing, pad = (told.pop(name) for name in ("inputs_embeds", "trailing_text_hidden", "tts_pad_embed"))
        return Plan(embeds, trailing, pad, told)
    finally:
        del talker.generate
    raise RuntimeError("the package made audio without asking its talker; this version of it is not known here")


@dataclass(slots=True)
class Step:
    """Where an utterance stands: the last hidden state, the logits of the next code, and the model's memory."""

    hidden: Any
    logits: Any
    cache: Any


class Talker:
    """The model's two networks: the talker, which finds a frame's first code, and the predictor of the other ones."""

    def __init__(self, model: Any) -> None:
        self._talker = model.talker
        self._predictor = model.talker.code_predictor
        self._books = int(model.talker.config.num_code_groups)
        self.device = model.talker.device
        self.end = int(model.config.talker_config.codec_eos_token_id)

    def prefill(self, embeds: Any) -> Step:
        """Read the prompt."""
        return self._run(embeds, None)

    def step(self, before: Step, embed: Any) -> Step:
        """Read one frame."""
        return self._run(embed, before.cache)

    def _run(self, embeds: Any, cache: Any) -> Step:
        made = self._talker.model(inputs_embeds=embeds, past_key_values=cache, use_cache=True)
        hidden = made.last_hidden_state
        return Step(hidden[:, -1:], self._talker.codec_head(hidden[:, -1:])[:, -1], made.past_key_values)

    def frame(self, hidden: Any, first: Any, draw: Callable[[Any], Any]) -> tuple[Any, Any]:
        """All codes of a frame (1, books) whose first is given (1, 1), and the sum of their embeddings."""
        embedded = [self._talker.get_input_embeddings()(first)]
        codes = [first]
        made = self._predictor(inputs_embeds=torch.cat((hidden, embedded[0]), dim=1), use_cache=True)
        tables = self._predictor.get_input_embeddings()
        for book in range(1, self._books):
            codes.append(draw(made.logits[:, -1]))
            embedded.append(tables[book - 1](codes[-1]))
            if book + 1 < self._books:
                made = self._predictor(
                    input_ids=codes[-1], past_key_values=made.past_key_values, use_cache=True, generation_steps=book
                )
        return torch.cat(codes, dim=-1), torch.cat(embedded, dim=1).sum(1, keepdim=True)


class Utterance:
    """One utterance under way. seed: of all its draws."""

    def __init__(self, talker: Talker, prepared: Plan, seed: int) -> None:
        self._talker = talker
        self._plan = prepared
        self._random = torch.Generator(talker.device).manual_seed(seed)
        self._first = _first_code(prepared.sampling, talker)
        self._other = _other_codes(prepared.sampling)
        self._history = torch.zeros((1, 0), dtype=torch.long, device=talker.device)
        self._step: Step | None = None
        self._embed: Any = None
        self._frames = 0

    def frame(self) -> Any:
        """The next frame's codes (books,), None at the end of the text."""
        with torch.inference_mode():
            step = self._next()
            first = self._draw(self._first, step.logits, greedy=not self._plan.sampling["do_sample"])
            if int(first) == self._talker.end:
                return None
            self._history = torch.cat((self._history, first), dim=-1)
            greedy = not self._plan.sampling["subtalker_dosample"]
            codes, embed = self._talker.frame(
                step.hidden, first, lambda logits: self._draw(self._other, logits, greedy=greedy)
            )
            self._embed = embed + self._text()
            self._frames += 1
            return codes[0]

    def _next(self) -> Step:
        # Only now, not right after the frame before: its audio is out by then.
        if self._step is None:
            self._step = self._talker.prefill(self._plan.embeds)
        else:
            self._step = self._talker.step(self._step, self._embed)
        return self._step

    def _text(self) -> Any:
        """What of the text is said with this frame."""
        trailing = self._plan.trailing
        return trailing[:, self._frames].unsqueeze(1) if self._frames < trailing.shape[1] else self._plan.pad

    def _draw(self, process: Any, logits: Any, *, greedy: bool) -> Any:
        scores = process(self._history, logits.to(copy=True, dtype=torch.float32))
        if greedy:
            return scores.argmax(-1, keepdim=True)
        return torch.multinomial(torch.softmax(scores, dim=-1), 1, generator=self._random)


def _first_code(sampling: dict[str, Any], talker: Talker) -> Any:
    """What is done to the talker's logits, in the order of transformers."""
    found: list[Any] = []
    if sampling["repetition_penalty"] != 1.0:
        found.append(RepetitionPenaltyLogitsProcessor(sampling["repetition_penalty"]))
    least = int(sampling["min_new_tokens"])
    found.append(MinNewTokensLengthLogitsProcessor(0, least, talker.end, device=str(talker.device)))
    found.append(SuppressTokensLogitsProcessor(sampling["suppress_tokens"], device=str(talker.device)))
    if sampling["do_sample"]:
        found += _warpers(sampling["temperature"], sampling["top_k"], sampling["top_p"])
    return LogitsProcessorList(found)


def _other_codes(sampling: dict[str, Any]) -> Any:
    if not sampling["subtalker_dosample"]:
        return LogitsProcessorList([])
    names = ("subtalker_temperature", "subtalker_top_k", "subtalker_top_p")
    return LogitsProcessorList(_warpers(*(sampling[name] for name in names)))


def _warpers(temperature: float, top_k: int, top_p: float) -> list[Any]:
    found: list[Any] = []
    if temperature != 1.0:
        found.append(TemperatureLogitsWarper(temperature))
    if top_k:
        found.append(TopKLogitsWarper(top_k))
    if top_p < 1.0:
        found.append(TopPLogitsWarper(top_p))
    return found
