"""Voices of one's own, looked at and given away: `voices show`, `play`, `rename`, `remove`, `export`."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import click

from ...bus.wording import counted
from ..placing import placed
from . import hearing, leaving, output, piped, seam
from .exits import USAGE, Failure
from .listings import json_option, start_option
from .names import complete

name_argument = click.argument("name", shell_complete=complete("own_voices"))

SENTENCE = "This is how I sound. The quick brown fox jumps over the lazy dog."


@click.command()
@name_argument
@json_option
def show(name: str, as_json: bool) -> None:
    """Show voice NAME: its recordings, who speaks it, its consent."""
    with seam.connect(start=True) as client:
        row = client.voice(name)
    if as_json:
        output.emit_json(row)
        return
    for line in _lines(row):
        click.echo(output.clean(line))


def _lines(row: dict[str, Any]) -> list[str]:
    chain = ", ".join(f"{c['provider']}:{c['voice']}" if c["voice"] else c["provider"] for c in row["chain"])
    lines = [
        f"{row['voice']}: {row['kind']}" + (f", {row['description']}" if row["description"] else ""),
        f"spoken by: {', '.join(row['speakers']) or row['problem']}" + (f" (as chosen: {chain})" if chain else ""),
        f"languages: {', '.join(row['languages']) or 'any'}",
        f"added: {_date(row['created'])}" + (f", called {row['was']} before" if row["was"] else ""),
    ]
    consent = row["consent"]
    if consent["statement"]:
        lines.append(f"consent: {consent['statement']!r} ({consent['who'] or 'unnamed'}, {_date(consent['at'])})")
    for number, sample in enumerate(row["samples"], 1):
        lines += _sample_lines(number, sample)
    return lines


def _sample_lines(number: int, sample: dict[str, Any]) -> list[str]:
    about = (f"{sample['seconds']:.1f} s, {sample['rate']} Hz, {sample['form'] or 'audio'}, "
             f"{output.amount(sample['bytes'])}, {sample['sample'][:12]}")  # fmt: skip
    lines = [f"recording {number}: {about}" + (" (missing from the disk)" if sample["missing"] else "")]
    lines.append(f"  says: {sample['text'] or '(not known)'}")
    if (origin := sample.get("origin", {})).get("provider"):
        lines.append(
            f"  made from the description by {origin['provider']} ({origin['version']}) with the seed "
            f"{origin.get('seed', 0)}: nobody's voice, so nobody has to allow it"
        )
    if sample["heard"]:
        lines.append(f"  heard: {sample['heard']}")
    return [*lines, *(f"  {advice['text']}" for advice in sample["advice"])]


def _date(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M") if seconds else "unknown"


@click.command()
@name_argument
@click.option("--recording", "number", type=click.IntRange(min=1), metavar="N",
              help="Recording N itself, as it was uploaded.")  # fmt: skip
@click.option("--text", default=SENTENCE, metavar="TEXT", help="What to say, instead of a sentence of ours.")
@click.option("-o", "--output", "target", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
              help="Write it into FILE instead.")  # fmt: skip
@click.option("--device", metavar="NAME", help="Play on this device; see: voicebus devices")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on the terminal but what went wrong.")
def play(name: str, number: int | None, text: str, target: str | None, device: str | None, quiet: bool) -> None:
    """Hear voice NAME say a sentence; or one of its recordings."""
    if device and target:
        raise click.UsageError("--device plays, -o writes: choose one.")
    if number is not None:
        _recording(name, number, target, device, quiet=quiet)
        return
    from .names import format_for

    where = hearing.Target(target, format_for(target, None) if target else None, device, quiet=quiet)
    with leaving.stoppable():
        hearing.require(where, plays=not target)
        with hearing.in_turn(after=False, sounds=not target, quiet=quiet), leaving.connected(start=True) as client:
            own = client.voice(name)["voice"]
            speech = client.speak(text, voice=own, keep="nothing", pace="render" if target else "listen",
                                  whole=where.whole, sample_rate=where.sample_rate)  # fmt: skip
            hearing.hear(client, speech, where, total=len(text))


def _recording(name: str, number: int, target: str | None, device: str | None, *, quiet: bool) -> None:
    where = hearing.Target(target, None, device, quiet=quiet)
    with leaving.stoppable():
        hearing.require(where, plays=not target)
        with leaving.connected(start=True) as client:
            samples = client.voice(name)["samples"]
            if number > len(samples):
                raise Failure(f"{name} has {counted(len(samples), 'recording')}, and no recording {number}", USAGE)
            data = client.recording(samples[number - 1]["sample"])
        if target:
            with placed(piped.output() if target == "-" else target) as file:
                file.write(data)
            return
        with hearing.in_turn(after=False, sounds=True, quiet=quiet), leaving.at_once():
            seam.play_file(data, device=device)


@click.command()
@name_argument
@click.argument("to")
@start_option
def rename(name: str, to: str, no_start: bool) -> None:
    """Call voice NAME by another name, TO, from now on."""
    with seam.connect(start=not no_start) as client:
        click.echo(f"{name} is {client.rename_voice(name, to)} now.")


@click.command()
@click.argument("names", nargs=-1, required=True, shell_complete=complete("own_voices"))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@start_option
def remove(names: tuple[str, ...], yes: bool, no_start: bool) -> None:
    """Remove voices for good, with their recordings and all that was made of them."""
    with seam.connect(start=not no_start) as client:
        for name in names:
            client.voice(name)
        if not yes and sys.stdin.isatty():
            click.confirm(f"Remove {', '.join(names)} for good?", abort=True, err=True)
        for name in names:
            client.remove_voice(name)
            click.echo(f"{name} is gone.", err=True)


@click.command()
@name_argument
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@start_option
def export(name: str, file: str, no_start: bool) -> None:
    """Write voice NAME into FILE, with its recordings and its consent; `voices import` reads it.

    FILE may be - for standard output.
    """
    hearing.require(hearing.Target(file, None, None), plays=False)
    with piped.written(file) as path, seam.connect(start=not no_start) as client:
        client.export_voice(name, path)
    click.echo(f"{piped.called(file, piped.OUTPUT)}: {name}, with its recordings and its consent", err=True)


COMMANDS: tuple[click.Command, ...] = (show, play, rename, remove, export)
