"""Voice prompts in a worker: made when the daemon asks for one, fetched when a sentence needs one, the last few kept.

Owns: one attempt to make a prompt as the engine thread sees it, and the memory of prompts. Must not know: sockets,
threads, how a prompt is made. Invariant: an engine is handed only a prompt that is whole and was made for its own
model; no recording is written to the disk here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import replace

import msgspec

from ..bus import messages as m
from ..bus import prompts
from ..bus.prompts import BadPrompt, VoicePrompt
from .engine import Engine, EngineError, Sample
from .fetching import Fetches
from .take import Post, Unheld

KEPT = 4
"""Prompts that stay in memory: a job has one voice, and few speak at a time."""

PIECE_BYTES = 128 * 1024


class _Named(msgspec.Struct):
    sample: str
    size: int
    text: str = ""


class _Asked(msgspec.Struct):
    """The body of WORK of kind "prompt"."""

    key: str
    model: str
    revision: str
    mode: str
    samples: list[_Named]


_asked = msgspec.msgpack.Decoder(_Asked)


class Prompts:
    """The prompts that this worker has at hand. Used on the engine's thread only."""

    def __init__(self, fetches: Fetches) -> None:
        self._fetches = fetches
        self._kept: OrderedDict[str, VoicePrompt] = OrderedDict()

    def keep(self, prompt: VoicePrompt) -> None:
        """Have it at hand; the one that was used longest ago may have to go."""
        self._kept[prompt.key] = prompt
        self._kept.move_to_end(prompt.key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def drop(self, key: str) -> None:
        """Have it no more; "" is all of them."""
        if key:
            self._kept.pop(key, None)
        else:
            self._kept.clear()

    def get(self, work: m.Work, engine: Engine, stopped: Callable[[], bool]) -> VoicePrompt | None:
        """The prompt that an attempt is to speak with, from the daemon where it is not here; None where the attempt was
        stopped meanwhile. Raises EngineError."""
        prompt = self._kept.get(work.prompt)
        if prompt is None:
            data = bytearray()
            if not self._fetches.fetch(work, f"prompt:{work.prompt}", data.extend, stopped):
                return None
            try:
                prompt = prompts.unpack(bytes(data))
            except BadPrompt as error:
                raise EngineError("unavailable", f"the voice prompt cannot be used: {error}") from None
        if prompt.key != work.prompt or (prompt.model, prompt.revision, prompt.mode) != engine.prompts_for():
            raise EngineError("unavailable", f"the voice prompt is for {prompt.model} {prompt.revision} {prompt.mode}")
        self.keep(prompt)
        return prompt


class Cloning(Unheld):
    """An attempt to make a voice prompt. It has the shape of a `Take`, so that the performer runs it alike."""

    def __init__(self, work: m.Work, body: bytes, post: Post, fetches: Fetches, kept: Prompts) -> None:
        super().__init__(work, post)
        self._body = body
        self._fetches = fetches
        self._kept = kept

    def items(self, engine: Engine) -> Generator[VoicePrompt, None, None]:
        """What the engine makes, once the recordings are here. Raises EngineError."""
        try:
            asked = _asked.decode(self._body)
        except msgspec.MsgspecError as error:
            raise EngineError("protocol", f"what to make is not understood: {error}") from None
        if (asked.model, asked.revision, asked.mode) != engine.prompts_for():
            raise EngineError("unavailable", "this worker has another model than the prompt is for")
        samples = []
        for named in asked.samples:
            data = bytearray()
            if not self._fetches.fetch(self.work, f"sample:{named.sample}", data.extend, lambda: self.stopped):
                return
            samples.append(Sample(bytes(data), named.text, named.sample))
        made = engine.create_voice_prompt(samples)
        yield replace(made, key=asked.key, model=asked.model, revision=asked.revision, mode=asked.mode)

    def close(self) -> None:
        """There is nothing to let go of."""

    def add(self, item: object) -> None:
        """Take over what the engine made, and send it. Raises EngineError for what cannot be sent."""
        assert isinstance(item, VoicePrompt)
        try:
            data = prompts.pack(item)
        except (BadPrompt, TypeError, AttributeError) as error:
            raise EngineError("crash", f"the engine made a voice prompt that cannot be kept: {error}") from None
        self._kept.keep(item)
        work = self.work
        for at in range(0, len(data), PIECE_BYTES):
            said = m.Prompt(work.v, work.epoch, work.session, work.attempt, at, len(data))
            self._post(said, data[at : at + PIECE_BYTES])
        self.sent += 1

    def done(self, work_s: float) -> None:
        """Say that the prompt is whole."""
        work = self.work
        self._post(m.Done(work.v, work.epoch, work.session, work.attempt, 0, 0, 0.0, work_s), b"")
