"""`history export`: the history as one file."""

from __future__ import annotations

from typing import Any

import click

from ...bus.wording import counted
from . import hearing, leaving, output, piped
from .exits import INCOMPLETE, Failure
from .history import narrowed
from .telling import Teller


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@narrowed
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on the terminal but what went wrong.")
def export(file: str, quiet: bool, **filters: Any) -> None:
    """Write the history into FILE (- is standard output), a zip with text, audio (FLAC) and the record of each job.

    Exits with 9 where the audio of a job could not be had; all else is in the file.
    """
    from ..archive import export as write

    hearing.require(hearing.Target(file, None, None), plays=False)
    target = piped.output() if file == "-" else file
    given = {name: value for name, value in filters.items() if value is not None}
    teller = Teller(quiet=quiet)
    with leaving.stoppable(), leaving.connected(start=True) as client:
        try:
            done = write(client, target, on_job=lambda row: teller.passing(f"writing {row['job']}"), **given)
        finally:
            teller.clear()
    if not quiet:
        click.echo(f"{piped.called(file, piped.OUTPUT)}: {counted(done.jobs, 'job')}", err=True)
    if done.silent:
        job, why = next(iter(done.silent.items()))
        rest = f" (and {len(done.silent) - 1} more)" if len(done.silent) > 1 else ""
        raise Failure(f"without the audio of {job}{rest}: {output.short(why, 200)}", INCOMPLETE)
