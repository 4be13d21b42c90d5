"""What a client of a soak heard, against what it must have heard.

Owns: the counts. Must not know: processes, faults. Invariant: every sample that was heard of the oracle is compared;
what differs is counted as lost, repeated or wrong, never left out.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass, field
from typing import Any

from voicebus.workers import tone

from . import soak_words
from .listening import CHAR_S, ESPEAK_CHAR_S, RATE
from .soak_plan import SALTS, Plan


@dataclass
class Tally:
    """What came of one job, or of many."""

    compared: int = 0
    lost: int = 0
    repeated: int = 0
    wrong: int = 0
    words: int = 0
    words_understood: int = 0
    why: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another one's with these."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def clean(self) -> bool:
        """Whether nothing is amiss."""
        return not (self.lost or self.repeated or self.wrong or self.why)


def row_sound(row: dict[str, Any], text: str) -> bytes:
    """What an oracle makes of a segment."""
    words = text[row["start"] : row["start"] + row["length"]]
    salt = SALTS[row["provider"]]
    return tone.expected(words, sample_rate=RATE, seconds_per_char=CHAR_S, seed=row["seed"], salt=salt)


def _coverage(rows: list[dict[str, Any]], text: str) -> list[str]:
    """What is wrong with the places of the segments: the text is there once, in order, without a hole."""
    end_of_text = end_of_audio = 0
    found = []
    for number, row in enumerate(rows):
        if (row["segment"], row["state"], row["offset"]) != (number, "whole", end_of_audio):
            found.append(f"segment {number} is out of place: {row}")
        if row["start"] < end_of_text or text[end_of_text : row["start"]].strip():
            found.append(f"text {end_of_text}..{row['start']} is missing or said twice")
        end_of_text, end_of_audio = row["start"] + row["length"], row["offset"] + row["samples"]
    if text[end_of_text:].strip():
        found.append(f"the end of the text from {end_of_text} is missing")
    return found


def whole(plan: Plan, rows: list[dict[str, Any]], pcm: bytes, start: int = 0) -> Tally:
    """Judge what was heard, from sample `start` on, of a job that was said in full."""
    found = Tally(why=_coverage(rows, plan.text))
    sounds = [row_sound(row, plan.text) for row in rows] if plan.way != "words" else []
    if plan.way == "words":
        _espeak(plan, rows, pcm, found)
    else:
        _compare(b"".join(sounds)[2 * start :], pcm, found)
    return found


def beginning(plan: Plan, rows: list[dict[str, Any]], pcm: bytes) -> Tally:
    """Judge what was heard of a job that ended before its end: as far as there are whole segments, exactly those."""
    found = Tally()
    must = b""
    for row in rows:
        if (row["state"], 2 * row["offset"]) != ("whole", len(must)):
            break  # what is made ahead of a gap is nobody's to hear
        must += row_sound(row, plan.text)
    size = min(len(must), len(pcm))
    _compare(must[:size], pcm[:size], found)
    return found


def _compare(must: bytes, pcm: bytes, found: Tally) -> None:
    found.compared += len(pcm) // 2
    if must == pcm:
        return
    found.lost += max(0, len(must) - len(pcm)) // 2
    found.repeated += max(0, len(pcm) - len(must)) // 2
    differing = sum(1 for at in range(0, min(len(must), len(pcm)), 2) if must[at : at + 2] != pcm[at : at + 2])
    found.wrong += differing
    found.why.append(
        f"{len(pcm) // 2} samples ({zlib.crc32(pcm):08x}) where {len(must) // 2} are right, {differing} of them differ"
    )


def _espeak(plan: Plan, rows: list[dict[str, Any]], pcm: bytes, found: Tally) -> None:
    rate = 22050
    total = sum(row["samples"] for row in rows)
    found.lost += max(0, total - len(pcm) // 2)
    found.repeated += max(0, len(pcm) // 2 - total)
    for row in rows:
        words = plan.text[row["start"] : row["start"] + row["length"]]
        sound = pcm[2 * row["offset"] : 2 * (row["offset"] + row["samples"])]
        heard = soak_words.understood(sound, rate)
        good, said = soak_words.right(words, heard)
        found.words += said
        found.words_understood += good
        per_char = len(sound) / 2 / rate * plan.options["rate"] / row["length"]
        if not ESPEAK_CHAR_S[0] < per_char < ESPEAK_CHAR_S[1]:
            found.why.append(f"{per_char:.3f} s for a character of {words!r}")
        if 2 * good < said:
            found.why.append(f"{words!r} was understood as {' '.join(heard)!r}")
    found.compared += len(pcm) // 2
