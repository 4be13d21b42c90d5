"""`history show` of a job that transcribed: what was asked for, who heard it, and what was said when.

Owns: how a transcript is shown to a person. Must not know: how it is kept. Invariant: what is printed is what the
daemon has on the disk; where that is missing, the text alone is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from . import output


def is_transcript(row: dict[str, Any]) -> bool:
    """Whether a job of the history, as `Client.kept` gives it, transcribed."""
    return bool(row["request"].get("kind") == "transcribe")


def show(row: dict[str, Any], text: str, found: dict[str, Any]) -> None:
    """Print a transcript under what the history says of its job."""
    for line in _about(row, found):
        click.echo(line)
    click.echo("")
    rows = [(output.duration(part["start"]) or "0", part["text"].strip()) for part in found.get("segments", ())]
    if rows:
        output.emit_table((("FROM", ">"), ("TEXT", "<")), rows, "")
    else:
        click.echo(text.rstrip() or "Nobody speaks in it.")


def _about(row: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    hearing = row["request"]["hearing"]
    if found:
        sure = f" ({found['language_confidence']:.0%} sure)" if found["language_confidence"] else ""
        speech = f", {output.duration(found['speech'])} of them speech" if found["speech"] is not None else ""
        yield f"recording: {output.duration(found['duration'])}{speech}, in {found['language'] or '?'}{sure}"
    yield from (f"heard by: {who['provider']} {who['version']} with {who['voice']}" for who in row["speakers"])
    wishes = [name for name in ("words", "translate") if hearing[name]]
    wishes += [] if hearing["vad"] else ["what is no speech, too"]
    wishes += [f"prompt {hearing['prompt']!r}"] if hearing["prompt"] else []
    if wishes:
        yield f"asked for: {', '.join(wishes)}"
