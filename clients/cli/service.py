"""`service`: voicebus as a service of this user, kept by systemd or launchd."""

from __future__ import annotations

import sys

import click

from . import manager, output, running
from .exits import FAILED, OK, Failure
from .listings import json_option


@click.group()
def service() -> None:
    """Install voicebus as a service of this user, that starts with the session."""


@service.command()
@click.option("--print", "only_print", is_flag=True, help="Only print what would be installed, and where.")
def install(only_print: bool) -> None:
    """Install the service, enable it and start it now."""
    kind = manager.for_this_machine()
    text = kind.render()
    if only_print:
        click.echo(f"# {kind.path}", err=True)
        click.echo(text, nl=not text.endswith("\n"))
        return
    kind.require()
    with running.watched() as process:
        if process is not None and process.pid != kind.status()["pid"]:
            click.echo(f"stopping process {process.pid}, in whose place the service comes", err=True)
            if not running.stop(process, 20.0):
                raise Failure(f"the daemon (process {process.pid}) does not leave", FAILED)
    kind.path.parent.mkdir(parents=True, exist_ok=True)
    kind.path.write_text(text, encoding="utf-8")
    click.echo(f"written: {kind.path}")
    kind.enable()
    click.echo(f"{kind.name} is enabled and runs; see: voicebus status")
    if kind.hint:
        click.echo(kind.hint)


@service.command()
def uninstall() -> None:
    """Stop the service, disable it and remove its file."""
    kind = manager.for_this_machine()
    if not kind.path.exists():
        click.echo(f"not installed: there is no {kind.path}")
        return
    if kind.reachable():
        kind.disable()
    kind.path.unlink(missing_ok=True)
    if kind.reachable():
        kind.forget()
    click.echo(f"removed: {kind.path}")


@service.command()
@json_option
def status(as_json: bool) -> None:
    """Tell whether the service is installed and runs. Exits with 1 if it does not run."""
    kind = manager.for_this_machine()
    found = kind.status()
    if as_json:
        output.emit_json(found)
    else:
        installed = f"installed: {found['path']}" if found["installed"] else "not installed"
        click.echo(f"{kind.name}: {installed}, {found['state']}")
        if found["pid"]:
            click.echo(f"process {found['pid']}")
        if not found["installed"]:
            click.echo("Install it with: voicebus service install")
    sys.exit(OK if found["state"] in {"active", "running"} else FAILED)
