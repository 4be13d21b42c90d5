"""What is to be said: from arguments, a file, or standard input as it comes."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from .exits import USAGE, Failure

READ_BYTES = 65536


def text_of(words: tuple[str, ...], file: str | None, *, whole: bool) -> str | Iterator[str]:
    """The text, or its lines as they come in on standard input (all of it at once if `whole`)."""
    if words and file is not None:
        raise click.UsageError("Give the text, or a file with -f, not both.")
    if words:
        return " ".join(words)
    if file is not None and file != "-":
        return read(Path(file))
    if sys.stdin.isatty():
        click.echo("Type what is to be said; Ctrl-D ends.", err=True)
    lines = lines_of(sys.stdin.fileno())
    return "".join(lines) if whole else lines


def read(path: Path) -> str:
    """A text file. Raises Failure for one that is no text in UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        advice = f"Convert it first: iconv -f latin1 -t utf-8 {path}"
        raise Failure(f"{path} is not UTF-8 (byte {error.start})", USAGE, advice) from None
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", USAGE) from None


def lines_of(fd: int) -> Iterator[str]:
    """Whole lines, each as soon as it is there. Bytes that are not UTF-8 are replaced.

    Reads the descriptor itself: a thread that is blocked in `sys.stdin` when the interpreter leaves brings it down.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while data := os.read(fd, READ_BYTES):
        *lines, rest = (rest + decoder.decode(data)).split("\n")
        if lines:
            yield "\n".join(lines) + "\n"
    if rest := rest + decoder.decode(b"", final=True):
        yield rest
