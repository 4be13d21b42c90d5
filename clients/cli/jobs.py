"""What becomes of jobs: `jobs`, `cancel`, `stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ...bus.errors import NotFound
from ...bus.wording import counted
from . import output, seam, turns
from .exits import USAGE, Failure
from .listings import json_option
from .names import complete, did_you_mean

if TYPE_CHECKING:
    from ..sync import Client

OVER = frozenset({"finished", "failed", "cancelled"})


@click.command()
@click.argument("job", required=False, shell_complete=complete("jobs"))
@json_option
def jobs(job: str | None, as_json: bool) -> None:
    """List my jobs, the newest last; with JOB its segments, and who spoke each of them."""
    with seam.connect() as client:
        rows = segments_of(client, job) if job else client.jobs()
        rate = next((row["rate"] for row in client.jobs() if row["job"] == job), 0) if job and not as_json else 0
    if as_json:
        output.emit_json(rows)
    elif job:
        _show_segments(rows, rate)
    else:
        _show_jobs(rows)


def segments_of(client: Client, job: str) -> list[dict[str, Any]]:
    """The segments of a job. Raises Failure, with names near to it, where there is no such job."""
    try:
        return client.segments(job)
    except NotFound as error:
        raise no_job(client, job) from error


def no_job(client: Client, job: str) -> Failure:
    """There is no such job, in words."""
    near = did_you_mean(job, [row["job"] for row in client.jobs()]).strip()
    return Failure(f"There is no job {job!r}.", USAGE, near or "See what there is with: voicebus jobs")


def _show_jobs(rows: list[dict[str, Any]]) -> None:
    columns = (("JOB", "<"), ("STATE", "<"), ("DONE", ">"), ("AUDIO", ">"), ("AGE", ">"), ("PRIORITY", "<"),
               ("PROVIDER", "<"), ("VOICE", "<"), ("WHY", "<"))  # fmt: skip
    cells = [
        (
            row["job"],
            row["state"],
            f"{row['done']}/{row['segments']}{'' if row['complete'] else '+'}",
            output.duration(row["samples"] / row["rate"]) if row["rate"] and row["samples"] else "",
            output.ago(row["age_s"]),
            row["priority"],
            row["provider"],
            row["voice"],
            output.short(row["message"] or row["code"], 80),
        )
        for row in rows
    ]
    output.emit_table(columns, cells, "No jobs.", spare=("PRIORITY", "VOICE", "PROVIDER"))


def _show_segments(rows: list[dict[str, Any]], rate: int) -> None:
    columns = (("SEGMENT", ">"), ("STATE", "<"), ("TEXT", "<"), ("AT", ">"), ("AUDIO", ">"), ("PROVIDER", "<"),
               ("VOICE", "<"), ("TRIES", ">"), ("TROUBLE", "<"))  # fmt: skip
    cells = [
        (
            str(row["segment"] + 1),  # people count from 1
            row["state"],
            f"{row['start']}-{row['start'] + row['length']}",
            output.duration(row["offset"] / rate) if rate and row["offset"] >= 0 and row["samples"] else "",
            output.duration(row["samples"] / rate) if rate and row["samples"] else "",
            row["provider"],
            row["voice"],
            str(row["tries"] or ""),
            output.short("; ".join(row["trail"]), 80),
        )
        for row in rows
    ]
    output.emit_table(columns, cells, "No segments yet.", spare=("TEXT", "AT", "VOICE"))


@click.command()
@click.argument("names", metavar="JOB...", nargs=-1, required=True, shell_complete=complete("running_jobs"))
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of what went well.")
def cancel(names: tuple[str, ...], quiet: bool) -> None:
    """Cancel jobs by name."""
    missing: list[Failure] = []
    with seam.connect() as client:
        over = {row["job"] for row in client.jobs() if row["state"] in OVER}
        for name in names:
            try:
                end = client.cancel(name)
            except NotFound:
                missing.append(no_job(client, name))
                continue
            state = end["state"]
            if not quiet:
                ours = state == "cancelled" and name not in over
                click.echo(f"{name}: {'cancelled' if ours else f'was over already ({state})'}")
    for failure in missing[:-1]:
        failure.show()
    if missing:
        raise missing[-1]


@click.command()
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
def stop(quiet: bool) -> None:
    """Silence everything of mine: cancel all my jobs that are not over, and end what is still played."""
    with seam.connect() as client:
        count = client.cancel_all()
    players = turns.silence()  # what they have of jobs that are over would go on
    if quiet:
        return
    if count:
        click.echo(f"{counted(count, 'job')} cancelled.")
    else:
        click.echo("Silenced." if players else "Nothing was speaking.")
