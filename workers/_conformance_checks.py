"""The checks of the conformance suite.

Owns: what is asked of an engine. Must not know: which engine. Invariant: the docstring of each check is the sentence
that is true of a good engine; it returns None, or why it does not apply, and raises Broken with what it found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..bus.errors import FAILURES
from ..bus.prompts import VoicePrompt
from .engine import Chunk, Engine, EngineError, Mark, Request, Sample, hum
from .level import Level
from .selftest import AUDIBLE, listing

TEXT = "The first sentence is short. The second one, which has a comma in it, is somewhat longer."

STOP_S = 2.0
"""Longest time from closing the iterator to its return: the grace that the daemon gives."""

REPEATS = 20
GROWTH = 64 * 1024 * 1024
"""Bytes by which the memory may grow over REPEATS utterances after the first few."""

ODD_TEXTS = {
    "empty": "",
    "blank": " \n\t ",
    "punctuation": "... --- !!!",
    "emoji": "😀👍🏽 👨‍👩‍👧",
    "control": "a\x00b\x01+30S\x1b[0m\x7fc",
    "right to left": "مرحبا بالعالم. שלום עולם.",
    "markup": "<speak>a & b < c </voice> <audio src='/etc/passwd'/>",
    "braces": "{0} %s {unknown} $HOME `id`",
    "one long word": "x" * 2000,
    "long": "All of this is said again and again. " * 100,
    "zero width": "a\u200bb\u200dc\ufeffd",
    "unpaired surrogate": "a\ud800b",
}


class Broken(Exception):
    """The contract is not kept; the message says how."""


@dataclass(slots=True)
class Made:
    """What an engine made of one request."""

    pcm: bytes
    marks: list[Mark]
    late: list[Mark]


class Subject:
    """The engine under test. clock: seconds."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self.engine = engine
        self.clock = clock
        self._prompt: VoicePrompt | None = None

    def request(self, text: str = TEXT, **fields: Any) -> Request:
        """A request to the engine's default voice; to one that it has made, where it has no other."""
        voices = self.engine.voices()
        usual = Request(text, voices[0].name) if voices else Request(text, "", prompt=self.prompt())
        return replace(usual, **fields)

    def prompt(self) -> VoicePrompt:
        """A voice that the engine has made, from a recording in which nobody speaks, the same each time."""
        if self._prompt is None:
            self._prompt = self.engine.create_voice_prompt([Sample(hum(4.0, 24_000))])
        return self._prompt

    def make(self, request: Request) -> Made:
        """Everything that the engine makes of a request. Raises Broken for chunks that are none."""
        made = Made(b"", [], [])
        pieces: list[bytes] = []
        samples = 0
        item: Any  # An engine may yield anything.
        for item in self.engine.synthesize(request):
            if isinstance(item, Mark):
                made.marks.append(item)
                if item.sample < samples:
                    made.late.append(item)
            elif isinstance(item, Chunk) and isinstance(item.pcm, bytes):
                if len(item.pcm) % 2:
                    raise Broken(f"a chunk has {len(item.pcm)} bytes, which is half a sample too many")
                pieces.append(item.pcm)
                samples += len(item.pcm) // 2
            else:
                raise Broken(f"it yielded {type(item).__name__}, which is neither a Chunk of bytes nor a Mark")
        made.pcm = b"".join(pieces)
        return made


def describes_itself(subject: Subject) -> None:
    """The engine names itself, its version, a sample rate between 8000 and 192000, and at least one slot."""
    engine = subject.engine
    if not engine.name or not engine.version:
        raise Broken(f"name is {engine.name!r}, version is {engine.version!r}")
    if not 8000 <= engine.sample_rate <= 192000 or engine.slots < 1:
        raise Broken(f"sample_rate is {engine.sample_rate}, slots is {engine.slots}")


def lists_voices(subject: Subject) -> None:
    """Voices have names that differ, tags that look like BCP 47, a known gender, and fit into one message."""
    voices = subject.engine.voices()
    names = [voice.name for voice in voices]
    none = not voices and not subject.engine.capabilities().cloning
    if none or len(set(names)) != len(names) or not all(names):
        raise Broken(f"there are {len(names)} voices with {len(set(names))} different names")
    for voice in voices:
        for tag in voice.languages:
            if not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", tag):
                raise Broken(f"the voice {voice.name!r} has the language {tag!r}")
        if voice.gender not in ("", "female", "male"):
            raise Broken(f"the voice {voice.name!r} has the gender {voice.gender!r}")
    listing(subject.engine, voices)


def default_voices_exist(subject: Subject) -> None:
    """Each of the default voices is one of the voices."""
    names = {voice.name for voice in subject.engine.voices()}
    for language, name in subject.engine.capabilities().default_voices.items():
        if name not in names:
            raise Broken(f"the default voice for {language!r} is {name!r}, which is not listed")


def self_test_is_audible(subject: Subject) -> None:
    """The self-test makes sound."""
    made = subject.make(subject.engine.self_test())
    level = Level()
    level.add(made.pcm)
    if level.peak < AUDIBLE:
        raise Broken(f"its peak is {level.peak} of 32768, in {len(made.pcm) // 2} samples")


def speaks(subject: Subject) -> None:
    """An ordinary text makes sound of a length that speech may have."""
    made = subject.make(subject.request())
    level = Level()
    level.add(made.pcm)
    seconds = len(made.pcm) / 2 / subject.engine.sample_rate
    if level.peak < AUDIBLE or not 1.0 < seconds < 60.0:
        raise Broken(f"{len(TEXT)} characters made {seconds:.2f} s with a peak of {level.peak}")


def both_forms_agree(subject: Subject) -> None:
    """`speak` hands on what `synthesize` yields, and stops when `emit` says so."""
    request = subject.request()
    wanted = len(subject.make(request).pcm)
    got = 0
    more = True

    def emit(item: Chunk | Mark) -> bool:
        nonlocal got
        got += len(item.pcm) if isinstance(item, Chunk) else 0
        return more

    subject.engine.speak(request, emit)
    if abs(got - wanted) > wanted / 5:
        raise Broken(f"synthesize made {wanted} bytes, speak {got}")
    got, more = 0, False
    subject.engine.speak(request, emit)
    if got > wanted / 2 and subject.engine.capabilities().streams:
        raise Broken(f"speak handed on {got} of {wanted} bytes after emit had said no")


def marks_are_in_order(subject: Subject) -> str | None:
    """Marks are of a claimed kind, in order, inside the text and the audio, and before the audio at their sample."""
    claimed = subject.engine.capabilities().marks
    made = subject.make(subject.request())
    samples = len(made.pcm) // 2
    if made.late:
        raise Broken(f"{made.late[0]} came after the audio at its sample")
    before: dict[str, int] = {}
    for mark in made.marks:
        if mark.kind not in claimed:
            raise Broken(f"{mark} is of a kind that is not claimed")
        if not before.get(mark.kind, 0) <= mark.sample <= samples:
            raise Broken(f"{mark} is out of order, or beyond the {samples} samples")
        if mark.start < 0 or mark.length < 0 or mark.start + mark.length > len(TEXT):
            raise Broken(f"{mark} is outside the text of {len(TEXT)} characters")
        before[mark.kind] = mark.sample
    if "word" in claimed:
        words = {TEXT[mark.start : mark.start + mark.length] for mark in made.marks if mark.kind == "word"}
        if not {"first", "sentence", "comma"} <= words:
            raise Broken(f"its words are {sorted(words)}")
    return None if claimed else "no marks are claimed"


def closing_stops(subject: Subject) -> None:
    """Closing the iterator after its first chunk returns within the grace, and the engine goes on working."""
    items = subject.engine.synthesize(subject.request(TEXT * 20))
    for item in items:
        if isinstance(item, Chunk):
            break
    began = subject.clock()
    items.close()
    took = subject.clock() - began
    if took > STOP_S:
        raise Broken(f"closing took {took:.1f} s, and {STOP_S} s are given")
    never_begun = subject.engine.synthesize(subject.request())
    never_begun.close()
    speaks(subject)


def streams_as_claimed(subject: Subject) -> str | None:
    """An engine that claims to stream yields a long text in parts, none of which is most of it."""
    if not subject.engine.capabilities().streams:
        return "streaming is not claimed"
    items = subject.engine.synthesize(subject.request(TEXT * 3))
    sizes = [len(item.pcm) for item in items if isinstance(item, Chunk)]
    if sum(sizes) / 2 < 3.0 * subject.engine.sample_rate:
        return "less than 3 s of audio, which is too short to tell"
    if max(sizes) > sum(sizes) / 2:
        raise Broken(f"{len(sizes)} chunks came, and one has {max(sizes)} of {sum(sizes)} bytes")
    return None


def takes_odd_texts(subject: Subject) -> None:
    """Empty, blank, huge and strange texts make audio or an EngineError, and nothing worse; the engine goes on."""
    for what, text in ODD_TEXTS.items():
        try:
            made = subject.make(subject.request(text))
        except EngineError as error:
            if error.code not in FAILURES:
                raise Broken(f"{what}: {error.code!r} is no class of failure") from None
        except Exception as error:
            raise Broken(f"{what}: {type(error).__name__}: {error}") from error
        else:
            for mark in made.marks:
                if mark.start < 0 or mark.length < 0 or mark.start + mark.length > len(text):
                    raise Broken(f"{what}: {mark} is outside the text of {len(text)} characters")
    speaks(subject)


def refuses_unknown_voice(subject: Subject) -> None:
    """An unknown voice is refused as invalid_input; no other voice stands in for it."""
    first = next((voice.name for voice in subject.engine.voices()), "voice")
    for name in ("no such voice", f"{first}+no-such-variant"):
        try:
            made = subject.make(subject.request(voice=name, prompt=None))
        except EngineError as error:
            if error.code != "invalid_input":
                raise Broken(f"the voice {name!r} was refused as {error.code!r}") from None
        else:
            raise Broken(f"the voice {name!r} made {len(made.pcm) // 2} samples")


def keeps_its_size(subject: Subject) -> str | None:
    """The same utterance again and again takes no more memory."""
    from .runtime import rss

    for _ in range(3):
        subject.make(subject.request())
    before = rss()
    for _ in range(REPEATS):
        subject.make(subject.request())
    grown = rss() - before
    if grown > GROWTH:
        raise Broken(f"{REPEATS} utterances took {grown / 1e6:.0f} MB")
    return None


def claims_are_true(subject: Subject) -> str | None:
    """Each claimed rate, pitch, volume, punctuation, seed, instruction and SSML changes the audio as it should."""
    can = subject.engine.capabilities()
    plain = subject.make(subject.request())
    if can.rate:
        quick = len(subject.make(subject.request(rate=1.6)).pcm)
        if quick > 0.85 * len(plain.pcm):
            raise Broken(f"rate: {quick} bytes at 1.6, {len(plain.pcm)} at 1.0")
    if can.volume:
        loud, quiet = (_rms(subject.make(subject.request(volume=volume)).pcm) for volume in (1.0, 0.25))
        if quiet > 0.7 * loud:
            raise Broken(f"volume: a root mean square of {quiet:.0f} at 0.25, {loud:.0f} at 1.0")
    changes: dict[str, dict[str, Any]] = {
        "pitch": {"pitch": 1.5},
        "seed": {"seed": 7},
        "instruct": {"instruct": "in a whisper"},
    }
    for name, changed in changes.items():
        if getattr(can, name) and subject.make(subject.request(**changed)).pcm == plain.pcm:
            raise Broken(f"{name}: the audio is the same with {changed}")
    if can.punctuation:
        aloud = len(subject.make(subject.request(punctuation="all")).pcm)
        if aloud < 1.05 * len(plain.pcm):
            raise Broken(f"punctuation: {aloud} bytes with all of it, {len(plain.pcm)} with none")
    if can.ssml:
        _ssml(subject)
    claims = [name for name in ("rate", "volume", *changes, "punctuation", "ssml") if getattr(can, name)]
    return None if claims else "nothing is claimed"


def _ssml(subject: Subject) -> None:
    text = "<speak>one <mark name='here'/> <break time='2s'/> two</speak>"
    made = subject.make(subject.request(text, ssml=True))
    if len(made.pcm) / 2 / subject.engine.sample_rate < 2.0:
        raise Broken("ssml: a break of 2 s is not in the audio")
    if "mark" in subject.engine.capabilities().marks and "here" not in {mark.name for mark in made.marks}:
        raise Broken("ssml: the mark 'here' did not come")
    for wrong in ("<speak>one <b", "<speak>a <audio src='/etc/passwd'>b</audio> c</speak>", "</speak>", "&nosuch;"):
        try:
            subject.make(subject.request(wrong, ssml=True))
        except EngineError:
            continue


def _rms(pcm: bytes) -> float:
    level = Level()
    level.add(pcm)
    return level.rms


SPEAKING: dict[str, Callable[[Subject], str | None]] = {
    "voices": lists_voices,
    "default-voices": default_voices_exist,
    "self-test": self_test_is_audible,
    "speech": speaks,
    "both-forms": both_forms_agree,
    "marks": marks_are_in_order,
    "closing": closing_stops,
    "streaming": streams_as_claimed,
    "odd-texts": takes_odd_texts,
    "unknown-voice": refuses_unknown_voice,
    "memory": keeps_its_size,
    "claims": claims_are_true,
}

CHECKS: dict[str, Callable[[Subject], str | None]] = {"identity": describes_itself, **SPEAKING}
