"""What is done with jobs of the history: heard, saved, said again, removed, kept for good."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click

from ...bus.errors import NotFound, VoicebusError
from ...bus.wording import counted
from . import hearing, leaving, seam
from .attach import offset_in, require_sound
from .exits import FAILED, USAGE, Failure, explain
from .history import kept, nothing_of
from .names import Factor, Name, complete, format_for
from .say import to_where

if TYPE_CHECKING:
    from ..sync import Client

AT_ONCE = 16
"""So many deletions are under way together: the disk takes them as one."""

job_argument = click.argument("job", shell_complete=complete("kept_jobs"))


# ------------------------------------------------------------------------------------------------ heard and saved


@click.command()
@job_argument
@click.option("--from", "start_s", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS",
              help="Begin so far into the audio.")  # fmt: skip
@click.option("--device", metavar="NAME", help="Play on this device; see: voicebus devices")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on the terminal but what went wrong.")
def play(job: str, start_s: float, device: str | None, quiet: bool) -> None:
    """Hear JOB again. Ctrl-C ends the listening."""
    _hear(job, hearing.Target(None, None, device, quiet=quiet), start_s)


@click.command()
@job_argument
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True), required=True,
              help="The file, its format by the extension; - is standard output.")  # fmt: skip
@click.option("--format", "form", metavar="FORMAT", help="Format of the output, where the extension does not say it.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on the terminal but what went wrong.")
def save(job: str, output: str, form: str | None, quiet: bool) -> None:
    """Write the audio of JOB to a file."""
    _hear(job, hearing.Target(output, format_for(output, form), None, quiet=quiet), 0.0)


def _hear(job: str, target: hearing.Target, start_s: float) -> None:
    plays = target.output is None
    with leaving.stoppable():
        hearing.require(target, plays=plays)
        with hearing.in_turn(after=False, sounds=plays, quiet=target.quiet), leaving.connected(start=True) as client:
            row = kept(client, job)
            require_sound(row)
            if row["audio"] == "missing" or not row["samples"]:
                raise _nothing_to_hear(row)
            speech = client.attach(job, offset=offset_in(row, start_s), whole=target.whole)
            hearing.hear(client, speech, target, total=0, cancels=False)


def _nothing_to_hear(row: dict[str, Any]) -> Failure:
    why = "its audio is missing from the disk" if row["audio"] == "missing" else "it has no audio"
    return Failure(f"{row['job']}: {why}", FAILED, f"Say it again with: voicebus history again {row['job']}")


# ------------------------------------------------------------------------------------------------------ said again


@click.command()
@job_argument
@click.option("-v", "--voice", metavar="VOICE", shell_complete=complete("voices"), help="With another voice.")
@click.option("-p", "--provider", metavar="NAME", shell_complete=complete("providers"), help="By another provider.")
@click.option("--lang", "language", metavar="TAG", shell_complete=complete("languages"), help="In another language.")
@click.option("--rate", type=Factor(0.25, 6), metavar="FACTOR", help="Faster or slower.")
@click.option("--pitch", type=Factor(0.5, 2), metavar="FACTOR", help="Higher or lower.")
@click.option("--volume", type=Factor(0, 2), metavar="FACTOR", help="Louder or softer.")
@click.option("--seed", type=click.INT, metavar="N", help="With another seed.")
@click.option("--keep", type=Name(["nothing", "job", "history"]), metavar="WHAT", help="What stays of the new job.")
@to_where
def again(job: str, output: str | None, form: str | None, device: str | None, quiet: bool, **how: Any) -> None:
    """Say the text of JOB once more: as it was asked for the first time, but for what is given here.

    With the seed of the first time, which is used if none is given, an engine that can says it the same way.
    """
    if device and output:
        raise click.UsageError("--device plays, -o writes: choose one.")
    target = hearing.Target(output, format_for(output, form) if output else form, device, quiet=quiet)
    changes = {name: value for name, value in how.items() if value is not None}
    changes |= {"pace": "render" if output else "listen", "whole": target.whole}
    if target.sample_rate:
        changes["sample_rate"] = target.sample_rate
    with leaving.stoppable():
        hearing.require(target, plays=not output)
        with hearing.in_turn(after=False, sounds=not output, quiet=quiet), leaving.connected(start=True) as client:
            row = kept(client, job)
            with hearing.names_explained(client):
                speech = client.say_again(row["job"], **changes)
            hearing.hear(client, speech, target, total=0)


# --------------------------------------------------------------------------------------------- removed, kept for good


@click.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, shell_complete=complete("kept_jobs"))
@click.option("--all", "every", is_flag=True, help="All that is not pinned.")
@click.option("--before", metavar="DATE", help="All from before this date that is not pinned: 2026-01-31.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of what went well.")
def delete(jobs: tuple[str, ...], every: bool, before: str | None, yes: bool, quiet: bool) -> None:
    """Remove jobs for good, with their text and their audio. Asks before it removes more than one."""
    if sum((bool(jobs), every, before is not None)) != 1:
        raise click.UsageError("Say which: JOB..., --all, or --before DATE.")
    with seam.connect(start=True) as client:
        names = list(dict.fromkeys(jobs)) if jobs else _older(client, before)
        if len(names) > 1 and not yes:
            _ask(len(names))
        failures = _delete(client, names)
        spared = sum(1 for _ in client.history(pinned=True)) if every else 0
    if not quiet:
        click.echo(_deleted(len(names) - len(failures)))
        if spared:
            stay = counted(spared, "pinned job stays", "pinned jobs stay")
            click.echo(f"{stay}; see: voicebus history --pinned", err=True)
    _raise_last(failures)


def _older(client: Client, before: str | None) -> list[str]:
    """The names of all that is not pinned, from before a date if one is given."""
    if before is None:
        return [row["job"] for row in client.history(pinned=False)]
    try:
        moment = dt.datetime.fromisoformat(before).astimezone()
    except (ValueError, OverflowError):
        raise click.UsageError(f"{before!r} is not a date such as 2026-01-31 or 2026-01-31T18:30.") from None
    return [row["job"] for row in client.history(pinned=False, until=moment)]


def _ask(count: int) -> None:
    """Ask the person. Raises Failure where there is none, Abort if the answer is no."""
    if not sys.stdin.isatty():
        raise Failure(f"{counted(count, 'job')} would be removed for good", USAGE, "Say that you mean it with --yes.")
    click.confirm(f"Remove {counted(count, 'job')} for good, with text and audio?", abort=True, err=True)


def _delete(client: Client, names: Sequence[str]) -> list[Failure]:
    def one(name: str) -> Failure | None:
        try:
            client.delete(name)
        except NotFound:
            return nothing_of(client, name)
        except VoicebusError as error:
            return explain(error)
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [failure for failure in pool.map(one, names) if failure is not None]


def _deleted(count: int) -> str:
    return "Nothing was removed." if not count else f"{counted(count, 'job')} removed."


def _raise_last(failures: Sequence[Failure]) -> None:
    """Tell all, and end with the last."""
    for failure in failures[:-1]:
        failure.show()
    if failures:
        raise failures[-1]


def _pin(names: Sequence[str], *, pinned: bool) -> None:
    failures = []
    with seam.connect(start=True) as client:
        for name in names:
            try:
                client.pin(name, pinned)
            except NotFound:
                failures.append(nothing_of(client, name))
    _raise_last(failures)


@click.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete("kept_jobs"))
def pin(jobs: tuple[str, ...]) -> None:
    """Keep jobs whatever the retention says."""
    _pin(jobs, pinned=True)


@click.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete("kept_jobs"))
def unpin(jobs: tuple[str, ...]) -> None:
    """Leave jobs to the retention again."""
    _pin(jobs, pinned=False)
