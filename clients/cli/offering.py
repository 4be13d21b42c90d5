"""`providers --all`, `providers show`: providers as their manifests tell of them, set up or not.

Owns: how a manifest is told. Must not know: engines; nothing of them is imported. Invariant: what is not in this
version, or not for this machine, is said to be so before anybody installs anything.
"""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ...bus.errors import VoicebusError
from ...bus.manifests import Manifest, all_manifests
from . import output, seam
from .exits import USAGE, Failure
from .names import did_you_mean


def rows(known: set[str]) -> list[dict[str, Any]]:
    """Those that are not set up, in the form of the daemon's list."""
    return [_row(manifest) for manifest in all_manifests() if manifest.name not in known]


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "provider": manifest.name,
        "state": _state(manifest),
        "workers": 0,
        "ready": 0,
        "asleep": 0,
        "version": "",
        "voices": 0,
        "rate": manifest.rate,
        "breaker": "",
        "retry_in_s": 0.0,
        "capabilities": {},
        "reason": f"{manifest.summary} ({_size(manifest)})",
        "manifest": msgspec.to_builtins(manifest),
    }


def _state(manifest: Manifest) -> str:
    if not manifest.here:
        return "to come"
    return "not set up" if manifest.fits else "not here"


def _size(manifest: Manifest) -> str:
    parts = [output.amount(manifest.install.disk_bytes)]
    if manifest.install.model_bytes:
        parts.append(f"a model {output.amount(manifest.install.model_bytes)}")
    return ", ".join(parts)


def show(name: str, *, as_json: bool) -> None:
    """Tell all there is about one. Raises Failure for a name that nobody has."""
    found = {manifest.name: manifest for manifest in all_manifests()}
    if name not in found and (row := _running(name)):
        _show_running(row, as_json=as_json)
        return
    if name not in found:
        advice = did_you_mean(name, found).strip() or f"There is: {', '.join(found)}"
        raise Failure(f"There is no manifest of a provider {name!r}.", USAGE, advice)
    manifest = found[name]
    if as_json:
        output.emit_json({**msgspec.to_builtins(manifest), "here": manifest.here, "fits": manifest.fits})
        return
    for line in [*_told(manifest), *_models(_running(name))]:
        click.echo(line)


def _running(name: str) -> dict[str, Any]:
    """A provider as the daemon that runs has it, also an engine of somebody's own; {} where there is none."""
    try:
        with seam.connect() as client:
            rows = client.providers()
    except VoicebusError:
        return {}
    return next((row for row in rows if row["provider"] == name), {})


def _models(row: dict[str, Any]) -> list[str]:
    """What its workers here can be asked for with --model; nothing where they have told of none."""
    models = row.get("capabilities", {}).get("models", [])
    return [f"  models:    {', '.join(output.clean(model) for model in models)}"] if models else []


def _show_running(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.emit_json(row)
        return
    can = sorted(what for what, able in row["capabilities"].items() if able is True)
    click.echo(f"{row['provider']}: set up here, with no more known of it than its workers tell")
    click.echo(f"  can:       {', '.join(can) or 'not known yet'}")
    for line in _models(row):
        click.echo(line)
    click.echo(f"  state:     {row['state']}, {row['ready']} of {row['workers']} workers ready")
    if row["reason"]:
        click.echo(f"             {output.clean(row['reason'])}")
    click.echo(f"  test:      voicebus providers test {row['provider']}")


def _told(manifest: Manifest) -> list[str]:
    low, high = manifest.protocol
    lines = [
        f"{manifest.name}: {manifest.summary}",
        f"  can:       {', '.join(manifest.capabilities)}",
        f"  runs on:   {', '.join(manifest.platforms)}" + ("" if manifest.fits else ", which this machine is not"),
        f"  protocol:  {low} to {high}",
        f"  takes:     {_size(manifest)}",
    ]
    if not manifest.here:
        return [*lines, "  install:   it is to come; this version of voicebus has no module for it"]
    commands = manifest.commands() or ["nothing: it comes with voicebus"]
    lines += [f"  {'install:' if not number else '':<10} {line}" for number, line in enumerate(commands)]
    lines += [f"  see:       {manifest.install.page}"] if manifest.install.page else []
    return [*lines, f'  configure: [providers.{manifest.name}] with module = "{manifest.module}"']
