"""Who makes a reference for a voice from words, and of what."""

from __future__ import annotations

import pytest

from voicebus.bus.errors import DaemonError, InvalidRequest
from voicebus.clients.designing import TEXTS, plan
from voicebus.clients.events import Result
from voicebus.workers._qwen_voices import LANGUAGES


def row(name: str, designs: str = "described", *, seed: bool = True, ready: int = 1, state: str = "ready") -> dict:
    able = {"designs": designs, "seed": seed} if state == "ready" else {}
    return {"provider": name, "capabilities": able, "ready": ready, "workers": 1, "state": state}


def test_whoever_can_at_once_makes_it_unless_somebody_is_preferred() -> None:
    """Of several the first that is ready; one that the voice's chain names, or that was asked for, goes before."""
    rows = [row("espeak", ""), row("asleep", ready=0), row("one"), row("two")]
    assert plan(rows, "a man").options["chain"] == [("one", "described")]
    assert plan(rows, "a man", prefer=["espeak", "two"]).options["chain"] == [("two", "described")]
    assert plan(rows, "a man", provider="asleep").options["chain"] == [("asleep", "described")]


def test_a_seed_is_thrown_where_the_maker_takes_one() -> None:
    """Another one each time, which is told; one that was asked for counts, and cannot be had of whoever takes none."""
    assert len({plan([row("one")], "a man").options["seed"] for _ in range(5)}) > 1
    assert plan([row("one")], "a man", seed=3).options["seed"] == 3
    assert "seed" not in plan([row("one", seed=False)], "a man").options
    with pytest.raises(InvalidRequest, match="one takes no seed"):
        plan([row("one", seed=False)], "a man", seed=3)


def test_it_says_a_sentence_in_the_voices_language() -> None:
    """One of ours, in English where the language has none; with a text of its own, the language is found out unless it
    is told. White space counts once."""
    assert (plan([row("one")], "a man").text, plan([row("one")], "a man").options["language"]) == (TEXTS["en"], "en")
    assert plan([row("one")], "a man", language="pt-BR").text == TEXTS["pt"]
    assert plan([row("one")], "a man", language="cy").text == TEXTS["en"]
    told = plan([row("one")], "a man", text=" Bore\n da. ")
    assert (told.text, told.options["language"]) == ("Bore da.", "auto")


def test_there_is_a_sentence_for_each_language_of_the_models() -> None:
    """Each is one sentence to the daemon, and no longer than the most that it takes as one."""
    from voicebus.daemon.core.segmentation import Splitter

    assert set(TEXTS) == set(LANGUAGES)
    for language, text in TEXTS.items():
        cutter = Splitter(language, limit=600)
        cutter.feed(text, last=True)
        assert cutter.take() == [(0, len(text))]


@pytest.mark.parametrize(
    ("rows", "more", "error", "words"),
    [
        ([], {}, InvalidRequest, "No provider here can make a voice from words"),
        ([row("one", "")], {}, InvalidRequest, "No provider here can"),
        ([row("one", "")], {"provider": "one"}, InvalidRequest, "one cannot make a voice from words"),
        ([row("one")], {"provider": "two"}, InvalidRequest, "There is no provider 'two'"),
        ([row("one", state="starting")], {}, DaemonError, "Whether one can"),
        ([row("one", state="out")], {}, InvalidRequest, "No provider here can"),
        ([row("one")], {"description": " "}, InvalidRequest, "needs a description"),
    ],
)
def test_what_cannot_be_planned_is_said(rows, more, error, words) -> None:
    """Nobody who can, nobody of that name, and no words are the caller's; whoever is still loading may be able soon."""
    with pytest.raises(error, match=words):
        plan(rows, **{"description": "a man", **more})


def test_a_reference_is_one_take() -> None:
    """What was spoken in several parts may be several speakers, and is refused."""
    planned = plan([row("one")], "a man", seed=3)
    who = [{"provider": "one", "version": "1/model", "voice": "described", "segments": 1}]
    made = planned.recording(b"\1\0" * 1000, 1000, Result("j", "finished", segments=1, speakers=who))
    assert (made.text, made.origin.version, made.origin.seed) == (planned.text, "1/model", 3)
    assert made.read()[44:] == b"\1\0" * 1000 + bytes(1000)
    with pytest.raises(InvalidRequest, match="in 2 parts"):
        planned.recording(b"", 1000, Result("j", "finished", segments=2, speakers=who))
