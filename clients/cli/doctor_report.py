"""One report for a bug thread: what `doctor` found, what the daemon says of itself, the configuration, the log's end.

Owns: which parts it has, in which order. Must not know: how anything is made unrecognisable (`redaction`). Invariant:
whatever is in it went through `redaction`; jobs are in it as numbers only.
"""

from __future__ import annotations

import json
import os
import platform
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...bus import endpoints
from .doctor_checks import Finding, Patient, libraries
from .redaction import Redaction, blanked, secrets_of

LOG_LINES = 150

STATUS = ("version", "protocol", "started_by", "uptime_s", "state", "clients", "jobs", "takes_bytes", "takes_limit",
          "crowded", "memory_bytes")  # fmt: skip
WORKER = ("worker", "provider", "version", "state", "restarts", "recycled", "jobs_done", "rss", "vram", "factor",
          "first_audio_s", "load_s", "slots", "running")  # fmt: skip
PROVIDER = ("provider", "state", "workers", "ready", "asleep", "version", "voices", "rate", "breaker", "retry_in_s")


def write(path: Path, patient: Patient, found: Sequence[Finding]) -> None:
    """Write the report, readable by its owner only: whether it is to be shown is his to say."""
    text = report(patient, found)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)


def report(patient: Patient, found: Sequence[Finding]) -> str:
    """The whole of it, in Markdown."""
    settings = patient.settings()
    names = [row["provider"] for row in patient.providers]
    redaction = Redaction(secrets_of(settings, os.environ, patient.config.parent), names)
    parts = [*_parts(patient, found, settings, redaction)]
    return redaction.clean("\n".join(parts)) + "\n"


def _parts(patient: Patient, found: Sequence[Finding], settings: dict[str, Any], redaction: Redaction) -> Iterator[str]:
    yield "# voicebus report"
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield f"\nMade {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {machine}."
    yield "Texts, secrets, and names of people and machines are left out.\n"
    yield "## Versions\n"
    yield from (f"- {name}: {number or 'not there'}" for name, number in libraries().items())
    yield "\n## Findings\n"
    for finding in found:
        yield f"- {finding.level}: {finding.check}: {finding.message}"
        yield from (f"  - {redaction.failure(line)}" for line in finding.said)
    yield "\n## Daemon\n"
    yield _block(_daemon(patient, redaction))
    yield "\n## Configuration\n"
    yield _block(blanked(settings))
    yield f"\n## The last {LOG_LINES} lines of the log\n"
    yield "\n".join(["```", *_log(redaction), "```"])


def _block(value: Any) -> str:
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=1, default=str)}\n```"


def _daemon(patient: Patient, redaction: Redaction) -> dict[str, Any]:
    """What it says of itself, its workers and providers, without what others said to it."""
    about, problems = patient.daemon, patient.daemon.get("problems", [])
    return {
        "status": {name: about[name] for name in STATUS if name in about},
        "counters": about.get("counters", {}),
        "problems": [{"where": row["where"], "line": row["line"]} for row in problems],
        "workers": [
            {name: row[name] for name in WORKER if name in row}
            | {"last_failure": redaction.failure(row["last_failure"]), "reason": redaction.failure(row["reason"])}
            | {"stderr": [redaction.output(line) for line in row.get("stderr", [])]}
            for row in patient.workers
        ],
        "providers": [
            {name: row[name] for name in PROVIDER if name in row} | {"reason": redaction.failure(row["reason"])}
            for row in patient.providers
        ],
    }


def _log(redaction: Redaction) -> Iterator[str]:
    try:
        with endpoints.log_path().open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, maxlen=LOG_LINES):
                yield redaction.log_line(line.rstrip("\n"))
    except OSError as error:
        yield f"(no log: {error.strerror})"
