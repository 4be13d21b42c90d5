"""`history align`: when each word of a job is heard, as a recogniser hears it.

Owns: the options, and what is written. Must not know: how words are matched. Invariant: a file appears under its name
when all of it is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...bus.errors import NotFound
from .. import aligning
from ..events import Mark
from ..placing import placed
from ..transcribing import Transcript
from ..transcripts import FORMATS
from . import hearing, leaving
from .history import nothing_of
from .history_doing import job_argument
from .names import Name, complete
from .transcribe import chosen_format


@click.command()
@job_argument
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
              help="Write a file, its format by the extension.")  # fmt: skip
@click.option("--format", "form", type=Name(list(FORMATS)), metavar="FORMAT",
              help=f"One of {', '.join(FORMATS)}; json, a line for each word, if nothing says which.")  # fmt: skip
@click.option("-p", "--provider", metavar="NAME", default=None, shell_complete=complete("providers"),
              help="Who listens; see: voicebus providers")  # fmt: skip
@click.option("--model", metavar="NAME", default=None, help="Which of its models.")
def align(job: str, output: str | None, form: str | None, provider: str | None, model: str | None) -> None:
    """Time each word of JOB by having its audio transcribed.

    \b
    voicebus history align JOB
    voicebus history align JOB -o spoken.srt
    """  # noqa: D301 - the \b is for click
    chosen = chosen_format(output, form or ("json" if output in (None, "-") else None), many=False)
    path = None if output in (None, "-") else Path(str(output))
    with leaving.stoppable():
        if path is not None:
            hearing.require(hearing.Target(str(path), None, None), plays=False)
        with leaving.connected(start=True) as client:
            try:
                marks = client.align(job, provider=provider, model=model)
            except NotFound:
                raise nothing_of(client, job) from None
            written = _written(chosen, client.kept(job), client.text(job), marks)
    if path is None:
        click.echo(written, nl=False)
        return
    with placed(path) as file:
        file.write(written.encode())


def _written(form: str, row: dict[str, Any], text: str, marks: Sequence[Mark]) -> str:
    plain = aligning.unmarked(text) if row["request"]["ssml"] else text
    if form == "json":
        return "".join(f"{json.dumps(_line(plain, mark), ensure_ascii=False)}\n" for mark in marks)
    found = aligning.passages(plain, marks, row["samples"] / row["rate"], row["language"])
    return FORMATS[form](Transcript(None, found))


def _line(text: str, mark: Mark) -> dict[str, Any]:
    return {"word": text[mark.start : mark.start + mark.length], **asdict(mark)}
