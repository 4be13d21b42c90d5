"""`top`: what the daemon, its workers and my jobs are doing, looked at anew each second.

Owns: the asking, the terminal's state and the keys. Must not know: what a screen looks like (`top_screen`). Invariant:
however it ends, the terminal is as it was before.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...bus.errors import DaemonError, VersionMismatch
from . import leaving, output, running, seam, top_screen
from .exits import UNAVAILABLE, Failure
from .listings import json_option

if TYPE_CHECKING:
    from ..sync import Client

EACH_S = 1.0

UNDER_WAY = ("running", "queued", "waiting")
"""States of jobs that are not over, in the order in which they are listed."""

_ENTER = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@click.option("--once", is_flag=True, help="Show it once and leave. Also without a terminal.")
@json_option
def top(once: bool, as_json: bool) -> None:
    """Watch the daemon, its workers and my jobs, each second anew. Leave with q or Ctrl-C.

    With --json there is one object on each line, each second; with --once only one. Exits with 3 where no daemon runs
    at the start; one that goes away later is waited for.
    """
    with leaving.stoppable(), contextlib.closing(_Watched()) as watched:
        if as_json:
            _print_json(watched, once=once)
        elif once or not output.moving(sys.stdout):
            click.echo("\n".join(top_screen.lines(watched.look_once(), None, None)))
        else:
            _live(watched)


class _Watched:
    """The daemon, present or away. The first look must succeed. Raises NotRunning, VersionMismatch."""

    def __init__(self) -> None:
        self._client: Client | None = seam.watch()
        self._pid = 0

    def look(self) -> dict[str, Any]:
        """All that is shown: daemon, workers, jobs; or only why it is "away"."""
        try:
            # The lock tells at once that a daemon has ended; that nobody answers is known only after seconds.
            if self._pid and _holder() != self._pid:
                self.close()
            if self._client is None:
                self._client = seam.watch()
            found = _snapshot(self._client)
        except VersionMismatch:
            raise
        except DaemonError as error:
            self.close()
            return {"away": error.message}
        pid = found["daemon"]["pid"]
        self._pid = pid if _holder() == pid else 0
        return found

    def look_once(self) -> dict[str, Any]:
        """The same, where there is no second look. Raises Failure where the daemon has just gone."""
        found = self.look()
        if "away" in found:
            raise Failure(f"the daemon went away: {found['away']}", UNAVAILABLE)
        return found

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client, self._pid = None, 0


def _holder() -> int:
    found = running.holder()
    return found.pid if found is not None else 0


def _snapshot(client: Client) -> dict[str, Any]:
    daemon = client.status()
    return {
        "daemon": {**daemon, "rss": _rss(daemon["pid"])},
        "workers": client.workers(),
        "jobs": [row for state in UNDER_WAY for row in client.jobs(state)],
    }


def _rss(pid: int) -> int:
    """Bytes of memory that a process of this machine uses; 0 where that cannot be read."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _print_json(watched: _Watched, *, once: bool) -> None:
    if once:
        output.emit_json(watched.look_once())
        return
    while True:
        click.echo(json.dumps(watched.look(), ensure_ascii=False, default=str))
        _leaves(None)


def _live(watched: _Watched) -> None:
    with _screen() as keys:
        while True:
            size = shutil.get_terminal_size()
            shown = top_screen.lines(watched.look(), size.columns, size.lines)
            sys.stdout.write(_HOME + "\r\n".join(line + _REST_OF_LINE for line in shown) + _REST)
            sys.stdout.flush()
            if _leaves(keys):
                return


def _leaves(keys: int | None) -> bool:
    """Wait for the next second; True when somebody wants to leave before."""
    with leaving.at_once():
        if keys is None:
            time.sleep(EACH_S)
        elif select.select([keys], [], [], EACH_S)[0]:
            pressed = os.read(keys, 64)
            return not pressed or pressed[:1] in b"qQ\x03\x04"  # also where the terminal is gone
    return False


@contextlib.contextmanager
def _screen() -> Iterator[int | None]:
    """A screen of our own, and where keys come from, one by one; None where there is no keyboard."""
    with contextlib.ExitStack() as restoring:
        keys = sys.stdin.fileno() if sys.stdin.isatty() else None
        if keys is not None:
            import termios
            import tty

            restoring.callback(termios.tcsetattr, keys, termios.TCSADRAIN, termios.tcgetattr(keys))
            tty.setcbreak(keys)
        restoring.callback(_write, _LEAVE)
        _write(_ENTER)
        yield keys


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        sys.stdout.write(text)
        sys.stdout.flush()
