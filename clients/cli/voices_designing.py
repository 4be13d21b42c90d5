"""A voice of one's own made of words: `voices design`.

Owns: the steps of it as a person sees them: a reference is made, heard perhaps, kept or thrown away. Must not know: how
one is made (`designing`), what is kept of it. Invariant: nothing is kept that was refused, or not asked for; whatever
is thrown away can be had again by its seed.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..designing import SEEDS, Plan, makers, plan, undecided
from ..placing import placed
from . import hearing, leaving, seam
from .exits import FAILED, USAGE, Failure
from .names import complete
from .telling import Teller
from .voices_making import how_spoken, tell

if TYPE_CHECKING:
    from ..sync import Client
    from ..voices import Recording

READY_S, LOOK_S = 60.0, 0.2
"""How long, and how often, it is asked whether a provider is ready that may be the one who can."""

ANSWERS = {"y": "keep it", "n": "another one", "q": "keep nothing"}


@click.command()
@click.argument("name")
@click.argument("words", metavar="[DESCRIPTION]", required=False)
@click.option("--describe", metavar="TEXT", help="How the voice sounds, in words.")
@click.option("--text", default="", metavar="TEXT", help="What the reference says, instead of a sentence of ours: one "
              "sentence of 3 to 30 s.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, SEEDS - 1), metavar="N", help="Another throw, or one that was told before."
)
@click.option("--by", "maker", default="", metavar="PROVIDER", shell_complete=complete("providers"),
              help="Who makes the reference; else whoever can.")  # fmt: skip
@click.option("--listen", is_flag=True, help="Hear it, and say whether to keep it or to throw again.")
@click.option("-o", "--output", "target", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write the reference into FILE (wav), and keep nothing.")  # fmt: skip
@click.option(
    "--again", is_flag=True, help="Make a designed voice that is there anew; without --describe of its own words."
)
@how_spoken
def design(name: str, words: str | None, describe: str | None, text: str, seed: int | None, maker: str, listen: bool,
           target: str | None, again: bool, providers: tuple[str, ...], languages: tuple[str, ...],
           no_start: bool) -> None:  # fmt: skip
    """Add voice NAME by a description, from which one sentence is made, from which the voice is cloned ever after.

    Providers that make a voice from words make another speaker of them each time. So one sentence is spoken once, and
    kept with the voice; whoever clones speaks from it. Where nobody clones, the description is used.

    \b
    voicebus voices design grandpa --describe "An old man, hoarse and kind, who takes his time." --listen
    """  # noqa: D301 - the \b is for click
    description = _description(words, describe, again=again)
    if target or listen:
        hearing.require(hearing.Target(target, None, None), plays=listen and not target)
    with leaving.stoppable(), seam.connect(start=not no_start) as client:
        before = client.voice(name) if again else {}
        description = description or before["description"]
        rows = _rows(client, maker)
        if not (makers(rows) or maker or target or listen or again):
            _only_described(client, name, description, languages, providers)
            return
        spoken_by = [name.partition(":")[0] for name in providers] or [
            one["provider"] for one in before.get("chain", [])
        ]
        language = (*languages, *before.get("languages", []), "")[0]
        planned = partial(plan, rows, description, text=text, provider=maker, language=language, prefer=spoken_by)
        reference = _made(client, planned(seed=seed))
        if target:
            _write(reference, target)
            return
        while listen and not _wanted(reference):
            reference = _made(client, planned())
        if again:
            added = client.redesign_voice(name, reference)
        else:
            added = client.add_voice(
                name, [reference], description=description, languages=languages, chain=providers
            )  # fmt: skip
        click.echo(f"Recording 1 was {_told(reference)}", err=True)
        tell(client, added, [])


def _rows(client: Client, maker: str) -> list[dict[str, Any]]:
    """The providers, after a moment for those that a daemon has just begun to start, where nobody else can do it."""
    teller, until = Teller(), time.monotonic() + READY_S
    try:
        while True:
            rows = client.providers()
            able = [row for row in makers(rows) if maker in ("", row["provider"])]
            waits = undecided(rows, maker)
            if able or not waits or time.monotonic() > until:
                return rows
            teller.waiting(f"waiting for {', '.join(waits)} to be ready")
            time.sleep(LOOK_S)
    finally:
        teller.clear()


def _description(words: str | None, describe: str | None, *, again: bool) -> str:
    """The description, however it was given. Raises UsageError."""
    if words and describe:
        raise click.UsageError("Give the description once.")
    if not (words or describe or again):
        raise click.UsageError("Say how the voice sounds: --describe TEXT")
    return describe or words or ""


def _write(reference: Recording, target: str) -> None:
    """Put a reference where it can be heard, and say how to keep it."""
    with placed(target) as file:
        file.write(reference.read())
    seed = reference.origin.seed
    click.echo(f"{target} was {_told(reference)}. Nothing is kept; to keep it: --seed {seed} instead of -o", err=True)


def _only_described(client: Client, name: str, description: str, languages: Any, chain: Any) -> None:
    """Where nobody makes a reference, the words are kept, so that it can be made later."""
    added = client.add_voice(name, description=description, languages=languages, chain=chain)
    click.echo(
        "No provider here makes a voice from words, so there is no reference to clone it from yet. "
        f"Make one when there is: voicebus voices design {added.voice} --again",
        err=True,
    )
    tell(client, added, [])


def _made(client: Client, planned: Plan) -> Recording:
    """Have a reference spoken."""
    speech = client.speak(planned.text, **planned.options)
    teller = Teller(total=len(planned.text), progress=True)
    parts = []
    try:
        for event in speech:
            teller.event(event)
            parts.append(bytes(getattr(event, "pcm", b"")))
    except BaseException:
        speech.cancel()
        raise
    finally:
        teller.clear()
    assert speech.result is not None
    return planned.recording(b"".join(parts), speech.rate, speech.result)


def _told(reference: Recording) -> str:
    origin = reference.origin
    return f"made by {origin.provider} ({origin.version}) with the seed {origin.seed}"


def _wanted(reference: Recording) -> bool:
    """Play it, and ask. Raises Failure where nothing is to be kept."""
    with hearing.in_turn(after=False, sounds=True, quiet=True):
        seam.play_file(reference.read(), device=None)
    if not sys.stdin.isatty():
        raise Failure("there is no terminal to say on whether to keep it; nothing was added", USAGE,
                      f"Keep it with --seed {reference.origin.seed} and without --listen.")  # fmt: skip
    question = f"Seed {reference.origin.seed}. Keep it? " + ", ".join(f"{key}: {what}" for key, what in ANSWERS.items())
    answer = click.prompt(question, type=click.Choice(list(ANSWERS)), show_choices=False, err=True)
    if answer == "q":
        raise Failure("nothing was added", FAILED, f"The last one can be had again: --seed {reference.origin.seed}")
    return bool(answer == "y")


COMMANDS: tuple[click.Command, ...] = (design,)
