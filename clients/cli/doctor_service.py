"""What `doctor` looks at of the service: configuration, providers, database, sound, unit.

Owns: as `doctor_checks`, of which this is the second half. Must not know: what the daemon's settings mean (the daemon's
own program is asked), nor the tables of its database. Invariant: as there; a provider's module is tried in a process of
its own, the database is opened for reading only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ...bus.wording import counted
from . import config, manager, output, seam
from .doctor_checks import Finding, Patient
from .status import BAD, place

DATABASE = "voicebus.db"

IMPORT_S = 60.0
"""How long the modules of an engine may take to load; torch takes seconds, the first time many."""

_IMPORT = "import importlib, sys; importlib.import_module(sys.argv[1])"

RELOAD = "voicebus daemon reload"
"""Enough for whatever was mended of a provider: who had been given up is tried again."""

WELL = frozenset({"ready", "asleep", "starting"})


def configuration(patient: Patient) -> Iterator[Finding]:
    """What of the file is not in force."""
    beside = (patient.config.parent / "engines").is_dir()
    if not patient.config.is_file() and not beside and not patient.daemon.get("problems"):
        yield Finding("configuration", "good", f"{patient.config} is not there, so the defaults hold")
        return
    advice = f"Mend it, then: {RELOAD}"
    try:
        if patient.daemon:  # what it says counts: its environment, where secrets are, may be another
            lines = [place(str(patient.config), problem) for problem in patient.daemon.get("problems", [])]
        else:
            found = config.problems_of(patient.config)
            lines = [config.told(patient.config, problem) for problem in found]
    except (click.ClickException, OSError, subprocess.SubprocessError) as error:
        yield Finding("configuration", "note", f"{patient.config} could not be checked: {error}")
        return
    if lines:
        told = f"{counted(len(lines), 'problem')} in {patient.config}"
        yield Finding("configuration", "bad", told, advice, tuple(lines))
    else:
        yield Finding("configuration", "good", str(patient.config))


# ---------------------------------------------------------------------------------------------------------- providers


def providers(patient: Patient) -> Iterator[Finding]:
    """Each of them: a worker that is ready, and an interpreter that can load it."""
    tables = patient.settings().get("providers", {})
    tables = tables if isinstance(tables, dict) else {}
    rows = {row["provider"]: row for row in patient.providers}
    for name in dict.fromkeys(["espeak", *tables, *rows, *([] if patient.daemon else _dropped(patient.config))]):
        table = tables.get(name, {})
        if isinstance(table, dict) and (table.get("workers") != 0 or name in rows):
            yield from _provider(patient, name, rows.get(name), table)


def _dropped(config: Path) -> list[str]:
    """The engines in the folder beside the configuration, as the next daemon will find them."""
    return sorted(path.stem for path in (config.parent / "engines").glob("*.py") if path.name[0] not in "._")


def _provider(patient: Patient, name: str, row: dict[str, Any] | None, table: dict[str, Any]) -> Iterator[Finding]:
    trouble = _cannot_start(name, table)
    mine = [worker for worker in patient.workers if worker["provider"] == name]
    ailing = row is not None and not row["ready"] and any(worker["state"] in BAD for worker in mine)
    if row is not None and row["state"] in WELL and not ailing and not trouble:
        told = f"{row['state']}, {row['ready']} of {row['workers']} workers ready" + _on(mine)
        yield Finding(f"provider {name}", "note" if row["state"] == "starting" else "good", told)
    elif row is not None and not trouble:
        yield Finding(
            f"provider {name}", "bad", f"{row['state']}: nobody can speak with it now", _advice(row), _said(row, mine)
        )
    elif trouble:
        yield trouble
    elif patient.daemon:
        yield Finding(f"provider {name}", "bad", "is not in force", "See what is wrong: voicebus config check")
    else:
        yield Finding(f"provider {name}", "good", "can be started")


def _on(workers: list[dict[str, Any]]) -> str:
    """What a neural engine computes on."""
    about = [worker["device"] for worker in workers if worker.get("device")]
    told = next((each for each in about if each.get("dtype") or each.get("compute_type")), None)
    if told is None:
        return ""
    words = [str(told.get(name, "")) for name in ("name", "dtype", "compute_type", "attention")]
    words.insert(0, str(told.get("id") or told.get("kind", "")))
    free = f"{output.amount(told['free'])} free at its start" if told.get("free") else ""
    return f", on {', '.join(word for word in (*words, free) if word)}"


def _advice(row: dict[str, Any]) -> str:
    if row["retry_in_s"] > 0:
        return f"It is tried again in {output.duration(row['retry_in_s'])}; see: voicebus status"
    return f"Mend what its last words say, then: {RELOAD}"


def _said(row: dict[str, Any], workers: list[dict[str, Any]]) -> tuple[str, ...]:
    """Reason, last failures and last words, each once."""
    said = [row["reason"]]
    for worker in workers:
        said += [worker["last_failure"], *worker.get("stderr", [])[-5:]]
    return tuple(dict.fromkeys(filter(None, said)))


def _cannot_start(name: str, table: dict[str, Any]) -> Finding | None:
    """What is wrong with its program, whoever starts it; None if nothing is."""
    check, program = f"provider {name}", table.get("command")
    if isinstance(program, list) and program:
        if shutil.which(str(program[0])) is None:
            return Finding(
                check, "bad", f"its program {program[0]} is not there", f"Install it, or change command; then: {RELOAD}"
            )
        return None
    python = str(table.get("python") or sys.executable)
    if shutil.which(python) is None:
        advice = f"Make the environment anew, or change python in its table; then: {RELOAD}"
        return Finding(check, "bad", f"its interpreter {python} is not there", advice)
    # Without a program in its table it is a file with an engine, which is not read here: it may do anything.
    module = table.get("module") or f"voicebus.workers.{'espeak' if name == 'espeak' else 'script'}"
    said = _import_error(python, str(module))
    if said:
        return Finding(
            check,
            "bad",
            f"its module {module} cannot be loaded",
            f"Install what it needs for {python}, then: {RELOAD}",
            (said,),
        )
    return None


def _import_error(python: str, module: str) -> str:
    """Why an interpreter cannot load a module; "" if it can."""
    command = [python, "-c", _IMPORT, module]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=IMPORT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    last = done.stderr.strip().splitlines()[-1:]
    return "" if done.returncode == 0 else (last[0] if last else f"exit code {done.returncode}")


# ---------------------------------------------------------------------------------------------------- database, sound


def database(patient: Patient) -> Iterator[Finding]:
    """Whether its pages are in order, read through the library that the daemon uses."""
    path = patient.state / DATABASE
    if not path.is_file():
        return
    try:
        said = _quick_check(path)
    except ImportError:
        yield Finding("database", "note", f"{path} cannot be checked without apsw")
        return
    except Exception as error:  # noqa: BLE001 - of a library that may not be there, so its errors cannot be named
        said = [f"{type(error).__name__}: {error}"]
    if said:
        advice = "Keep a copy, then restart the daemon: it puts a damaged one aside and begins a new one."
        yield Finding("database", "bad", f"{path} is damaged", advice, tuple(said))
    else:
        yield Finding("database", "good", f"{path} is in order ({output.amount(path.stat().st_size)})")


def _quick_check(path: Path) -> list[str]:
    """What is wrong, at most five lines of it."""
    apsw = import_module("apsw")
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.set_busy_timeout(2000)
        rows = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    return [] if rows == ["ok"] else rows


def sound(patient: Patient) -> Iterator[Finding]:
    """A device to play on. A machine without one can still make files."""
    try:
        rows = seam.devices()
    except Exception as error:  # noqa: BLE001 - whatever the sound library raises, it is what is to be told
        yield Finding(
            "sound", "note", f"the sound system does not answer: {error}", f"Try {seam.BACKEND_VARIABLE}=alsa"
        )
        return
    if rows:
        yield Finding("sound", "good", next((row["name"] for row in rows if row.get("default")), rows[0]["name"]))
    else:
        advice = "Files and pipes work without: voicebus say -o FILE.wav TEXT"
        yield Finding("sound", "note", "there is no device to play on", advice)


# --------------------------------------------------------------------------------------------------------------- unit


def unit(patient: Patient) -> Iterator[Finding]:
    """The service of this user: whether it is installed, up to date, enabled and well."""
    kind = manager.for_this_machine()
    if not kind.path.exists():
        yield Finding("service", "good", "not installed; voicebus is started when it is needed")
        return
    if any(_text(path) != text for path, text in kind.render().items()):
        told = f"{kind.path} is not what this installation would write"
        advice = "Bring it up to date: voicebus service install"
        yield Finding("service", "bad", told, advice, repair=lambda: _rewrite(kind))
    if not kind.reachable():
        yield Finding("service", "note", f"{kind.path} is installed, but its service manager does not answer")
        return
    state, _ = kind.state()
    if not kind.enabled():
        yield Finding("service", "bad", f"{kind.name} is not enabled", "Enable it: voicebus service install")
    elif state == "failed":
        yield Finding(
            "service", "bad", f"{kind.name} has failed", "See why with `voicebus logs`, then install it anew."
        )
    else:
        yield Finding("service", "good", f"{kind.path} is {state}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _rewrite(kind: manager.Manager) -> str:
    for path, text in kind.render().items():
        path.write_text(text, encoding="utf-8")
    if kind.reachable():
        kind.forget()  # has the manager read its units again
    return f"wrote {kind.path} anew; it is in force after: voicebus daemon restart"
