"""A file that is "-": standard output, or standard input.

Owns: who may be at the other end, and where a file that has to be whole stands meanwhile. Must not know: what is in it.
Invariant: nothing binary goes to a terminal, and nobody is left waiting for a person to type a file.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from ...bus.errors import InvalidRequest
from . import leaving
from .exits import USAGE, Failure

INPUT, OUTPUT = "standard input", "standard output"


def called(file: str, instead: str) -> str:
    """How to name a file to a person."""
    return instead if file == "-" else file


def output() -> IO[bytes]:
    """Standard output, to write a file to. Raises Failure where it is a terminal."""
    if sys.stdout.isatty():
        raise Failure(
            "standard output is a terminal, which cannot show such a file",
            USAGE,
            "Name a file, or send it on: ... - > FILE, ... - | COMMAND",
        )
    return cast("IO[bytes]", _Onward(sys.stdout.buffer))


class _Onward:
    """A stream that is only added to: who finds that it could go back to a place would, also in a file to which a shell
    appends."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write, self.flush = stream.write, stream.flush


@contextlib.contextmanager
def written(file: str) -> Iterator[Path]:
    """Where to write a file that is small: its own place, or one from which it goes to standard output in the end."""
    if file != "-":
        yield Path(file)
        return
    stream = output()
    with tempfile.TemporaryDirectory(prefix="voicebus-") as folder:
        path = Path(folder, "file")
        yield path
        with path.open("rb") as whole:
            shutil.copyfileobj(whole, stream)
        stream.flush()


@contextlib.contextmanager
def read(file: str) -> Iterator[str]:
    """The path of a file to read; of one that comes by standard input, that of a copy, which can be read in any order.
    Raises Failure where that is a terminal, and InvalidRequest from inside with the name that the file has outside."""
    if file != "-":
        yield file
        return
    if sys.stdin.isatty():
        raise Failure("standard input is a terminal, and a file is to come from there", USAGE, "Say: ... - < FILE")
    with tempfile.TemporaryDirectory(prefix="voicebus-") as folder:
        path = Path(folder, "file")
        with path.open("xb") as copy, leaving.at_once():
            shutil.copyfileobj(sys.stdin.buffer, copy)
        try:
            yield str(path)
        except InvalidRequest as error:
            raise InvalidRequest(error.message.replace(str(path), INPUT), code=error.code) from None
