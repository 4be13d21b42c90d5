"""Real workers that grow are replaced without anybody hearing of it, and idle ones are unloaded until a job comes."""

from __future__ import annotations

import signal

import pytest

from .listening import TONE, Heard, exact, sentences
from .service import until

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
beat_s = 0.1
recycle_rss_bytes = 30_000_000
settings = {{ {TONE}, factor = 0.05 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TIGHT = CONFIG + "[limits]\nmemory_budget_bytes = 1_000_000\n"
SLEEPY = CONFIG.replace("recycle_rss_bytes = 30_000_000", "idle_unload_s = 0.5")


def row(client):
    """The one worker that serves."""
    return client.workers()[0]


def measured(service, client):
    """Wait until the daemon knows how big the worker was when it was ready."""
    service.ready(client, "tone")
    until(lambda: row(client)["rss"] > 0, "a beat")


def unharmed(client, counters=()):
    """Nothing of it counts as a failure."""
    found = row(client)
    assert (found["restarts"], found["last_failure"]) == (0, "")
    assert client.providers()[0]["breaker"] == "closed"
    assert "failed attempts" not in client.status()["counters"]


@pytest.mark.parametrize(("config", "warm"), [(CONFIG, True), (TIGHT, False)], ids=["warm", "drained"])
def test_a_worker_that_grows_is_replaced(launch, config, warm):
    """A worker that keeps 60 MB of its work is replaced while a book goes on: warm first where memory holds both,
    after it has left where not; each sample comes once, and nobody is blamed."""
    service = launch(config)
    client = service.client()
    measured(service, client)
    old = row(client)["pid"]
    text = sentences(1, 4) + " {{grow 60}} " + sentences(12, 4)
    heard = Heard(client.speak(text, pace="render"))
    most = 0

    def on_event(_event):
        nonlocal most
        most = max(most, len(client.workers()))

    heard.listen(on_event)
    exact(client, heard, text)
    until(lambda: [w["pid"] for w in client.workers() if w["state"] == "ready"] not in ([], [old]), "a fresh worker")
    until(lambda: len(client.workers()) == 1 and row(client)["recycled"] == 1, "the old one's leaving")
    assert row(client)["rss"] == 0 or row(client)["rss"] < 60_000_000 + 40_000_000
    assert (row(client)["worker"] == "tone/1") == warm
    assert heard.rewinds == []
    unharmed(client)
    service.says("more memory than when it was ready")


def test_an_idle_worker_is_unloaded_and_comes_for_a_job(launch):
    """Half a second without work ends the process; a job starts another, and is told that it loads."""
    service = launch(SLEEPY)
    client = service.client()
    service.ready(client, "tone")
    until(lambda: row(client)["state"] == "asleep", "its sleep")
    assert row(client)["pid"] == 0
    assert client.providers()[0]["state"] == "asleep"
    text = sentences(1, 4)
    heard = Heard(client.speak(text)).listen()
    exact(client, heard, text)
    unharmed(client)


GROWER = """
from voicebus import Engine
from voicebus.workers.engine import Capabilities, Chunk, Voice


class Grower(Engine):
    # Claims a device's memory, more with each take.
    version, sample_rate = "1", 24000

    def load(self, settings, progress):
        self.taken = 1_000_000_000

    def voices(self):
        return [Voice("one", ("en",))]

    def capabilities(self):
        return Capabilities(own_end=True)

    def memory(self):
        return self.taken

    def device(self):
        return {"kind": "cuda", "id": "cuda:0"}

    def synthesize(self, request):
        self.taken += 50_000_000
        for _ in request.text:
            yield Chunk(b"\\x10\\x10" * 1200)
"""
ON_DEVICE = """
[providers.grower]
script = "@ROOT@/grower.py"
beat_s = 0.1
recycle_vram_bytes = 100_000_000
[providers.espeak]
workers = 0
[defaults]
chain = ["grower"]
"""


@pytest.mark.parametrize("budget", [0, 3_000_000_000], ids=["drained", "warm"])
def test_a_worker_that_grows_on_its_device_is_replaced(launch, budget):
    """The same by the memory of a device, as the engine tells it in its beats: a fresh one is made ready first only
    where the device is known to hold both."""
    service = launch("[providers.espeak]\nworkers = 0\n")
    (service.root / "grower.py").write_text(GROWER)
    limits = f'[limits]\nvram_budget_bytes = {{ "cuda:0" = {budget} }}\n' if budget else ""
    service.write(ON_DEVICE + limits)
    client = service.client()
    service.signal(signal.SIGHUP)
    service.ready(client, "grower")
    until(lambda: row(client)["vram"] == 1_050_000_000, "a beat")  # The self-test is a take as well.
    for _ in range(3):
        Heard(client.speak("One two three.")).listen()
    service.says("more memory on its device than when it was ready")
    until(lambda: [w["recycled"] for w in client.workers() if w["state"] == "ready"] == [1], "a fresh worker")
    until(lambda: row(client)["vram"] == 1_050_000_000, "its beat")
    assert (row(client)["worker"] == "grower/1") == bool(budget)
    unharmed(client)
