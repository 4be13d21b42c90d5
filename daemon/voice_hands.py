"""The core's hands for voices: files beside them, and helpers that look at recordings.

Owns: what the effects about voices do in the world, and what comes of it. Must not know: what a voice is. Invariant:
each effect is answered as its description says, also when the disk or the helper fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .core.effects import CheckSample, DropVoiceFiles, StorePrompt, WriteSample
from .core.personal import sample_file
from .core.records import SampleFacts, VoiceSaved
from .logs import log
from .voice_checker import VoiceChecker, not_started
from .voice_files import VoiceFiles


class HearsOfVoices(Protocol):
    """What the core hears of voices."""

    def sample_written(self, uid: int, sample: str, have: int, reason: str, now: float) -> None: ...
    def sample_checked(self, uid: int, sample: str, facts: SampleFacts | None, reason: str, now: float) -> None: ...
    def prompt_stored(self, uid: int, name: str, size: int, reason: str, now: float) -> None: ...
    def voice_files_dropped(self, ticket: int, reason: str, now: float) -> None: ...
    def restore_voices(self, found: Sequence[VoiceSaved], files: Mapping[tuple[int, str], int], now: float) -> None: ...


class VoiceHands:
    """does: by the type of an effect, what carries it out."""

    def __init__(self, core: HearsOfVoices, files: VoiceFiles, checker: VoiceChecker) -> None:
        self._core = core
        self._files = files
        self._checker = checker
        self.does: dict[type, Callable[[Any, float], None]] = {
            WriteSample: self._write_sample,
            CheckSample: self._check_sample,
            StorePrompt: self._store_prompt,
            DropVoiceFiles: self._drop_files,
        }

    def _write_sample(self, effect: WriteSample, now: float) -> None:
        have, reason = 0, ""
        try:
            have = self._files.write(effect.uid, sample_file(effect.sample), effect.offset, effect.data)
        except OSError as error:
            reason = error.strerror or str(error)
        self._core.sample_written(effect.uid, effect.sample, have, reason, now)

    def _check_sample(self, effect: CheckSample, now: float) -> None:
        try:
            self._checker.begin(effect.uid, effect.sample)
        except OSError as error:
            self._core.sample_checked(effect.uid, effect.sample, None, not_started(error), now)

    def _store_prompt(self, effect: StorePrompt, now: float) -> None:
        reason = ""
        try:
            self._files.store(effect.uid, effect.name, effect.data)
        except OSError as error:
            reason = error.strerror or str(error)
        self._core.prompt_stored(effect.uid, effect.name, len(effect.data), reason, now)

    def _drop_files(self, effect: DropVoiceFiles, now: float) -> None:
        reason = ""
        try:
            self._files.drop(effect.uid, effect.names)
        except OSError as error:
            reason = error.strerror or str(error)
            log.warning("files of a voice cannot be removed: %s", reason)
        if effect.ticket:
            self._core.voice_files_dropped(effect.ticket, reason, now)
