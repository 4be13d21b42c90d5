"""`history`: what is kept of jobs that are over, listed, searched and shown.

What is done with them is in `history_doing`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ...bus.errors import NotFound
from .. import transcripts
from . import history_transcript, output, seam
from .exits import USAGE, Failure
from .listings import json_option
from .names import Name, complete, did_you_mean

if TYPE_CHECKING:
    from ..sync import Client

DOING: dict[str, tuple[str, str]] = {
    "play": ("history_doing:play", "Hear a job again."),
    "save": ("history_doing:save", "Write a job's audio to a file."),
    "align": ("history_align:align", "Time a job's words by its audio."),
    "export": ("history_export:export", "Write all of it, or some, into one file."),
    "import": ("history_import:import_", "Bring back what was exported."),
    "again": ("history_doing:again", "Say a job's text once more, the same way or another."),
    "delete": ("history_doing:delete", "Remove jobs for good, with text and audio."),
    "pin": ("history_doing:pin", "Keep jobs whatever the retention says."),
    "unpin": ("history_doing:unpin", "Leave jobs to the retention again."),
}
"""Subcommands of another module: where they are, and their line in the help."""

LIMIT = 20
"""Rows of a list where nobody says."""

NEAR = 200
"""So many of the newest names are looked through for a near one."""


class HistoryGroup(click.Group):
    """A group that lists where no subcommand is given, and imports the others when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *DOING]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in DOING:
            return super().get_command(ctx, cmd_name)
        module, _, name = DOING[cmd_name][0].partition(":")
        found = getattr(import_module(f".{module}", __package__), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, command.get_short_help_str(80)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *((name, line) for name, (_, line) in DOING.items())])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(args[0], names) or f" To look for words: voicebus history search {args[0]}"
            raise click.UsageError(f"No such command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


def narrowed(command: Any) -> Any:
    """The options by which a list of the history is narrowed."""
    options: list[Callable[[Any], Any]] = [
        click.option("-v", "--voice", metavar="VOICE", shell_complete=complete("voices"),
                     help="Only what this voice has said some of."),
        click.option("-p", "--provider", metavar="NAME", shell_complete=complete("providers"),
                     help="Only what this provider has said some of."),
        click.option("--state", type=Name(["finished", "failed", "cancelled"]), metavar="STATE",
                     help="Only what has ended so: finished, failed or cancelled."),
        click.option("--since", metavar="DATE", help="From this date on: 2026-01-31 or 2026-01-31T18:30."),
        click.option("--until", metavar="DATE", help="Up to this date, that day included."),
        click.option("--pinned/--not-pinned", default=None, help="Only what is pinned, or is not."),
        click.option("--keep", type=Name(["job", "history"]), metavar="WHAT",
                     help="Only what is kept for a while (job), or as history."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


limit_option = click.option("--limit", type=click.IntRange(min=0), default=LIMIT, metavar="N", show_default=True,
                            help="At most so many; 0 is all.")  # fmt: skip


@click.group(cls=HistoryGroup, invoke_without_command=True)
@narrowed
@limit_option
@json_option
@click.pass_context
def history(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> None:
    """List what was said, the newest first; or one of the commands below.

    \b
    voicebus history search good morning
    voicebus history play JOB
    voicebus history again JOB -v en-us+f3 -o again.wav
    """  # noqa: D301 - the \b is for click
    if ctx.invoked_subcommand is None:
        _list(filters, limit, as_json=as_json, nothing="Nothing is kept yet.")


@history.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--newest", is_flag=True, help="The newest first, and not what fits best.")
@narrowed
@limit_option
@json_option
def search(words: tuple[str, ...], newest: bool, limit: int, as_json: bool, **filters: Any) -> None:
    """Find texts that have all these WORDS; the last may be the begin of one."""
    filters |= {"text": " ".join(words), "sort": "newest" if newest else "best"}
    _list(filters, limit, as_json=as_json, nothing=f"Nothing that is kept has {' '.join(words)!r} in it.")


def _list(filters: dict[str, Any], limit: int, *, as_json: bool, nothing: str) -> None:
    given = {name: value for name, value in filters.items() if value is not None}
    with seam.connect(start=True) as client:
        found = client.history(limit=limit + 1 if limit else None, **given)
        rows = list(itertools.islice(found, limit)) if limit else list(found)
        more = bool(limit) and next(found, None) is not None
    if as_json:
        output.emit_json(rows)
        return
    now = time.time()
    columns = (("JOB", "<"), ("WHEN", "<"), ("STATE", "<"), ("AUDIO", ">"), ("VOICE", "<"), ("PIN", "<"), ("TEXT", "<"))
    cells = [
        (
            row["job"],
            when(row["created"], now),
            state_of(row),
            audio_of(row),
            ", ".join(dict.fromkeys(who["voice"] for who in row["speakers"])),
            "pinned" if row["pinned"] else "",
            output.short(row["text"], 60),
        )
        for row in rows
    ]
    output.emit_table(columns, cells, nothing, spare=("VOICE", "STATE", "AUDIO"))
    if more:
        click.echo("There is more: --limit 0 shows all of it.", err=True)


def when(moment: float, now: float) -> str:
    """A moment for people: the time of day on the same day, else the date."""
    then, today = time.localtime(moment), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    return time.strftime("%Y-%m-%d %H:%M", then)


def state_of(row: dict[str, Any]) -> str:
    """How it ended, with the name of the reason."""
    return f"{row['state']} ({row['code']})" if row["code"] and row["code"] != row["state"] else str(row["state"])


def audio_of(row: dict[str, Any]) -> str:
    """How long its audio is, or that it is gone."""
    if row["audio"] == "missing":
        return "missing"
    return output.duration(row["samples"] / row["rate"]) if row["rate"] and row["samples"] else ""


def kept(client: Client, job: str) -> dict[str, Any]:
    """A job of the history. Raises Failure, with near names, where there is none."""
    try:
        return client.kept(job)
    except NotFound:
        raise nothing_of(client, job) from None


def nothing_of(client: Client, job: str) -> Failure:
    """That a job is not in the history, in words, and why that may be."""
    if any(row["job"] == job for row in client.jobs()):
        return Failure(f"{job} is not in the history (yet).", USAGE, "See how it is with: voicebus jobs")
    names: Iterable[str] = (row["job"] for row in client.history(limit=NEAR))
    near = did_you_mean(job, names).strip()
    return Failure(f"There is no job {job!r} in the history.", USAGE, near or "See what there is: voicebus history")


# ------------------------------------------------------------------------------------------------------- one job


@history.command()
@click.argument("job", shell_complete=complete("kept_jobs"))
@json_option
def show(job: str, as_json: bool) -> None:
    """Show a job: its text, how it ended, and who said each sentence."""
    with seam.connect(start=True) as client:
        row = kept(client, job)
        text, segments = client.text(job), client.segments(job)
        heard = transcripts.of_job(client, job) if history_transcript.is_transcript(row) else None
    if as_json:
        more = {} if heard is None else {"transcript": heard}
        output.emit_json({**row, "text": text, "segments": segments, **more})
        return
    for line in _about(row):
        click.echo(line)
    if heard is not None:
        history_transcript.show(row, text, heard)
        return
    click.echo(f"\n{text.rstrip()}\n")
    _show_segments(segments, row["rate"], text)


def _about(row: dict[str, Any]) -> Iterator[str]:
    asked = row["request"]
    moment = "%Y-%m-%d %H:%M:%S"
    yield f"{row['job']}: {state_of(row)}{', pinned' if row['pinned'] else ''}"
    if row["message"]:
        yield f"  {row['message']}"
    yield f"asked for: {time.strftime(moment, time.localtime(row['created']))}"
    yield f"over since: {time.strftime(moment, time.localtime(row['finished']))}"
    size = output.amount(row["bytes"])
    yield f"audio: {audio_of(row) or 'none'}" + (f", {size} on the disk ({row['audio']})" if size else "")
    yield f"language: {row['language']}, seed: {row['seed']}, kept as: {row['keep']}"
    style = {name: value for name, value in asked["style"].items() if value not in (1.0, "", {})}
    if style:
        yield "style: " + ", ".join(f"{name} {value}" for name, value in style.items())
    yield from (f"trouble: {line}" for line in row["trail"])


def _show_segments(rows: list[dict[str, Any]], rate: int, text: str) -> None:
    columns = (("", ">"), ("STATE", "<"), ("AUDIO", ">"), ("PROVIDER", "<"), ("VERSION", "<"), ("VOICE", "<"),
               ("SEED", ">"), ("ATTEMPT", "<"), ("FIRST", ">"), ("MADE IN", ">"), ("TRIES", ">"), ("TEXT", "<"),
               ("TROUBLE", "<"))  # fmt: skip
    cells = [
        (
            str(row["segment"] + 1),  # people count from 1
            row["state"],
            output.duration(row["samples"] / rate) if rate and row["samples"] else "",
            row["provider"],
            row["version"],
            row["voice"],
            str(row["seed"]) if row["attempt"] else "",
            row["attempt"],
            output.duration(row["first_audio_s"]) if row["first_audio_s"] else "",
            output.duration(row["made_s"]) if row["made_s"] else "",
            str(row["tries"] or ""),
            output.short(text[row["start"] : row["start"] + row["length"]], 30),
            output.short("; ".join(row["trail"]), 80),
        )
        for row in rows
    ]
    output.emit_table(columns, cells, "No segments.", spare=("ATTEMPT", "VERSION", "SEED", "FIRST"))
