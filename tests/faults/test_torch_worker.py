"""A PyTorch worker that is killed in the middle of a sentence, with espeak behind it in the chain."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading

import pytest

from voicebus.bus.errors import VoicebusError
from voicebus.workers.engine import EngineError, Request

from .listening import Heard
from .neural import *  # noqa: F403 - tests to be collected here
from .neural import LOADING_S, RATE, Neural, toml
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


CONFIG = """
[providers.pytorch-cpu]
module = "voicebus.workers.qwen_torch"
rate = 24000
load_s = 120
first_chunk_s = 60
chunk_s = 30
settings = {{ model = "{model}", device = "cpu", dtype = "float32", threads = 1, packet_frames = 2 }}
[providers.espeak]
workers = 1
"""

SLOW = """
import time
from voicebus.workers.qwen_torch import QwenEngine


class Slow(QwenEngine):
    # The same on a slower machine: 150 ms more for each frame of 80.
    def advance(self, utterances):
        time.sleep(0.15)
        return super().advance(utterances)
"""
DOWNLOADING = """
[providers.pytorch-cpu]
script = "@ROOT@/slow.py"
rate = 24000
load_s = 120
beat_s = 0.1
first_chunk_s = 60
chunk_s = 30
env = {{ HF_ENDPOINT = "{hub}", HF_HOME = "@ROOT@/hub" }}
settings = {{ model = "me/mine", offline = false, device = "cpu", dtype = "float32", threads = 1 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["pytorch-cpu"]
"""


def test_a_slow_model_comes_from_the_hub_and_says_how_slow(launch, tmp_path):
    """A worker tells in its beats how much of its model has come; when it is ready its row tells how much slower than
    speech it is, and who asks for speech is told so beforehand: a client by the notice, a person at the shell in words
    with the time that he will wait."""
    from ..workers.qwen.hub import LARGE, Hub
    from ..workers.qwen.tiny import END, build

    hub = Hub(build(tmp_path / "model", odds={END: 3.0}), pauses={LARGE: 15_000_000})
    try:
        service = launch("[providers.espeak]\nworkers = 0\n")
        (service.root / "slow.py").write_text(SLOW)
        service.write(DOWNLOADING.format(hub=hub.url))
        client = service.client()
        service.signal(signal.SIGHUP)
        until(client.workers, "a worker")
        until(lambda: " MB" in (note := client.workers()[0]["note"]) and ": 0 of" not in note, "it", 60)
        assert 10.0 < client.workers()[0]["percent"] < 20.0
        hub.go.set()
        (worker,) = service.ready(client, "pytorch-cpu", within=LOADING_S)
    finally:
        hub.close()
    assert worker["factor"] > 1.0
    speech = client.speak("Hello.", language="en", seed=1)
    notice = next(event for event in speech if getattr(event, "kind", "") == "started")
    speech.cancel()
    assert notice.factor == pytest.approx(worker["factor"], rel=0.5)
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from voicebus.clients.cli import main; main()",
            "say",
            "--output",
            str(tmp_path / "said.wav"),
            "Hello.",
        ],
        env=os.environ | {"VOICEBUS_RUNTIME_DIR": str(service.run), "VOICEBUS_STATE_DIR": str(service.state)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "pytorch-cpu takes about" in said.stderr
    assert "s for a second of speech" in said.stderr


RESTING = (
    CONFIG
    + """
[defaults]
chain = ["pytorch-cpu"]
"""
)


def test_a_model_is_unloaded_and_comes_back(launch, tmp_path):
    """Of two idle workers one is unloaded and one is kept warm, which speaks at once; where none is kept, a job loads
    the model again and is spoken by it."""
    from ..workers.qwen.tiny import END, build

    model = build(tmp_path / "model", odds={END: 3.0})
    config = RESTING.format(model=model).replace("workers = 1", "workers = 0")
    warm = config.replace("rate = 24000", "rate = 24000\nworkers = 2\nidle_unload_s = 0.5\nkeep_warm = 1", 1)
    service = launch(warm)
    client = service.client()
    service.ready(client, "pytorch-cpu", within=LOADING_S)

    def states():
        return sorted(row["state"] for row in client.workers() if row["provider"] == "pytorch-cpu")

    until(lambda: states() == ["asleep", "ready"], "one's sleep, and no more", LOADING_S)
    assert spoken(client) == "pytorch-cpu"
    service.write(warm.replace("workers = 2", "workers = 1").replace("keep_warm = 1", "keep_warm = 0"))
    service.signal(signal.SIGHUP)
    until(lambda: states() == ["asleep"], "the last one's sleep", LOADING_S)
    assert not any(row["pid"] for row in client.workers())
    assert spoken(client) == "pytorch-cpu"


def spoken(client):
    """Who says a word: tried with seeds until the model finds an end, which random weights do by chance."""
    for seed in range(20):
        heard = Heard(client.speak("Hello.", language="en", seed=seed, patience=LOADING_S))
        try:
            heard.listen()
        except VoicebusError:
            continue
        return heard.speech.result.speakers[0]["provider"]
    raise AssertionError("the model found no end with 20 seeds")


def test_jobs_at_once_are_made_together(launch, tmp_path):
    """Four jobs at once on a worker of four slots are whole, and each is what the engine says alone with its seed."""
    from voicebus.workers.qwen_torch import QwenEngine

    from ..workers.qwen.tiny import END, build

    model = build(tmp_path / "model", odds={END: 3.0})
    service = launch(RESTING.format(model=model).replace("threads = 1", "threads = 1, max_frames = 40, slots = 4"))
    engine = QwenEngine()
    options = {"model": str(model), "device": "cpu", "dtype": "float32", "threads": 1, "packet_frames": 2}
    engine.load({**options, "max_frames": 40}, lambda _percent, _note: None)

    def alone(seed):
        try:
            return b"".join(chunk.pcm for chunk in engine.synthesize(Request("Hello.", "vivian", "en", seed=seed)))
        except EngineError:
            return b""

    said = {}
    for seed in range(100):
        said |= {seed: pcm} if len(pcm := alone(seed)) > RATE // 2 else {}
        if len(said) == 4:
            break
    client = service.client()
    service.ready(client, "pytorch-cpu", within=LOADING_S)
    heard = [Heard(client.speak("Hello.", voice="vivian", language="en", seed=seed)) for seed in said]
    threads = [threading.Thread(target=each.listen) for each in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [each.pcm for each in heard] == list(said.values())


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


def test_a_voice_is_made_of_words_and_then_cloned(launch, tmp_path):
    """A VoiceDesign model makes one sentence of a description; a Base model speaks each sentence of a text from it, the
    same with the same seed, and with what it has of the voice forgotten when that is removed."""
    from ..workers.qwen.tiny import END, build

    provider = (
        '[providers.{name}]\nmodule = "voicebus.workers.qwen_torch"\nload_s = 120\nfirst_chunk_s = 60\nchunk_s = 30\n'
        "settings = {settings}\n"
    )
    config = ""
    for name, kind, odds in (("design", "voice_design", 2.0), ("base", "base", 1.0)):
        build(tmp_path / name, kind, odds={END: odds})
        told = {"model": str(tmp_path / name), "device": "cpu", "dtype": "float32", "threads": 1, "max_frames": 60}
        config += provider.format(name=name, settings=toml(told))
    service = launch(config)
    client = service.client()
    for name in ("design", "base"):
        service.ready(client, name, within=LOADING_S)
    added = designed(client)
    row = client.voice(added)
    assert row["speakers"] == ["base"], "whoever can only describe it is no speaker where somebody clones"
    (sample,) = row["samples"]
    assert (sample["origin"]["provider"], sample["origin"]["description"]) == ("design", "An old man.")
    assert "/" in sample["origin"]["version"], "the model is named"
    sounds = []
    for _ in range(2):
        speech = client.speak("Hello world. Good morning.", voice=added, seed=3, whole=True, keep="job")
        sounds.append(b"".join(bytes(frame.pcm) for frame in speech.frames()))
        assert [(who["provider"], who["segments"]) for who in speech.result.speakers] == [("base", 2)]
    assert sounds[0] == sounds[1] != b""
    client.remove_voice(added)
    assert not list(service.state.glob("voices/*/*"))


def designed(client):
    """Make a voice: tried with seeds until the model finds an end, which random weights do by chance, and not too
    soon."""
    for seed in range(40):
        try:
            made = client.design_reference("An old man.", text="One two three four five.", seed=seed)
            return client.add_voice("grandpa", [made], description="An old man.").voice
        except VoicebusError:
            continue
    raise AssertionError("no sentence of 40 seeds is long enough")
