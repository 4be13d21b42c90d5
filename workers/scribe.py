"""A scripted engine that transcribes, for tests and trials: a transcript that can be checked to the last row.

Owns: the script, from settings and from markers in the recording. Must not know: the bus. Invariant: without markers,
what comes is exactly `expected(data, ...)` from the passage in which `from_s` lies, whatever the pace or the number of
attempts.

A "recording" is any bytes: each `bytes_per_passage` of them are a passage of one second, whose text names its number
and a checksum of its bytes. Bytes that begin with ``NOT AUDIO`` are no recording; those that begin with ``SILENCE``,
and wav files, have nothing in them (but see `wav`).

Settings, all optional:

==================  ==================================================================================================
bytes_per_passage   bytes of one passage (1000)
factor              seconds of work for a passage (0: as fast as it goes)
load_s              seconds that loading takes (0)
slots               recordings at once (1)
salt                goes into the texts, so that two workers' can be told apart; "{pid}" in it is the process's ("")
models              names of the models (["plain", "other"])
once_dir            a folder: each marker works only once among all workers that share it ("")
unsaid              say nothing of passages whose number is a multiple of this (0: of none)
wav                 hear passages in WAV files too (false: they are as long as they are, and nobody speaks in them)
==================  ==================================================================================================

Markers as the tone engine has them (``{{hang}}``, ``{{segfault}}``, ``{{exit N}}``, ``{{error CODE}}`` ...) take effect
before the passage in whose bytes they begin.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import sys
import threading
import wave
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._tone_markers import Act, act
from .engine import About, Capabilities, Engine, EngineError, Passage, Progress, Reached, Recording, Transcriber, Word

_MARKER = re.compile(rb"\{\{\s*(\w+)\s*([^{}]*?)\s*\}\}")
NO_AUDIO = (b"NOT AUDIO", b"#EXTM3U", b"/etc/")
SILENCE = b"SILENCE"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, as the module's description lists them."""

    bytes_per_passage: int = 1000
    factor: float = 0.0
    load_s: float = 0.0
    slots: int = 1
    salt: str = ""
    models: tuple[str, ...] = ("plain", "other")
    once_dir: str = ""
    unsaid: int = 0
    wav: bool = False


def passage(data: bytes, number: int, *, size: int = 1000, salt: str = "", model: str = "plain") -> Passage:
    """What the engine hears in part `number` of a recording."""
    part = data[number * size : (number + 1) * size]
    word = f"{salt}{model}-{number}-{zlib.crc32(part):08x}"
    return Passage(float(number), number + 1.0, f" {word}", 0.75, "en", (Word(float(number), number + 0.5, word, 0.5),))


def passages(data: bytes, size: int = 1000) -> int:
    """How many parts a recording has."""
    return 0 if data.startswith(SILENCE) else -(-len(data) // size)


def expected(data: bytes, *, size: int = 1000, salt: str = "", model: str = "plain") -> str:
    """The transcript of a recording, markers apart."""
    return "".join(passage(data, n, size=size, salt=salt, model=model).text for n in range(passages(data, size)))


class ScribeEngine(Transcriber):
    """Hears what the bytes say."""

    name = "scribe"
    version = "1"
    sample_rate = 16000

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        known = {key: value for key, value in settings.items() if key in Settings.__slots__}
        known["models"] = tuple(known.get("models", ("plain", "other")))
        self._settings = chosen = Settings(**known)
        self._salt = chosen.salt.replace("{pid}", str(os.getpid()))
        self.slots = chosen.slots
        _wait(chosen.load_s)

    def capabilities(self) -> Capabilities:
        return Capabilities(
            speak=False,
            transcribe=True,
            translate=True,
            models=self._settings.models,
            marks=("word",),
            options=("depth",),
        )

    def transcribe(self, recording: Recording) -> Generator[About | Passage | Reached, None, None]:
        settings = self._settings
        model = recording.model or settings.models[0]
        data = recording.audio.read()
        if model not in settings.models:
            raise EngineError("invalid_input", f"scribe has no model {model!r}")
        count, length_s = _measured(data, settings)
        yield About(length_s, recording.language or "en", 1.0 if recording.language else 0.9, float(count))
        for number in range(math.ceil(recording.from_s), count):
            _wait(settings.factor)
            self._obey(data, number)
            if settings.unsaid and number % settings.unsaid == 0:
                yield Reached(number + 1.0)
            else:
                yield self._passage(data, number, model, recording)
        if not count:
            yield Reached(length_s)

    def _passage(self, data: bytes, number: int, model: str, recording: Recording) -> Passage:
        found = passage(data, number, size=self._settings.bytes_per_passage, salt=self._salt, model=model)
        text = found.text.upper() if recording.translate else found.text
        words = found.words if recording.words else ()
        return Passage(found.start_s, found.end_s, text, found.confidence, recording.language or "en", words)

    def _obey(self, data: bytes, number: int) -> None:
        size = self._settings.bytes_per_passage
        for found in _MARKER.finditer(data, number * size):
            if found.start() >= (number + 1) * size:
                return
            words = found[2].decode("utf-8", "replace").split()
            if self._first_time(data, found.start()):
                act(Act(found[1].decode("utf-8", "replace"), words), _wait)

    def _first_time(self, data: bytes, at: int) -> bool:
        if not self._settings.once_dir:
            return True
        name = f"{hashlib.sha256(data).hexdigest()}.{at}"
        try:
            (Path(self._settings.once_dir) / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _measured(data: bytes, settings: Settings) -> tuple[int, float]:
    """How many passages a recording has, and how long it is. Raises EngineError for what is none."""
    if not data.strip(b"\0") or data.startswith(NO_AUDIO):
        raise EngineError("invalid_input", "this is no recording that scribe can read")
    if data.startswith(b"RIFF") and not settings.wav:
        try:
            with wave.open(io.BytesIO(data)) as file:
                return 0, file.getnframes() / file.getframerate()
        except (wave.Error, EOFError) as error:
            raise EngineError("invalid_input", f"this wav file cannot be read: {error}") from None
    count = passages(data, settings.bytes_per_passage)
    return count, float(max(count, 1))


def _wait(seconds: float) -> None:
    """Let time pass without a core being busy."""
    if seconds > 0:
        threading.Event().wait(seconds)


engine: Callable[[], Engine] = ScribeEngine

if __name__ == "__main__":
    from .runtime import main

    sys.exit(main(ScribeEngine))
