"""`service`: voicebus as a service, of this user or of all, kept by systemd or launchd."""

from __future__ import annotations

import sys

import click

from . import manager, output, running
from .exits import FAILED, OK, Failure
from .listings import json_option

system_option = click.option("--system", is_flag=True, help="The one for all users of this machine (Linux, root).")


@click.group()
def service() -> None:
    """Install voicebus as a service of this user, that starts with the session, or of all users (--system)."""


@service.command()
@system_option
@click.option("--print", "only_print", is_flag=True, help="Only print what would be installed, and where.")
def install(only_print: bool, system: bool) -> None:
    """Install the service, enable it and start it now."""
    kind = manager.for_this_machine(system=system)
    files = kind.render()
    if only_print:
        for path, text in files.items():
            click.echo(f"# {path}", err=True)
            click.echo(text, nl=not text.endswith("\n"))
        return
    kind.require()
    if not system:
        _make_way(kind)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if system:
            path.chmod(0o644)  # whatever the umask is
        click.echo(f"written: {path}")
    kind.enable()
    click.echo(f"{kind.name} is enabled and runs; see: voicebus status")
    if kind.hint:
        click.echo(kind.hint)


def _make_way(kind: manager.Manager) -> None:
    """End a daemon of this user that is not the service's."""
    with running.watched() as process:
        if process is not None and process.pid != kind.status()["pid"]:
            click.echo(f"stopping process {process.pid}, in whose place the service comes", err=True)
            if not running.stop(process, 20.0):
                raise Failure(f"the daemon (process {process.pid}) does not leave", FAILED)


@service.command()
@system_option
def uninstall(system: bool) -> None:
    """Stop the service, disable it and remove its files. Its state and configuration stay."""
    kind = manager.for_this_machine(system=system)
    if not kind.path.exists():
        click.echo(f"not installed: there is no {kind.path}")
        return
    if system:
        kind.require()
    if kind.reachable():
        kind.disable()
    for path in kind.render():
        if path.exists():
            path.unlink()
            click.echo(f"removed: {path}")
    if kind.reachable():
        kind.forget()


@service.command()
@system_option
@json_option
def status(as_json: bool, system: bool) -> None:
    """Tell whether the service is installed and runs. Exits with 1 if it does not run."""
    kind = manager.for_this_machine(system=system)
    found = kind.status()
    if as_json:
        output.emit_json(found)
    else:
        installed = f"installed: {found['path']}" if found["installed"] else "not installed"
        click.echo(f"{kind.name}: {installed}, {found['state']}")
        if found["pid"]:
            click.echo(f"process {found['pid']}")
        if not found["installed"]:
            click.echo(f"Install it with: voicebus service install{' --system' * system}")
    sys.exit(OK if found["state"] in {"active", "running"} else FAILED)
