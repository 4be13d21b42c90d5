"""`providers test`: whether an engine keeps its contract, as the daemon's own program finds out.

Owns: running that program and telling what it says. Must not know: what is checked, how a worker is started.
Invariant: what it prints is told line by line as it comes; its exit code is ours.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import click

from ...bus.wording import counted
from . import output, running
from .exits import FAILED, USAGE, Failure

_STATES = {"ok": "green", "skipped": "yellow", "FAILED": "red"}


def run(name: str, patience_s: float, *, system: bool, as_json: bool) -> None:
    """Test a provider's engine and leave with the verdict. Raises Failure where there is nothing to test."""
    command = running.command("test", name, "--lines", "--patience", f"{patience_s:g}", *(["--system"] * system))
    checks: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            checks.append(json.loads(line))
            if not as_json:
                _tell(checks[-1])
        said = process.stderr.read().strip()
    failed = sum(bool(check["problem"]) for check in checks)
    if not checks:
        raise Failure(said or "the suite could not be run", USAGE if process.returncode == USAGE else FAILED)
    if as_json:
        output.emit_json({"provider": name, "passed": not failed, "checks": checks})
    else:
        click.echo(f"{counted(len(checks), 'check')}, {failed} failed")
    if failed or process.returncode:
        raise click.exceptions.Exit(FAILED)


def _tell(check: dict[str, Any]) -> None:
    state = "FAILED" if check["problem"] else "skipped" if check["skipped"] else "ok"
    mark = output.style(f"{state:<7}", fg=_STATES[state])
    click.echo(f"{mark} {check['name']}: {output.clean(check['says'])}")
    if more := check["problem"] or check["skipped"]:
        click.echo(f"        {output.clean(more)}")
