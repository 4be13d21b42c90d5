"""`voices`: what there is to speak with, and voices of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from . import output, seam
from . import voices_designing as designing
from . import voices_making as making
from . import voices_using as using
from .exits import USAGE, Failure
from .listings import json_option, start_option
from .names import Name, complete, did_you_mean

KINDS = ("preset", "cloned", "designed")


def narrowed(command: Any) -> Any:
    """The options of a list of voices."""
    options: list[Callable[[Any], Any]] = [
        click.option("--lang", "language", metavar="TAG", default="", shell_complete=complete("languages"),
                     help="Only voices for this language: en, en-GB, de ..."),
        click.option("-p", "--provider", metavar="NAME", default="", shell_complete=complete("providers"),
                     help="Only what this provider can speak."),
        click.option("--kind", type=Name(KINDS), metavar="KIND", help=f"Only: {', '.join(KINDS)}."),
        click.option("--mine", is_flag=True, help="Only voices of my own."),
        json_option,
        start_option,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@narrowed
@click.pass_context
def voices(context: click.Context, /, **how: Any) -> None:
    """List the voices, with what `say -v` calls them; make, keep and share voices of your own.

    \b
    voicebus voices add anna --sample anna.wav --text "What she says in it."
    voicebus say -v anna "Good morning"
    """  # noqa: D301 - the \b is for click
    if context.invoked_subcommand is None:
        show_list(**how)


@voices.command("list")
@narrowed
def list_(**how: Any) -> None:
    """List the voices: your own first, then the presets of every provider."""
    show_list(**how)


def show_list(language: str, provider: str, kind: str | None, mine: bool, as_json: bool, no_start: bool) -> None:
    """Print the list."""
    with seam.connect(start=not no_start) as client:
        rows = client.voices(provider=provider, language=language, kind="mine" if mine else kind)
        known = [row["provider"] for row in client.providers()] if provider or not rows else []
    if provider and provider not in known:
        advice = did_you_mean(provider, known).strip() or "See what there is with: voicebus providers"
        raise Failure(f"There is no provider {provider!r}.", USAGE, advice)
    if as_json:
        output.emit_json(rows)
        return
    nothing = "No worker has told its voices yet; see: voicebus status"
    if mine or kind in ("cloned", "designed"):
        nothing = "No voice of your own yet; make one: voicebus voices add NAME --sample FILE"
    elif language and known:
        nothing = f"No voice for language {language!r}; voicebus voices lists all of them."
    columns = (("VOICE", "<"), ("KIND", "<"), ("LANGUAGES", "<"), ("GENDER", "<"), ("PROVIDER", "<"),
               ("DESCRIPTION", "<"))  # fmt: skip
    cells = [
        (row["voice"], _kind(row), _some(row["languages"]), row["gender"], _speaker(row), row["description"])
        for row in rows
    ]  # fmt: skip
    output.emit_table(columns, cells, nothing, spare=("GENDER", "DESCRIPTION"))
    _tell_variants(rows)


def _speaker(row: dict[str, Any]) -> str:
    return row["provider"] or ("(not known yet)" if row.get("unknown") else "(none)")


def _kind(row: dict[str, Any]) -> str:
    """What sort of voice; presets, which are most of them, are not told."""
    kind = row.get("kind", "preset")
    return "" if kind == "preset" else str(kind)


def _some(languages: list[str], most: int = 4) -> str:
    rest = f" +{len(languages) - most}" if len(languages) > most else ""
    return ", ".join(languages[:most]) + rest


def _tell_variants(rows: Iterable[dict[str, Any]]) -> None:
    """Say once for each provider which suffixes its voices take."""
    seen: dict[str, tuple[str, list[str]]] = {}
    for row in rows:
        if row.get("variants") and row["provider"] not in seen:
            seen[row["provider"]] = (row["voice"], row["variants"])
    for provider, (voice, variants) in seen.items():
        shown = ", ".join(variants[:6]) + (" ..." if len(variants) > 6 else "")
        click.echo(f"\n{provider}: a variant can be added, as in {voice}+{variants[0]} (of {shown})", err=True)


for _command in (*making.COMMANDS, *designing.COMMANDS, *using.COMMANDS):
    voices.add_command(_command)
