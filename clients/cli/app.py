"""The root of the command: finds a subcommand's module only when it is called for.

Owns: the list of commands, and the one place where exceptions become exit codes. Must not know: what commands do.
Invariant: `voicebus --help` and `voicebus say` import no module of any other command, so the start stays short.
"""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import Any

import click

from ... import __version__
from ...bus.errors import VoicebusError
from . import exits

COMMANDS: dict[str, tuple[str, str]] = {
    "say": ("say:say", "Speak a text, a file or what comes in on standard input."),
    "transcribe": ("transcribe:transcribe", "Write down what is said in recordings."),
    "stop": ("jobs:stop", "Silence everything of mine."),
    "attach": ("attach:attach", "Listen to a job from elsewhere, or again."),
    "jobs": ("jobs:jobs", "List my jobs, or one job's segments."),
    "cancel": ("jobs:cancel", "Cancel jobs by name."),
    "history": ("history:history", "What was said before: find it, hear it, say it again, remove it."),
    "voices": ("voices:voices", "List the voices; make, keep and share voices of my own."),
    "providers": ("listings:providers", "List the providers; show one, or test its engine."),
    "devices": ("listings:devices", "List the sound devices to play on."),
    "status": ("status:status", "Show the daemon, its workers and what is wrong."),
    "top": ("top:top", "Watch the workers and jobs, live."),
    "logs": ("logs:logs", "Show the daemon's log."),
    "doctor": ("doctor:doctor", "Check everything, mend what is safe, write a report."),
    "daemon": ("daemon:daemon", "Run, start, stop or restart the daemon."),
    "config": ("config:config", "Check the configuration, or tell where it is."),
    "service": ("service:service", "Install voicebus as a service of this user."),
    "completion": ("completion:completion", "Print the completion script for a shell."),
}
"""Name: where the command is (module:object), and its line in the help."""


class LazyGroup(click.Group):
    """A group whose commands are imported when called, and which turns every exception into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f".{module}", __package__), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), what) for code, what in exits.CODES.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from .names import did_you_mean

            raise click.UsageError(f"No such command '{args[0]}'.{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except click.Abort as abort:  # a question that got no answer: click makes the same of Ctrl-C as of a no
            if not isinstance(abort.__context__, KeyboardInterrupt):
                raise
            click.echo(err=True)
            raise click.exceptions.Exit(exits.INTERRUPTED) from None
        except KeyboardInterrupt:
            raise click.exceptions.Exit(exits.INTERRUPTED) from None
        except BrokenPipeError:
            _give_up_output()
            raise click.exceptions.Exit(exits.PIPE) from None
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            if isinstance(error, VoicebusError):
                raise exits.explain(error) from None
            if isinstance(error, OSError):
                _give_up_output(unless_taken=True)
                raise exits.os_fault(error) from None
            raise exits.fault(error) from None


def _give_up_output(*, unless_taken: bool = False) -> None:
    """Nobody takes our output any more: let what is still buffered go nowhere instead of failing at exit."""
    with contextlib.suppress(OSError, ValueError):
        if unless_taken:
            sys.stdout.flush()
            return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # no real descriptor behind it
        pass


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="voicebus %(version)s")
@click.option("--debug", is_flag=True, envvar="VOICEBUS_DEBUG", help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Speech from this machine's engines, through one service.

    \b
    voicebus say "Good morning"
    voicebus say -f book.txt -o book.flac
    voicebus transcribe talk.mp3
    tail -f log | voicebus say
    """  # noqa: D301 - the \b is for click


def _complete_streams() -> None:
    """Whoever started us may have closed a standard stream. Its number would go to the next file or socket of ours, and
    what is meant for the stream into that: nothing is to be read from it then, and writing to it fails, but for
    standard error, which is silent."""
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, flags)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w"))


def main() -> None:
    """Run the command. Never returns: leaves with one of the exit codes in `exits`."""
    _complete_streams()
    cli(prog_name="voicebus")
