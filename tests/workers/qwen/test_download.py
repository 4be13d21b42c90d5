"""Downloading a model, from a hub on this machine through the library that everybody has."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest

from .hub import LARGE, REVISION, Hub

FIND = """
import json, sys
from voicebus.workers import _qwen_files
from voicebus.workers.engine import EngineError

def tell(percent, note):
    print(json.dumps([percent, note]), flush=True)

try:
    print(json.dumps({"found": str(_qwen_files.find(json.loads(sys.argv[1]), tell).folder)}))
except EngineError as error:
    print(json.dumps({"error": error.message, "code": error.code}))
"""


@pytest.fixture
def hub(checkpoint):
    """A hub with a tiny model: `hub(breaks={"model.safetensors": 1000})`."""
    made = []

    def serve(**options):
        made.append(Hub(checkpoint(), **options))
        return made[-1]

    yield serve
    for each in made:
        each.close()


@contextlib.contextmanager
def begun(hub, home, **settings):
    """A process that looks for the model as a worker does."""
    with subprocess.Popen(
        [sys.executable, "-c", FIND, json.dumps({"model": hub.name, "offline": False, **settings})],
        env={name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process):
    """What it told on its way, and what came of it."""
    out, _ = process.communicate(timeout=60)
    *told, last = map(json.loads, out.splitlines())
    return told, last


def found(hub, home, **settings):
    with begun(hub, home, **settings) as process:
        return ended(process)


def test_a_model_is_downloaded_with_its_progress(hub, tmp_path):
    """Every file comes, and how much of it is here is told meanwhile, in percent and of how much."""
    one = hub(pauses={LARGE: 15_000_000})
    with begun(one, tmp_path) as process:
        assert one.paused.wait(60), process.stderr.read()
        seen = [json.loads(process.stdout.readline())]
        while " MB" not in seen[-1][1] or ": 0 of" in seen[-1][1]:
            seen.append(json.loads(process.stdout.readline()))
        one.go.set()
        told, last = ended(process)
    percents = [percent for percent, _ in seen + told]
    assert percents == sorted(percents)
    assert 10.0 < seen[-1][0] < 20.0
    assert "downloading me/mine: " in seen[-1][1]
    assert seen[-1][1].endswith(" of 26 MB")
    assert last["found"].endswith(REVISION)
    assert {name for kind, name, _ in one.asked if kind == "GET"} >= {
        f"/me/mine/resolve/{REVISION}/{name}" for name in one.files
    }


def test_a_download_that_broke_off_goes_on(hub, tmp_path):
    """A line that goes dead in the middle of the weights is an error that says what to do; the next try asks for the
    rest of them and for nothing that is here, and the model is whole."""
    one = hub(breaks={LARGE: 15_000_000})
    _, last = found(one, tmp_path)
    assert last["code"] == "load_failed"
    assert "the model me/mine cannot be downloaded" in last["error"]
    assert "hf download me/mine" in last["error"]
    one.mend()
    one.asked.clear()
    _, last = found(one, tmp_path)
    rest = [asked for kind, path, asked in one.asked if kind == "GET" and path.endswith(LARGE)]
    assert rest == [f"bytes={10 * 1024 * 1024}-"]
    folder = last["found"]
    for name, data in one.files.items():
        with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123 - as the worker would
            assert file.read() == data, name


def test_half_a_download_is_no_model(hub, tmp_path):
    """Offline, what a broken download left is refused by what is missing, with the command that gets the rest."""
    one = hub(breaks={"model.safetensors": 1000})
    found(one, tmp_path)
    one.asked.clear()
    _, last = found(one, tmp_path, offline=True)
    assert "lacks" in last["error"]
    assert "model*.safetensors" in last["error"]
    assert last["error"].endswith("hf download me/mine")
    assert one.asked == []


def test_offline_asks_nobody(hub, tmp_path):
    """Without `offline = false` the hub hears nothing, and what is missing is named with the command."""
    one = hub()
    _, last = found(one, tmp_path, offline=True)
    assert "me/mine is not on this machine, and offline is set" in last["error"]
    assert one.asked == []


def test_what_is_here_is_not_downloaded_again(hub, tmp_path):
    """A second start asks what there is, and fetches nothing; offline it does not even ask."""
    one = hub()
    _, first = found(one, tmp_path)
    one.asked.clear()
    assert found(one, tmp_path)[1] == first
    assert not [row for row in one.asked if "/resolve/" in row[1]]
    one.asked.clear()
    assert found(one, tmp_path, offline=True)[1] == first
    assert one.asked == []


def test_a_model_that_the_hub_has_not_is_named(hub, tmp_path):
    """A name that the hub does not know is an error with that name."""
    _, last = found(hub(), tmp_path, model="me/other")
    assert "the model me/other cannot be downloaded" in last["error"]
