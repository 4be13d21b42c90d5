"""`config`: where the configuration is, and what is wrong with it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import click

from ...bus import endpoints
from ...bus.wording import counted
from . import output, running
from .exits import FAILED, USAGE, Failure
from .listings import json_option

BROKEN = 78
"""The daemon's exit code for a configuration with problems (EX_CONFIG)."""

_ENGINE = "engines/"
"""What a problem begins with that is one of a file beside the configuration."""


@click.group()
def config() -> None:
    """Check the configuration, or tell where it is."""


@config.command()
def path() -> None:
    """Print where the configuration is (it need not exist)."""
    click.echo(endpoints.config_path())


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
def check(file: Path | None, as_json: bool) -> None:
    """Check FILE, or the configuration in use: each problem with its line. Exits with 1 if there is any."""
    where = (file or endpoints.config_path()).absolute()
    if file is not None and not where.is_file():
        raise Failure(f"no such file: {file}", USAGE)
    problems = problems_of(where)  # also where there is no file: there may be engines beside it
    if as_json:
        output.emit_json({"file": str(where), "problems": problems})
    elif problems:
        show_problems(where, problems)
        raise Failure(f"{counted(len(problems), 'problem')} in {where}", FAILED)
    else:
        click.echo(f"{where}: {'good' if where.is_file() else 'not there, so the defaults hold'}")
    if problems:
        raise click.exceptions.Exit(FAILED)


def show_problems(where: Path, problems: list[dict[str, Any]]) -> None:
    """Print each problem of a file, as a compiler would say it."""
    for found in problems:
        click.echo(told(where, found))


def told(where: Path, problem: dict[str, Any]) -> str:
    """One problem of a file, as a compiler would say it."""
    line = f":{problem['line']}" if problem["line"] else ""
    return f"{where}{line}: {problem['reason']}"


def alone(problem: dict[str, Any]) -> bool:
    """Whether a problem, of ours or of the status, is of an engine's file: that is left out, the rest is not."""
    return str(problem.get("where") or problem["reason"]).startswith(_ENGINE)


def problems_of(where: Path) -> list[dict[str, Any]]:
    """What the daemon finds wrong with a configuration, or with the engines beside it where there is none. It is asked
    in a process of its own: only the daemon's part of the package knows what its settings mean."""
    environment = {**os.environ, endpoints.CONFIG_VARIABLE: str(where)}  # unlike --config, this need not be there
    done = subprocess.run(
        running.command("check"), env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode not in {0, BROKEN}:
        raise Failure(f"the configuration could not be checked: {done.stderr.strip().splitlines()[-1:]}")
    return [problem(line, where) for line in done.stderr.splitlines() if line] if done.returncode else []


def problem(text: str, where: Path) -> dict[str, Any]:
    """One line of the daemon's (``FILE:LINE: reason``) taken apart; line 0 is the file as a whole."""
    found = re.match(r"(?::(\d+))?: (.*)", text.removeprefix(str(where)), re.DOTALL)
    return {"line": int(found[1] or 0), "reason": found[2]} if found else {"line": 0, "reason": text}
