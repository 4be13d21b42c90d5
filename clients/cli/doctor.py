"""`doctor`: looks at everything that speech depends on, says what is wrong and what to do, and mends what is safe.

Owns: the order of looking, mending and telling. Must not know: what each check looks at (`doctor_checks`,
`doctor_service`), what may stand in a report (`doctor_report`). Invariant: without `--fix` nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ...bus.wording import counted
from . import doctor_checks, doctor_report, output
from .doctor_checks import Finding
from .exits import FAILED
from .listings import json_option

_MARKS = {"good": ("ok", "green"), "note": ("note", "yellow"), "bad": ("WRONG", "red")}


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can safely be mended, and say what was done.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE",
              help="Also write a report for a bug thread: no texts, secrets, or names of people.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Show only what is not in order.")
@json_option
def doctor(fix: bool, report: Path | None, quiet: bool, as_json: bool) -> None:
    """Check the installation, the daemon and its providers. Exits with 1 if something is wrong."""
    patient = doctor_checks.Patient.look()
    found = doctor_checks.all_findings(patient)
    done = _mend(found) if fix else []
    if any(mended for _, mended in done):
        patient = doctor_checks.Patient.look()
        found = doctor_checks.all_findings(patient)
    if report is not None:
        doctor_report.write(report, patient, found)
    wrong = sum(finding.level == "bad" for finding in found)
    if as_json:
        output.emit_json(_as_json(found, done, report))
    else:
        _show(found, done, quiet=quiet, fixed=fix)
        if report is not None:
            click.echo(f"\nThe report is in {report}. Read it before you send it.")
    if wrong:
        raise click.exceptions.Exit(FAILED)


def _mend(found: Sequence[Finding]) -> list[tuple[str, bool]]:
    """Do what can be done; what was said of each, and whether it went well."""
    done = []
    for finding in found:
        if finding.repair is not None:
            try:
                done.append((finding.repair(), True))
            except (OSError, click.ClickException) as error:
                why = error.message if isinstance(error, click.ClickException) else error.strerror or error
                done.append((f"could not be mended: {finding.message} ({why})", False))
    return done


def _show(found: Sequence[Finding], done: Sequence[tuple[str, bool]], *, quiet: bool, fixed: bool) -> None:
    for said, well in done:
        click.echo(output.style("mended: " if well else "", fg="green") + output.clean(said))
    for finding in found:
        if quiet and finding.level == "good":
            continue
        mark, colour = _MARKS[finding.level]
        click.echo(f"{output.style(f'{mark:<5}', fg=colour)}  {finding.check}: {output.clean(finding.message)}")
        for line in finding.said:
            click.echo(f"         | {output.clean(line)}")
        if finding.advice:
            click.echo(f"         {output.clean(finding.advice)}")
    wrong = sum(finding.level == "bad" for finding in found)
    mendable = sum(finding.repair is not None for finding in found)
    click.echo(f"\n{counted(wrong, 'thing')} wrong." if wrong else "\nNothing is wrong.")
    if mendable and not fixed:
        click.echo(f"{mendable} of what was found can be mended by: voicebus doctor --fix")


def _as_json(found: Sequence[Finding], done: Sequence[tuple[str, bool]], report: Path | None) -> dict[str, Any]:
    return {
        "wrong": sum(finding.level == "bad" for finding in found),
        "findings": [
            {
                "check": finding.check,
                "level": finding.level,
                "message": finding.message,
                "advice": finding.advice,
                "said": list(finding.said),
                "mendable": finding.repair is not None,
            }
            for finding in found
        ],
        "mended": [said for said, well in done if well],
        "not_mended": [said for said, well in done if not well],
        "report": str(report) if report is not None else "",
    }
