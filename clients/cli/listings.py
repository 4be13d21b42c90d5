"""Lists of what there is: `providers`, `devices`."""

from __future__ import annotations

from typing import Any

import click

from . import output, seam
from .exits import NO_SOUND, Failure
from .names import complete

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
start_option = click.option(
    "--no-start", is_flag=True, help="Fail (exit 3) where no daemon runs, instead of starting one."
)


REASON_CHARS = 100
"""Of a provider's reason in the table; a longer one is told below it in full."""


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
