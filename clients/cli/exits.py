"""What the command ends with: exit codes, and errors in the words of a person.

Owns: the table of exit codes and the advice that goes with each kind of error. Must not know: what any command does.
Invariant: whatever is raised while a command runs leaves as one of these codes and a message without a traceback.
"""

from __future__ import annotations

import sys
from typing import IO, Any

import click

from ...bus import errors

OK = 0
FAILED = 1
USAGE = 2
NO_DAEMON = 3
VERSION = 4
BUSY = 5
CANCELLED = 6
STORAGE = 7
NO_SOUND = 8
INCOMPLETE = 9
UNAVAILABLE = 69
INTERNAL = 70
HANGUP = 129
INTERRUPTED = 130
PIPE = 141
TERMINATED = 143

CODES = {
    OK: "done",
    FAILED: "the job, or what was asked for, failed",
    USAGE: "a wrong option, name or value",
    NO_DAEMON: "no daemon runs, or it could not be started",
    VERSION: "client and daemon do not understand each other's version",
    BUSY: "too much is waiting; try again later",
    CANCELLED: "the job was cancelled from elsewhere",
    STORAGE: "no space, or a file cannot be written",
    NO_SOUND: "there is no sound device to play on",
    INCOMPLETE: "done, but something was left out",
    UNAVAILABLE: "the daemon went away or cannot do it now",
    INTERNAL: "a fault in voicebus itself",
    HANGUP: "the terminal went away",
    INTERRUPTED: "stopped with Ctrl-C",
    PIPE: "the reader of standard output went away",
    TERMINATED: "stopped with TERM",
}
"""Every exit code, with what it means: the table in ``docs/cli.md``."""

_BY_CLASS: tuple[tuple[type[errors.VoicebusError], int], ...] = (
    (errors.NotRunning, NO_DAEMON),
    (errors.VersionMismatch, VERSION),
    (errors.QueueFull, BUSY),
    (errors.StorageError, STORAGE),
    (errors.JobCancelled, CANCELLED),
    (errors.JobError, FAILED),
    (errors.CallerError, USAGE),
    (errors.DaemonError, UNAVAILABLE),
)

_ADVICE = {
    "not_running": "Start it with: voicebus daemon start",
    "version": "Bring both to one version with: voicebus daemon restart",
    "unknown_voice": "See what there is with: voicebus voices",
    "unknown_language": "See what there is with: voicebus voices",
    "unknown_provider": "See what there is with: voicebus providers",
    "unknown_model": "See the models of a provider with: voicebus providers show PROVIDER",
    "not_found": "See what there is with: voicebus jobs",
    "disk_full": "Free some space, or ask for it with --keep nothing.",
    "disconnected": "See why with: voicebus logs",
    "daemon_start": "See why with: voicebus logs",
    "abandoned": "Nobody listened for too long. Say it again, or make a file of it with -o.",
}
"""What to do, by the error's code."""


class Failure(click.ClickException):
    """A command that did not do what it was asked: what happened and to what, what to do about it, the exit code."""

    def __init__(self, message: str, exit_code: int = FAILED, advice: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]
        self.advice = advice

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it to standard error, advice on a line of its own."""
        file = file or sys.stderr
        click.echo(f"voicebus: {self.message}", file=file)
        if self.advice:
            click.echo(f"  {self.advice}", file=file)


_BY_CODE = {
    "no_sound": NO_SOUND,
    "daemon_start": NO_DAEMON,
    "endpoint": NO_DAEMON,
    "storage": STORAGE,  # also of a job that had begun
    "disk_full": STORAGE,
}


def code_for(error: errors.VoicebusError) -> int:
    """The exit code that stands for an error."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), FAILED)


def explain(error: errors.VoicebusError, hint: str = "") -> Failure:
    """An error of the library as something to print and an exit code. hint: better advice than the usual."""
    advice = hint or _ADVICE.get(error.code, "")
    if not advice and error.retry_after > 0:
        advice = f"Try again in {error.retry_after:.0f} s." if error.retry_after >= 1 else "Try again at once."
    said = error.message.casefold()
    told = "see: voicebus" in said or (hint and ("did you mean" in said or "nearest" in said))
    if told or advice.rpartition(": ")[2].casefold() in said:
        advice = ""  # the message says so already
    return Failure(error.message or error.code, code_for(error), advice)


def fault(error: BaseException) -> Failure:
    """An exception nobody expected, without its traceback."""
    return Failure(
        f"internal error: {type(error).__name__}: {error}",
        INTERNAL,
        "Run it again as `voicebus --debug ...` for the traceback, and please report it.",
    )


def os_fault(error: OSError) -> Failure:
    """A file or directory that the system refuses."""
    what = f"{error.filename}: " if error.filename else ""
    return Failure(f"{what}{error.strerror or error}", STORAGE)
