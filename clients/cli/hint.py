"""What a person is told once: that what is said is kept, and how to have it otherwise.

Invariant: told to a terminal only, once for each state directory, and never instead of the work: where it cannot be
noted that it was told, it is not told.
"""

from __future__ import annotations

import sys

import click

from ...bus import endpoints

TOLD = "told-of-history"


def of_history(keep: str, *, quiet: bool) -> None:
    """Tell of the history, the first time that something goes into it. keep: what stays of the job."""
    if keep != "history" or quiet or not sys.stderr.isatty():
        return
    try:
        folder = endpoints.state_dir()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / TOLD).touch(exist_ok=False)
    except (OSError, endpoints.EndpointError):
        return
    click.echo(
        "voicebus: what is said is kept; see: voicebus history. To keep nothing: say --keep nothing, or\n"
        f'  keep = "nothing" under [history] in {endpoints.config_path()}. (This is told once.)',
        err=True,
    )
