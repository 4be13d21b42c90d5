"""Helpers that look at recordings: which runs when, and what they found.

Owns: the queue of recordings to be looked at. Must not know: audio (that is the helper's matter,
`daemon.voice_helper`: what users upload is decoded there, never here), what is good enough. Invariant: one helper runs
at a time, for a bounded time; a recording gets its name only when its helper has found that its bytes are what it is
called.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Protocol

import msgspec

from .core.personal import sample_file
from .core.records import SampleFacts
from .logs import log
from .processes import Processes
from .voice_files import VoiceFiles

HELPER = "voicebus.daemon.voice_helper"

_facts = msgspec.json.Decoder(SampleFacts)


class Told(Protocol):
    """What hears of the outcome."""

    def __call__(self, uid: int, sample: str, facts: SampleFacts | None, reason: str) -> None: ...


class VoiceChecker:
    """Looks at recordings. told: called once for each `begin`, never from within it."""

    def __init__(self, processes: Processes, files: VoiceFiles, told: Told) -> None:
        self._processes = processes
        self._files = files
        self._told = told
        self._queue: deque[tuple[int, str]] = deque()

    def begin(self, uid: int, sample: str) -> None:
        """Look at a recording when it is its turn. Raises OSError where it is that now and cannot be begun."""
        if not self._queue:
            self._start(uid, sample)
        self._queue.append((uid, sample))

    def _start(self, uid: int, sample: str) -> None:
        path = self._files.part_path(uid, sample_file(sample))
        line = [sys.executable, "-m", HELPER, str(path), sample]
        self._processes.run(f"check {uid}/{sample[:12]}", line, self._ended)

    def _ended(self, helper: str, code: int | None, signal: int | None, stderr: list[str]) -> None:
        uid, sample = self._queue.popleft()
        facts, reason = None, ""
        if code == 0 and stderr:
            try:
                facts = _facts.decode(stderr[-1])
                self._files.adopt(uid, sample_file(sample))
            except msgspec.MsgspecError:
                reason = "The helper that looks at recordings did not say what it found."
            except OSError as error:
                facts, reason = None, f"It could not be kept: {error.strerror or error}"
        else:
            reason = _why(code, signal, stderr)
        if reason:
            log.warning("%s: %s", helper, reason)
        self._go_on()
        self._told(uid, sample, facts, reason)

    def _go_on(self) -> None:
        while self._queue:
            uid, sample = self._queue[0]
            try:
                self._start(uid, sample)
            except OSError as error:
                self._queue.popleft()
                self._told(uid, sample, None, not_started(error))
            else:
                return


def not_started(error: OSError) -> str:
    """That there is no helper, in words."""
    return f"No helper could be started to look at it: {error.strerror or error}"


def _why(code: int | None, signal: int | None, stderr: list[str]) -> str:
    if signal is not None:
        return f"Whoever looked at it was ended by signal {signal}: it is damaged, or made to do harm."
    return stderr[-1] if stderr else f"Whoever looked at it ended with exit code {code} and without a word."
