"""What docs/python.md shows is what happens: its programs run against a daemon and an engine."""

import re
from pathlib import Path

import pytest

from voicebus.bus import errors
from voicebus.clients.asking import Options
from voicebus.clients.transcribing import HearingOptions

from .examples import ROOT, run, shown_in

PAGE = "docs/python.md"
EXAMPLES = shown_in(PAGE)


def test_there_are_examples() -> None:
    """The page shows programs."""
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES, ids=range(1, len(EXAMPLES) + 1))
def test_an_example_of_the_page_runs(code, own_service, short_dir: Path) -> None:
    """As it stands, but that it plays to nobody, it runs to its end without a complaint and tells something. What is
    to be transcribed is heard by a script."""
    if ".transcribe(" in code:
        config = '[providers.whisper]\nmodule = "voicebus.workers.scribe"\n'
        (short_dir / "voicebus.toml").write_text(config, encoding="utf-8")
        (short_dir / "talk.mp3").write_bytes(b"a recording of three and a half passages" * 90)
    assert run(code.replace(".play()", '.play(backend="null")'), short_dir, own_service)


def test_every_option_of_speak_is_in_its_table() -> None:
    """The table of options names all that `speak` takes, and nothing else."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    table = text[text.index("| option |") : text.index("The text may be")]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    assert {name for cell in first for name in re.findall(r"`(\w+)`", cell)} == set(Options.__annotations__)


def test_every_option_of_transcribe_is_in_its_table() -> None:
    """So does the table of transcribing."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    text = text[text.index("## transcribe") :]
    table = text[text.index("| option |") : text.index("`wait()`")]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    assert {name for cell in first for name in re.findall(r"`(\w+)`", cell)} == set(HearingOptions.__annotations__)


def test_every_error_is_on_the_page() -> None:
    """Whatever the public errors are, the page says what to do about each."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    names = {name for name, kind in vars(errors).items() if isinstance(kind, type)}

    assert {name for name in names if f"`{name}`" not in text} == set()
