"""Providers that are not set up, as the command tells of them."""

from __future__ import annotations

import json

from voicebus.bus import manifests

from .conftest import PROVIDER


def test_all_lists_those_that_are_not_set_up_as_well(client, run):
    """Those of the daemon come first; the others say that they are not set up, or not in this version, and how large
    they are."""
    lines = run("providers", "--all").stdout.splitlines()
    assert lines[1].startswith("espeak")
    (line,) = [line for line in lines if line.startswith("pytorch-cpu")]
    assert "not set up" in line
    assert "903 MB" in line
    assert any(line.startswith("openai") and "to come" in line for line in lines)
    rows = json.loads(run("providers", "--all", "--json").stdout)
    assert rows[0] == PROVIDER
    assert {row["provider"] for row in rows[1:]} == {m.name for m in manifests.all_manifests()} - {"espeak"}


def test_one_is_shown_with_its_recipe(client, run):
    """What it can do, how it is installed, and what to write into the configuration."""
    told = run("providers", "show", "pytorch-cpu").stdout
    assert "python -m pip install 'voicebus[pytorch]'" in told
    assert '[providers.pytorch-cpu] with module = "voicebus.workers.qwen_torch"' in told
    assert json.loads(run("providers", "show", "espeak", "--json").stdout)["here"] is True
    assert "comes with voicebus" in run("providers", "show", "espeak").stdout
    assert "is to come" in run("providers", "show", "openai").stdout


def test_the_models_that_are_here_are_shown(client, run, monkeypatch):
    """Which models can be asked for is known to the workers, so a daemon that runs tells it."""
    row = PROVIDER | {"provider": "whisper", "capabilities": {"transcribe": True, "models": ["small", "turbo"]}}
    monkeypatch.setattr(client, "providers", lambda: [row, row | {"provider": "ears"}])
    assert "models:    small, turbo\n" in run("providers", "show", "whisper").stdout
    assert "models:    small, turbo\n" in run("providers", "show", "ears").stdout
    assert "models:" not in run("providers", "show", "espeak").stdout


def test_a_name_that_nobody_has_suggests_a_near_one(client, run):
    """It is a wrong name (exit 2)."""
    done = run("providers", "show", "expeak")
    assert done.exit_code == 2
    assert "Did you mean espeak?" in done.stderr


def test_one_without_a_manifest_is_shown_as_the_daemon_has_it(client, run, monkeypatch):
    """An engine of one's own has no recipe; what it can do and how it does is told by the daemon."""
    row = PROVIDER | {"provider": "beeper", "capabilities": {"speak": True, "rate": True, "seed": False}}
    monkeypatch.setattr(client, "providers", lambda: [row])
    told = run("providers", "show", "beeper").stdout
    assert "can:       rate, speak\n" in told
    assert "1 of 2 workers ready" in told
    assert json.loads(run("providers", "show", "beeper", "--json").stdout) == row
