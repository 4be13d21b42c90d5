"""What the core's effects about voices do in the simulated world.

Owns: the helper that looks at recordings, one at a time. Must not know: what is right (`judge` is told). Invariant: as
`daemon/voice_hands.py` does it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from voicebus.daemon.core.core import Core
from voicebus.daemon.core.effects import CheckSample, DropVoiceFiles, StorePrompt, WriteSample
from voicebus.daemon.core.personal import sample_file
from voicebus.daemon.core.records import SampleFacts

from .disk import Disk

if TYPE_CHECKING:
    from .clock import Clock
    from .judge import Judge

FACTS = SampleFacts(seconds=6.0, rate=24_000, channels=1, form="WAV", peak=-3.0, level=-20.0, floor=-60.0, tail=0.5)


class VoiceHands:
    """The part of a daemon that has to do with voices' files."""

    core: Core | None
    run: int
    _clock: Clock
    _disk: Disk
    _judge: Judge
    _chance: Random
    _checking: deque[tuple[int, str]]
    _other_of: Callable[[int, Callable[[], None]], None]

    def _voice_table(self) -> dict[type, Callable[[Any], None]]:
        return {
            WriteSample: self._write_sample,
            CheckSample: self._check_sample,
            StorePrompt: self._store_prompt,
            DropVoiceFiles: self._drop_voice_files,
        }

    def _write_sample(self, effect: WriteSample) -> None:
        assert self.core is not None
        have, reason = 0, ""
        try:
            have = self._disk.voices.write(effect.uid, sample_file(effect.sample), effect.offset, effect.data)
        except OSError as error:
            reason = str(error)
        self._clock.trace(f"write {effect.sample[:8]} {effect.offset}: {have} {reason}")
        self.core.sample_written(effect.uid, effect.sample, have, reason, self._clock.now)

    def _check_sample(self, effect: CheckSample) -> None:
        self._checking.append((effect.uid, effect.sample))
        if len(self._checking) == 1:
            self._start_check()

    def _start_check(self) -> None:
        self._clock.after(self._chance.choice((0.01, 0.2, 1.0)), self._other_of, self.run, self._checked)

    def _checked(self) -> None:
        assert self.core is not None
        uid, sample = self._checking.popleft()
        facts, reason = None, ""
        try:
            part = self._disk.voices.files.get((uid, sample_file(sample) + ".part"))
            if part is None or hashlib.sha256(part.data).hexdigest() != sample:
                reason = "It is not what its name says."
            else:
                self._disk.voices.adopt(uid, sample_file(sample))
                facts = FACTS
        except OSError as error:
            reason = str(error)
        self._clock.trace(f"checked {sample[:8]}: {reason}")
        if self._checking:
            self._start_check()
        self.core.sample_checked(uid, sample, facts, reason, self._clock.now)

    def _store_prompt(self, effect: StorePrompt) -> None:
        assert self.core is not None
        reason = ""
        try:
            self._disk.voices.store(effect.uid, effect.name, effect.data)
        except OSError as error:
            reason = str(error)
        self._clock.trace(f"store {effect.name[:40]}: {reason}")
        self._judge.voices.stored(effect.uid, effect.name, reason)
        self.core.prompt_stored(effect.uid, effect.name, len(effect.data), reason, self._clock.now)

    def _drop_voice_files(self, effect: DropVoiceFiles) -> None:
        assert self.core is not None
        self._clock.trace(f"drop {[name[:40] for name in effect.names]}")
        self._disk.voices.drop(effect.uid, effect.names)
        if effect.ticket:
            self.core.voice_files_dropped(effect.ticket, "", self._clock.now)
