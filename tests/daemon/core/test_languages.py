"""Tags, scripts and guesses at a language."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.daemon.core.languages import detect_language, fallbacks, language_matches, primary, speakable


@pytest.mark.parametrize(
    ("tag", "tags", "expected"),
    [
        ("de", ["en", "de"], "de"),
        ("de-AT", ["en", "de"], "de"),
        ("de_at", ["de", "de-AT"], "de-AT"),
        ("DE", ["de"], "de"),
        ("zh", ["cmn"], "cmn"),
        ("zh-CN", ["yue", "cmn"], "cmn"),
        ("cmn-latn-pinyin", ["cmn", "cmn-latn-pinyin"], "cmn-latn-pinyin"),
        ("nb", ["no"], "no"),
        ("no", ["nb", "nn"], "nb"),
        ("nn", ["nb"], "nb"),
        ("en-AU", ["de-DE", "en-US", "en-GB"], "en-US"),
        ("en", ["en-GB", "en-US"], "en-GB"),
        ("en-x-a", ["en"], "en"),
        ("fr", ["en", "de"], ""),
        ("", ["en"], ""),
        ("", [""], ""),
        ("de", [], ""),
    ],
)
def test_the_nearest_tag_serves(tag, tags, expected) -> None:
    """A tag falls back to shorter ones, other spellings of its language, then other regions; never to another."""
    assert language_matches(tag, tags) == expected


def test_tags_are_shortened_from_the_end() -> None:
    """What a tag may fall back to, nearest first; a single letter is not left at the end."""
    assert list(fallbacks("en-Latn-x-foo")) == ["en-latn-x-foo", "en-latn", "en"]
    assert list(fallbacks("iw")) == ["iw", "he"]
    assert [primary(tag) for tag in ("cmn-Hans", "nb", "EN_us", "")] == ["zh", "no", "en", ""]


@settings(deadline=None)
@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=4))
def test_any_tag_can_be_asked_for(tag, tags) -> None:
    """Whatever is given as a tag, the answer is one of those there are, or none."""
    assert language_matches(tag, tags) in {*tags, ""}


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hello", "en", True),
        ("7", "ja", True),
        ("…", "en", False),
        ("👍🏽 — !?", "en", False),
        ("", "en", False),
        ("Привет", "en", False),
        ("Привет", "ru", True),
        ("Hello", "ru", False),
        ("Zdravo", "sr", True),
        ("Zdravo", "sr-Cyrl", False),
        ("nǐ hǎo", "cmn-latn-pinyin", True),
        ("你好", "zh-TW", True),
        ("Ｈｉ", "en", True),
        ("ﾊﾛｰ", "ja", True),
        ("٣", "ar", True),
        ("٣", "en", False),
        ("\u0301", "en", False),
        ("Привет", "", True),
        ("你", "tlh", True),
        ("…", "tlh", False),
    ],
)
def test_silence_is_wrong_only_for_what_can_be_said(text, language, expected) -> None:
    """A text is speakable if it has a letter or digit of a script that its language is written with."""
    assert speakable(text, language) is expected


SAMPLES = {
    "en": "The cat is in the house, and you have not seen it.",
    "de": "Der Hund ist nicht da, und ich habe ein Auto.",
    "fr": "C'est la vie, je pense que vous êtes dans la maison.",
    "es": "El niño está en la casa, pero no es de los vecinos.",
    "it": "Che cosa è questo? Non sono gli amici di Maria.",
    "pt": "Você não está em casa, mas eu vou para os jogos.",
    "nl": "Ik heb het niet gezien, maar je bent met een vriend.",
    "sv": "Det är inte jag som har en hund, men vi ser den.",
    "pl": "Nie jest tak, że się nie da, ale to co jest.",
    "tr": "Bu bir ev değil mi, ama çok güzel ve daha büyük.",
    "cs": "To není tak, že jsem na řece, ale jsou tam.",
    "ru": "Привет, как дела? Это не то, что я думал.",
    "uk": "Як справи? Це не те, що ми знали, але він є.",
    "ar": "مرحبا كيف أنت في البيت على الطريق",
    "fa": "این کتاب را برای تو آوردم و آن است",
    "ur": "یہ کتاب آپ کے لیے ہے اور میں ہیں",
    "zh": "你好，世界。",
    "ja": "こんにちは、世界。",
    "ko": "안녕하세요",
    "he": "שלום עולם",
    "el": "Καλημέρα κόσμε",
    "hi": "नमस्ते दुनिया",
    "th": "สวัสดีครับ",
}


@pytest.mark.parametrize("language", SAMPLES)
def test_a_sentence_tells_its_language(language) -> None:
    """Script, common words and letters tell a sentence's language, from all languages and from a few tags."""
    assert detect_language(SAMPLES[language]) == language
    tags = [f"{other}-XX" for other in SAMPLES]
    assert detect_language(SAMPLES[language], tags) == f"{language}-XX"


@pytest.mark.parametrize(
    ("text", "candidates", "expected"),
    [
        ("", (), ""),
        ("12 + 3 = …", (), ""),
        ("Hallo", (), ""),
        ("Hallo", ("en", "de"), ""),
        ("Hallo", ("en-US", "en-GB", "ru"), "en-US"),
        ("Привет", ("ru", "uk"), ""),
        ("你好", ("ja", "zh"), "zh"),
        ("你好", ("ja",), "ja"),
        ("你好", ("en",), ""),
        ("ᚠᚢᚦ", (), ""),
    ],
)
def test_what_does_not_tell_is_not_guessed_at(text, candidates, expected) -> None:
    """Nothing is named where nothing tells; where one candidate alone is written so, it is that one."""
    assert detect_language(text, candidates) == expected


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_asked_about(text) -> None:
    """Whatever the text, the answer is one of the candidates or none."""
    assert detect_language(text, ("en", "ru", "ja")) in ("en", "ru", "ja", "")
    assert speakable(text, "xx") == any(char.isalnum() for char in text)
