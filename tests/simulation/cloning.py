"""What an engine does about voices: prompts made of recordings, fetched, kept at hand.

Owns: the prompts that a worker has. Must not know: the daemon. Invariant: a prompt says which recordings it was made
of, and audio is said to be of the voice that its prompt says; a recording that is not what its name says, and a prompt
that is not what was asked for, are the daemon's fault.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from voicebus.bus import codec, prompts
from voicebus.bus import messages as m
from voicebus.bus.prompts import Array, VoicePrompt

from .oracle import Wrong

if TYPE_CHECKING:
    from .engine import Engine, Host, Run

KEPT = 1
"""Prompts at hand: so few that they have to be fetched again."""

PIECES = (120, 100_000)


@dataclass(slots=True)
class Clone:
    """A prompt that is made. asked: what of; have: recordings that have come; data: the prompt, once it is made."""

    asked: dict[str, Any]
    have: list[str] = field(default_factory=list)
    data: bytes = b""
    sent: int = 0


class Clones:
    """Of one engine."""

    def __init__(self, engine: Engine, host: Host, chance: Random) -> None:
        self._engine = engine
        self._host = host
        self._chance = chance
        self._kept: OrderedDict[str, str] = OrderedDict()

    def has(self, run: Run) -> bool:
        """Whether the prompt for an attempt is at hand; then the attempt has its voice."""
        if run.work.prompt not in self._kept:
            return False
        run.made.voice = self._kept[run.work.prompt]
        return True

    def take(self, run: Run) -> str:
        """What has come is the prompt for an attempt; why it is not, "" where it is."""
        try:
            prompt = prompts.unpack(run.data)
        except prompts.BadPrompt as error:
            return f"the voice prompt cannot be used: {error}"
        if prompt.key != run.work.prompt:
            raise Wrong(f"{run.work.attempt} was fed {prompt.key} in place of the prompt {run.work.prompt}")
        self._keep(prompt.key, prompt.words["of"])
        run.made.voice = prompt.words["of"]
        return ""

    def _keep(self, key: str, voice: str) -> None:
        self._kept[key] = voice
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def make(self, run: Run, body: bytes) -> None:
        """Begin to make one."""
        run.clone = Clone(codec.decode_map(body))
        self._next(run)

    def _next(self, run: Run) -> None:
        assert run.clone is not None
        clone = run.clone
        samples = clone.asked["samples"]
        if clone.have:
            wanted = samples[len(clone.have) - 1]["sample"]
            if hashlib.sha256(run.data).hexdigest() != wanted:
                raise Wrong(f"{run.work.attempt} was fed other bytes than the recording {wanted}")
        if len(clone.have) < len(samples):
            clone.have.append(samples[len(clone.have)]["sample"])
            self._engine.fetch(run, f"sample:{clone.have[-1]}", self._next)
            return
        of = " ".join(f"{each['sample']} {each['text']}" for each in samples)
        about = {name: clone.asked[name] for name in ("key", "model", "revision", "mode")}
        array = Array("U8", (200,), bytes(200))
        clone.data = prompts.pack(VoicePrompt({"x": array}, {"of": of}, **about))
        self._engine.later(self._send, run)

    def _send(self, run: Run) -> None:
        """A piece of it."""
        engine, clone = self._engine, run.clone
        assert clone is not None
        if not engine.goes_on(run):
            return
        if engine.next_end is not None and len(clone.data) // 3 < clone.sent < len(clone.data):
            self._end_badly(run, *engine.next_end)
            return
        if clone.sent == len(clone.data):
            self._keep(clone.asked["key"], prompts.unpack(clone.data).words["of"])
            engine.finished(run, engine.of(run, m.Done, 0, 0, 0.0, 0.01))
            return
        piece = clone.data[clone.sent : clone.sent + self._chance.choice(PIECES)]
        self._host.said(engine.of(run, m.Prompt, clone.sent, len(clone.data)), piece)
        clone.sent += len(piece)
        engine.later(self._send, run)

    def _end_badly(self, run: Run, how: str, code: str) -> None:
        engine, clone = self._engine, run.clone
        assert clone is not None
        engine.next_end = None
        if how == "engine fails":
            engine.finished(run, engine.of(run, m.Failed, code, "no", 1.0))
            return
        self._host.sick = "broke the protocol"
        if how == "engine lies":
            clone.data = clone.data[:-1] + b"\1"
            engine.finished(run, engine.of(run, m.Done, 0, 0, 0.0, 0.01))
        else:
            self._host.said(engine.of(run, m.Prompt, clone.sent + 7, len(clone.data)), b"\1\0")
