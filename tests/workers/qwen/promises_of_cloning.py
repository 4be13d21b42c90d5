"""What every engine of Qwen3-TTS promises of voices that it clones, whichever library runs it."""

from __future__ import annotations

import itertools
import shutil

import pytest

from voicebus.bus import prompts
from voicebus.bus.prompts import Array, VoicePrompt
from voicebus.workers import conformance
from voicebus.workers._conformance_checks import TEXT as SUITE
from voicebus.workers.engine import EngineError, Request, Sample, hum

TEXT = "one two three"
END = 64 + 102
"""The code that ends speech in the tiny checkpoints (`tiny.END`)."""


def spoken(engine, prompt, seed=1) -> bytes:
    """The beginning of the audio of a short text in a voice."""
    items = engine.synthesize(Request(TEXT, "", "en", seed=seed, prompt=prompt))
    try:
        return b"".join(chunk.pcm for _, chunk in zip(range(12), items, strict=False))
    finally:
        items.close()


def kept(engine, *samples: Sample, key: str = "k") -> VoicePrompt:
    """A voice prompt as it comes back from the disk."""
    model, revision, mode = engine.prompts_for()
    made = engine.create_voice_prompt(samples)
    return prompts.unpack(prompts.pack(VoicePrompt(made.arrays, made.words, key, model, revision, mode)))


@pytest.fixture
def bare(engine, soon):
    """A Base model without any voice of the settings."""
    return engine("base", {"odds": {END: soon}}, voices={})


def talkative(engine, soon):
    """Options of a checkpoint that says the suite's text in 1.2 to 4 seconds in a cloned voice: random weights end by
    chance."""
    for seed in range(50):
        options = {"seed": seed, "odds": {END: soon}}
        try:
            one = engine("base", options, voices={})
        except EngineError:
            continue  # Not even a first frame.
        items = one.synthesize(Request(SUITE, "", prompt=one.create_voice_prompt([Sample(hum(4.0, 24_000))])))
        frames = sum(1 for _ in itertools.islice(items, 51))
        items.close()
        if 15 <= frames <= 50:
            return options
    raise AssertionError("none of 50 checkpoints speaks for a second or two")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_that_only_clones_passes_the_suite(settings, engine, engine_class, soon):
    """Without a voice of its own a Base model loads, tests itself, and does all that an engine that clones has to."""
    report = conformance.check(engine_class, settings("base", talkative(engine, soon), voices={}))
    assert report.passed, str(report)
    assert "cloning" in {result.name for result in report.results if not result.skipped}


def test_a_prompt_speaks_the_same_elsewhere(bare, settings, engine_class, soon):
    """What one worker made, another speaks with, sample for sample."""
    prompt = kept(bare, Sample(hum(2.0, 24_000), "hello world"))
    other = engine_class()
    other.load(settings("base", {"odds": {END: soon}}, voices={}), lambda _percent, _note: None)
    assert other.prompts_for() == bare.prompts_for()
    assert spoken(other, prompt) == spoken(bare, prompt) != b""


def test_the_transcript_decides_what_of_a_recording_counts(bare):
    """With a transcript its codes are in the prompt, without one only the sound of the voice."""
    with_text, without = (bare.create_voice_prompt([Sample(hum(2.0, 24_000), text)]) for text in ("hello world", ""))
    assert with_text.arrays["codes"].shape[0] > 0
    assert without.arrays["codes"].shape == (0, 0)
    assert (with_text.words["text"], without.words["text"]) == ("hello world", "")


def test_recordings_with_a_transcript_go_before_those_without():
    """Several become one, with pauses; one without words does not get others' words."""
    from voicebus.workers._qwen_cloning import joined

    one, two = Sample(hum(1.0, 24_000), "one"), Sample(hum(1.5, 16_000), "two")
    audio, text = joined([one, Sample(hum(9.0)), two])
    assert (text, len(audio)) == ("one two", round((1.0 + 0.3 + 1.5 + 0.5) * 24_000))
    audio, text = joined([Sample(hum(1.0)), Sample(hum(2.0))])
    assert (text, len(audio)) == ("", round((1.0 + 0.3 + 2.0 + 0.5) * 24_000))
    audio, _ = joined([Sample(hum(20.0), "a"), Sample(hum(20.0), "b"), Sample(hum(20.0), "c")])
    assert len(audio) < 42 * 24_000, "after half a minute there is enough"


@pytest.mark.parametrize("samples", [[(b"no audio", "")], [(hum(0.4), "")], [(hum(70.0, 8_000), "far too long")]])
def test_what_cannot_be_cloned_is_refused(bare, samples):
    """No audio, too little and too much of it are the request's fault, with what would do."""
    with pytest.raises(EngineError) as found:
        bare.create_voice_prompt([Sample(*one) for one in samples])
    assert found.value.code == "invalid_input"


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"speaker": Array("F32", (7,), bytes(28)), "codes": Array("I16", (0, 0), b"")},
        {"speaker": Array("F32", (32,), bytes(128)), "codes": Array("I16", (1, 9), bytes(18))},
        {"speaker": Array("F32", (32,), bytes(128)), "codes": Array("F32", (0, 0), b"")},
    ],
)
def test_prompts_of_other_dimensions_are_refused(bare, arrays):
    """A prompt of another model is not bent into this one's."""
    with pytest.raises(EngineError) as found:
        list(bare.synthesize(Request(TEXT, "", prompt=VoicePrompt(arrays, {}))))
    assert found.value.code == "invalid_input"


def test_only_the_last_few_prompts_stay_on_the_device(bare):
    """A prompt with a key is made ready for the device once; of many the last four stay."""
    one = kept(bare, Sample(hum(2.0)), key="k0")
    for number in range(6):
        bare._clones.of(Request(TEXT, "", prompt=VoicePrompt(one.arrays, one.words, f"k{number}")))
    assert list(bare._clones._recent) == ["k2", "k3", "k4", "k5"]
    item = bare._clones.of(Request(TEXT, "", prompt=VoicePrompt(one.arrays, one.words, "k5")))
    assert item is bare._clones._recent["k5"]


def test_a_prompt_that_is_forgotten_is_off_the_device(bare):
    """Of one key that one goes, of none all; one that is not there is no mistake."""
    one = kept(bare, Sample(hum(2.0)), key="k0")
    bare.forget("")
    for number in range(3):
        bare._clones.of(Request(TEXT, "", prompt=VoicePrompt(one.arrays, one.words, f"k{number}")))
    bare.forget("k1")
    bare.forget("another")
    assert list(bare._clones._recent) == ["k0", "k2"]
    bare.forget("")
    assert not bare._clones._recent


def test_other_weights_need_other_prompts(checkpoint, tmp_path):
    """What a prompt is for follows the weights, not the folder's name."""
    from voicebus.workers._qwen_cloning import made_for

    told = made_for("1b7", checkpoint("base"), "library")
    copy = shutil.copytree(checkpoint("base"), tmp_path / "copy")
    assert made_for("1b7", copy, "library") == told
    path = next(copy.glob("model*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert made_for("1b7", copy, "library") != told


def test_presets_do_not_clone(engine):
    """A model with presets makes no prompt, and speaks with none."""
    one = engine("custom_voice")
    with pytest.raises(EngineError):
        one.create_voice_prompt([Sample(hum(2.0))])
    foreign = VoicePrompt({"speaker": Array("F32", (32,), bytes(128)), "codes": Array("I16", (0, 0), b"")}, {})
    with pytest.raises(EngineError):
        list(one.synthesize(Request(TEXT, "", prompt=foreign)))
    assert not one.capabilities().cloning
