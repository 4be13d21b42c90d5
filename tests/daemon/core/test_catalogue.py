"""What a provider can say, and the voice that is meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.bus.messages import Style, Submit
from voicebus.daemon.core.catalogue import Catalogue, Problem

VOICES = [
    {"name": "en-us", "languages": ["en-US", "en"], "variants": ["f3", "Whisper"]},
    {"name": "Anna", "languages": ["de-DE"], "gender": "female", "description": "calm"},
    {"name": "Hans", "languages": ["de-DE", "de-AT"]},
    {"name": "mandarin", "languages": ["cmn"]},
    {"name": "a+b", "languages": ["fr"]},
    {"name": "odd", "languages": ["en-latn-x-own"]},
]
DEFAULTS = {"": "en-us+f3", "de-DE": "hans"}


def catalogue(voices=VOICES, **capabilities):
    return Catalogue.from_ready({"voices": voices, "capabilities": {"default_voices": DEFAULTS, **capabilities}})


def test_a_described_voice_is_one_of_the_voices():
    """A provider that makes voices from words names the voice that it keeps for that; one that it has not is wrong."""
    assert catalogue(designs="anna").capabilities["designs"] == "anna"
    with pytest.raises(ValueError, match="described to 'nobody'"):
        catalogue(designs="nobody")


def test_no_voices_are_enough_for_one_that_clones():
    """A provider needs a voice of its own only if it cannot make any from recordings."""
    able = {"default_voices": {}, "cloning": True}
    assert isinstance(Catalogue.from_ready({"voices": [], "capabilities": able}).resolve("", ""), Problem)
    with pytest.raises(ValueError, match="0 voices"):
        Catalogue.from_ready({"voices": [], "capabilities": {}})


@pytest.mark.parametrize(
    ("voice", "language", "expected"),
    [
        ("Anna", "", "Anna"),
        ("anna", "fr", "Anna"),
        ("EN-US", "", "en-us"),
        ("en-us+f3", "", "en-us+f3"),
        ("EN-us+whisper", "", "en-us+Whisper"),
        ("a+b", "", "a+b"),
        ("A+B", "", "a+b"),
        ("", "", "en-us+f3"),
        ("", "de", "Hans"),
        ("", "de-AT", "Hans"),
        ("", "de-CH", "Hans"),
        ("", "zh-CN", "mandarin"),
        ("", "fr-CA", "a+b"),
        ("de", "", "Hans"),
        ("fr-FR", "de", "a+b"),
        ("en-Latn-x-Own", "", "odd"),
    ],
)
def test_what_a_caller_names_is_found(voice, language, expected) -> None:
    """Names in any case, known variants, language tags as voices, and the language's own voice where none is named."""
    assert catalogue().resolve(voice, language) == expected


def test_a_default_goes_before_the_first_that_claims_it() -> None:
    """The engine's choice for a tag is taken; where it made none, the first voice that claims the nearest tag."""
    told = Catalogue.from_ready({"voices": VOICES})
    assert told.resolve("", "de-AT") == "Hans"
    assert told.resolve("", "de") == "Anna"
    assert catalogue().resolve("", "de") == "Hans"


@pytest.mark.parametrize(
    ("voice", "language", "code", "says"),
    [
        ("Ana", "", "unknown_voice", "Anna"),
        ("en-us+f9", "", "unknown_voice", "en-us"),
        ("nobody+f3", "", "unknown_voice", "voicebus voices"),
        ("+", "", "unknown_voice", "voicebus voices"),
        ("de-anna", "", "unknown_voice", "Anna"),
        ("x" * 5000, "", "unknown_voice", "voicebus voices"),
        ("", "frr", "unknown_language", "fr"),
        ("", "tlh", "unknown_language", "voicebus voices"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(voice, language, code, says) -> None:
    """An unknown voice or language is a problem with a name, the nearest there is, and where to look."""
    problem = catalogue().resolve(voice, language)
    assert isinstance(problem, Problem)
    assert problem.code == code
    assert says in problem.message


def test_a_voice_of_any_language_speaks_what_no_other_does() -> None:
    """A voice that claims no language is taken where none claims the one asked for, and listed for every one."""
    told = catalogue(voices=[*VOICES, {"name": "poly"}])
    assert told.resolve("", "tlh") == "poly"
    assert told.resolve("", "de") == "Hans"
    assert [voice.name for voice in told.spoken("de")] == ["Anna", "Hans", "poly"]
    assert len(list(told.spoken())) == 7


def test_without_a_default_the_first_voice_is_meant() -> None:
    """A worker that says nothing of defaults has its first voice as one."""
    told = Catalogue.from_ready({"voices": VOICES})
    assert told.resolve("", "") == "en-us"
    assert told.capabilities["streams"] is False
    assert told.capabilities["options"] == []


@pytest.mark.parametrize(
    ("submit", "lacking"),
    [
        (Submit(), ""),
        (Submit(ssml=True), "ssml"),
        (Submit(style=Style(rate=1.5)), "rate"),
        (Submit(style=Style(pitch=0.5)), "pitch"),
        (Submit(style=Style(volume=0.0)), "volume"),
        (Submit(style=Style(punctuation="all")), "punctuation"),
        (Submit(style=Style(instruct="sadly")), "instruct"),
        (Submit(seed=0), "seed"),
        (Submit(style=Style(options={"warmth": 1, "speed": 2})), "the option speed"),
        (Submit(ssml=True, seed=1), "ssml"),
    ],
)
def test_what_is_asked_for_must_be_claimed(submit, lacking) -> None:
    """The first thing that a request asks for and the provider does not claim is named; what is claimed is not."""
    assert catalogue(options=["warmth"]).lacks(submit) == lacking
    names = ("ssml", "rate", "pitch", "volume", "punctuation", "instruct", "seed")
    assert catalogue(options=["warmth", "speed"], **dict.fromkeys(names, True)).lacks(submit) == ""


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"voices": []},
        {"voices": "word"},
        {"voices": [5]},
        {"voices": [{}]},
        {"voices": [{"name": ""}]},
        {"voices": [{"name": "x" * 129}]},
        {"voices": [{"name": "a\x1b[2J"}]},
        {"voices": [{"name": "a\n"}]},
        {"voices": [{"name": "a\x9bb"}]},
        {"voices": [{"name": " a"}]},
        {"voices": [{"name": "a", "languages": [1]}]},
        {"voices": [{"name": "a", "languages": ["no such tag"]}]},
        {"voices": [{"name": "a", "languages": "en"}]},
        {"voices": [{"name": "a", "variants": [""]}]},
        {"voices": [{"name": "a"}] * 2},
        {"voices": [{"name": str(n)} for n in range(10_001)]},
        {"voices": [{"name": "a"}], "capabilities": [1]},
        {"voices": [{"name": "a"}], "capabilities": {"rate": "yes"}},
        {"voices": [{"name": "a"}], "capabilities": {"options": {"a": 1}}},
        {"voices": [{"name": "a"}], "capabilities": {"default_voices": [1]}},
        {"voices": [{"name": "a"}], "capabilities": {"default_voices": {"en": {}}}},
        {"voices": [{"name": "a"}], "capabilities": {"default_voices": {"en": "b"}}},
    ],
)
def test_a_worker_that_tells_nonsense_is_not_believed(body) -> None:
    """What is missing, too long, of the wrong type, unprintable or leads nowhere is an error that says so."""
    with pytest.raises(ValueError, match=r"\w"):
        Catalogue.from_ready(body)


def test_a_newer_worker_may_say_more() -> None:
    """Keys that are not known are let pass."""
    body = {"voices": [{"name": "a", "age": 5}], "capabilities": {"sings": True}, "device": {}}
    assert Catalogue.from_ready(body).resolve("", "") == "a"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["a", "b", "A", "a+f", "", "de", "\x00"]) | st.text(max_size=4)
VOICE = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"languages": st.lists(NAMES, max_size=2), "variants": st.lists(NAMES, max_size=2), "gender": JSON},
)
CAPABILITIES = st.fixed_dictionaries(
    {}, optional={"default_voices": st.dictionaries(NAMES, NAMES, max_size=2), "rate": st.booleans() | JSON}
)
BODIES = JSON | st.fixed_dictionaries(
    {"voices": st.lists(VOICE | JSON, max_size=3) | JSON}, optional={"capabilities": CAPABILITIES | JSON}
)


@settings(deadline=None)
@given(BODIES, NAMES, NAMES)
def test_whatever_comes_is_refused_or_sound(body, voice, language) -> None:
    """Any body is refused with a ValueError, or makes a catalogue that only ever names its own voices."""
    try:
        told = Catalogue.from_ready(body)
    except ValueError:
        return
    own = {name for voice in told.voices for name in (voice.name, *(f"{voice.name}+{v}" for v in voice.variants))}
    answer = told.resolve(voice, language)
    assert isinstance(answer, Problem) or answer in own
    assert told.resolve("", "") in own
    assert isinstance(told.lacks(Submit(ssml=True)), str)
