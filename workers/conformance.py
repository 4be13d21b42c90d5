"""Does an engine keep the contract? A suite that anybody can run on an engine of his own.

::

    python -m voicebus.workers.conformance espeak
    python -m voicebus.workers.conformance my_package.my_engine --settings '{"model": "/models/x"}'
    python -m voicebus.workers.conformance engines/beeper.py --lines

With ``--lines`` each check is told on standard output as it begins (``{"begins": name}``) and as it ends (a Result as
JSON), so that whoever started this knows which one hung, or took the process with it; what the engine itself prints
goes to standard error.

Owns: the checks' order, the report, the command. Must not know: any engine. Invariant: each check has a name and a
sentence that is true of a good engine; a check that fails never hides the ones after it; the same engine object runs
through all of them on one thread, as in a worker. An engine that does not return from a call hangs this command: that
is what the daemon's deadlines are for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from ..bus.wording import counted
from ._conformance_batch import makes_together
from ._conformance_checks import CHECKS, SPEAKING, Broken, Subject
from ._conformance_cloning import CLONING
from ._conformance_hearing import HEARING
from .engine import Engine, EngineError
from .registry import find, from_file, missing


@dataclass(frozen=True, slots=True)
class Result:
    """How one check went. says: what is true of a good engine. problem: what was found instead, "" where it passed.
    skipped: why it does not apply, "" where it does."""

    name: str
    says: str
    problem: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How all checks went, in order."""

    results: list[Result] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether none failed."""
        return not any(result.problem for result in self.results)

    def __str__(self) -> str:
        lines = []
        for result in self.results:
            state = "FAILED" if result.problem else "skipped" if result.skipped else "ok"
            lines.append(f"{state:8}{result.name}: {result.says}")
            if result.problem or result.skipped:
                lines.append(f"        {result.problem or result.skipped}")
        failed = sum(bool(result.problem) for result in self.results)
        lines.append(f"{counted(len(self.results), 'check')}, {failed} failed")
        return "\n".join(lines)


Tell = Callable[["str | Result"], None]
"""Hears the name of each check before it is made, and how it went afterwards."""


def check(engine: Callable[[], Engine], settings: dict[str, Any] | None = None, tell: Tell = lambda _: None) -> Report:
    """Load an engine, run every check on it, close it. Raises nothing for what the engine does wrong."""
    report = Report()
    made: list[Engine] = []

    def run(name: str, says: str, call: Callable[[], str | None]) -> None:
        tell(name)
        result = _run(name, says, call)
        report.results.append(result)
        tell(result)

    run("load", "The engine loads.", lambda: _load(engine, settings or {}, made))
    if not report.passed:
        return report
    subject = Subject(made[0], time.monotonic)
    for name, of in _checks(made[0]).items():
        run(name, " ".join((of.__doc__ or "").split()), partial(of, subject))
    run("close", "The engine closes.", made[0].close)
    return report


def _checks(engine: Engine) -> dict[str, Callable[[Subject], str | None]]:
    """What is asked of an engine, by what it claims to do."""
    able = engine.capabilities()
    found = dict(CHECKS)
    if engine.batches:
        found["together"] = makes_together
    if able.transcribe:
        found |= HEARING
    if able.cloning:
        found |= CLONING
    return found if able.speak else {name: check for name, check in found.items() if name not in SPEAKING}


def _load(engine: Callable[[], Engine], settings: dict[str, Any], made: list[Engine]) -> None:
    one = engine()
    one.load(dict(settings), lambda _percent, _note: None)
    made.append(one)


def _run(name: str, says: str, call: Callable[[], str | None]) -> Result:
    try:
        return Result(name, says, skipped=call() or "")
    except Broken as broken:
        return Result(name, says, str(broken))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an engine raises is what is reported
        return Result(name, says, _told(error))


def _told(error: BaseException) -> str:
    if isinstance(error, EngineError):
        return f"EngineError {error.code}: {error.message}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (at {place.filename}:{place.lineno})"


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit code 0 where the engine conforms, 1 where it does not, 2 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m voicebus.workers.conformance", description="Check an engine.")
    parser.add_argument("module", help='"espeak", "package.module", "package.module:attribute" or a file: "beeper.py"')
    parser.add_argument("--settings", default="{}", help="the engine's settings, as a JSON object; - is standard input")
    parser.add_argument("--lines", action="store_true", help="tell each check as JSON, when it begins and ends")
    chosen = parser.parse_args(arguments)
    with _output() if chosen.lines else contextlib.nullcontext(sys.stdout) as output:
        try:
            settings = json.loads(sys.stdin.read() if chosen.settings == "-" else chosen.settings)
            named: str = chosen.module
            engine = from_file(Path(named).absolute()) if named.endswith(".py") else find(named)
        except (LookupError, ModuleNotFoundError, json.JSONDecodeError) as error:
            sys.stderr.write(f"{missing(error) if isinstance(error, ModuleNotFoundError) else error}\n")
            return 2
        report = check(engine, settings, partial(_line, output) if chosen.lines else lambda _: None)
        if not chosen.lines:
            output.write(f"{report}\n")
    return 0 if report.passed else 1


def _line(output: TextIO, told: str | Result) -> None:
    output.write(json.dumps({"begins": told} if isinstance(told, str) else asdict(told)) + "\n")
    output.flush()


@contextlib.contextmanager
def _output() -> Iterator[TextIO]:
    """What was standard output, for us alone; an engine that prints does so on standard error meanwhile."""
    ours, theirs = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        with os.fdopen(os.dup(ours), "w", encoding="utf-8") as output:
            yield output
    finally:
        os.dup2(ours, 1)
        os.close(ours)
        sys.stdout = theirs


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # A thread that an engine left behind must not keep the command.
