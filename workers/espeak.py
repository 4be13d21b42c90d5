"""espeak-ng: small, quick, a hundred languages, no download. The provider that is always there.

Owns: the mapping of a request to espeak-ng's parameters, and of its events to marks. Must not know: the bus.
Invariant: voice and parameters are set anew for every utterance, so that none hears of the one before; nothing that
a client sends is taken for a file, a command or another voice.

In-process measured: 0.3 ms to the first audio, about a thousand times real time. The library calls back with 60 ms of
audio at a time, and stops when told so from that callback. Its output is not the same each time (noise and state go
on), so it takes no seed.

Licence: espeak-ng is under GPL-3.0-or-later, and so is this worker's process as a whole when it is distributed
together with the library. This file itself, like the rest of voicebus, is under the MIT licence, which permits that.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from . import _espeak_library as lib
from ._espeak_text import Marker, clean
from ._espeak_voices import Chosen, Voices, speakable
from .engine import Capabilities, Chunk, Emit, Engine, EngineError, Mark, Progress, Request, Voice
from .pull import pull

_PUNCTUATION = {"": 0, "none": 0, "all": 1, "some": 2}
_SOME = '#$%&*+/<=>@\\^_|~(){}[]"'


class EspeakEngine(Engine):
    """espeak-ng in this process.

    Settings, both optional and set together: library (path of libespeak-ng), data (path of espeak-ng-data).
    """

    name = "espeak"

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        progress(-1.0, "espeak-ng")
        try:
            self._library = lib.library(str(settings.get("library", "")), str(settings.get("data", "")))
        except OSError as error:
            advice = "install the package espeakng-loader, or libespeak-ng1 and espeak-ng-data"
            raise EngineError("load_failed", f"{error}; {advice}") from None
        self.version = self._library.version
        self.sample_rate = self._library.sample_rate
        listed = speakable(self._library.voices(), Path(self._library.data))
        self._voices = Voices(listed, self._library.voices("variant"))
        self._current = ""
        self._library.set_punctuation_list(_SOME)

    def voices(self) -> list[Voice]:
        return self._voices.all()

    def capabilities(self) -> Capabilities:
        return Capabilities(
            marks=("word", "sentence", "mark"),
            ssml=True,
            rate=True,
            pitch=True,
            volume=True,
            punctuation=True,
            own_end=True,
            default_voices=self._voices.by_language(),
        )

    def synthesize(self, request: Request) -> Generator[Chunk | Mark, None, None]:
        return pull(partial(self.speak, request))

    def speak(self, request: Request, emit: Emit) -> None:
        text = clean(request.text, ssml=request.ssml)
        self._prepare(request)
        marker = Marker(text, ssml=request.ssml)

        def sink(pcm: bytes, events: list[lib.Event]) -> bool:
            for event in events:
                mark = marker.read(event)
                if mark and not emit(mark):
                    return False
            return not pcm or emit(Chunk(pcm))

        if request.ssml:
            # `<voice>` may leave another voice behind.
            self._current = ""
        self._library.speak(text, sink, ssml=request.ssml)

    def _prepare(self, request: Request) -> None:
        chosen = self._choose(request)
        if request.ssml or chosen.key != self._current:
            if not self._library.set_voice(chosen.key):
                raise EngineError("unavailable", f"espeak-ng cannot load its voice {chosen.name}")
            self._current = chosen.key
        self._library.set_parameter(lib.RATE, words_per_minute(request.rate))
        self._library.set_parameter(lib.PITCH, pitch_of(request.pitch))
        self._library.set_parameter(lib.VOLUME, min(200, max(0, round(100 * request.volume))))
        self._library.set_parameter(lib.PUNCTUATION, _PUNCTUATION.get(request.punctuation, 0))

    def _choose(self, request: Request) -> Chosen:
        if request.voice:
            chosen = self._voices.find(request.voice)
            if chosen is None:
                raise EngineError("invalid_input", f"espeak has no voice {request.voice!r}")
        else:
            chosen = self._voices.for_language(request.language or "en")
            if chosen is None:
                raise EngineError("invalid_input", f"espeak has no voice for the language {request.language!r}")
        return chosen


def words_per_minute(rate: float) -> int:
    """espeak-ng's rate for a factor: 175 words a minute is normal, 80 to 450 is what it can do."""
    return min(450, max(80, round(175 * rate)))


def pitch_of(factor: float) -> int:
    """espeak-ng's pitch (0 to 99, 50 is normal) for a factor to the voice's fundamental frequency.

    Measured on en-us: 0 is 0.68 of the normal frequency, 99 is 1.6 of it; between them about even steps an octave.
    """
    octaves = math.log2(max(factor, 0.01))
    return min(99, max(0, round(50 + octaves * (72 if octaves > 0 else 90))))


engine = EspeakEngine

if __name__ == "__main__":
    from .runtime import main

    raise SystemExit(main(EspeakEngine))
