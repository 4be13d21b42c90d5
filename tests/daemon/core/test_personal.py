"""What is called what beside the voices, and whose it is."""

from __future__ import annotations

from voicebus.bus.messages import SampleSpec, VoiceSpec
from voicebus.daemon.core import personal
from voicebus.daemon.core.records import SampleSaved, VoiceSaved

from .world_of_one import GOOD

SAMPLE = "a" * 64


def test_names_are_the_same_voice_whatever_their_capitals_and_accents():
    """Capitals do not count, nor how an accent is put together; the user does."""
    assert personal.voice_key(1, "ZOE\u0301") == personal.voice_key(1, "zo\u00e9")
    assert personal.voice_key(1, "zoe") != personal.voice_key(2, "zoe")


def test_words_are_told_apart_where_they_begin():
    """What differs only in where one word ends and the next begins is not the same."""
    assert personal.digest(["ab", "c"]) != personal.digest(["a", "bc"])


def test_files_belong_to_the_voices_that_need_them():
    """Recordings by their names, prompts by what they were made from, each for its own user; anything else is
    nobody's."""
    spec = VoiceSpec(samples=[SampleSpec(SAMPLE, "words")])
    voice = VoiceSaved(7, "anna", spec, (SampleSaved(SAMPLE, 5, GOOD),))
    prompt = personal.prompt_file(spec, "b" * 64)
    found = [(7, f"{SAMPLE}.sample"), (7, prompt), (8, prompt), (7, f"{'c' * 64}.sample"), (7, "notes")]
    assert personal.files_of([voice], found) == {(7, f"{SAMPLE}.sample"), (7, prompt)}
