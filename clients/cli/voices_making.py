"""Voices of one's own, made and changed: `voices add`, `change`, `import`."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...bus.errors import VoicebusError
from ...bus.wording import counted
from ..comparing import ALIKE, likeness
from . import output, piped, seam
from .exits import USAGE, Failure
from .listings import start_option
from .names import complete

if TYPE_CHECKING:
    from ..sync import Client
    from ..voices import Added, Recording

QUESTION = (
    "Whose voice is it, and who allows it to be cloned? Say it in your words, such as: it is my own voice.\n"
    "What you say is kept with the voice. Nothing cancels"
)


def how_spoken(command: Any) -> Any:
    """The options about who speaks a voice, which those commands have in common."""
    options: list[Callable[[Any], Any]] = [
        click.option("-p", "--provider", "providers", metavar="NAME[:VOICE]", multiple=True,
                     shell_complete=complete("providers"),
                     help="Who speaks it, best first; several times. With a VOICE, that preset stands in."),
        click.option("--lang", "--language", "languages", metavar="TAG", multiple=True,
                     shell_complete=complete("languages"), help="A language of it: en, de-AT ...; several times."),
        start_option,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


class Samples(click.Command):
    """A command whose --text belongs to the --sample before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["samples"] = _paired(args)
        return super().parse_args(ctx, args)


def _paired(args: Sequence[str]) -> list[tuple[str, str]]:
    """Each sample with the text that follows it. What is wrong with the options is told by whoever parses them."""
    found: list[tuple[str, str]] = []
    words = iter(args)
    for word in words:
        option, given, value = word.partition("=")
        if word.startswith("-s") and len(word) > 2:  # -sFILE is --sample FILE
            option, given, value = "-s", "-s", word[2:]
        if option not in ("--sample", "-s", "--text"):
            continue
        value = value if given else next(words, "")
        if option != "--text":
            found.append((value, ""))
        elif not found or found[-1][1]:
            raise click.UsageError("--text says what is said in the --sample before it; give that first.")
        else:
            found[-1] = (found[-1][0], value)
    return found


sample_option = click.option("-s", "--sample", "sample", metavar="FILE", multiple=True,
                             type=click.Path(exists=True, dir_okay=False),
                             help="A recording: 3 to 30 s of clear speech of one person; several times.")  # fmt: skip
text_option = click.option("--text", "text", metavar="TEXT", multiple=True,
                           help="What is said in the --sample before it.")  # fmt: skip
consent_option = click.option("--consent", metavar="WORDS", help="Who allows it to be cloned, in words to be kept.")


@click.command(cls=Samples)
@click.argument("name")
@sample_option
@text_option
@click.option("--description", metavar="TEXT", default="", help="A few words for the list.")
@consent_option
@how_spoken
@click.pass_context
@click.option("--no-check", is_flag=True, help="Do not have the recordings transcribed, to find or check the text.")
def add(context: click.Context, /, name: str, sample: tuple[str, ...], text: tuple[str, ...], description: str,
        consent: str | None, providers: tuple[str, ...], languages: tuple[str, ...],
        no_check: bool, no_start: bool) -> None:  # fmt: skip
    """Add voice NAME, cloned from recordings of it.

    The recordings are looked at, and what would make them better is told. What is said in them is found out where no
    --text says it, and checked where one does, if a provider here transcribes. Consent is asked for, and kept with the
    voice; in a script it must be given.

    \b
    voicebus voices add anna --sample anna.wav --text "What she says in it." --consent "It is my own voice."
    """  # noqa: D301 - the \b is for click
    if not sample:
        raise click.UsageError("Give at least one --sample FILE, or describe a voice: voicebus voices design NAME TEXT")
    said = consent_for(consent)
    with seam.connect(start=not no_start) as client:
        given = recordings(context.meta["samples"])
        if not no_check:
            given = heard_in(client, given, languages)
        added = client.add_voice(
            name, given, description=description, languages=languages, chain=providers,
            consent=said, who=getpass.getuser(),
        )  # fmt: skip
        tell(client, added, [path for path, _ in context.meta["samples"]])


@click.command(cls=Samples)
@click.argument("name", shell_complete=complete("own_voices"))
@sample_option
@text_option
@click.option("--drop", metavar="N", type=click.IntRange(min=1), multiple=True, help="Without recording N.")
@click.option("--said", metavar="N TEXT", type=(click.IntRange(min=1), str), multiple=True,
              help="What is said in recording N.")  # fmt: skip
@click.option("--description", metavar="TEXT", help="Another description.")
@how_spoken
@click.pass_context
def change(context: click.Context, name: str, sample: tuple[str, ...], text: tuple[str, ...], drop: tuple[int, ...],
           said: tuple[tuple[int, str], ...], description: str | None, providers: tuple[str, ...],
           languages: tuple[str, ...], no_start: bool) -> None:  # fmt: skip
    """Change some of voice NAME; all else stays."""
    with seam.connect(start=not no_start) as client:
        have = [each["sample"] for each in client.voice(name)["samples"]]
        if wrong := [n for n in (*drop, *(n for n, _ in said)) if n > len(have)]:
            raise Failure(f"{name} has {counted(len(have), 'recording')}, and no recording {wrong[0]}", USAGE)
        added = client.change_voice(
            name, recordings(context.meta["samples"]), texts={have[n - 1]: words for n, words in said},
            keep=[each for n, each in enumerate(have, 1) if n not in drop], description=description,
            languages=languages or None, chain=providers or None,
        )  # fmt: skip
        tell(client, added, [path for path, _ in context.meta["samples"]])


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--name", default="", help="Another name than that in the file.")
@start_option
def import_(file: str, name: str, no_start: bool) -> None:
    """Add the voice that is in FILE (- is standard input), with its recordings and its consent."""
    with piped.read(file) as path, seam.connect(start=not no_start) as client:
        tell(client, client.import_voice(path, name), [])


def recordings(pairs: Sequence[tuple[str, str]]) -> list[Recording]:
    """What was given on the command line. Each is read once, since a pipe (``--sample <(...)``) is empty after that."""
    from ..voices import Recording

    return [Recording(Recording(Path(path)).read(), text, name=path) for path, text in pairs]


def heard_in(client: Client, given: Sequence[Recording], languages: Sequence[str]) -> list[Recording]:
    """The recordings with what a recogniser hears in them, which is their text where none was given. Where nobody
    listens, they are as they were."""
    from ..voices import Recording

    found: list[Recording] = []
    for number, one in enumerate(given, 1):
        heard, why = _heard(client, one, languages[0] if languages else "auto")
        if why:
            what = "checked" if one.text else "found out"
            click.echo(f"What is said could not be {what}: {output.short(why, 200)}", err=True)
            return [*found, *given[len(found) :]]
        if heard and not one.text:
            click.echo(f"Recording {number} says: {heard}", err=True)
        elif heard and likeness(one.text, heard) < ALIKE:
            click.echo(
                f"Recording {number} does not seem to say its --text; what is heard there: {heard}\n"
                f"  An engine speaks what does not fit into other sentences; mend it with: voicebus voices change",
                err=True,
            )
        found.append(Recording(one.data, one.text or heard[:1000], heard[:1000], one.name))
    return found


def _heard(client: Client, one: Recording, language: str) -> tuple[str, str]:
    """What is heard in a recording, or why nobody can tell."""
    try:
        heard = client.transcribe(one.read(), language=language, keep="nothing", patience=5.0).wait()
    except VoicebusError as error:
        return "", error.message
    return heard.text, ""


def consent_for(given: str | None) -> str:
    """The words of consent: as given, or asked for on a terminal. Raises Failure where there are none."""
    words = (given or "").strip()
    if not words and given is None and sys.stdin.isatty():
        words = str(click.prompt(QUESTION, default="", show_default=False, err=True)).strip()
    if not words:
        raise Failure(
            "a voice is cloned only with the word of whoever is heard, and none was given; nothing was added",
            USAGE,
            'Add who allows it, in your words: --consent "It is my own voice."',
        )
    return words


def tell(client: Any, added: Added, paths: Sequence[str]) -> None:
    """Say what came of it: who speaks it, what is missing, what would make it better."""
    row = client.voice(added.voice)
    for number, sample in enumerate(row["samples"], 1):
        if not sample["text"]:
            click.echo(
                f"Recording {number}: what is said in it is not known, and the voice will be less like; "
                f"tell it: voicebus voices change {row['voice']} --said {number} TEXT",
                err=True,
            )
    numbers = {sample["sample"]: n for n, sample in enumerate(row["samples"], 1)}
    for advice in added.advice:
        number = numbers.get(advice["sample"], 0)
        named = f"{Path(paths[number - 1]).name}: " if 0 < number <= len(paths) else f"Recording {number}: "
        click.echo(f"{named}{advice['text']}", err=True)
    unknown = ", ".join(row.get("unknown", []))  # an older daemon does not say
    if row["speakers"]:
        too = f"; of {unknown} it is not known yet" if unknown else ""
        click.echo(f"{row['voice']} is there, spoken by {', '.join(row['speakers'])}{too}.")
    elif unknown:
        click.echo(f"{row['voice']} is there. {output.clean(row['problem'])}")
    else:
        click.echo(output.clean(row["problem"]), err=True)
        click.echo(f"{row['voice']} is kept, but nobody can speak it yet.")


COMMANDS: tuple[click.Command, ...] = (add, change, import_)
