"""The contract that an engine keeps. Write one class, and voicebus can speak with it.

Owns: the types that pass between an engine and the runtime. Must not know: the bus, processes, other engines.
Invariant: nothing here imports anything heavier than the standard library.

An engine is loaded once, in its worker's engine thread, and then asked for one utterance after another on that same
thread. It yields audio as it is made; closing the iterator stops the work. It never retries, never resamples, never
waits for anybody: the runtime does the attempt's accounting, the daemon decides about a second one.
"""

from __future__ import annotations

import io
import math
import wave
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, Protocol

from ..bus.prompts import VoicePrompt

Progress = Callable[[float, str], None]
"""Called while loading with a percentage (-1 where unknown) and what is being done."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice that an engine can speak with.

    name: what a caller names. languages: BCP 47 tags, the best first; empty for a voice of any language. gender:
    "female", "male" or "". description: a few words for a listing. variants: suffixes that can be appended to the
    name, as in ``en-us+f3``.
    """

    name: str
    languages: tuple[str, ...] = ()
    gender: str = ""
    description: str = ""
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do. What it does not claim here it is never asked for.

    speak: it makes audio from text. transcribe: it makes text from audio (`Engine.transcribe`); models: the names of
    what it does so with, the usual one first; translate: also into English; its marks then have "word" where it times
    words.

    streams: chunks come while the segment is still being made. marks: kinds of marks it yields itself. ssml, rate,
    pitch, volume, punctuation, seed, instruct: takes that part of the request. cloning: speaks with voices made from
    samples (`Engine.create_voice_prompt`). designs: the name of the voice that `instruct` describes, "" for none.
    own_end: it knows by itself when the
    text is over, so a short take is not suspicious by its length. options: names in `Style.options` that it
    understands. default_voices: language (BCP 47, lower case) to the voice to use where a caller names none; "" is
    the default of defaults.
    """

    speak: bool = True
    transcribe: bool = False
    translate: bool = False
    models: tuple[str, ...] = ()
    streams: bool = True
    marks: tuple[str, ...] = ()
    ssml: bool = False
    rate: bool = False
    pitch: bool = False
    volume: bool = False
    punctuation: bool = False
    seed: bool = False
    instruct: bool = False
    cloning: bool = False
    own_end: bool = False
    designs: str = ""
    options: tuple[str, ...] = ()
    default_voices: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance: a segment of a job, or the self-test.

    rate, pitch, volume: factors to the voice's normal value. punctuation: "", "none", "some" or "all". seed: for an
    engine that takes one. options: what this engine alone understands. prompt: of a cloned voice, made by this
    engine's `create_voice_prompt`, perhaps in another process; `voice` is "" then. The same `key` is the same prompt.
    seeded: whether somebody chose the seed, to hear the same again with it; else it only has to be used.
    """

    text: str
    voice: str
    language: str = ""
    ssml: bool = False
    rate: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0
    punctuation: str = ""
    instruct: str = ""
    seed: int = 0
    options: dict[str, str | int | float | bool] = field(default_factory=dict)
    prompt: VoicePrompt | None = None
    seeded: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording that a voice is made from. data: the file as it was uploaded, in any common format
    (`workers.samples.decoded` reads it). text: what is said in it, "" where nobody knows. name: its SHA-256."""

    data: bytes
    text: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of audio: signed 16-bit little-endian mono PCM at the engine's own rate, any length. An empty one sends
    nothing and is a place to be stopped at, for an engine that takes long over a chunk."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A timing. kind: "word", "sentence" or "mark". sample: offset from the utterance's start, at the engine's own
    rate. start, length: range of `Request.text` in code points; a length of 0 where the end is not known.
    confidence: 1.0 where the engine knows."""

    kind: Literal["word", "sentence", "mark"]
    sample: int
    start: int = 0
    length: int = 0
    name: str = ""
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording to be transcribed.

    audio: the whole file as the caller sent it, in any common format, readable and seekable. model: one of
    `Capabilities.models`. language: BCP 47, "" where it is to be found out. words: time each word. translate: into
    English. vad: leave out what is no speech. prompt: words that are likely to occur. from_s: seconds that are dealt
    with: no passage begins before; before: the end of what was heard there. options: what this engine alone
    understands. stopped: whether nobody wants it any more; ask where the work can be given up. reached: tell that so
    many seconds are dealt with, from within a step that yields nothing for long.
    """

    audio: BinaryIO
    model: str = ""
    language: str = ""
    words: bool = False
    translate: bool = False
    vad: bool = True
    prompt: str = ""
    from_s: float = 0.0
    before: str = ""
    seed: int = 0
    options: dict[str, str | int | float | bool] = field(default_factory=dict)
    stopped: Callable[[], bool] = lambda: False
    reached: Callable[[float], None] = lambda _at_s: None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a passage. Times in seconds of the recording; confidence 0 to 1."""

    start_s: float
    end_s: float
    text: str
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class About:
    """What a recording is: the first thing that is yielded of it. duration_s: of all of it. language: BCP 47, as given
    or found out, with how sure that is. speech_s: seconds in which somebody speaks, -1 where nobody looked."""

    duration_s: float
    language: str = ""
    confidence: float = 0.0
    speech_s: float = -1.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a recording, about a sentence, with what is said in it. Times in seconds of the recording; it begins
    where the one before ended, or later. The texts of all, put together, are the transcript: each brings its space."""

    start_s: float
    end_s: float
    text: str
    confidence: float = 0.0
    language: str = ""
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """So many seconds of the recording are dealt with, though nothing was found there: a sign of progress, and a place
    to be stopped at."""

    at_s: float


Emit = Callable[[Chunk | Mark], bool]
"""Takes what an engine has made, perhaps after waiting for room; says whether to go on."""


class EngineError(Exception):
    """An utterance that cannot be completed, or an engine that cannot be loaded.

    code: one of the failure classes in `voicebus.bus.errors.FAILURES`, for instance "invalid_input" or
    "out_of_memory". message: for a person. retry_after: seconds, with "rate_limited". lasting: while loading, that
    trying again is no use before somebody changes something (a package that is missing); the worker is left alone then.
    """

    def __init__(self, code: str, message: str, retry_after: float = 0.0, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.lasting = lasting


class Spoken(Protocol):
    """An utterance under way, in the batched form of the contract."""

    def close(self) -> None:
        """It is over, or is to be: forget it. Called once for each, also after its end."""


Step = list[Chunk | Mark] | EngineError | None
"""What one step made of one utterance: items, perhaps none; None at its end; or why it cannot go on."""


def hum(seconds: float = 1.0, rate: int = 16000) -> bytes:
    """A wav file with a low hum in it, in which nobody speaks."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        turn = 2 * math.pi * 110 / rate
        out.writeframes(array("h", (round(2000 * math.sin(turn * n)) for n in range(int(seconds * rate)))).tobytes())
    return file.getvalue()


class Engine(ABC):
    """Makes audio from text. All methods are called on one thread."""

    name: str = ""
    """The provider's name."""

    version: str = ""
    """Of the engine, as it should stand in a job's record; known at the latest when `load` returns."""

    sample_rate: int = 0
    """Samples a second of what `synthesize` yields; known at the latest when `load` returns."""

    slots: int = 1
    """How many utterances can be under way at once. More than one only where `synthesize` may be interleaved (the
    runtime then takes one item from each iterator in turn), or where `batches` is true. Known when `load` returns."""

    batches: bool = False
    """Whether several utterances are made in one step: the runtime then calls `open` and `advance` where there is more
    than one slot, and never has more open than there are slots."""

    @abstractmethod
    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        """Get ready to speak. Raises EngineError("load_failed", ...) with what to do about it."""

    @abstractmethod
    def voices(self) -> list[Voice]:
        """All voices, the default first; at least one, unless it can clone voices."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this engine can do, asked after `load`."""

    @abstractmethod
    def synthesize(self, request: Request) -> Generator[Chunk | Mark, None, None]:
        """Speak. Yields audio as it is made, and each mark no later than the audio at its sample.

        The iterator may be closed at any time, and must then stop the work. Raises EngineError.
        """

    def speak(self, request: Request, emit: Emit) -> None:
        """Speak, handing what is made to `emit` until that returns False. Raises EngineError, and what `emit` raises.

        The same as `synthesize` the other way round, and the form in which an engine of one slot is run. Override it
        only for an engine that calls back by itself (espeak), which saves a thread between it and the runtime.
        """
        items = self.synthesize(request)
        try:
            for item in items:
                if not emit(item):
                    return
        finally:
            items.close()

    def open(self, request: Request) -> Spoken:
        """Take on an utterance, of which nothing need be made yet. Raises EngineError. For an engine that `batches`."""
        raise NotImplementedError

    def advance(self, utterances: Sequence[Any]) -> list[Step]:
        """One step of these, of those that are open: what each has made, in their order.

        Those that are not named wait, and must say the same afterwards. One may come, end or be closed between any two
        steps. Where `Request.seeded` is set, what is said must not depend on the others to the last sample; an engine
        for which it would makes that one by itself. Raises EngineError for what ends all of them.
        """
        raise NotImplementedError

    def memory(self) -> int:
        """Bytes of its device's own memory that this process has now, 0 where that is the machine's. Unlike all other
        methods it may be called on another thread, and every second: it must not wait for the device."""
        return 0

    def create_voice_prompt(self, samples: Sequence[Sample]) -> VoicePrompt:
        """What it takes to speak as in these recordings: arrays and words, never an object of a library. It is kept,
        and comes back with requests (`Request.prompt`) to this engine or another with the same `prompts_for`.

        Raises EngineError: "invalid_input" for recordings that it cannot use, with what to do about it.
        """
        raise EngineError("invalid_input", f"{self.name} cannot clone voices")

    def prompts_for(self) -> tuple[str, str, str]:
        """What a voice prompt of this engine is for: model, its revision, and the mode of making prompts. Where any of
        the three is another, prompts are made anew. Asked after `load`."""
        return self.name, self.version, ""

    def forget(self, key: str) -> None:  # noqa: B027 - most keep nothing
        """Keep nothing any more of the voice prompt of this key, nor of what was made of it; "" stands for all. For an
        engine that has something at hand between two requests. One that is being spoken with goes on to its end."""

    def transcribe(self, recording: Recording) -> Generator[About | Passage | Reached, None, None]:
        """Hear a recording. Yields one `About`, then each passage as soon as it is known, from `from_s` on.

        The iterator may be closed at any time. Raises EngineError: "invalid_input" for what is no audio. Silence is no
        error: it has no passages.
        """
        raise EngineError("invalid_input", f"{self.name} does not transcribe")

    def trial(self) -> Recording:
        """What to hear to find out whether the engine works; must cost nothing, and need not hold any speech."""
        return Recording(io.BytesIO(hum()))

    def device(self) -> dict[str, Any]:
        """What it runs on, for a listing: {"kind": "cpu"}, or also "name" and "memory" (bytes). Asked after `load`."""
        return {"kind": "cpu"}

    def self_test(self) -> Request:
        """What to say to find out whether the engine works; must make sound and cost nothing."""
        return Request(text="one two", voice=self.voices()[0].name)

    def close(self) -> None:  # noqa: B027 - an engine may have nothing to free
        """Free what `load` took. Nothing is called after it, and it is not called by a worker that is killed."""


class Transcriber(Engine):
    """An engine that hears and does not speak. `sample_rate` is that of what it hears."""

    def voices(self) -> list[Voice]:
        """None."""
        return []

    def synthesize(self, request: Request) -> Generator[Chunk | Mark, None, None]:
        """Never asked for."""
        raise EngineError("invalid_input", f"{self.name} does not speak")

    @abstractmethod
    def transcribe(self, recording: Recording) -> Generator[About | Passage | Reached, None, None]:
        """As in `Engine`."""
