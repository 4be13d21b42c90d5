"""A PyTorch worker that is killed in the middle of a sentence, with espeak behind it in the chain."""

from __future__ import annotations

import importlib.util
import os
import signal

import pytest

from .neural import *  # noqa: F403 - tests to be collected here
from .neural import Neural, toml
from .recordings import wav
from .service import until

MISSING = [name for name in ("torch", "qwen_tts") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{' and '.join(MISSING)} not installed here; `make test-torch` has an environment with them",
    ),
]


@pytest.fixture
def neural():
    """The engine, on the processor."""
    from voicebus.workers.qwen_torch import QwenEngine

    from ..workers.qwen.tiny import END, build

    return Neural(
        "pytorch-cpu",
        "voicebus.workers.qwen_torch",
        QwenEngine,
        lambda folder, end: build(folder, odds={END: end}),
        {"device": "cpu", "dtype": "float32", "threads": 1, "packet_frames": 2},
    )


def test_a_cloned_voice_is_fed_to_whoever_speaks_it(launch, tmp_path):
    """A Base model without any voice of its own speaks in a voice that the daemon keeps: the prompt is made once, a
    worker that takes the place of a killed one is fed it, and says the same with the same seed."""
    from ..workers.qwen.tiny import END, build

    build(tmp_path / "model", "base", odds={END: 1.0})
    told = {"model": str(tmp_path / "model"), "device": "cpu", "dtype": "float32", "threads": 1}
    service = launch(
        '[providers.clone]\nmodule = "voicebus.workers.qwen_torch"\nload_s = 120\nfirst_chunk_s = 60\nchunk_s = 30\n'
        f"settings = {toml(told)}\n"
    )
    client = service.client()
    (row,) = service.ready(client, "clone", within=120)
    client.add_voice("anna", [(wav(), "hello world")], consent="It is nobody's.")

    def said():
        speech = client.speak("Hello world.", voice="anna", seed=3, whole=True, keep="nothing")
        return b"".join(bytes(frame.pcm) for frame in speech.frames()), speech.result

    first, result = said()
    assert [(who["provider"], who["voice"]) for who in result.speakers] == [("clone", "anna")]
    (prompt,) = service.state.glob("voices/*/*.prompt")
    made = prompt.stat().st_mtime_ns
    os.kill(row["pid"], signal.SIGKILL)
    until(lambda: [w["pid"] for w in client.workers() if w["state"] == "ready"] not in ([], [row["pid"]]),
          "another worker", 120)  # fmt: skip
    assert said()[0] == first != b""
    assert prompt.stat().st_mtime_ns == made
    client.remove_voice("anna")
    assert not prompt.exists()
