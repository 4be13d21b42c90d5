"""Scenes with voices of users' own: a provider that clones, recordings that are there, prompts that are made."""

from __future__ import annotations

import hashlib
from typing import Any

from voicebus.bus import codec, prompts
from voicebus.bus.messages import (
    Choice,
    Consent,
    Done,
    Error,
    Prompt,
    Sample,
    SampleSpec,
    Voice,
    VoiceDone,
    VoiceSpec,
)
from voicebus.bus.prompts import Array, VoicePrompt

from .world_of_one import FakeClient, FakeWorker, Stage, settings

CLONES = {"cloning": True}
SAID = Consent("me", "It is my own voice.")


def sample_of(data: bytes) -> str:
    """The name of a recording."""
    return hashlib.sha256(data).hexdigest()


def upload(client: FakeClient, data: bytes, piece: int = 100) -> Any:
    """Send a recording; returns the last answer."""
    sample = sample_of(data)
    for at in range(0, len(data), piece):
        client.say(Sample(request=f"u{at}", sample=sample, size=len(data), offset=at), data[at : at + piece])
    return client.inbox[-1][0]


def spec(*data: bytes, texts: tuple[str, ...] = (), chain: tuple[Choice, ...] = (), **more: Any) -> VoiceSpec:
    """A voice that is cloned from these."""
    named = [SampleSpec(sample_of(each), texts[n] if n < len(texts) else "") for n, each in enumerate(data)]
    return VoiceSpec(samples=named, chain=list(chain), consent=SAID, **more)


def add(client: FakeClient, name: str = "anna", *data: bytes, action: Any = "add", **more: Any) -> Any:
    """Add a voice with its recordings; returns the answer."""
    data = data or (b"anna" * 50,)
    for each in data:
        upload(client, each)
    return ask(client, action, name, spec(*data, **more))


def ask(client: FakeClient, action: Any, name: str, of: VoiceSpec | None = None, to: str = "", again: str = "v") -> Any:
    """Ask for something about a voice; returns the last VOICE_DONE or ERROR."""
    client.say(Voice(request=again, action=action, name=name, to=to, spec=of or VoiceSpec()))
    answers = [message for message, _ in client.inbox if isinstance(message, VoiceDone | Error)]
    return answers[-1]


def cloning(*names: str, durable: bool = True, **options: Any) -> tuple[Stage, FakeClient]:
    """A stage whose providers are not ready yet, and a client."""
    stage = Stage(settings(*(names or ("a",)), **options), durable=durable)
    return stage, stage.client()


def make(
    worker: FakeWorker, attempt: str, *, key: str = "", wrong: bytes = b"", pieces: int = 1, **fields: Any
) -> None:
    """Make the prompt that an attempt wants, and say so."""
    asked = codec.decode_map(worker.bodies[attempt])
    about = {name: asked[name] for name in ("model", "revision", "mode")} | {"key": key or asked["key"]}
    data = wrong or prompts.pack(VoicePrompt({"x": Array("U8", (4,), b"abcd")}, {"text": "t"}, **about))
    worker.begin(attempt)
    size = -(-len(data) // pieces)
    for at in range(0, len(data), size):
        told = {"attempt": attempt, "offset": at, "size": len(data), **fields}
        worker.say(Prompt(**told), data[at : at + size])
    if attempt in worker.work:
        worker.work.pop(attempt)
        worker.say(Done(attempt=attempt))
