"""What a Qwen3-TTS engine promises to whoever runs it, whichever library is below: each engine's tests import these.

The fixtures are those of the importing folder: `engine` and `settings` as in `conftest.py` here, `engine_class`, and
`soon`, the odds of the end in a checkpoint that finds one after a second or a few.
"""

from __future__ import annotations

import gc
import itertools

import pytest

from voicebus.workers._conformance_checks import TEXT as SUITE
from voicebus.workers.conformance import check
from voicebus.workers.engine import EngineError, Request
from voicebus.workers.runtime import rss

from .tiny import END, STUCK

TEXT = "Hello world, this is a test."
NEVER = {"odds": {END: -100.0}}
"""Options of a checkpoint that speaks without end: a test takes as many frames as it wants."""


def chunks(engine, request):
    return [chunk.pcm for chunk in engine.synthesize(request)]


def start(engine, request, frames=60):
    """What it says at first, of a model that speaks without end."""
    items = engine.synthesize(request)
    pcm = b"".join(chunk.pcm for chunk in itertools.islice(items, frames))
    items.close()
    return pcm


def failure(engine, request):
    with pytest.raises(EngineError) as caught:
        chunks(engine, request)
    return caught.value


def talkative(kind, engine, soon):
    """Options of a checkpoint that says the suite's text in 1.2 to 4 seconds: random weights end by chance."""
    for seed in range(50):
        options = {"seed": seed, "odds": {END: soon}}
        try:
            one = engine(kind, options)
        except EngineError:
            continue  # Not even a first frame.
        items = one.synthesize(Request(SUITE, one.voices()[0].name))
        frames = sum(1 for _ in itertools.islice(items, 51))
        items.close()
        if 15 <= frames <= 50:
            return options
    raise AssertionError("none of 50 checkpoints speaks for a second or two")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["custom_voice", "voice_design", "base"])
def test_every_kind_of_model_conforms(kind, settings, engine, engine_class, soon):
    """Presets, designed voices and cloned ones pass the suite that every engine passes."""
    report = check(engine_class, settings(kind, talkative(kind, engine, soon)))
    assert report.passed, str(report)


def test_audio_leaves_as_it_is_made(engine):
    """The first packet has one frame, the others four; between them are places to stop at, without audio."""
    one = engine(options=NEVER, first_frames=1, packet_frames=4)
    sizes, items = [], one.synthesize(Request(TEXT, "ryan", "en", seed=1))
    while len(sizes) < 13:
        sizes.append(len(next(items).pcm) // 2 // 1920)
    items.close()
    assert sizes == [1, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4]


@pytest.mark.parametrize(("first", "packet"), [(2, 3), (4, 4)])
def test_packets_are_as_configured(engine, first, packet):
    """How many frames the first packet has, and the others, is a setting."""
    one = engine(options=NEVER, first_frames=first, packet_frames=packet)
    items = one.synthesize(Request(TEXT, "ryan", "en", seed=1))
    sizes = []
    while len(sizes) < 2:
        if pcm := next(items).pcm:
            sizes.append(len(pcm) // 2 // 1920)
    items.close()
    assert sizes == [first, packet]


def test_the_same_seed_says_the_same(engine, soon):
    """One seed makes one sound, whatever was said before, also in another engine; another seed makes another."""
    options = {"odds": {END: soon}}
    one, other = engine(options=options), engine(options=options, context_frames=25)
    request = Request(TEXT, "ryan", "en", seed=11)
    first = chunks(one, request)
    another = chunks(one, Request(TEXT, "ryan", "en", seed=12))
    assert chunks(one, request) == first == chunks(other, request)
    assert another != first


def test_a_text_without_end_is_truncated(engine):
    """A model that does not find the end is stopped by the cap, as a failure with a name."""
    told = failure(engine(options=NEVER), Request("Hi.", "ryan", "en", seed=1))
    assert told.code == "truncated"
    assert "7 s" in told.message


def test_going_round_in_circles_is_named(engine):
    """A model that is stuck with one sound is stopped after seconds, not at the cap."""
    stuck = engine(options={"odds": {STUCK: 100.0, END: -100.0}})
    assert failure(stuck, Request(TEXT * 4, "ryan", "en", seed=1)).code == "repeating"


def test_silence_is_named(engine):
    """A model that makes nothing to be heard is stopped after seconds of it."""
    from voicebus.workers.selftest import measure

    mute = engine(options={"gain": 0.0, "odds": {END: -100.0}})
    assert failure(mute, Request(TEXT * 4, "ryan", "en", seed=1)).code == "silent"
    with pytest.raises(EngineError):
        measure(mute, 0.0, lambda: 0.0)


def test_the_self_test_ends_by_itself(engine):
    """A worker is ready after two seconds of audio at most, whether or not its model found the end of them."""
    from voicebus.workers.selftest import measure

    one = engine(options=NEVER)
    assert len(b"".join(chunks(one, one.self_test()))) == 25 * 3840
    assert measure(one, 0.0, lambda: 0.0).ready.rate == 24000


def test_what_is_not_there_is_refused_by_name(engine):
    """Unknown voices, languages and options out of range are the request's fault, and no other stands in for them."""
    one = engine()
    for request, word in [
        (Request(TEXT, "nobody"), "nobody"),
        (Request(TEXT, "ryan", "sv"), "sv"),
        (Request(TEXT, "ryan", options={"temperature": 9.0}), "temperature"),
        (Request("...", "nobody"), "nobody"),
    ]:
        told = failure(one, request)
        assert (told.code, word in told.message) == ("invalid_input", True)


def test_nothing_to_say_says_nothing(engine):
    """A text without a letter or digit makes no audio, instead of what a model makes of nothing."""
    assert chunks(engine(), Request(" ... !", "ryan")) == []


@pytest.mark.parametrize(
    ("kind", "size", "able"),
    [
        ("custom_voice", "1b7", True),
        ("custom_voice", "0b6", False),
        ("voice_design", "1b7", True),
        ("base", "1b7", False),
    ],
)
def test_instructions_are_claimed_where_they_count(engine, kind, size, able):
    """The packages drop instructions to the small presets' model without a word, and base models do not know them: not
    claimed there, and refused; where they are claimed they change what is said."""
    one = engine(kind, {"size": size, **NEVER})
    voice = one.voices()[0].name
    request, told = Request(TEXT, voice, "en", seed=1), Request(TEXT, voice, "en", seed=1, instruct="very sad")
    assert one.capabilities().instruct is able
    if able:
        assert start(one, request) != start(one, told)
    else:
        assert "takes no instructions" in failure(one, told).message


def test_claims_are_honest(engine):
    """It streams, takes a seed and how to draw, and claims no marks, rate, pitch, volume or SSML."""
    can = engine().capabilities()
    assert (can.streams, can.seed, can.marks, can.own_end) == (True, True, (), False)
    assert not (can.rate or can.pitch or can.volume or can.ssml or can.punctuation)
    assert can.options[:3] == ("temperature", "top_p", "top_k")


def test_designs_are_voices(engine):
    """A description in the settings is a voice with a name, and says something else than another description."""
    designs = {"granny": "an old woman, warm and slow", "robot": "a flat, metallic voice"}
    one = engine("voice_design", NEVER, designs=designs)
    assert [voice.name for voice in one.voices()] == ["granny", "robot", "designed"]
    said = {name: start(one, Request(TEXT, name, "en", seed=1)) for name in designs}
    assert said["granny"] != said["robot"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_memory_does_not_grow(engine):
    """Two hundred utterances, a third of them broken off, leave the process as large as the first twenty did."""
    one = engine(options={"odds": {END: 5.0}})

    def some(count):
        for number in range(count):
            items = one.synthesize(Request(TEXT, "ryan", "en", seed=number))
            for made, _ in enumerate(items):
                if number % 3 == 0 and made == 2:
                    break
            items.close()

    some(20)
    gc.collect()
    before = rss()
    some(200)
    assert rss() - before < 16 * 1024 * 1024
