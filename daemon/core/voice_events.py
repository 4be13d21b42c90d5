"""What the core hears of voices: what came of effects about them, and what a start found.

Owns: which rule hears of which. Must not know: the rules. Invariant: as of `core`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from . import prompts, samples, voices
from .records import SampleFacts, VoiceSaved
from .world import World


class VoiceEvents:
    """A part of `Core`."""

    world: World
    _settle: Callable[[float], None]

    def restore_voices(self, found: Sequence[VoiceSaved], files: Mapping[tuple[int, str], int], now: float) -> None:
        """Before `start`: users' own voices, and the sizes of the files beside them, by uid and name."""
        voices.restore(self.world, found, files, now)

    def sample_written(self, uid: int, sample: str, have: int, reason: str, now: float) -> None:
        """A piece of a recording is on the disk, or why not. have: bytes that are there."""
        samples.written(self.world, uid, sample, have, reason, now)
        self._settle(now)

    def sample_checked(self, uid: int, sample: str, facts: SampleFacts | None, reason: str, now: float) -> None:
        """A helper has looked at a recording. facts: None where it cannot be used, for that reason."""
        samples.checked(self.world, uid, sample, facts, reason, now)
        self._settle(now)

    def prompt_stored(self, uid: int, name: str, size: int, reason: str, now: float) -> None:
        """A voice prompt is on the disk, or why not."""
        prompts.stored(self.world, uid, name, size, reason, now)
        self._settle(now)

    def voice_files_dropped(self, ticket: int, reason: str, now: float) -> None:
        """Files beside the voices are gone, or why not."""
        voices.files_dropped(self.world, ticket, reason, now)
        self._settle(now)
