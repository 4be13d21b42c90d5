"""What is good enough to clone a voice from, and what is to be done about what is not.

Owns: the bounds, and the advice in plain words. Must not know: audio, how anything was measured. Invariant: what would
make a voice that does not work is refused; whatever only makes it worse is told, and is the person's to decide.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...bus.recordings import LONGEST_S
from .records import SampleFacts

SHORTEST_S, SHORT_S, LONG_S = 1.0, 3.0, 30.0
SILENT_DB, QUIET_DB = -50.0, -35.0
CLIPPED = 0.0002
NOISE_DB = 20.0
EDGE_S, ABRUPT_S = 1.5, 0.05
TELEPHONE_RATE = 16_000
MIXED_DB = 6.0


@dataclass(frozen=True, slots=True)
class Advice:
    """code: a word for programs. text: what was found and what to do, for people."""

    code: str
    text: str


def refusal(facts: SampleFacts) -> Advice | None:
    """Why a recording cannot be used at all, None if it can."""
    if facts.seconds < SHORTEST_S:
        return Advice("short", f"It has {facts.seconds:.1f} s; 3 to 30 s of speech are needed.")
    if facts.seconds > LONGEST_S:
        return Advice("long", f"It has {facts.seconds:.0f} s; cut out 3 to 30 s of clear speech.")
    if facts.peak < SILENT_DB:
        return Advice("silent", f"There is no sound in it (its peak is {facts.peak:.0f} dB); record it again.")
    return None


def advice(facts: SampleFacts) -> list[Advice]:
    """What would make a voice from this recording better, the most important first."""
    return [*_level(facts), *_length(facts), *_ends(facts), *_form(facts)]


def _level(facts: SampleFacts) -> list[Advice]:
    found = []
    if facts.clipped > CLIPPED:
        part = 100 * facts.clipped
        found.append(Advice("clipping", f"{part:.2g} % of it is clipped; record it again at a lower level."))
    if facts.level < QUIET_DB:
        found.append(Advice("quiet", f"The speech is quiet ({facts.level:.0f} dB); go nearer to the microphone."))
    if facts.level - facts.floor < NOISE_DB:
        above = facts.level - facts.floor
        found.append(
            Advice(
                "noise",
                f"The speech is only {above:.0f} dB above what lies between; record it in a quiet room, without music.",
            )
        )
    return found


def _length(facts: SampleFacts) -> list[Advice]:
    if facts.seconds < SHORT_S:
        return [Advice("short", f"It has {facts.seconds:.1f} s; with 3 to 30 s the voice becomes more like.")]
    if facts.seconds > LONG_S:
        return [Advice("long", f"It has {facts.seconds:.0f} s; more than 30 s make every sentence begin later.")]
    return []


def _ends(facts: SampleFacts) -> list[Advice]:
    found = []
    if facts.lead > EDGE_S or facts.tail > EDGE_S:
        text = f"There is silence at its ends ({facts.lead:.1f} s before, {facts.tail:.1f} s behind); cut it off."
        found.append(Advice("silence", text))
    if facts.tail < ABRUPT_S:
        text = "It ends in the midst of sound; let it end with half a second of silence, or its last word may be heard."
        found.append(Advice("abrupt", text))
    return found


def _form(facts: SampleFacts) -> list[Advice]:
    found = []
    if facts.rate < TELEPHONE_RATE:
        text = f"It has {facts.rate} samples a second, as a telephone; record it with 24000 or more."
        found.append(Advice("rate", text))
    if facts.mixed > MIXED_DB:
        text = "Its channels cancel each other out when they are mixed; use one of them alone."
        found.append(Advice("channels", text))
    return found
