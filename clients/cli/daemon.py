"""`daemon`: run it here, start it behind, stop it, start it anew, have it read its configuration."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...bus import endpoints, places
from ...bus.wording import counted
from .. import starting
from . import manager, running, seam
from .config import alone, problems_of, show_problems
from .exits import FAILED, INCOMPLETE, NO_DAEMON, UNAVAILABLE, Failure

if TYPE_CHECKING:
    from ..sync import Client

STOP_S = 20.0
"""How long an orderly stop may take: growing takes are finished and readers fetch what is made."""

RELOAD_S = 2.0
"""How long the daemon may take to come to a HUP."""


@click.group()
def daemon() -> None:
    """Run, start, stop, restart or reload the daemon."""


@daemon.command()
@click.option("--config", type=click.Path(path_type=Path), help="Instead of the usual configuration.")
@click.option("--idle-exit", type=click.FloatRange(min=0), metavar="S", help="Leave after S idle seconds (0: never).")
@click.option("--system", is_flag=True, help="For all users of this machine; as a rule a service does that.")
def run(config: Path | None, idle_exit: float | None, system: bool) -> None:
    """Run the daemon in the foreground, until Ctrl-C.

    Its exit codes: 0 left in order, 1 an error, 78 the configuration, 100 a daemon already runs.
    """
    if not system and (found := running.holder()) is not None:
        advice = "Stop it first with `voicebus daemon stop`, or put this one in its place: voicebus daemon restart"
        raise Failure(f"a daemon runs already, process {found.pid}", starting.ALREADY_RUNS, advice)
    arguments = ["run", "--started-by", "hand"]
    if system:
        arguments.append("--system")
    if config is not None:
        arguments += ["--config", str(config)]
    if idle_exit is not None:
        arguments += ["--idle-exit", str(idle_exit)]
    command = running.command(*arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - this process becomes the daemon, signals and all


@daemon.command()
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of what went well.")
def start(quiet: bool) -> None:
    """Start the daemon in the background, if none runs; it stays until it is stopped."""
    before = running.holder()
    about = _bring_up()
    if quiet:
        return
    already = before is not None and before.pid == about["pid"]
    click.echo(f"voicebus {about['version']} runs{' already' if already else ''}, process {about['pid']}")
    if about.get("started_by") == "client":
        click.echo("A client started it, so it leaves when idle; one that stays: voicebus daemon restart")


def _bring_up() -> dict[str, Any]:
    """A daemon that answers, started if need be: by the service manager where a unit is installed, else from here.
    Returns what it says of itself."""
    if not starting.running():
        service = manager.for_this_machine()
        if service.path.exists() and service.reachable():
            starting.ensure_own()
        else:
            running.spawn()
    with seam.connect() as client:
        return client.status()


@daemon.command()
@click.option("--timeout", type=click.FloatRange(min=0), default=STOP_S, show_default=True, metavar="S",
              help="How long to let it finish what it is saying.")  # fmt: skip
@click.option("--now", is_flag=True, help="Let it finish nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of what went well.")
def stop(timeout: float, now: bool, quiet: bool) -> None:
    """Stop the daemon and wait until it is gone."""
    pid = _stop(timeout, now=now)
    if quiet:
        return
    click.echo(f"stopped process {pid}" if pid else "no daemon runs")
    if _activated():
        click.echo(
            "The service's socket stays: the next client starts it again. To end that: voicebus service uninstall"
        )


@daemon.command()
@click.option("--timeout", type=click.FloatRange(min=0), default=STOP_S, show_default=True, metavar="S",
              help="How long to let the old one finish what it is saying.")  # fmt: skip
@click.option("--now", is_flag=True, help="Let it finish nothing.")
def restart(timeout: float, now: bool) -> None:
    """Stop the daemon, of whatever version it is, and start one of this version."""
    old = _stop(timeout, now=now)
    about = _bring_up()
    instead = f", instead of process {old}" if old else ""
    click.echo(f"voicebus {about['version']} runs, process {about['pid']}{instead}")


@daemon.command()
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of what went well.")
def reload(quiet: bool) -> None:
    """Have the daemon read its configuration again.

    One with problems is refused here already: they are listed, and the daemon goes on with what it has. An engine's
    file that cannot be run is left out and listed, and the rest is taken over; that exits with 9.
    """
    with running.watched() as process, seam.connect() as client:
        if process is None:
            raise Failure("no daemon holds the lock", NO_DAEMON, "Start one with: voicebus daemon start")
        where = Path(client.status().get("config") or endpoints.config_path())
        problems = problems_of(where)
        show_problems(where, problems)
        if not all(alone(problem) for problem in problems):
            raise Failure(
                f"not taken over: {counted(len(problems), 'problem')} in {where}; the daemon goes on as it was", FAILED
            )
        process.send(signal.SIGHUP)
        taken = _taken(client)
    if not taken:
        raise Failure(f"{where} was not taken over", FAILED, "See why with: voicebus logs")
    if not quiet:
        there = "" if where.is_file() else ", which is not there, so the defaults hold"
        click.echo(f"process {process.pid} has taken over {where}{there}")
    if problems:
        raise Failure(f"left out: {', '.join(_file(problem) for problem in problems)}", INCOMPLETE)


def _file(problem: dict[str, Any]) -> str:
    return str(problem["reason"]).partition(": ")[0]


def _taken(client: Client) -> bool:
    """Whether the daemon has no problems with its configuration (any more: it may not have come to the HUP yet), but
    for files that it leaves out."""
    deadline = time.monotonic() + RELOAD_S
    while not all(alone(problem) for problem in client.status().get("problems", [])):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _activated() -> bool:
    """Whether a service manager listens in the daemon's place, and so would start it at a mere look at its socket."""
    service = manager.for_this_machine()
    return service.activates and not places.told() and service.path.exists() and service.reachable()


def _stop(timeout: float, *, now: bool) -> int:
    """Stop the daemon that holds the lock; its pid, 0 where none runs."""
    with running.watched() as process:
        if process is not None:
            try:
                gone = running.stop(process, 0.2 if now else timeout)
            except PermissionError:
                raise Failure(f"process {process.pid} is not yours to stop", FAILED) from None
            if not gone:
                advice = f"See what it does with `voicebus logs`; the last resort is: kill -9 {process.pid}"
                raise Failure(f"the daemon (process {process.pid}) does not leave", UNAVAILABLE, advice)
            return process.pid
    socket = endpoints.runtime_dir() / endpoints.CLIENT_SOCKET
    if not _activated() and endpoints.probe(socket) == "alive":
        raise Failure(
            f"somebody listens at {socket}, but no daemon holds the lock in {endpoints.state_dir()}",
            NO_DAEMON,
            f"It was started with another {endpoints.STATE_VARIABLE}, or it is a service manager that waits.",
        )
    return 0
