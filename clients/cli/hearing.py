"""From a speech to a loudspeaker, a file or a pipe, with what a person wants meanwhile.

Owns: what Ctrl-Z and leaving early mean while something is heard, and what is said at the end. Must not know: options,
signals that ask to leave (`leaving`), the bus, audio formats. Invariant: whichever way a command leaves early, the
sound stops first, then the job is cancelled (if this command made it), then the exit code is given.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...bus.errors import (
    FAILURES,
    DaemonError,
    InvalidRequest,
    JobCancelled,
    JobError,
    JobFailed,
    VoicebusError,
)
from ...bus.wording import counted, plural
from ..saving import REWRITABLE, rate_for
from . import leaving, output, seam, turns
from .exits import INCOMPLETE, NO_SOUND, STORAGE, Failure, explain
from .names import did_you_mean
from .telling import Teller

if TYPE_CHECKING:
    from ..events import Result
    from ..playing import Player
    from ..sync import Client, Speech


@dataclass(frozen=True, slots=True)
class Target:
    """Where audio goes. output: a file, "-" for standard output, None to play. form: the format, one of `FORMATS`."""

    output: str | None
    form: str | None
    device: str | None
    quiet: bool = False

    @property
    def to_file(self) -> bool:
        """Whether it goes into a file with a name."""
        return self.output not in {None, "-"}

    @property
    def whole(self) -> bool:
        """Whether only finished takes may be read."""
        return self.output is not None and (self.output == "-" or self.form not in REWRITABLE)

    @property
    def sample_rate(self) -> int:
        """Samples a second to ask for, 0 where any will do."""
        return rate_for(self.form) if self.form else 0


ANSWER_S = 3.0
"""How long somebody who leaves waits for the word that his job is cancelled."""


@contextlib.contextmanager
def _briefly(client: Client) -> Iterator[None]:
    """Who leaves waits inside for so long and no longer: a daemon that is stopped, or cannot write, does not answer."""
    waits = True

    def late() -> None:
        if waits:
            raise TimeoutError

    timer = threading.Timer(ANSWER_S, client.interrupt, [late])
    timer.daemon = True
    timer.start()
    try:
        with contextlib.suppress(TimeoutError):
            yield
    finally:
        waits = False
        timer.cancel()


@contextlib.contextmanager
def pausable(player: Player, teller: Teller) -> Iterator[None]:
    """Ctrl-Z pauses the player and then this process; `fg` goes on where it stopped."""

    def stop(_number: int, _frame: Any) -> None:
        player.pause()
        teller.clear()  # the shell writes now
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        # Here again after a SIGCONT.
        signal.signal(signal.SIGTSTP, stop)
        player.resume()

    with leaving.handling(signal.SIGTSTP, stop):
        yield


@contextlib.contextmanager
def in_turn(*, after: bool, sounds: bool, quiet: bool) -> Iterator[None]:
    """Be one of those who sound; `after` waits first until the others are done."""
    if not sounds:
        yield
        return
    with leaving.silenced(), turns.turn() as others:
        if after and others:
            teller = Teller(quiet=quiet)
            teller.waiting(f"waiting for {counted(len(others), 'other player')} of yours")
            try:
                with leaving.at_once():
                    turns.wait_for(others)
            finally:
                teller.clear()
        yield


def require(target: Target, *, plays: bool) -> None:
    """Raise Failure where nothing can be played or written, before anything is asked of the daemon."""
    if plays:
        _require_device(target.device)
    elif target.output not in {None, "-"}:
        folder = Path(str(target.output)).absolute().parent
        if not folder.is_dir():
            raise Failure(f"{target.output}: there is no directory {folder}", STORAGE)
        if not os.access(folder, os.W_OK):
            raise Failure(f"{target.output}: {folder} cannot be written to", STORAGE)


def _require_device(device: str | None) -> None:
    names = [row["name"] for row in seam.devices()]
    instead = "Make a file instead: voicebus say -o FILE.wav ...; or pipe it: voicebus say -o - ... | PLAYER"
    if not names:
        raise Failure("there is no sound device on this machine to play on", NO_SOUND, instead)
    if device is not None and device not in names:
        near = did_you_mean(device, names).strip()
        raise Failure(f"there is no sound device {device!r}", NO_SOUND, near or "See: voicebus devices")


def hear(client: Client, speech: Speech, target: Target, *, total: int, cancels: bool = True) -> None:
    """Play a speech, or write it. total: characters of its text, 0 where unknown. cancels: whether leaving early ends
    the job. Raises Failure, `leaving.Leave`, or an error of the library."""
    plays, pipes = target.output is None, target.output == "-"
    teller = Teller(quiet=target.quiet, total=total, plays=plays, progress=not (plays or pipes))
    try:
        if target.output is None:
            player = seam.player(speech, device=target.device, on_event=teller.event)
            with leaving.wakes(player.stop), pausable(player, teller):
                result = player.run()
        else:
            where = sys.stdout.buffer if target.output == "-" else target.output
            result = speech.save(where, target.form, on_event=teller.event, partial=True)
    except JobError as error:
        teller.clear()
        raise _ended(error, speech.job, target, teller.seconds) from None
    except BaseException as error:
        teller.clear()
        if cancels:
            speech.cancel()
            with contextlib.suppress(VoicebusError), _briefly(client):
                client.cancel(speech.job)  # and wait for the answer: only then it is sure
        if isinstance(error, DaemonError):
            raise _ended(error, speech.job, target, teller.seconds) from None
        raise
    teller.clear()
    _report(result, target, teller.seconds)


def _report(result: Result, target: Target, seconds: float) -> None:
    """Say what came of it: a line for a file, with how much was written; what is missing in any case."""
    who = ", ".join(f"{one['provider']} ({one['voice']})" for one in result.speakers)
    if target.to_file and not target.quiet:
        click.echo(f"{target.output}: {output.duration(seconds)} of speech{f' by {who}' * bool(who)}", err=True)
    if result.skipped:
        raise Failure(
            f"not complete: {result.skipped} of {counted(result.segments, 'sentence')} "
            f"{plural(result.skipped, 'was', 'were')} left out",
            INCOMPLETE,
            f"See which with: voicebus jobs {result.job}",
        )


OF_SENTENCES = frozenset(FAILURES) - {"unavailable"} | {"failed"}
"""Codes of a job that ended since nobody could say one of its sentences."""


def _ended(error: VoicebusError, job: str, target: Target, seconds: float) -> Failure:
    """A job that did not come to its end: what was heard or written of it, and how to go on where that helps."""
    failure = explain(error)
    said = [_what_is_there(error, target, seconds)]
    if isinstance(error, JobFailed) and error.code in OF_SENTENCES:
        said.append(f"See which sentence and why with: voicebus jobs {job}")
        if seconds:
            said[-1] += "\n  Leave bad sentences out with --skip-bad."
    else:
        said.append(failure.advice)
    return Failure(failure.message, failure.exit_code, " ".join(filter(None, said)))


def _what_is_there(error: VoicebusError, target: Target, seconds: float) -> str:
    """How much of a job that did not end well was written; of one that was played, how much had come."""
    cancelled = isinstance(error, JobCancelled)
    if not target.to_file:
        return f"The first {output.duration(seconds)} are there." if seconds and not cancelled else ""
    if seconds and not cancelled:
        return f"The first {output.duration(seconds)} are there, in {target.output}."
    return f"{target.output} was {'left as it was' if Path(str(target.output)).exists() else 'not written'}."


@contextlib.contextmanager
def names_explained(client: Client) -> Iterator[None]:
    """A wrong name of a voice, language or provider inside becomes a failure that names the near ones."""
    try:
        yield
    except InvalidRequest as error:
        raise explain(error, near_names(client, error)) from None


def near_names(client: Client, error: VoicebusError) -> str:
    """Names near to the one that an error is about (the last that it quotes), in a sentence."""
    quoted = re.findall(r"['\"\u201c]([^'\"\u201c\u201d]+)['\"\u201d]", error.message)
    names: dict[str, Callable[[], list[str]]] = {
        "unknown_voice": lambda: [row["voice"] for row in client.voices()],
        "unknown_language": lambda: [tag for row in client.voices() for tag in row["languages"]],
        "unknown_provider": lambda: [row["provider"] for row in client.providers()],
    }
    if not quoted or error.code not in names:
        return ""
    with contextlib.suppress(VoicebusError):
        return did_you_mean(quoted[0], names[error.code]()).strip()
    return ""
