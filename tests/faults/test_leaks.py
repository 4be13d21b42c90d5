"""The leak gate itself: whatever is left, it finds."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from . import leaks
from .leaks import Gate, left_in_order
from .listening import TONE, Heard, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
settings = {{ {TONE} }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""


@pytest.fixture
def impatient(monkeypatch):
    """What does not happen at once does not happen."""
    before = leaks.until
    monkeypatch.setattr(leaks, "until", lambda probe, what="it": before(probe, what, 0.2))


def test_it_finds_a_process_a_descriptor_and_a_thread(tmp_path, impatient):
    """Each of them alone shuts nobody out for long: it is named, and once it is gone the gate shuts."""
    gate = Gate(tmp_path)
    with subprocess.Popen(["sleep", "60"], env={"IN": str(tmp_path)}) as process:
        with pytest.raises(AssertionError, match=str(process.pid)):
            gate.shut()
        process.kill()
    opened = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(AssertionError, match="descriptors"):
        gate.shut()
    os.close(opened)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    with pytest.raises(AssertionError, match="threads"):
        gate.shut()
    end.set()
    thread.join()
    gate.shut()


@pytest.mark.parametrize("stray", ["r/bus.sock", "s/voicebus.db-wal", "s/logs/x.tmp", "s/logs/e-9-00000000.takes"])
def test_it_finds_files(launch, stray):
    """What a daemon in order has left passes; one socket, half-made file or journal of no job more does not."""
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone")
    Heard(client.speak(sentences(1))).listen()
    service.close_clients()
    service.signal(15)
    assert service.process.wait(15) == 0
    left_in_order(service.run, service.state)
    (service.root / stray).touch()
    with pytest.raises(AssertionError, match=stray.rpartition("/")[2]):
        left_in_order(service.run, service.state)
