"""Rows of transcripts as events.

Owns: the translation from the wire to what a consumer gets. Must not know: order, readings. Invariant: each row is one
event, times in seconds of the recording.
"""

from __future__ import annotations

from ..bus.messages import HeardRow, Transcript
from .events import About, Passage, Word


def heard(message: Transcript, row: HeardRow) -> About | Passage:
    """The event that a row is."""
    if row.kind == "about":
        speech = row.speech_s if row.speech_s >= 0 else None
        return About(row.end, row.language, row.confidence, speech, message.provider, message.model)
    words = tuple(Word(word.start, word.end, word.text, word.confidence) for word in row.words)
    return Passage(
        message.n, row.start, row.end, row.text, row.confidence, row.language, words, message.provider, message.model
    )
