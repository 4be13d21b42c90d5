"""`logs`: the end of the daemon's log, and what is added to it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click

from ...bus import endpoints
from .exits import NO_DAEMON, Failure

POLL_S = 0.25
"""How often a followed file is looked at. No portable call tells of a growing file."""


@click.command()
@click.option("-n", "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="How many lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option("--path", "only_path", is_flag=True, help="Only print where the log is.")
def logs(lines: int, follow: bool, only_path: bool) -> None:
    """Show the end of the daemon's log (there whether or not it runs)."""
    path = endpoints.log_path()
    if only_path:
        click.echo(path)
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, maxlen=lines):
                click.echo(line, nl=False)
            if follow:
                for line in followed(path, file):
                    click.echo(line, nl=False)
    except FileNotFoundError:
        raise Failure(
            f"there is no log yet: {path}", NO_DAEMON, "No daemon has run here. Start one with: voicebus daemon start"
        ) from None


def followed(path: Path, file: IO[str], wait_s: float = POLL_S) -> Iterator[str]:
    """What is added to `file`, for ever; when the log is rotated or cut, the new file from its start."""
    import time

    current = file
    try:
        while True:
            if text := current.read():
                yield text
                continue
            if _replaced(path, current):
                fresh = path.open(encoding="utf-8", errors="replace")
                if current is not file:
                    current.close()
                current = fresh
                continue
            time.sleep(wait_s)
    finally:
        if current is not file:
            current.close()


def _replaced(path: Path, file: IO[str]) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False  # between two files of a rotation
    mine = os.fstat(file.fileno())
    return (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino) or found.st_size < file.tell()
