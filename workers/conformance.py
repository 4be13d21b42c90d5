"""Does an engine keep the contract? A suite that anybody can run on an engine of his own.

::

    python -m voicebus.workers.conformance espeak
    python -m voicebus.workers.conformance my_package.my_engine --settings '{"model": "/models/x"}'

Owns: the checks' order, the report, the command. Must not know: any engine. Invariant: each check has a name and a
sentence that is true of a good engine; a check that fails never hides the ones after it; the same engine object runs
through all of them on one thread, as in a worker. An engine that does not return from a call hangs this command: that
is what the daemon's deadlines are for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ._conformance_checks import CHECKS, Broken, Subject
from .engine import Engine, EngineError
from .registry import find


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
        lines.append(f"{len(self.results)} checks, {failed} failed")
        return "\n".join(lines)


def check(engine: Callable[[], Engine], settings: dict[str, Any] | None = None) -> Report:
    """Load an engine, run every check on it, close it. Raises nothing for what the engine does wrong."""
    try:
        made = engine()
        made.load(dict(settings or {}), lambda _percent, _note: None)
    except Exception as error:  # noqa: BLE001 - whatever an engine raises is what is reported
        return Report([Result("load", "The engine loads.", _told(error))])
    results = [Result("load", "The engine loads.")]
    subject = Subject(made, time.monotonic)
    for name, run in CHECKS.items():
        says = " ".join((run.__doc__ or "").split())
        results.append(_run(name, says, run, subject))
    results.append(_run("close", "The engine closes.", lambda _: made.close(), subject))
    return Report(results)


def _run(name: str, says: str, run: Callable[[Subject], str | None], subject: Subject) -> Result:
    try:
        return Result(name, says, skipped=run(subject) or "")
    except Broken as broken:
        return Result(name, says, str(broken))
    except Exception as error:  # noqa: BLE001 - as above
        return Result(name, says, _told(error))


def _told(error: Exception) -> str:
    if isinstance(error, EngineError):
        return f"EngineError {error.code}: {error.message}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (at {place.filename}:{place.lineno})"


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit code 0 where the engine conforms, 1 where it does not, 2 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m voicebus.workers.conformance", description="Check an engine.")
    parser.add_argument("module", help='"espeak", "package.module" or "package.module:attribute"')
    parser.add_argument("--settings", default="{}", help="the engine's settings, as a JSON object")
    chosen = parser.parse_args(arguments)
    try:
        settings = json.loads(chosen.settings)
        engine = find(chosen.module)
    except (LookupError, json.JSONDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    report = check(engine, settings)
    sys.stdout.write(f"{report}\n")
    return 0 if report.passed else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # A thread that an engine left behind must not keep the command.
