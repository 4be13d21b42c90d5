"""How things are printed: tables, JSON, amounts. Plain text; colour only on a terminal that wants it.

Invariant: what goes to a pipe has no escape sequences, no cut-off columns and no padding at the end of a line.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

Column = tuple[str, str]
"""Heading, and ">" or "<" for the side to align to."""


def colourful(stream: IO[Any]) -> bool:
    """Whether escape sequences may be written to `stream`: a terminal, and nobody said no."""
    return not os.environ.get("NO_COLOR") and moving(stream)


def moving(stream: IO[Any]) -> bool:
    """Whether a line on `stream` can be written over: a terminal that is not dumb."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def style(text: str, stream: IO[Any] | None = None, **styles: Any) -> str:
    """The text with colour where `stream` (standard output) takes any."""
    return click.style(text, **styles) if colourful(stream or sys.stdout) else text


def width(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], room: int | None = None, spare: Sequence[str] = ()
) -> str:
    """Rows under their headings, aligned. Columns that are empty in every row are left out. room: cells of the
    terminal, if it is for one: what does not fit loses its `spare` columns, one by one, and then its end."""
    cells = [[clean(cell) for cell in row] for row in rows]
    used = [at for at in range(len(columns)) if any(row[at] for row in cells)]
    for heading in spare:
        if room is None or _wanted(columns, cells, used) <= room:
            break
        used = [at for at in used if columns[at][0] != heading]
    lines = [[columns[at][0] for at in used], *([row[at] for at in used] for row in cells)]
    sides = [columns[at][1] for at in used]
    widths = [max(width(line[at]) for line in lines) for at in range(len(used))]
    printed = []
    for number, line in enumerate(lines):
        padded = [_pad(cell, size, side) for cell, size, side in zip(line, widths, sides, strict=True)]
        text = cut("  ".join(padded).rstrip(), room)
        printed.append(style(text, bold=True) if number == 0 else text)
    return "\n".join(printed)


def _wanted(columns: Sequence[Column], cells: Sequence[Sequence[str]], used: Sequence[int]) -> int:
    """How wide a table of these columns is."""
    sizes = [max(width(columns[at][0]), *(width(row[at]) for row in cells)) for at in used]
    return sum(sizes) + 2 * (len(sizes) - 1)


def cut(text: str, room: int | None) -> str:
    """The text, shortened to so many cells of a terminal."""
    if room is None or width(text) <= room:
        return text
    while width(text) >= room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _pad(cell: str, size: int, side: str) -> str:
    space = " " * (size - width(cell))
    return space + cell if side == ">" else cell + space


def clean(text: str) -> str:
    """The text on one line, without anything that would move a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


def short(text: str, size: int) -> str:
    """At most `size` characters of the text, on one line."""
    text = " ".join(clean(text).split())
    return text if len(text) <= size else text[: size - 1].rstrip() + "…"


def emit_json(value: Any) -> None:
    """Print a value as indented JSON."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def emit_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], nothing: str, spare: Sequence[str] = ()
) -> None:
    """Print a table, on a terminal as wide as that; to a person who would see an empty one, say `nothing` (on standard
    error). spare: what can be left out where there is not enough room, first the first."""
    if rows:
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo(table(columns, rows, room, spare))
    else:
        click.echo(nothing, err=True)


def amount(value: float | None) -> str:
    """Bytes for a person: 38 MB."""
    if not value:
        return ""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(value) < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit in {"B", "KB", "MB"} else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def duration(seconds: float | None) -> str:
    """Seconds for a person: 4.2 s, 3:07, 1:02:03."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 or not seconds else f"{seconds * 1000:.1g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """How long ago, for a person: 12 s, 5 min, 3 h, 2 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def word(value: Any) -> str:
    """A cell for a value of any kind; None and nothing are empty."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list | tuple):
        return ", ".join(word(part) for part in value)
    return str(value)
