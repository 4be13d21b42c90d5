"""Lists of what there is: `voices`, `providers`, `devices`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from . import output, seam
from .exits import NO_SOUND, USAGE, Failure
from .names import complete, did_you_mean

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
start_option = click.option(
    "--no-start", is_flag=True, help="Fail (exit 3) where no daemon runs, instead of starting one."
)


REASON_CHARS = 100
"""Of a provider's reason in the table; a longer one is told below it in full."""


@click.command()
@click.option("--lang", "language", metavar="TAG", default="", shell_complete=complete("languages"),
              help="Only voices for this language: en, en-GB, de ...")  # fmt: skip
@click.option("-p", "--provider", metavar="NAME", default="", shell_complete=complete("providers"),
              help="Only this provider's.")  # fmt: skip
@json_option
@start_option
def voices(language: str, provider: str, as_json: bool, no_start: bool) -> None:
    """List the voices, with what `say -v` calls them."""
    with seam.connect(start=not no_start) as client:
        rows = client.voices(provider=provider, language=language)
        known = [row["provider"] for row in client.providers()] if provider or not rows else []
    if provider and provider not in known:
        advice = did_you_mean(provider, known).strip() or "See what there is with: voicebus providers"
        raise Failure(f"There is no provider {provider!r}.", USAGE, advice)
    if as_json:
        output.emit_json(rows)
        return
    nothing = "No worker has told its voices yet; see: voicebus status"
    if language and known:
        nothing = f"No voice for language {language!r}; voicebus voices lists all of them."
    columns = (("VOICE", "<"), ("LANGUAGES", "<"), ("GENDER", "<"), ("PROVIDER", "<"), ("DESCRIPTION", "<"))
    cells = [
        (row["voice"], _some(row["languages"]), row["gender"], row["provider"], row["description"]) for row in rows
    ]
    output.emit_table(columns, cells, nothing)
    _tell_variants(rows)


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


@click.group(invoke_without_command=True)
@click.option("--all", "all_", is_flag=True, help="Those that are not set up as well.")
@json_option
@start_option
@click.pass_context
def providers(context: click.Context, all_: bool, as_json: bool, no_start: bool) -> None:
    """List the providers: their state, workers and voices; show or test one."""
    if context.invoked_subcommand is not None:
        return
    with seam.connect(start=not no_start) as client:
        rows = client.providers()
    if all_:
        from . import offering

        rows += offering.rows({row["provider"] for row in rows})
    if as_json:
        output.emit_json(rows)
        return
    columns = (("PROVIDER", "<"), ("STATE", "<"), ("READY", ">"), ("VOICES", ">"), ("RATE", ">"), ("VERSION", "<"),
               ("WHY", "<"))  # fmt: skip
    cells = [
        (
            row["provider"],
            row["state"],
            f"{row['ready']}/{row['workers']}",
            str(row["voices"] or ""),
            str(row["rate"] or ""),
            row["version"],
            _why(row),
        )
        for row in rows
    ]
    output.emit_table(columns, cells, "No provider is configured; see: voicebus config path")
    for row in rows:
        if len(row["reason"]) > REASON_CHARS:
            click.echo(f"\n{row['provider']}: {output.clean(row['reason'])}", err=True)


@providers.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show what provider NAME is, set up or not: what it can do, how it is installed, how large it is."""
    from . import offering

    offering.show(name, as_json=as_json)


@providers.command()
@click.argument("name", shell_complete=complete("providers"))
@click.option("--patience", default=60.0, metavar="SECONDS", help="How long one check may take (60).")
@click.option("--system", is_flag=True, help="One of the system's daemon, by its configuration.")
@json_option
def test(name: str, patience: float, system: bool, as_json: bool) -> None:
    """Run the checks that every engine passes on that of provider NAME, in a process of its own.

    It is started as its workers are: by its interpreter, with its environment and settings. No daemon is needed.
    Exits with 0 where all checks pass, 1 where one fails, 2 where there is nothing to test by that name.
    """
    from . import testing

    testing.run(name, patience, system=system, as_json=as_json)


def _why(row: dict[str, Any]) -> str:
    reason = output.short(row["reason"], REASON_CHARS)
    if row["retry_in_s"] > 0:
        again = f"tried again in {output.duration(row['retry_in_s'])}"
        return f"{reason} ({again})" if reason else again
    return reason


@click.command()
@json_option
def devices(as_json: bool) -> None:
    """List the sound devices that `say --device` can play on."""
    rows = seam.devices()
    if as_json:
        output.emit_json(rows)
        return
    if not rows:
        raise Failure(
            "there is no sound device on this machine",
            NO_SOUND,
            "Make a file instead: voicebus say -o FILE.wav TEXT",
        )
    output.emit_table(
        (("DEVICE", "<"), ("", "<")),
        [(row["name"], "default" if row.get("default") else "") for row in rows],
        "",
    )
