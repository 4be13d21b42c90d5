"""`status`: the daemon, its workers, and what is wrong."""

from __future__ import annotations

from typing import Any

import click

from . import output, seam
from .listings import json_option

GOOD = frozenset({"ready", "busy"})
BAD = frozenset({"fatal", "backoff", "dead", "suspect"})


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the daemon and its workers. Exits with 3 where no daemon runs."""
    with seam.connect() as client:
        daemon, workers = client.status(), client.workers()
    if as_json:
        output.emit_json({"daemon": daemon, "workers": workers})
        return
    click.echo(_line(daemon))
    click.echo(_jobs_line(daemon))
    click.echo()
    _show_workers(workers)
    _show_failures(workers)
    _show_problems(daemon)


def _line(daemon: dict[str, Any]) -> str:
    state = daemon.get("state", "serving")
    shown = output.style(state, fg="green" if state == "serving" else "yellow")
    parts = [
        f"voicebus {daemon['version']}, process {daemon['pid']}, {shown}",
        f"up {output.ago(daemon.get('uptime_s', 0))}",
    ]
    by = {"hand": "started by hand", "client": "started by a client", "service": "a service"}
    if (started_by := daemon.get("started_by", "")) in by:
        parts.append(by[started_by])
    if "socket" in daemon:
        whose = "the system's, for every user" if daemon.get("system") else f"of user {daemon.get('uid', '?')}"
        parts.append(f"at {daemon['socket']} ({whose})")
    return ", ".join(parts)


def _jobs_line(daemon: dict[str, Any]) -> str:
    counts = daemon.get("jobs", {})
    jobs = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    others = daemon.get("unfinished", 0) - sum(counts.get(state, 0) for state in ("queued", "running", "waiting"))
    if others > 0:
        jobs = f"{jobs or 'none'} of yours, {others} of others"
    clients = daemon.get("clients", 0)
    parts = [f"jobs: {jobs or 'none'}", f"clients: {clients}"]
    if audio := output.amount(daemon.get("takes_bytes", 0)):
        parts.append(f"audio kept: {audio}")
    if daemon.get("crowded"):
        parts.append(output.style("the disk's share is used up (limits.disk_bytes)", fg="red"))
    return "; ".join(parts)


def _show_workers(workers: list[dict[str, Any]]) -> None:
    columns = (("WORKER", "<"), ("STATE", "<"), ("PID", ">"), ("JOBS DONE", ">"), ("RESTARTS", ">"),
               ("RECYCLED", ">"), ("RSS", ">"), ("VRAM", ">"), ("FACTOR", ">"), ("FIRST AUDIO", ">"),
               ("DEVICE", "<"), ("NOW", "<"))  # fmt: skip
    cells = [
        (
            row.get("worker") or row["provider"],
            row["state"],
            str(row["pid"] or ""),
            str(row["jobs_done"]),
            str(row["restarts"]),
            str(row.get("recycled") or ""),
            output.amount(row["rss"]),
            output.amount(row.get("vram")),
            f"{row['factor']:.3g}" if row["factor"] else "",
            output.duration(row["first_audio_s"]) if row["first_audio_s"] else "",
            _device(row.get("device") or {}),
            now(row),
        )
        for row in workers
    ]
    output.emit_table(columns, cells, "No workers are configured; see: voicebus config path")


def _device(told: dict[str, Any]) -> str:
    """What a neural engine computes on: the device and its number type. Of the others nobody asks."""
    numbers = told.get("dtype") or told.get("compute_type")
    return f"{told.get('id') or told.get('kind', '')} {numbers}" if numbers else ""


def now(row: dict[str, Any]) -> str:
    """What a worker is at: its loading, or how many of its slots are taken."""
    if row["state"] in {"spawned", "connected"}:
        percent = row.get("percent", -1)
        return output.short(f"loading {f'{percent:.0f} % ' if percent >= 0 else ''}{row.get('note', '')}", 60)
    if row.get("slots", 1) > 1 and row["state"] in GOOD:
        return f"{row.get('running', 0)} of {row['slots']} slots"
    return ""


def _show_failures(workers: list[dict[str, Any]]) -> None:
    for row in workers:
        name = row.get("worker") or row["provider"]
        if row.get("reason") and row["state"] not in GOOD:
            click.echo(output.style(f"\n{name}: {row['state']}: {output.clean(row['reason'])}", fg="red"))
            for line in row.get("stderr", [])[-5:]:
                click.echo(f"  {output.clean(line)}")
        if row["last_failure"] and row["last_failure"] != row.get("reason"):
            click.echo(f"\n{name}: last failure: {output.clean(row['last_failure'])}")


def _show_problems(daemon: dict[str, Any]) -> None:
    """Parts of the configuration that are not in force, as a compiler would say it."""
    problems = daemon.get("problems", [])
    if not problems:
        return
    click.echo(output.style("\nNot in force, of the configuration:", fg="red"))
    for problem in problems:
        click.echo(f"  {place(daemon.get('config', ''), problem)}")
    click.echo("  Mend it, then: voicebus daemon reload")


def place(path: str, problem: dict[str, Any]) -> str:
    """One problem of a configuration: file:line: where: reason."""
    line = f":{problem['line']}" if problem.get("line") else ""
    where = f"{problem['where']}: " if problem.get("where") else ""
    return f"{path or 'voicebus.toml'}{line}: {where}{problem['reason']}"
