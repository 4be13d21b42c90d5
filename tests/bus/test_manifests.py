"""What is told of providers before any of them is installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from voicebus.bus.manifests import all_manifests, read
from voicebus.bus.messages import PROTOCOL
from voicebus.daemon.config import ESPEAK
from voicebus.workers.espeak import EspeakEngine

ROOT = Path(__file__).resolve().parents[2]

TEXT = """
summary = "a test"
version = "1"
module = "voicebus.workers.tone"
protocol = [1, 1]
platforms = ["linux", "darwin"]
capabilities = ["speak"]
[install]
pip = [["torch"], ["voicebus[pytorch]", "--no-deps"]]
disk_bytes = 5
"""


def found(name):
    return next(manifest for manifest in all_manifests() if manifest.name == name)


def test_all_that_are_shipped_can_be_read():
    """Each manifest is complete, and speaks the protocol of this version."""
    names = {manifest.name for manifest in all_manifests()}
    assert {"espeak", "pytorch-cpu", "pytorch-cuda", "mlx", "whisper", "openai"} <= names
    assert all(low <= PROTOCOL <= high for low, high in (manifest.protocol for manifest in all_manifests()))


def test_what_is_told_of_espeak_is_true():
    """Its module, rate and capabilities are those of the engine."""
    manifest = found("espeak")
    engine = EspeakEngine()
    engine.load({}, lambda _percent, _note: None)
    can = engine.capabilities()
    assert (manifest.module, manifest.rate) == (ESPEAK.module, engine.sample_rate)
    claimed = {name for name in ("streams", "ssml", "rate", "pitch", "volume", "punctuation", "seed", "instruct")
               if getattr(can, name)} | {"speak"} | {f"{kind}s" for kind in can.marks if kind != "mark"}  # fmt: skip
    engine.close()
    assert set(manifest.capabilities) == claimed
    assert manifest.here and manifest.fits and manifest.commands() == []


def test_a_recipe_names_only_extras_that_there_are():
    """What is to be installed of voicebus itself is among the extras of the package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    words = [word for manifest in all_manifests() for words in manifest.install.pip for word in words]
    named = {word[len("voicebus[") : -1] for word in words if word.startswith("voicebus[")}
    assert named <= set(extras)


def test_a_module_that_is_not_there_yet_is_known_without_importing_any():
    """Whether a provider is in this version is seen from its files, and reading of it loads no engine's library."""
    code = (
        "import sys; from voicebus.bus.manifests import all_manifests; "
        "print({m.name: m.here for m in all_manifests()});"
        "print([n for n in sys.modules if n.startswith('voicebus.workers.') or n in ('torch', 'numpy', 'zmq')])"
    )
    here, loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    ).stdout.splitlines()
    assert "'espeak': True" in here
    assert loaded == "[]"
    assert not read("x", TEXT.replace("tone", "nosuch")).here


def test_another_machine_and_another_protocol_do_not_fit():
    """Both are seen before anything is installed."""
    assert read("x", TEXT).fits
    assert not read("x", TEXT.replace('["linux", "darwin"]', '["plan9", "linux-vax"]')).fits
    assert not read("x", TEXT.replace("[1, 1]", "[7, 9]")).fits


def test_the_recipe_is_commands():
    """One line for each step, quoted where a shell would read something else."""
    assert read("x", TEXT).commands("/e/bin/python") == [
        "/e/bin/python -m pip install torch",
        "/e/bin/python -m pip install 'voicebus[pytorch]' --no-deps",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("summary", "sumary"), "the manifest of x: Object"),
        (('["speak"]', '["fly"]'), "Invalid enum value 'fly'"),
        (("[1, 1]", "1"), "protocol"),
        (("summary =", "summary"), "the manifest of x: Expected"),
    ],
)
def test_a_mistake_in_one_says_where(change, says):
    """A manifest with a wrong key, word, type or syntax is refused with its name and place."""
    with pytest.raises(ValueError, match="the manifest of x") as wrong:
        read("x", TEXT.replace(*change))
    assert says in str(wrong.value)
