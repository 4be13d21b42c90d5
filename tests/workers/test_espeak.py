"""espeak-ng, the real library: voices, marks, parameters, and what must not get through to it."""

from __future__ import annotations

import threading

import pytest

from voicebus.workers import _espeak_library as lib
from voicebus.workers._espeak_library import Listed
from voicebus.workers._espeak_text import clean
from voicebus.workers._espeak_voices import Voices
from voicebus.workers.engine import Chunk, EngineError, Mark, Request
from voicebus.workers.espeak import EspeakEngine, pitch_of, words_per_minute
from voicebus.workers.level import Level

TEXT = "Hello world, naïve 😀 friend. It costs 42.50 today!"


@pytest.fixture(scope="module")
def espeak():
    engine = EspeakEngine()
    engine.load({}, lambda percent, note: None)
    return engine


def spoken(engine, text=TEXT, voice="en-us", **fields):
    """PCM, and marks as (kind, sample, words, name)."""
    items = list(engine.synthesize(Request(text, voice, **fields)))
    pcm = b"".join(item.pcm for item in items if isinstance(item, Chunk))
    return pcm, [item for item in items if isinstance(item, Mark)]


def words(text, marks):
    return [text[mark.start : mark.start + mark.length] for mark in marks if mark.kind == "word"]


def seconds(pcm):
    return len(pcm) / 2 / 22050


def test_words_have_their_range_and_their_moment(espeak):
    """Each word's mark has its range in code points and a sample inside the audio, in order; a number is one word."""
    pcm, marks = spoken(espeak)
    assert words(TEXT, marks) == ["Hello", "world", "naïve", "😀", "friend", "It", "costs", "42.50", "today"]
    samples = [mark.sample for mark in marks]
    assert samples == sorted(samples)
    assert samples[-1] < len(pcm) // 2


def test_a_word_s_mark_is_where_it_sounds(espeak):
    """After a long pause in SSML the next word's mark lies behind the pause."""
    text = "<speak>one <break time='1500ms'/> two</speak>"
    _, marks = spoken(espeak, text, ssml=True)
    assert words(text, marks) == ["one", "two"]
    assert marks[-1].sample > 1.5 * 22050


def test_sentences_have_their_beginning(espeak):
    """Each sentence has a mark at its first character."""
    _, marks = spoken(espeak)
    assert [mark.start for mark in marks if mark.kind == "sentence"] == [0, TEXT.index("It costs")]


def test_ssml_marks_and_ranges_are_those_of_the_source(espeak):
    """Marks named in SSML come with their names, and words with their range in the markup."""
    text = '<speak>Tom &amp; Jerry <mark name="m1"/>said <b>hi</b></speak>'
    _, marks = spoken(espeak, text, ssml=True)
    assert words(text, marks) == ["Tom", "&amp;", "Jerry", "said", "hi"]
    assert [mark.name for mark in marks if mark.kind == "mark"] == ["m1"]


def test_every_listed_voice_speaks(espeak):
    """Each voice in the list can be set, and its name leads back to itself."""
    for voice in espeak.voices():
        chosen = espeak._voices.find(voice.name)
        assert chosen.name == voice.name
        assert espeak._library.set_voice(chosen.key), voice
    espeak._current = ""


@pytest.mark.parametrize(
    ("voice", "text"),
    [("de", "Grüß Gott"), ("cmn", "你好世界"), ("ar", "مرحبا بالعالم"), ("hi", "नमस्ते"), ("en-gb+f3", "hello")],
)
def test_languages_make_sound(espeak, voice, text):
    """Voices of other scripts, and variants, make audio."""
    pcm, _ = spoken(espeak, text, voice)
    level = Level()
    level.add(pcm)
    assert level.peak > 1000


@pytest.mark.parametrize("voice", ["nosuch", "en-us+nosuch", "+f3", "en-us+", "en/../../etc", "en-us+f3+f4"])
def test_unknown_voices_and_variants_are_refused(espeak, voice):
    """No voice stands in for one that is not there."""
    with pytest.raises(EngineError) as caught:
        spoken(espeak, voice=voice)
    assert caught.value.code == "invalid_input"


def test_without_a_voice_the_language_decides(espeak):
    """A request without a voice is spoken by the language's own, found by cutting the tag; or refused."""
    assert espeak._choose(Request("x", "", "nb-NO")).name == "nb"
    assert espeak._choose(Request("x", "", "de_AT")).name == "de"
    assert espeak._choose(Request("x", "")).name == "en-us"
    with pytest.raises(EngineError):
        espeak._choose(Request("x", "", "tlh"))


def test_names_of_many_kinds_lead_to_a_voice():
    """A voice answers to its tags, its identifier, the end of it, and its full name, in any case."""
    voices = Voices(
        [
            Listed("English (America)", "gmw/en-US", (("en-us", 2), ("en", 3)), 1),
            Listed("English (Great Britain)", "gmw/en", (("en-gb", 2), ("en", 2)), 1),
            Listed("Cantonese", "sit/yue", (("yue", 5), ("zh", 8)), 2),
            Listed("Cantonese (Jyutping)", "sit/yue-Latn-jyutping", (("yue", 5),), 0),
        ],
        [Listed("female3", "!v/f3", (("variant", 5),), 2)],
    )
    assert [voice.name for voice in voices.all()] == ["en-us", "en-gb", "yue", "yue-latn-jyutping"]
    for name in ("en-us", "EN_US", "gmw/en-US", "English (America)", "en"):
        assert voices.find(name).key == "gmw/en-US"
    assert voices.find("zh").key == "sit/yue"
    assert voices.find("en-gb+female3").key == "gmw/en+f3"
    assert voices.by_language() == {
        "": "en-us", "en": "en-us", "en-us": "en-us", "en-gb": "en-gb", "yue": "yue", "zh": "yue",
    }  # fmt: skip


def test_style_is_set_for_each_utterance_alone(espeak):
    """Rate, volume, pitch and punctuation act, and the next utterance is plain again."""
    plain = seconds(spoken(espeak)[0])
    assert seconds(spoken(espeak, rate=2.0)[0]) < 0.7 * plain
    assert seconds(spoken(espeak, rate=0.5)[0]) > 1.5 * plain
    signs = [seconds(spoken(espeak, "yes, (no)", punctuation=which)[0]) for which in ("none", "some", "all")]
    assert signs[0] < 0.8 * signs[1] < 0.8 * signs[2]
    assert set(spoken(espeak, volume=0.0)[0]) <= {0, 255}
    assert seconds(spoken(espeak)[0]) == pytest.approx(plain, rel=0.05)


@pytest.mark.parametrize(("rate", "wpm"), [(1.0, 175), (2.0, 350), (6.0, 450), (0.25, 80)])
def test_rate_is_a_factor_within_what_espeak_can_do(rate, wpm):
    """A rate of 1 is 175 words a minute; 80 and 450 are the ends."""
    assert words_per_minute(rate) == wpm


@pytest.mark.parametrize(("factor", "pitch"), [(1.0, 50), (1.6, 99), (2.0, 99), (0.68, 0), (0.5, 0)])
def test_pitch_is_a_factor(factor, pitch):
    """A pitch of 1 is the middle of espeak's range, and its ends are what was measured there."""
    assert abs(pitch_of(factor) - pitch) <= 1


@pytest.mark.parametrize("text", ["a\x00b \x01+30S c", "x\x1b[0m\x7f"])
def test_control_characters_do_not_get_through(text):
    """Commands and end marks inside the text become spaces, and no position moves."""
    cleaned = clean(text, ssml=False)
    assert len(cleaned) == len(text)
    assert cleaned.replace(" ", "").isprintable()


def test_a_zero_does_not_end_the_text(espeak):
    """What stands behind a NUL is spoken as well."""
    text = "one\x00 two three"
    assert words(text, spoken(espeak, text)[1]) == ["one", "two", "three"]


@pytest.mark.parametrize(
    "text",
    [
        "<speak>a <audio src='{file}'>alt</audio> b</speak>",
        '<speak>a < audio src="{file}" title="x>y"/> b</speak>',
        "<speak>a <AUDIO\nsrc='{file}'/> b</speak>",
        "<speak>a <audio src='{file}'",
        "<speak xml:base='/'>a <audio src='{file}'/> b</speak>",
    ],
)
def test_audio_elements_open_nothing(espeak, tmp_path, text):
    """An <audio> element names a file that is no sound: it is neither opened nor does it crash the worker."""
    file = tmp_path / "not-a.wav"
    file.write_text("no sound at all " * 50)
    source = text.replace("{file}", str(file))
    assert "src" not in clean(source, ssml=True)
    assert spoken(espeak, source, ssml=True)[0]


def test_the_library_itself_refuses_audio(espeak, tmp_path):
    """Even an <audio> that slipped through would be refused by the library's own callback."""
    file = tmp_path / "not-a.wav"
    file.write_text("no sound at all " * 50)
    got = []
    espeak._library.speak(f"<speak>a <audio src='{file}'/> b</speak>", lambda pcm, _: not got.append(pcm), ssml=True)
    assert any(got)


def test_closing_stops_a_long_text_at_once(espeak):
    """A book whose iterator is closed after the first chunk does not go on, and the next text is spoken whole."""
    items = espeak.synthesize(Request("All of it again. " * 20000, "en-us"))
    while not isinstance(next(items), Chunk):
        pass
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "pull"]
    assert seconds(spoken(espeak)[0]) > 2


def test_an_exception_in_the_sink_comes_out(espeak):
    """What the receiver of the audio raises passes the library and is raised."""

    def emit(item):
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        espeak.speak(Request(TEXT, "en-us"), emit)
    assert seconds(spoken(espeak)[0]) > 2


def test_two_threads_do_not_mix_their_audio(espeak):
    """The library is used by one thread at a time: concurrent texts have the length they have alone."""
    alone = len(spoken(espeak)[0])
    lengths = []

    def run():
        lengths.append(len(spoken(espeak)[0]))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == pytest.approx([alone] * 4, rel=0.05)


def test_without_the_library_the_advice_is_given(tmp_path):
    """A library that is not there is a failed load that says what to install."""
    with pytest.raises(EngineError, match="install") as caught:
        EspeakEngine().load({"library": str(tmp_path / "nosuch.so")}, lambda percent, note: None)
    assert caught.value.code == "load_failed"


def test_voices_without_a_dictionary_are_left_out(espeak):
    """Voices whose dictionary is not installed, which would speak nonsense, are not listed."""
    listed = {voice.identifier for voice in espeak._library.voices()}
    shown = {espeak._voices.find(voice.name).key for voice in espeak.voices()}
    assert shown < listed
    assert "gmq/fo" not in shown


def test_the_process_has_one_library():
    """The library is loaded once in a process, however many engines there are."""
    assert lib.library() is lib.library()
