"""`attach`: a job's audio, from elsewhere or again."""

from __future__ import annotations

from typing import Any

import click

from ...bus.errors import NotFound
from . import hearing, leaving
from .exits import USAGE, Failure
from .jobs import OVER, no_job
from .names import complete, format_for
from .output import duration
from .say import to_where


@click.command()
@click.argument("job", shell_complete=complete("jobs"))
@click.option("--from", "start_s", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS",
              help="Begin so far into the audio.")  # fmt: skip
@to_where
def attach(job: str, start_s: float, output: str | None, form: str | None, device: str | None, quiet: bool) -> None:
    """Listen to JOB, running or over, or write its audio to a file.

    Ctrl-C ends the listening, not the job.
    """
    if device and output:
        raise click.UsageError("--device plays, -o writes: choose one.")
    if form and not output:
        raise click.UsageError("--format says how to write; say where with -o FILE, or -o - for standard output.")
    target = hearing.Target(output, format_for(output, form) if output else None, device, quiet=quiet)
    with leaving.stoppable():
        hearing.require(target, plays=not output)
        with hearing.in_turn(after=False, sounds=not output, quiet=quiet), leaving.connected() as client:
            try:
                found = next((row for row in client.jobs() if row["job"] == job), None) or client.kept(job)
                speech = client.attach(job, offset=offset_in(found, start_s), whole=target.whole)
            except NotFound:
                raise no_job(client, job) from None
            hearing.hear(client, speech, target, total=0, cancels=False)


def require_sound(found: dict[str, Any]) -> None:
    """Raise Failure for a job that has a transcript and no sound."""
    if "transcribe" in (found.get("kind"), found.get("request", {}).get("kind")):
        job = found["job"]
        raise Failure(
            f"{job} is a transcript and has no sound", USAGE, f"Read it with: voicebus transcribe --job {job}"
        )


def offset_in(found: dict[str, Any], start_s: float) -> int:
    """The sample at which to begin. found: the job's row. Raises Failure where there is none."""
    require_sound(found)
    offset: int = round(start_s * found["rate"])
    if start_s and offset >= found["samples"]:
        seconds = found["samples"] / found["rate"] if found["rate"] else 0.0
        so_far = "" if found["state"] in OVER else " so far"
        raise Failure(
            f"{found['job']} has only {duration(seconds)} of audio{so_far}, nothing from {duration(start_s)} on", USAGE
        )
    return offset
