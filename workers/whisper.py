"""Transcription by Whisper, through faster-whisper.

Owns: what a request means to the library, and what its segments mean to us. Must not know: the bus. Invariant: passages
come in order and none before the place to go on from; silence gives none, and is no failure; a recording that nobody
wants any more is left between two calls into the model.

Settings, all optional: model ("small": a size, a folder, or a hub's id), revision, offline (true), device ("auto",
"cpu", "cuda"), device_index, compute_type ("auto": int8 on the processor, float16 on CUDA), threads, longest_hours
(12), and the defaults of the options below.

Options of a request: beam_size, best_of, temperature, max_new_tokens, repetition_penalty, no_speech_threshold,
condition_on_previous_text, hotwords, as faster-whisper has them.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .engine import (
    About,
    Capabilities,
    Engine,
    EngineError,
    Passage,
    Progress,
    Reached,
    Recording,
    Transcriber,
    Word,
    hum,
)

if TYPE_CHECKING:
    from ._whisper_model import Loaded

OPTIONS: dict[str, tuple[type, float, float]] = {
    "beam_size": (int, 1, 20),
    "best_of": (int, 1, 20),
    "temperature": (float, 0.0, 2.0),
    "max_new_tokens": (int, 1, 224),
    "repetition_penalty": (float, 0.1, 10.0),
    "no_speech_threshold": (float, 0.0, 1.0),
    "condition_on_previous_text": (bool, 0, 1),
    "hotwords": (str, 0, 400),
}
"""Each with its type and what it goes from and to; of a text the length."""

_TO_WHISPER = {"jv": "jw", "nb": "no", "fil": "tl", "iw": "he", "in": "id"}
_FROM_WHISPER = {"jw": "jv"}


class WhisperEngine(Transcriber):
    """faster-whisper in a worker."""

    name = "whisper"
    sample_rate = 16000

    _loaded: Loaded

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        import faster_whisper

        from ._whisper_audio import LONGEST_S
        from ._whisper_model import Loaded

        self.version = f"faster-whisper {faster_whisper.__version__}"
        self._longest_s = 3600.0 * float(settings.get("longest_hours", LONGEST_S / 3600.0))
        usual = {name: settings[name] for name in OPTIONS if name in settings}
        self._usual = checked(usual, "load_failed")
        self._loaded = Loaded(settings, progress)

    def capabilities(self) -> Capabilities:
        return Capabilities(
            speak=False,
            transcribe=True,
            translate=self._loaded.multilingual,
            models=(self._loaded.name,),
            marks=("word",),
            options=tuple(OPTIONS),
        )

    def device(self) -> dict[str, Any]:
        return self._loaded.told()

    def trial(self) -> Recording:
        # Not skipped as silence, so that the model itself is tried; and a few words are enough.
        options: dict[str, str | int | float | bool] = {"temperature": 0.0, "max_new_tokens": 16, "beam_size": 1}
        return Recording(io.BytesIO(hum()), language="en", vad=False, options=options)

    def transcribe(self, recording: Recording) -> Generator[About | Passage | Reached, None, None]:
        from ._whisper_audio import StoppedError

        try:
            yield from self._heard(recording)
        except StoppedError:
            return
        except RuntimeError as error:
            if "out of memory" in str(error).lower():
                raise EngineError("out_of_memory", str(error)[:300]) from None
            raise
        finally:
            self._loaded.watched(lambda: None)

    def _heard(self, recording: Recording) -> Generator[About | Passage | Reached, None, None]:
        from ._whisper_audio import RATE, decode, only, speech

        if recording.model not in ("", self._loaded.name):
            raise EngineError("invalid_input", f"whisper has {self._loaded.name} here, not {recording.model!r}")
        language = self._language(recording.language)
        options = {**self._usual, **checked(recording.options, "invalid_input")}
        ends = _Ends(recording)
        self._loaded.watched(ends.alive)
        audio = decode(recording.audio, self._longest_s, ends.alive)
        ends.duration = len(audio) / RATE
        rest = audio[int(recording.from_s * RATE) :]
        found = speech(rest) if recording.vad and len(rest) else None
        if not len(rest) or (found is not None and not found.chunks):
            yield About(ends.duration, recording.language, float(bool(language)), 0.0 if found is not None else -1.0)
            yield Reached(ends.duration)
            return
        sounding = only(rest, found) if found is not None else rest
        segments, info = self._begin(sounding, language, recording, options)
        if found is not None:
            segments = _restored(segments, found.chunks)
        told = _FROM_WHISPER.get(info.language, info.language)
        spoken_s = found.seconds if found is not None else -1.0
        yield About(ends.duration, told, float(info.language_probability), spoken_s)
        for segment in segments:
            yield ends.passage(segment, "en" if recording.translate else told)
        yield Reached(ends.duration)

    def _begin(
        self, audio: Any, language: str, recording: Recording, options: dict[str, Any]
    ) -> tuple[Iterable[Any], Any]:
        said = " ".join(filter(None, (recording.prompt.strip(), recording.before.strip())))
        begun: tuple[Iterable[Any], Any] = self._loaded.whisper.transcribe(
            audio,
            language=language or None,
            task="translate" if recording.translate else "transcribe",
            word_timestamps=recording.words,
            initial_prompt=said or None,
            **options,
        )
        return begun

    def _language(self, asked: str) -> str:
        """Whisper's name of a language; "" where it is to be found out."""
        if not asked:
            return ""
        base = asked.lower().replace("_", "-").partition("-")[0]
        name = _TO_WHISPER.get(base, base)
        known = self._loaded.whisper.supported_languages
        if name not in known:
            raise EngineError("invalid_input", f"{self._loaded.name} does not know the language {asked!r}")
        return name


def checked(options: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Options, of the right type and within bounds. Raises EngineError(code)."""
    for name, value in options.items():
        if name not in OPTIONS:
            raise EngineError(code, f"whisper has no option {name!r}; it has {', '.join(OPTIONS)}")
        kind, low, high = OPTIONS[name]
        right = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not right or (isinstance(value, bool) and kind is not bool):
            raise EngineError(code, f"{name} is {value!r}; it is of the kind {kind.__name__}")
        if not low <= (len(value) if isinstance(value, str) else value) <= high:
            raise EngineError(code, f"{name} is {value!r}; it goes from {low:g} to {high:g}")
    return dict(options)


class _Ends:
    """Times of a recording that is heard from a place on: in order, inside of it, and whether it is still wanted."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._end = recording.from_s
        self.duration = math.inf

    def alive(self) -> None:
        """Called before each step of the work. Raises StoppedError."""
        from ._whisper_audio import StoppedError

        if self._recording.stopped():
            raise StoppedError
        self._recording.reached(self._end)

    def passage(self, segment: Any, language: str) -> Passage:
        """A segment of the library's as a passage of the whole recording."""
        start = self._inside(segment.start, self._end)
        end = self._end = self._inside(segment.end, start)
        words = tuple(
            Word(
                first := self._inside(word.start, start),
                self._inside(word.end, first),
                word.word,
                float(word.probability),
            )
            for word in segment.words or ()
        )
        confidence = math.exp(min(float(segment.avg_logprob), 0.0))
        return Passage(start, end, segment.text, confidence, language, words)

    def _inside(self, seconds: float, least: float) -> float:
        return min(max(float(seconds) + self._recording.from_s, least), max(self.duration, least))


def _restored(segments: Iterable[Any], chunks: list[dict[str, int]]) -> Iterable[Any]:
    """Segments of speech without its pauses, at the times of the recording with them."""
    from faster_whisper.transcribe import restore_speech_timestamps

    from ._whisper_audio import RATE

    restored: Iterable[Any] = restore_speech_timestamps(segments, chunks, RATE)
    return restored


engine: Callable[[], Engine] = WhisperEngine

if __name__ == "__main__":
    from .runtime import main

    sys.exit(main(WhisperEngine))
