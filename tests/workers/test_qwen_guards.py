"""When a model's speech has gone wrong: limits that speech never meets, and that everything else does."""

from __future__ import annotations

import pytest

from voicebus.workers._qwen_guards import FRAMES_S, LONGEST_LOOP, Length, Loop, Silence, longest_s
from voicebus.workers._qwen_voices import Languages, defaults, presets
from voicebus.workers.engine import EngineError


def ends(call, limit=10_000):
    """How often `call` may be made before it raises, and the class of what it raises."""
    for count in range(limit):
        try:
            call(count)
        except EngineError as error:
            return count, error.code
    return limit, ""


@pytest.mark.parametrize(
    ("text", "slowly_s"),
    [
        ("Hello.", 1.0),
        ("The quick brown fox jumps over the lazy dog, and nobody at all is looking on.", 9.0),
        ("It was in 1999, on the 24th of December, at 18:45.", 9.0),
        ("今天天气很好，我们去公园散步吧。", 6.0),
        ("おはようございます。", 3.0),
    ],
)
def test_a_slow_reader_is_never_cut_off(text, slowly_s):
    """The cap is at least twice what a slow reader takes, and at most twelve times it."""
    assert 2 * slowly_s < longest_s(text) < 12 * slowly_s


def test_a_text_that_does_not_end_is_truncated():
    """So many frames as the text can take are made, and the next one is refused as `truncated`."""
    length = Length("Hello.", most=2048)
    assert ends(lambda _: length.add()) == (round(longest_s("Hello.") * FRAMES_S), "truncated")


def test_no_text_takes_more_than_the_model_can_remember():
    """The model's own bound holds for a text of any length."""
    length = Length("word " * 10_000, most=100)
    assert ends(lambda _: length.add()) == (100, "truncated")


def test_a_long_silence_ends_the_attempt():
    """After four seconds of nothing it is over, as `silent`."""
    silence = Silence(24000)
    count, code = ends(lambda _: silence.add(1920, 0.0001))
    assert (code, count) == ("silent", 50)


def test_pauses_are_no_silence():
    """Three seconds of nothing between two words are let pass, however often."""
    silence = Silence(24000)
    for _ in range(20):
        for _ in range(37):
            silence.add(1920, 0.0)
        silence.add(1920, 0.1)


@pytest.mark.parametrize("period", [1, 2, 7, 12, LONGEST_LOOP])
def test_a_loop_is_found(period):
    """The same sound, of up to two seconds, again and again ends the attempt as `repeating` before its sixth time."""
    loop = Loop()
    count, code = ends(lambda n: loop.add(n % period))
    assert code == "repeating"
    assert count < max(60, 6 * period)


def test_what_differs_is_no_loop():
    """Codes that come again without order, or a drawn-out sound of three seconds, are speech."""
    loop = Loop()
    for number in range(5000):
        loop.add(number * number * 31 % 1021 % 64)
    for _ in range(37):
        loop.add(5)
    loop.add(6)


def test_presets_are_what_the_model_has():
    """Only the model's own voices are listed, the default first, each with the native language first."""
    languages = Languages(["auto", "English", "chinese", "german"])
    voices = presets(["Vivian", "ryan", "nobody_knows"], languages)
    assert [voice.name for voice in voices] == ["ryan", "nobody_knows", "vivian"]
    assert voices[2].languages == ("zh", "en", "de")
    assert voices[1].languages == ("en", "zh", "de")
    assert defaults(voices, languages) == {"en": "ryan", "zh": "vivian", "de": "ryan", "": "ryan"}


@pytest.mark.parametrize(
    ("tag", "name"),
    [("", "auto"), ("en", "english"), ("de-AT", "german"), ("zh_Hans_CN", "chinese"), ("cmn", "chinese")],
)
def test_languages_go_by_their_tags(tag, name):
    """BCP 47 tags, with any region or script, become the package's names."""
    assert Languages(["english", "chinese", "german"]).name(tag) == name


def test_another_language_is_refused():
    """A language that the model does not have is refused by name, with those that it has."""
    with pytest.raises(EngineError, match=r"'fr'.*en, zh") as caught:
        Languages(["english", "chinese"]).name("fr")
    assert caught.value.code == "invalid_input"
