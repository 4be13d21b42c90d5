"""What is wrong with a take that its worker says is whole.

Owns: what makes a take silent or cut off. Must not know: what follows from it (`failing`). Invariant: a text that
cannot be heard, or is not to be, is no reason for a flaw.
"""

from __future__ import annotations

import re

from ...bus.messages import Done
from ...bus.wording import counted
from .failing import Failure
from .languages import speakable
from .state import Attempt, Job, ProviderState

SILENT_PEAK = 32
"""A take whose largest sample is below this (-60 dB) has no sound in it."""

TAG = re.compile(r"<[^>]*>")
"""Markup, which is not spoken."""


def flaw(provider: ProviderState, attempt: Attempt, message: Done) -> Failure | None:
    """Why a take is no good, None where it is."""
    job, segment, take = attempt.job, attempt.segment, attempt.take
    assert job is not None and segment is not None and provider.catalogue is not None
    if message.samples != take.samples:
        return Failure("truncated", f"{take.samples} of {message.samples} samples came")
    length = segment.end - segment.start
    if (message.peak < SILENT_PEAK or not take.samples) and _audible(job, attempt.said.text):
        return Failure("silent", f"{counted(length, 'character')} gave {take.samples / attempt.rate:.2f} s of silence")
    usual = length * provider.char_s / job.submit.style.rate
    known = provider.takes >= 20 and length >= 40 and not job.submit.ssml
    if known and not provider.catalogue.capabilities.get("own_end") and take.samples / attempt.rate < usual / 3:
        return Failure("truncated", f"{take.samples / attempt.rate:.1f} s for a text that usually takes {usual:.1f} s")
    return None


def _audible(job: Job, text: str) -> bool:
    """Whether sound must come of a text: there is something in it to be said, and it is not to be said at no volume."""
    if job.submit.ssml:
        text = TAG.sub(" ", text)
    return job.submit.style.volume > 0 and speakable(text, job.language)
