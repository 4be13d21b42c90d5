"""Audio that was packed by a real daemon is heard again sample for sample, whatever dies in between."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from voicebus.clients.events import Notice

from .listening import TONE, Heard, exact, sentences
from .service import until

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE} }}
[defaults]
chain = ["tone"]
[history]
pack_after_s = 0.1
"""


def forms(service) -> list[str]:
    """The endings of all files of audio."""
    return sorted(path.suffix for path in Path(service.state, "logs").iterdir())


def test_packed_audio_is_heard_again_sample_for_sample(launch):
    """A minute of speech is packed, is smaller then, survives the daemon's end, and is unpacked for whoever attaches,
    who is told what he waits for; the middle of it is there too; deleting it takes all its files."""
    service = launch(CONFIG)
    client = service.client()
    text = sentences(12)
    heard = Heard(client.speak(text, pace="render", job="book", keep="history")).listen()
    exact(client, heard, text)
    until(lambda: forms(service) == [".flac"], "packing")
    [row] = client.history()
    assert (row["audio"], row["samples"]) == ("packed", heard.samples)
    assert 0 < row["bytes"] < 1.5 * heard.samples
    service.kill()
    service.start_again()
    client = service.client()
    again = Heard(client.attach("book")).listen()
    assert again.pcm == heard.pcm
    assert "unpacking" in again.kinds()
    middle = [event for event in client.attach("book", offset=heard.samples // 2) if not isinstance(event, Notice)]
    assert (
        b"".join(bytes(event.pcm) for event in middle if hasattr(event, "pcm")) == heard.pcm[heard.samples // 2 * 2 :]
    )
    client.delete("book")
    assert forms(service) == []


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_daemon_killed_while_it_packs_loses_nothing(launch):
    """Killed again and again at random instants while its helpers pack and unpack, the daemon has every sample at the
    end, and no file is left that belongs to nobody but what the grace still spares."""
    service = launch(CONFIG)
    client = service.client()
    chance, spoken = random.Random(11), {}
    for round_ in range(5):
        for number in range(2):
            text = sentences(3, start=100 * round_ + 10 * number)
            speech = client.speak(text, pace="render", job=f"j{round_}-{number}", keep="history")
            spoken[speech.job] = Heard(speech).listen().pcm
        if round_:
            threading.Thread(
                target=_hear, args=(service.client(reconnect_s=0.1), chance.choice(sorted(spoken)))
            ).start()
        threading.Event().wait(chance.uniform(0.0, 1.5))
        service.kill()
        service.close_clients()
        service.start_again()
        client = service.client()
    until(lambda: all(row["audio"] == "packed" for row in client.history()), "packing of all", 60)
    assert {row["job"] for row in client.history()} == spoken.keys()
    for job, pcm in spoken.items():
        assert Heard(client.attach(job)).listen().pcm == pcm
    assert client.status()["counters"].get("audio that could not be packed", 0) == 0


def _hear(client, job):
    """Listen to a job as far as it goes."""
    try:
        Heard(client.attach(job)).listen()
    except Exception:  # noqa: BLE001 - the daemon is killed meanwhile
        client.close()
