"""`history import`: what was exported, back into the history."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...bus.errors import InvalidRequest
from ...bus.wording import counted, plural
from . import leaving, output, piped
from .exits import INCOMPLETE, STORAGE, USAGE, Failure
from .listings import json_option
from .telling import Teller

if TYPE_CHECKING:
    from ..importing import Tally


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on the terminal but what went wrong.")
def import_(file: str, as_json: bool, quiet: bool) -> None:
    """Bring the jobs in FILE (- is standard input), which `history export` has written, into the history.

    A job whose name is there already, or was deleted within a week, is skipped: importing a file twice does no harm.
    Exits with 9 where a job could not be read; all others are there.
    """
    if file != "-" and not Path(file).is_file():
        raise Failure(f"{file}: there is no such file", USAGE, "Write one with: voicebus history export FILE")
    teller = Teller(quiet=quiet or as_json)
    done: Tally | None = None

    def on_job(job: str, tally: Tally) -> None:
        nonlocal done
        done = tally
        teller.passing(f"reading {job}")

    try:
        with leaving.stoppable(), piped.read(file) as path, leaving.connected(start=True) as client:
            try:
                done = client.import_history(path, on_job=on_job)
            except OSError as error:
                raise Failure(f"{piped.called(file, piped.INPUT)}: {error.strerror or error}", STORAGE) from None
            finally:
                teller.clear()
    except InvalidRequest as error:  # the file, not a name or an option
        raise Failure(error.message, USAGE) from None
    finally:
        if done is not None:  # also where it broke off
            _tell(piped.called(file, piped.INPUT), done, as_json=as_json, quiet=quiet)
    if done.damaged:
        raise Failure(_damaged(done), INCOMPLETE)


def _tell(file: str, done: Tally, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        output.emit_json(dataclasses.asdict(done))
    elif not quiet:
        jobs = f"{counted(done.imported, 'job')} imported"
        skipped = f"{len(done.skipped)} skipped"
        if done.skipped:
            skipped += f" ({plural(len(done.skipped), 'it is', 'they are')} there, or deleted within a week)"
        click.echo(f"{file}: {jobs}, {skipped}, {len(done.damaged)} damaged", err=True)


def _damaged(done: Tally) -> str:
    """Each that could not be taken in, and why."""
    return "not imported: " + "; ".join(f"{job}: {output.short(why, 200)}" for job, why in done.damaged.items())
