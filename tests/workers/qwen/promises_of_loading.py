"""What a Qwen3-TTS engine says while it loads, whichever library is below: what is missing is said by name, with what
to do; nothing else is taken in its place. Each engine's tests import these, with their fixtures as in `promises`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from voicebus.workers.engine import EngineError

from .hub import LARGE, REVISION, Hub


@pytest.fixture
def refused(engine_class):
    """`refused(settings)`: what loading with these settings says. lasting: and whether that is so until somebody
    changes something, so that the worker is left alone at once."""

    def get(settings, *, lasting=None):
        with pytest.raises(EngineError) as caught:
            engine_class().load(settings, lambda _percent, _note: None)
        assert caught.value.code == "load_failed"
        assert lasting in (None, caught.value.lasting)
        return caught.value.message

    return get


def test_loading_tells_how_far_it_is(settings, engine_class):
    """Progress rises from the libraries over the weights to the first frames, and names the model and the device."""
    told = []
    engine_class().load(settings(), lambda percent, note: told.append((percent, note)))
    assert [percent for percent, _ in told] == sorted(percent for percent, _ in told)
    assert any("custom_voice on cpu" in note for _, note in told)
    assert told[-1][1] == "the first frames"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"device": "abacus"}, "device is 'abacus'"),
        ({"dtype": "int3"}, "dtype is 'int3'"),
        ({"model": "/no/such/folder"}, "there is no folder /no/such/folder"),
        ({"model": "", "kind": "opera"}, "kind is 'opera'"),
        ({"model": "", "size": "9B"}, "size is '9B'"),
        ({"model": "", "kind": "voice_design"}, "no VoiceDesign model of size 0.6B"),
        ({"size": "0.6B"}, "size is set to 0.6B, and the model"),
        ({"kind": "base"}, "kind is set to base, and the model"),
    ],
)
def test_a_wrong_setting_is_named(refused, settings, wrong, words):
    """Each setting that cannot be is refused by its name and value, and not tried again as it is."""
    assert words in refused({**settings(), **wrong}, lasting=True)


@pytest.mark.parametrize("file", ["model.safetensors", "speech_tokenizer/config.json", "generation_config.json"])
def test_half_a_model_is_no_model(refused, settings, checkpoint, tmp_path, file):
    """A folder that lacks a file is refused with the file's name and the command that gets the whole."""
    folder = shutil.copytree(checkpoint(), tmp_path / "half")
    (folder / file).unlink()
    said = refused(settings(model=str(folder)), lasting=True)
    assert file.removesuffix(".safetensors") in said
    assert "hf download Qwen/" in said


def test_another_model_is_refused(refused, settings, checkpoint, tmp_path):
    """A folder with something else than a Qwen3-TTS of 12 Hz is refused as that."""
    folder = shutil.copytree(checkpoint(), tmp_path / "other")
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"tokenizer_type": "qwen3_tts_tokenizer_25hz"}))
    assert "is no Qwen3-TTS model of 12 Hz" in refused(settings(model=str(folder)), lasting=True)


def test_broken_weights_are_an_error(refused, settings, checkpoint, tmp_path):
    """Weights that are cut off are an error with the folder's name, not a model that speaks noise."""
    folder = shutil.copytree(checkpoint(), tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert str(folder) in refused(settings(model=str(folder)))


def hub(tmp_path, monkeypatch):
    """An empty cache of the hub's, in which nothing can be downloaded."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_a_model_that_was_not_downloaded_is_named_with_the_command(refused, settings, tmp_path, monkeypatch):
    """Offline, which is the default, nothing is downloaded; the published model's name and the command are said."""
    hub(tmp_path, monkeypatch)
    said = refused({**settings(), "model": "", "size": "1.7B", "kind": "base"}, lasting=True)
    assert "Qwen/Qwen3-TTS-12Hz-1.7B-Base is not on this machine, and offline is set" in said
    assert "hf download Qwen/Qwen3-TTS-12Hz-1.7B-Base" in said


def test_a_downloaded_model_is_found(settings, engine_class, checkpoint, tmp_path, monkeypatch):
    """A model in the hub's cache is loaded from there, and its name and revision are in the engine's version."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    cache = hub(tmp_path, monkeypatch) / "models--me--mine"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(revision)
    shutil.copytree(checkpoint(), cache / "snapshots" / revision)
    one = engine_class()
    one.load({**settings(), "model": "me/mine"}, lambda _percent, _note: None)
    assert one.version.endswith("/mine@01234567")


FETCHING = """
import json, sys
from voicebus.workers import _qwen_download, _qwen_files
from voicebus.workers.engine import EngineError
_qwen_download.LOOK_S = 0.01
told = []
try:
    files = _qwen_files.find(json.loads(sys.argv[1]), lambda percent, note: told.append((percent, note)))
    print(json.dumps({"folder": str(files.folder), "name": files.name, "told": told}))
except EngineError as error:
    print(json.dumps({"error": error.message, "told": told}))
"""


def fetched(address, home, settings):
    """What a process of its own says that looks for a model at this hub: libraries look at the address once."""
    environment = os.environ | {
        "HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    command = [sys.executable, "-c", FETCHING, json.dumps(settings)]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout.splitlines()[-1])


def test_a_model_is_downloaded_where_that_is_allowed(checkpoint, tmp_path):
    """With `offline` false the model comes from the hub, whole, and how much of it has come is told meanwhile; offline
    it is found from then on."""
    source = checkpoint()
    with Hub(source) as hub:
        made = fetched(hub.url, tmp_path, {"model": "me/mine", "offline": False})
    assert made.get("name") == "mine@01234567", made
    size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    notes = [note for _, note in made["told"]]
    assert any(note.startswith("downloading me/mine: ") and f" of {size / 1e6:.0f} MB" in note for note in notes)
    percents = [percent for percent, note in made["told"] if note.startswith("downloading")]
    assert percents == sorted(percents)
    assert 10.0 <= percents[0] <= percents[-1] <= 20.0
    for path in source.rglob("*.safetensors"):
        assert (Path(made["folder"]) / path.relative_to(source)).read_bytes() == path.read_bytes()
    assert fetched("http://127.0.0.1:1", tmp_path, {"model": "me/mine"})["folder"] == made["folder"]


def test_a_download_goes_on_where_it_was_broken_off(checkpoint, tmp_path):
    """What had come of a file before the connection broke is not fetched again."""
    with Hub(checkpoint(), cuts={LARGE: 1}) as hub:
        made = fetched(hub.url, tmp_path, {"model": "me/mine", "offline": False})
        if "error" in made:  # A library that does not try again by itself says how to.
            assert "hf download me/mine" in made["error"]
            made = fetched(hub.url, tmp_path, {"model": "me/mine", "offline": False})
    assert (Path(made["folder"]) / LARGE).read_bytes() == hub.files[LARGE]
    later = [path for _, path, begin in hub.asked if int(begin[6:-1] or 0) >= 10_000_000]
    assert later == [f"/me/mine/resolve/{REVISION}/{LARGE}"]


def test_a_hub_that_is_not_there_is_named(tmp_path):
    """A model that cannot be downloaded is an error with the reason and the command that gets it."""
    said = fetched("http://127.0.0.1:1", tmp_path, {"model": "me/mine", "offline": False})["error"]
    assert "the model me/mine cannot be downloaded (" in said
    assert "hf download me/mine" in said


def test_voices_of_the_settings_are_a_table(refused, settings):
    """What the setting of voices must look like is told with an example."""
    assert "voices must be {" in refused(settings("base", voices=["anna"]))


@pytest.mark.parametrize("content", [b"not a sound", None])
def test_a_recording_that_cannot_be_read_is_named(refused, settings, tmp_path, content):
    """A sample that is missing or no sound is an error with its path."""
    path = tmp_path / "sample.wav"
    if content:
        path.write_bytes(content)
    assert str(path) in refused(settings("base", voices={"anna": {"sample": str(path), "text": "hello"}}))
