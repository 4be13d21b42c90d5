"""What becomes of a job when its neural worker fails, with espeak behind it in the chain: the tests of each such engine
import these. They want a fixture `neural`, a `Neural`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from voicebus.workers.engine import Engine, EngineError, Request

from .listening import Heard, killing, placed

RATE = 24000
CONFIG = """
[providers.{neural.provider}]
module = "{neural.module}"
rate = 24000
load_s = 120
first_chunk_s = 60
chunk_s = 30
settings = {settings}
[providers.espeak]
workers = 1
"""
TEXT = (
    "This sentence is long enough for its worker to be killed in the middle of it. And this one is said by the other."
)
LOADING_S = 120


@dataclass
class Neural:
    """An engine, and how a tiny model of it is made: `build(folder, odds_of_the_end)`."""

    provider: str
    module: str
    engine: Callable[[], Engine]
    build: Callable[[Path, float], Path]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def chain(self) -> list[str]:
        """Its preset voice, then espeak."""
        return [f"{self.provider}:vivian", "espeak:en-gb"]


def toml(settings: dict[str, Any]) -> str:
    """Settings as a table in a line."""
    rows = (
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in settings.items()
    )
    return f"{{ {', '.join(rows)} }}"


@pytest.fixture
def settings(tmp_path, neural):
    """`settings(odds)`: those of a tiny checkpoint that finds the end of a text sooner or later, or never."""
    return lambda end: {"model": str(neural.build(tmp_path / "model", end)), **neural.settings}


@pytest.fixture
def serving(launch, neural):
    """`serving(settings)`: a service, and its client when both engines are ready."""

    def start(settings):
        service = launch(CONFIG.format(neural=neural, settings=toml(settings)))
        client = service.client()
        service.ready(client, neural.provider, within=LOADING_S)
        service.ready(client, "espeak")
        return service, client

    return start


def test_the_sentence_comes_whole_from_espeak(settings, serving, neural):
    """A neural worker is killed while its audio is being heard, and the job does not wait for it to load again. Within
    the same job, at the job's rate, espeak says that sentence from its start and all that follows; what was heard of
    it is taken back, and the result says who spoke."""
    service, client = serving(settings(-100.0))
    speech = client.speak(TEXT, chain=neural.chain, patience=0)
    heard = Heard(speech)
    on_event, killed = killing(heard, lambda: service.busy(client, neural.provider))
    heard.listen(on_event)
    assert len(killed) == 1
    said = placed(client, speech.job, heard.pcm, TEXT)
    assert {(row["provider"], row["voice"]) for row, _ in said} == {("espeak", "en-gb")}
    assert (speech.rate, speech.result.rate, speech.result.complete) == (RATE, RATE, True)
    for row, sound in said:
        assert 0.03 < len(sound) / 2 / RATE / row["length"] < 0.16, row
    assert [(rewind.segment, rewind.offset) for rewind in heard.rewinds] == [(0, 0)]
    assert "killed" in heard.rewinds[0].reason
    assert "moved" in heard.kinds()


def test_a_model_that_misses_the_end_twice_is_left(settings, serving, neural):
    """A sentence that the model does not bring to an end is tried once more with another seed, and then said by
    espeak; the reason is told by its name."""
    _, client = serving(settings(-100.0))
    heard = Heard(client.speak("Hello.", chain=neural.chain)).listen()
    ((row, _),) = placed(client, heard.speech.job, heard.pcm, "Hello.")
    assert (row["provider"], row["tries"]) == ("espeak", 3)
    assert "truncated" in heard.notices[-1].data["reason"]


def test_the_bus_brings_what_the_engine_makes(settings, serving, neural):
    """What a client hears of a neural worker is, sample by sample, what the same engine says in this process with the
    seed that the segment's record names."""
    told, engine = settings(3.0), neural.engine()
    engine.load(told, lambda _percent, _note: None)

    def alone(seed):
        try:
            return b"".join(chunk.pcm for chunk in engine.synthesize(Request("Hello.", "vivian", "en", seed=seed)))
        except EngineError:
            return b""

    seed = next(seed for seed in range(50) if len(alone(seed)) > RATE)
    _, client = serving(told)  # Only now: the library's threads stay, and the leak gate counts from here.
    heard = Heard(client.speak("Hello.", chain=neural.chain, language="en", seed=seed)).listen()
    ((row, sound),) = placed(client, heard.speech.job, heard.pcm, "Hello.")
    assert (row["provider"], row["voice"], row["seed"]) == (neural.provider, "vivian", seed)
    assert sound == alone(seed)
    assert not heard.rewinds
