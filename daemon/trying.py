"""``python -m voicebus.daemon test NAME``: the conformance suite, run on a provider's engine as its workers run it.

Owns: the process for it (interpreter, environment and settings are a worker's), what each of its lines means, and for
how long it may say nothing. Must not know: what is checked (`workers/conformance.py` in that interpreter's own
voicebus). Invariant: no daemon is needed and none is touched; secrets go by standard input and into no argument; an
engine that hangs, or takes its process with it, is told with the check that it was at.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import IO, Any

from ..bus.wording import counted
from .core import diagnosis
from .core.settings import Provider
from .processes import environment

SUITE = "voicebus.workers.conformance"

EXIT_FAILED, EXIT_NO_SUCH = 1, 2
"""Exit codes beside 0: a check failed or could not be made; there is nothing to be tested by that name."""

_LAST_BYTES = 20_000

Row = dict[str, Any]


class UntestableError(Exception):
    """There is nothing to run the suite on; the message says why."""


def command(provider: Provider) -> list[str]:
    """The command line of the suite for a provider. Raises UntestableError."""
    what = provider.script or provider.module
    if not what:
        raise UntestableError(
            f"{provider.name} is started by a command of its own; only engines written in Python can be tested so"
        )
    return [provider.python or sys.executable, "-m", SUITE, what, "--settings", "-", "--lines"]


def rows(provider: Provider, version: str, patience_s: float) -> Iterator[Row]:
    """Each check as it ends: `name`, `says`, `problem`, `skipped`. The last one may be of a check that never ended.

    patience_s: how long one check may take. Raises UntestableError, also where there is no such interpreter.
    """
    argv = command(provider)
    with tempfile.TemporaryFile() as words, _started(argv, provider, words) as process:
        assert process.stdout is not None
        at, ended = "", 0
        for line in _lines(process.stdout, patience_s):
            row = _row(line)
            if "begins" in row:
                at = str(row["begins"])
            elif "name" in row:
                at, ended = "", ended + 1
                yield row
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2.0)
        if at or not ended:
            code, said = process.returncode, _last(words)
            plain = diagnosis.of(provider, said, version) if not at else ""
            # The suite's own ways to end (1, 2) have their reason in its last words.
            how = _how(code, patience_s) if at or code not in (1, 2) or not said else ""
            problem = plain or "; ".join(filter(None, [how, *said[-1:]]))
            yield {"name": at or "start", "says": "The suite can be run on it.", "problem": problem, "skipped": ""}


@contextlib.contextmanager
def _started(argv: list[str], provider: Provider, words: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=environment(provider, "", os.environ),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise UntestableError(f"{argv[0]} cannot be started: {error.strerror}") from None
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(provider.settings).encode())
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _lines(output: IO[bytes], patience_s: float) -> Iterator[bytes]:
    """Lines as they come, until the end, or until none has come for so long."""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        rest, due = b"", time.monotonic() + patience_s
        while selector.select(max(0.0, due - time.monotonic())):
            data = os.read(output.fileno(), 65536)
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n")
            if whole:
                due = time.monotonic() + patience_s
            yield from whole


def _row(line: bytes) -> Row:
    try:
        found: Any = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _how(code: int | None, patience_s: float) -> str:
    if code is None:
        return f"it was not done with it after {patience_s:g} s"
    return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with exit code {code}"


def _last(words: IO[bytes]) -> list[str]:
    size = words.seek(0, os.SEEK_END)
    words.seek(max(0, size - _LAST_BYTES))
    lines = words.read().decode("utf-8", "backslashreplace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def report(provider: Provider, version: str, patience_s: float, *, as_lines: bool) -> int:
    """Run it and print each check as it ends; the exit code."""
    count = failed = 0
    try:
        for row in rows(provider, version, patience_s):
            count += 1
            failed += bool(row["problem"])
            print(json.dumps(row) if as_lines else _told(row), flush=True)  # noqa: T201 - what was asked for
    except UntestableError as error:
        print(error, file=sys.stderr)  # noqa: T201 - what was asked for
        return EXIT_NO_SUCH
    if not as_lines:
        print(f"{counted(count, 'check')}, {failed} failed")  # noqa: T201 - what was asked for
    return EXIT_FAILED if failed or not count else 0


def _told(row: Row) -> str:
    state = "FAILED" if row["problem"] else "skipped" if row["skipped"] else "ok"
    more = row["problem"] or row["skipped"]
    return f"{state:8}{row['name']}: {row['says']}" + (f"\n        {more}" if more else "")
