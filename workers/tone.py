"""A scripted engine for tests and trials: audio that can be checked to the last sample, and every way to fail.

Owns: the script, from settings and from markers in the text. Must not know: the bus. Invariant: without markers, what
comes is exactly `expected(text, ...)`, whatever the chunks, the pace or the number of attempts.

Settings, all optional:

==================  ==================================================================================================
sample_rate         samples a second (24000)
seconds_per_char    length of the audio (0.06)
chunk_s             length of a chunk, seconds (0.04)
factor              seconds of work for a second of audio (0: as fast as it goes)
first_s             seconds before the first chunk (0)
load_s, load_error  seconds that loading takes (0); then fail with this message ("")
slots               utterances at once (1)
hold_mb             memory to take and touch while loading, in MB (0)
version             of the engine's voice prompts ("1")
clone_s             seconds that making a voice prompt takes (0)
prompt_kb           kilobytes that a voice prompt has besides (0)
only_cloned         has no voices but cloned ones (false)
designs             has a voice "described", which is as `instruct` says (false)
salt                goes into the audio, so that two workers' can be told apart; "{pid}" in it is the process's ("")
voices              names of the voices (["low", "high"])
markers             obey markers; without, they are left out of the text all the same (true)
once_dir            a folder: each marker (but `tell`) works only once among all workers that share it ("")
silent_test         the self-test makes silence (false)
==================  ==================================================================================================

A cloned voice is a function of its recordings' bytes and transcripts (`cloned`); markers in a transcript take effect
when its prompt is made.

Markers take effect where they stand, after the audio of the text before them; they are not spoken:

=========================  ===========================================================================================
``{{hang}}``               make nothing more, for ever; STOP does not help
``{{wait S}}``             make nothing for S seconds
``{{hold_gil S}}``         the same while holding the interpreter lock
``{{segfault}}``           die of SIGSEGV
``{{exit N}}``             die with exit code N
``{{silence}}``            make zeros from here on
``{{truncate F}}``         end without a word after this fraction of the audio, at once if that has been made
``{{grow MB}}``            take that much memory, touch it and keep it
``{{error CODE [S]}}``     fail with that class (and a retry_after of S seconds)
``{{raise}}``              raise an exception that is not an EngineError
``{{memory}}``             raise a MemoryError
``{{odd}}``                yield half a sample
``{{spam KB}}``            print that much to standard output
``{{tell WORDS}}``         print these words on standard error
``{{mark NAME}}``          yield a mark of that name
=========================  ===========================================================================================
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bus.prompts import Array, VoicePrompt
from ._tone_audio import Tone
from ._tone_markers import Act, act
from .engine import Capabilities, Chunk, Engine, EngineError, Mark, Progress, Request, Sample, Voice, hum

DESCRIBED = "described"

_AUDIO = (b"RIFF", b"fLaC", b"OggS", b"FORM")
_LEAST = 100  # bytes of a recording

_MARKER = re.compile(r"\{\{\s*(\w+)\s*([^{}]*?)\s*\}\}")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, as the module's description lists them."""

    sample_rate: int = 24000
    seconds_per_char: float = 0.06
    chunk_s: float = 0.04
    factor: float = 0.0
    first_s: float = 0.0
    load_s: float = 0.0
    load_error: str = ""
    slots: int = 1
    hold_mb: int = 0
    salt: str = ""
    version: str = "1"
    clone_s: float = 0.0
    prompt_kb: int = 0
    only_cloned: bool = False
    designs: bool = False
    voices: tuple[str, ...] = ("low", "high")
    markers: bool = True
    once_dir: str = ""
    silent_test: bool = False


def spoken(text: str) -> str:
    """The text without its markers: what is spoken, and what the audio is made from."""
    return _MARKER.sub("", text)


def length(text: str, *, sample_rate: int = 24000, seconds_per_char: float = 0.06, rate: float = 1.0) -> int:
    """How many samples a text has."""
    return round(len(spoken(text)) * _per_char(sample_rate, seconds_per_char, rate))


def _per_char(sample_rate: int, seconds_per_char: float, rate: float) -> float:
    return seconds_per_char * sample_rate / rate


def expected(
    text: str,
    *,
    voice: str = "low",
    sample_rate: int = 24000,
    seconds_per_char: float = 0.06,
    rate: float = 1.0,
    pitch: float = 1.0,
    volume: float = 1.0,
    seed: int = 0,
    salt: str = "",
) -> bytes:
    """The PCM that the engine makes of a text, markers apart: signed 16-bit little-endian mono."""
    samples = length(text, sample_rate=sample_rate, seconds_per_char=seconds_per_char, rate=rate)
    tone = Tone(spoken(text), voice=voice, seed=seed, salt=salt, pitch=pitch, volume=volume)
    return tone.samples(0, samples)


def cloned(*samples: tuple[bytes, str]) -> str:
    """The `voice` of `expected` that is cloned from these recordings, each with its transcript ("" for none)."""
    return _digest(samples).hex()


def _bytes(data: bytes) -> Array:
    return Array("U8", (len(data),), data)


def _digest(samples: Sequence[tuple[bytes, str]]) -> bytes:
    parts = [part for data, text in samples for part in (data, text.encode())]
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).digest()


class ToneEngine(Engine):
    """Speaks in tones, and does as the text says."""

    name = "tone"
    version = "1"

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        known = {key: value for key, value in settings.items() if key in Settings.__slots__}
        known["voices"] = tuple(known.get("voices", ("low", "high")))
        self._settings = chosen = Settings(**known)
        self._salt = chosen.salt.replace("{pid}", str(os.getpid()))
        self.sample_rate, self.slots = chosen.sample_rate, chosen.slots
        self._held = [_touched(chosen.hold_mb)]
        steps = 10 if chosen.load_s else 0
        for step in range(steps):
            progress(100 * step / steps, "pretending")
            _wait(chosen.load_s / steps)
        if chosen.load_error:
            raise EngineError("load_failed", chosen.load_error)

    def voices(self) -> list[Voice]:
        if self._settings.only_cloned:
            return []
        described = [Voice(DESCRIBED, description="as it is described")] if self._settings.designs else []
        return [*(Voice(name, description="a tone for tests") for name in self._settings.voices), *described]

    def capabilities(self) -> Capabilities:
        return Capabilities(
            marks=("word", "mark"),
            rate=True,
            pitch=True,
            volume=True,
            seed=True,
            own_end=False,
            instruct=self._settings.designs,
            cloning=True,
            designs=DESCRIBED if self._settings.designs else "",
            default_voices={"": self._settings.voices[0]} if not self._settings.only_cloned else {},
        )

    def prompts_for(self) -> tuple[str, str, str]:
        return self.name, self._settings.version, "digest"

    def create_voice_prompt(self, samples: Sequence[Sample]) -> VoicePrompt:
        _wait(self._settings.clone_s)
        for sample in samples:
            if sample.data[:4] not in _AUDIO or len(sample.data) < _LEAST:
                raise EngineError("invalid_input", "the recording is no audio that tone knows")
            for at, marker, words in _script(sample.text):
                if self._settings.markers and self._first_time(sample.text, marker, words, at):
                    act(Act(marker, words), _wait)
        digest = _digest([(sample.data, sample.text) for sample in samples])
        told = {"text": " ".join(spoken(sample.text) for sample in samples)}
        rest = bytes(self._settings.prompt_kb * 1000)
        return VoicePrompt({"digest": _bytes(digest), **({"rest": _bytes(rest)} if rest else {})}, told)

    def self_test(self) -> Request:
        voice, prompt = self._settings.voices[0], None
        if self._settings.only_cloned:
            voice, prompt = "", self.create_voice_prompt([Sample(hum())])
        return Request("{{silence}}one" if self._settings.silent_test else "one", voice, prompt=prompt)

    def synthesize(self, request: Request) -> Generator[Chunk | Mark, None, None]:
        voice = self._voice(request)
        script = list(_script(request.text))
        obeyed = self._settings.markers
        take = _Utterance(self._settings, request, voice, self._salt)
        for at, marker, words in script:
            yield from take.up_to(at)
            if marker and obeyed and self._first_time(request.text, marker, words, at):
                yield from self._obey(take, marker, words)
        yield from take.up_to(len(spoken(request.text)))

    def _voice(self, request: Request) -> str:
        """What the audio is made from besides the text."""
        if request.prompt is not None:
            digest = request.prompt.arrays.get("digest")
            if digest is None or digest.dtype != "U8" or len(digest.data) != hashlib.sha256().digest_size:
                raise EngineError("invalid_input", "that is no voice prompt of tone")
            return digest.data.hex()
        names = [voice.name for voice in self.voices()]
        voice = request.voice or (names[0] if names else "")
        if voice not in names:
            raise EngineError("invalid_input", f"tone has no voice {request.voice!r}")
        return f"{voice}: {request.instruct}" if request.instruct else voice

    def _obey(self, take: _Utterance, marker: str, words: list[str]) -> Iterator[Chunk | Mark]:
        if marker == "silence":
            take.silent = True
        elif marker == "truncate":
            take.end = min(take.end, round(float(words[0]) * take.end))
        elif marker == "mark":
            yield Mark("mark", take.made, name=" ".join(words))
        elif marker == "odd":
            yield Chunk(b"\0")
        elif marker == "grow":
            self._held.append(_touched(int(words[0])))
        else:
            act(Act(marker, words), _wait)

    def _first_time(self, text: str, marker: str, words: list[str], at: int) -> bool:
        if not self._settings.once_dir or marker == "tell":
            return True
        name = hashlib.sha256(repr((text, marker, words, at)).encode()).hexdigest()
        try:
            (Path(self._settings.once_dir) / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class _Utterance:
    """One utterance under way."""

    def __init__(self, settings: Settings, request: Request, voice: str, salt: str) -> None:
        text = spoken(request.text)
        self._settings = settings
        self._per_char = _per_char(settings.sample_rate, settings.seconds_per_char, request.rate)
        self._chunk = max(1, round(settings.chunk_s * settings.sample_rate))
        self._tone = Tone(text, voice=voice, seed=request.seed, salt=salt, pitch=request.pitch, volume=request.volume)
        self._words = _word_marks(request.text)
        self._due = time.monotonic() + settings.first_s
        self.end = round(len(text) * self._per_char)
        self.made = 0
        self.silent = False

    def up_to(self, char: int) -> Iterator[Chunk | Mark]:
        """What is spoken of the text up to this character of it."""
        end = min(self.end, round(char * self._per_char))
        while self.made < end:
            stop = min(end, self.made + self._chunk)
            self._due += (stop - self.made) / self._settings.sample_rate * self._settings.factor
            _wait(self._due - time.monotonic())
            while self._words and round(self._words[0][0] * self._per_char) < stop:
                at, start, length = self._words.pop(0)
                yield Mark("word", round(at * self._per_char), start, length)
            pcm = bytes(2 * (stop - self.made)) if self.silent else self._tone.samples(self.made, stop)
            self.made = stop
            yield Chunk(pcm)


def _script(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each marker with its place in the spoken text."""
    removed = 0
    for found in _MARKER.finditer(text):
        yield found.start() - removed, found[1], found[2].split()
        removed += len(found[0])


def _word_marks(text: str) -> list[tuple[int, int, int]]:
    """Each word: its place in the spoken text, its place in the text, its length."""
    blank = _MARKER.sub(lambda found: "\0" * len(found[0]), text)
    return [
        (word.start() - blank.count("\0", 0, word.start()), word.start(), len(word[0]))
        for word in _WORD.finditer(blank)
    ]


def _wait(seconds: float) -> None:
    """Let time pass without a core being busy."""
    if seconds > 0:
        threading.Event().wait(seconds)


def _touched(megabytes: int) -> bytearray:
    """Memory that is really there: every page of it written."""
    memory = bytearray(megabytes * 1_000_000)
    memory[::4096] = b"\1" * len(memory[::4096])
    return memory


engine: Callable[[], Engine] = ToneEngine

if __name__ == "__main__":
    from .runtime import main

    sys.exit(main(ToneEngine))
