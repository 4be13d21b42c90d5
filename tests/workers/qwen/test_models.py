"""Several sizes side by side: which of them a request means, and what is refused."""

from __future__ import annotations

import pytest

from voicebus.workers.conformance import check
from voicebus.workers.engine import EngineError, Request

from .tiny import END

TEXT = "Hello world, this is a test."
NEVER = {"odds": {END: -100.0}}


@pytest.fixture(scope="session")
def both(checkpoint, settings):
    """Settings of the small and the large presets' model, and an engine with both."""
    from voicebus.workers.qwen_torch import QwenEngine

    folders = [str(checkpoint(size=size, seed=seed, **NEVER)) for size, seed in (("0b6", 1), ("1b7", 2))]
    told = {name: value for name, value in settings().items() if name != "model"} | {"models": folders}
    one = QwenEngine()
    one.load(told, lambda _percent, _note: None)
    return told, one


def start(engine, request, frames=12):
    items, pcm = engine.synthesize(request), b""
    while len(pcm) < frames * 3840:
        pcm += next(items).pcm
    items.close()
    return pcm


def asking(voice="ryan", **fields):
    return Request(TEXT, voice, "en", seed=7, **fields)


def refusal(engine, request):
    with pytest.raises(EngineError) as caught:
        start(engine, request)
    assert caught.value.code == "invalid_input"
    return caught.value.message


def test_a_size_is_chosen_by_voice_or_option(both, engine, checkpoint):
    """A suffix of the voice or the option `size` says which model speaks; without, it is the first that was loaded."""
    _, one = both
    small = start(engine(options={"size": "0b6", "seed": 1, **NEVER}), asking())
    large = start(engine(options={"size": "1b7", "seed": 2, **NEVER}), asking())
    assert small != large
    assert start(one, asking()) == small
    assert start(one, asking("ryan+0.6B")) == start(one, asking(options={"size": "0.6B"})) == small
    assert start(one, asking("ryan+1.7B")) == start(one, asking(options={"size": "1.7B"})) == large
    assert start(one, asking("", options={"size": "1.7B"})) == large


def test_the_daemon_can_refuse_what_is_not_loaded(both, engine):
    """Sizes are variants of the voices where there is a choice, so that a voice in a size that is not loaded is unknown
    before any worker is asked."""
    assert {voice.variants for voice in both[1].voices()} == {("0.6B", "1.7B")}
    assert {voice.variants for voice in engine().voices()} == {()}
    assert "size" in both[1].capabilities().options
    assert "size" not in engine().capabilities().options


def test_a_size_that_is_not_loaded_is_refused(both, engine):
    """Another size never stands in: what is loaded is named."""
    assert "9B is not loaded here, but 0.6B, 1.7B" in refusal(both[1], asking(options={"size": "9B"}))
    assert "0.6B is not loaded here, but 1.7B" in refusal(engine(options=NEVER), asking(options={"size": "0.6B"}))
    assert "no voice 'ryan+0.6B'" in refusal(engine(options=NEVER), asking("ryan+0.6B"))
    assert "for 0.6B" in refusal(both[1], asking("ryan+1.7B", options={"size": "0.6B"}))


def test_instructions_go_to_the_size_that_takes_them(both):
    """Only the large presets' model does as it is told: a request with instructions goes there where no size is named,
    and is refused where it is the other one."""
    _, one = both
    told = asking(instruct="in a whisper")
    assert one.capabilities().instruct
    assert start(one, told) == start(one, asking("ryan+1.7B", instruct="in a whisper"))
    assert "takes no instructions" in refusal(one, asking("ryan+0.6B", instruct="in a whisper"))


def test_both_are_told(both):
    """READY names both models, in the device's row and in the version that goes into each take's record."""
    _, one = both
    assert len(one.device()["models"]) == 2
    assert "+" in one.version


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sizes": "0.6B"}, "sizes is '0.6B'; set it to a list"),
        ({"models": []}, "models is []"),
        ({"models": ["/no/such"]}, "there is no folder /no/such"),
        ({"sizes": ["0.6B"], "models": ["/a"]}, "both sizes and models are set"),
        ({"sizes": ["9B"]}, "size is '9B'"),
    ],
)
def test_a_wrong_list_is_named(settings, wrong, words):
    """What cannot be loaded side by side is refused by its setting."""
    from voicebus.workers.qwen_torch import QwenEngine

    told = {name: value for name, value in settings().items() if name != "model"}
    with pytest.raises(EngineError) as caught:
        QwenEngine().load(told | wrong, lambda _percent, _note: None)
    assert caught.value.code == "load_failed"
    assert words in caught.value.message


def test_two_of_one_size_are_refused(settings, checkpoint):
    """Two models that the same words would mean, or that are of different kinds, are not loaded together."""
    from voicebus.workers.qwen_torch import QwenEngine

    told = {name: value for name, value in settings().items() if name != "model"}
    for pair in ([checkpoint(), checkpoint(seed=3)], [checkpoint(size="0b6"), checkpoint("voice_design")]):
        with pytest.raises(EngineError, match="of one kind and of different sizes"):
            QwenEngine().load(told | {"models": [str(folder) for folder in pair]}, lambda _percent, _note: None)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_batch_of_both_conforms(both, checkpoint):
    """Two slots of two models pass the suite, the batched form included."""
    from voicebus.workers.qwen_torch import QwenEngine

    soon = {"odds": {END: 3.0}}
    folders = [str(checkpoint(size=size, seed=seed, **soon)) for size, seed in (("0b6", 4), ("1b7", 5))]
    report = check(QwenEngine, both[0] | {"models": folders, "slots": 2})
    problems = {result.name for result in report.results if result.problem}
    # Random weights end by chance, so lengths are not judged here.
    assert problems <= {"speech", "closing", "odd-texts", "streaming"}, str(report)
    assert not next(result for result in report.results if result.name == "together").skipped
