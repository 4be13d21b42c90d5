"""An engine starts processes of its own; none outlives its worker, however that ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from .listening import RATE, TONE, Heard, exact, sentences
from .service import until, until_dead

CONFIG = f"""
[providers.tone]
command = ["{sys.executable}", "{Path(__file__).with_name("forking.py")}"]
rate = {RATE}
workers = 1
chunk_s = 0.5
settings = {{ {TONE}, factor = 0.05, folder = "@ROOT@", once_dir = "@ONCE@" }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""


def leftovers(service):
    """The processes that the engine has started, as long as they live."""
    pids = {int(path.name) for path in service.root.iterdir() if path.name.isdigit()}
    return sorted(pids & service.processes())


def spoken(service, client, marker=""):
    """Have something said, after which there are children; returns them, and the worker."""
    (row,) = service.ready(client, "tone")
    text = f"{sentences(1)} This one {marker} is said."
    heard = Heard(client.speak(text)).listen()
    exact(client, heard, text)
    found = leftovers(service)
    assert len(found) >= 2
    return found, row["pid"]


@pytest.mark.parametrize("how", ["killed", "reloaded"])
def test_none_outlives_its_worker(launch, how):
    """A worker that is killed, or that leaves because it was told to, takes along all that its engine has started."""
    service = launch(CONFIG)
    client = service.client()
    children, worker = spoken(service, client)
    if how == "killed":
        os.kill(worker, signal.SIGKILL)
    else:
        service.write(CONFIG.replace("0.05", "0.04"))
        service.signal(signal.SIGHUP)
    until_dead([worker, *children])
    until(lambda: service.ready(client, "tone")[0]["pid"] != worker, "another worker")


@pytest.mark.parametrize("marker", ["{{segfault}}", "{{exit 3}}", "{{hang}}"])
def test_a_worker_that_fails_leaves_none(launch, marker):
    """Neither does one that crashes, ends by itself or is killed for its silence: its children are gone before the
    sentence is said by the next."""
    service = launch(CONFIG)
    client = service.client()
    before, worker = spoken(service, client)
    after, _ = spoken(service, client, marker)
    until_dead([worker, *before])
    assert not set(before) & set(leftovers(service))
    assert after


def test_none_outlives_a_killed_daemon(launch):
    """The lifeline's end kills the whole group."""
    service = launch(CONFIG)
    client = service.client()
    children, worker = spoken(service, client)
    service.kill()
    until_dead([worker, *children])
