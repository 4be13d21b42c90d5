"""What `top` shows, as lines: from rows of the daemon to text that fits a terminal.

Owns: the layout. Must not know: terminals, the daemon, time. Invariant: no line is wider and there are no more lines
than there is room for, however many workers and jobs there are; what was left out is counted.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from . import output
from .status import BAD, now

WORKERS = (("WORKER", "<"), ("STATE", "<"), ("PID", ">"), ("RSS", ">"), ("VRAM", ">"), ("FACTOR", ">"), ("FIRST", ">"),
           ("JOBS", ">"), ("RESTARTS", ">"), ("RECYCLED", ">"), ("NOW", "<"))  # fmt: skip
WORKERS_SPARE = ("RECYCLED", "VRAM", "FIRST", "PID")

JOBS = (("JOB", "<"), ("STATE", "<"), ("DONE", ">"), ("AHEAD", ">"), ("AUDIO", ">"), ("AGE", ">"), ("PRIORITY", "<"),
        ("PROVIDER", "<"), ("VOICE", "<"))  # fmt: skip
JOBS_SPARE = ("PRIORITY", "VOICE", "AUDIO", "PROVIDER")

FEWEST = 3
"""Lines of a table that is cut: its head, a row, and how many more there are."""


def lines(found: dict[str, Any], width: int | None, height: int | None) -> list[str]:
    """The screen. found: `daemon`, `workers` and `jobs`, or why it is `away`. width, height: the room, None for any."""
    if "away" in found:
        said = wrap(output.clean(found["away"]), width or 100)
        return ["voicebus: " + output.style("away", fg="red"), "", *said, "", "It is waited for; q leaves."][:height]
    head = [output.cut(line, width) for line in _head(found["daemon"])]
    workers = _table(WORKERS, [_worker(row) for row in found["workers"]], width, WORKERS_SPARE)
    jobs = _table(JOBS, [_job(row) for row in found["jobs"]], width, JOBS_SPARE)
    workers = workers or [output.cut("No workers are configured.", width)]
    jobs = jobs or [output.cut("No jobs are under way.", width)]
    if height is not None:
        room = height - len(head) - 2
        workers = _shortened(workers, max(room - len(jobs), room // 2, FEWEST))
        jobs = _shortened(jobs, max(room - len(workers), FEWEST))
    return [*head, "", *workers, "", *jobs][:height]


def _head(daemon: dict[str, Any]) -> list[str]:
    state = daemon.get("state", "serving")
    first = [
        f"voicebus {daemon['version']}",
        state,
        f"up {output.ago(daemon.get('uptime_s', 0))}",
        f"process {daemon['pid']}",
    ]
    if rss := output.amount(daemon.get("rss")):
        first.append(f"memory {rss}")
    first.append(f"clients {daemon.get('clients', 0)}")
    states = daemon.get("jobs", {})
    counted = ", ".join(f"{states[name]} {name}" for name in ("running", "queued", "waiting") if states.get(name))
    over = sum(states.get(name, 0) for name in ("finished", "failed", "cancelled"))
    disk = f"{output.amount(daemon.get('takes_bytes')) or '0 B'} of {output.amount(daemon.get('takes_limit'))} on disk"
    audio = f"audio: {disk}, {output.amount(daemon.get('memory_bytes')) or '0 B'} in memory"
    second = f"jobs: {counted or 'none under way'}, {over} over   {audio}"
    crowded = ["The disk's share for audio is used up (limits.disk_bytes)."] if daemon.get("crowded") else []
    problems = len(daemon.get("problems", []))
    wrong = [f"{problems} of the configuration not in force; see: voicebus status"] if problems else []
    return [", ".join(first), second, *crowded, *wrong]


def _worker(row: dict[str, Any]) -> tuple[str, ...]:
    trouble = row.get("reason") if row["state"] in BAD else ""
    return (
        row.get("worker") or row["provider"],
        row["state"],
        str(row["pid"] or ""),
        output.amount(row["rss"]),
        output.amount(row.get("vram")),
        f"{row['factor']:.3g}" if row["factor"] else "",
        output.duration(row["first_audio_s"]) if row["first_audio_s"] else "",
        str(row["jobs_done"]),
        str(row["restarts"]),
        str(row.get("recycled") or ""),
        output.short(trouble, 60) if trouble else now(row),
    )


def _job(row: dict[str, Any]) -> tuple[str, ...]:
    rate = row["rate"]
    ahead = max(row.get("made", 0) - row.get("heard", 0), 0) / rate if rate and row.get("listeners") else None
    return (
        row["job"],
        row["state"],
        f"{row['done']}/{row['segments']}{'' if row['complete'] else '+'}",
        output.duration(ahead),
        output.duration(row["samples"] / rate) if rate and row["samples"] else "",
        output.ago(row["age_s"]),
        row["priority"],
        row["provider"],
        row["voice"],
    )


def _table(
    columns: tuple[output.Column, ...], rows: list[tuple[str, ...]], width: int | None, spare: tuple[str, ...]
) -> list[str]:
    return output.table(columns, rows, width, spare).split("\n") if rows else []


def _shortened(table: list[str], height: int) -> list[str]:
    if len(table) <= height:
        return table
    return [*table[: height - 1], f"... and {len(table) - height + 1} more"]
