"""`say`: options in, sound or a file out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from ...bus.messages import PRIORITIES
from ..saving import FORMATS
from . import hearing, hint, leaving, texts
from .exits import USAGE, Failure
from .names import Factor, Name, Option, complete, format_for

if TYPE_CHECKING:
    from ..sync import Speech

Decorator = Callable[[Any], Any]


def to_where(command: Any) -> Any:
    """The options about where the audio goes, which `say` and `attach` have in common."""
    options: list[Decorator] = [
        click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
                     help="Write a file, its format by the extension; - is standard output."),
        click.option("--format", "form", type=Name(FORMATS), metavar="FORMAT",
                     help=f"Format of the output: {', '.join(FORMATS)} (bare samples)."),
        click.option("--device", metavar="NAME", help="Play on this device; see: voicebus devices"),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing on the terminal but what went wrong."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("text", nargs=-1)
@click.option("-f", "--file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
              help="Say what is in FILE (UTF-8).")  # fmt: skip
@click.option("-v", "--voice", metavar="VOICE", default="", shell_complete=complete("voices"),
              help="The voice; see: voicebus voices")  # fmt: skip
@click.option("-p", "--provider", metavar="NAME", default="", shell_complete=complete("providers"),
              help="The provider; see: voicebus providers")  # fmt: skip
@click.option("--lang", "language", metavar="TAG", default="", shell_complete=complete("languages"),
              help="The language of the text: en, de-AT ...; auto finds out.")  # fmt: skip
@click.option("--rate", type=Factor(0.25, 6), default=1.0, metavar="FACTOR", help="How fast: 1.5 or 150%.")
@click.option("--pitch", type=Factor(0.5, 2), default=1.0, metavar="FACTOR", help="How high.")
@click.option("--volume", type=Factor(0, 2), default=1.0, metavar="FACTOR", help="How loud.")
@click.option("--punctuation", type=Name(["none", "some", "all"]), metavar="HOW", default=None,
              help="Read it aloud: none, some or all of it.")  # fmt: skip
@click.option("--ssml", is_flag=True, help="The text is SSML.")
@click.option("--instruct", metavar="TEXT", default=None, help="How to say it, in words, for engines that take such.")
@click.option("-O", "--option", "options", metavar="NAME=VALUE", multiple=True, type=Option(),
              help="What one engine alone understands: temperature=0.7; several times.")  # fmt: skip
@click.option("--seed", type=click.INT, metavar="N", help="For engines that throw dice.")
@click.option("--priority", type=Name(PRIORITIES), default="text", metavar="CLASS",
              help=f"Who goes first: {', '.join(PRIORITIES)}.")  # fmt: skip
@click.option("--keep", type=Name(["nothing", "job", "history"]), default=None, metavar="WHAT",
              help="What stays: nothing, the job for a while, or history (default: as configured).")  # fmt: skip
@click.option("--skip-bad", is_flag=True, help="Leave out a sentence that nobody can say (exit 9).")
@click.option("--after", is_flag=True, help="Wait until my other players are done, instead of sounding over them.")
@click.option("--detach", is_flag=True, help="Print the job's name and leave; see: voicebus attach")
@click.option("--no-start", is_flag=True, help="Fail (exit 3) where no daemon runs, instead of starting one.")
@to_where  # fmt: skip
def say(text: tuple[str, ...], file: str | None, output: str | None, form: str | None, device: str | None,
        quiet: bool, after: bool, detach: bool, no_start: bool, skip_bad: bool, **how: Any) -> None:  # fmt: skip
    """Speak TEXT, a file, or what comes in on standard input, line by line as it comes.

    Plays it, or writes a file with -o. Ctrl-C is silence at once, and cancels; Ctrl-Z pauses.

    \b
    voicebus say -v en-us+f3 --rate 1.2 "Good morning"
    voicebus say -f book.txt -o book.flac
    tail -f log | voicebus say
    voicebus say -o - "Hello" | aplay
    """  # noqa: D301 - the \b is for click
    target = hearing.Target(output, format_for(output, form) if output else form, device, quiet=quiet)
    _no_quarrel(target, after=after, detach=detach, keep=how["keep"])
    words = texts.text_of(text, file, whole=detach or how["ssml"])
    render = bool(output) or detach
    request = {
        "voice": how["voice"] or None,
        "provider": how["provider"] or None,
        "language": how["language"] or None,
        "rate": how["rate"],
        "pitch": how["pitch"],
        "volume": how["volume"],
        "punctuation": how["punctuation"],
        "ssml": how["ssml"],
        "instruct": how["instruct"],
        "options": dict(how["options"]) or None,
        "seed": how["seed"],
        "priority": how["priority"],
        "keep": how["keep"] or "",
        "skip_bad": skip_bad,
        "pace": "render" if render else "listen",
        "whole": target.whole,
        "sample_rate": target.sample_rate,
    }
    request = {name: value for name, value in request.items() if value is not None}
    with leaving.stoppable():
        hearing.require(target, plays=not render)
        with (
            hearing.in_turn(after=after, sounds=not render, quiet=quiet),
            leaving.connected(start=not no_start) as client,
        ):
            with hearing.names_explained(client):
                speech = client.speak(_unempty(words), **request)
            if detach:
                _require_kept(speech)
                speech.wait_kept()
                click.echo(speech.job)
            else:
                total = len(words) if isinstance(words, str) else 0
                hearing.hear(client, speech, target, total=total)
            hint.of_history(speech.keep, quiet=quiet)


def _require_kept(speech: Speech) -> None:
    """Raise Failure where nothing would stay of a job that nobody is going to hear now."""
    if speech.keep == "nothing":
        speech.cancel()
        raise Failure("nothing is kept of a job unless you say so (history.keep)", USAGE, "Add: --keep job")


def _no_quarrel(target: hearing.Target, *, after: bool, detach: bool, keep: str | None) -> None:
    """Raise UsageError for options that do not go together."""
    quarrels = {
        "--detach leaves at once; -o, --device and --after do not go with it.": detach
        and (target.output or target.device or after),
        "--detach with --keep nothing would be heard by nobody.": detach and keep == "nothing",
        "--device plays, -o writes: choose one.": target.device and target.output,
        "--after is about playing, -o writes a file: choose one.": target.output and after,
        "--format says how to write; say where with -o FILE, or -o - for standard output.": target.form
        and not target.output,
    }
    for why, wrong in quarrels.items():
        if wrong:
            raise click.UsageError(why)


def _unempty(words: str | Iterator[str]) -> str | Iterator[str]:
    """The text, of which there is something: of one that comes in pieces the first of them is waited for. Raises
    Failure where there is none."""
    if isinstance(words, str):
        if words.strip():
            return words
    else:
        begun = ""
        with leaving.at_once():
            for piece in words:
                begun += piece
                if begun.strip():
                    return itertools.chain([begun], words)
    raise Failure("there is nothing to say: the text is empty", USAGE)
