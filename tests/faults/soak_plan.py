"""What the clients of a soak ask for: each job as a function of seed, client and number.

Owns: the texts, with the harm that is scripted into them, and the ways of reading. Must not know: processes, the bus.
Invariant: the same seed, client and number are the same job, so that a client which was killed knows what it wanted.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from .soak_words import WORDS

SALTS = {"tone": "", "alto": "alto"}
"""What each oracle puts into its audio, by provider; they differ, so that a mixture would show."""

WAYS = {
    "live": 6,
    "whole": 3,
    "slow": 2,
    "two": 3,
    "middle": 3,
    "pieces": 3,
    "wav": 2,
    "flac": 2,
    "opus": 1,
    "urgent": 2,
    "cancel": 1,
    "nothing": 2,
    "poison": 0.5,
    "words": 3,
}
"""The ways of reading, and how often each is taken."""

ONCE = (
    "{{segfault}}", "{{exit 3}}", "{{raise}}", "{{memory}}", "{{odd}}", "{{hold_gil 0.3}}", "{{wait 0.4}}",
    "{{silence}}", "{{spam 64}}", "{{grow 20}}", "{{error unavailable}}", "{{error rate_limited 0.2}}",
)  # fmt: skip
"""Harm that comes once, whoever says the text; the next try is clean."""

RARE = ("{{hang}}",)
"""Costs a whole deadline each."""

MOVES = "{{error unavailable}}", "{{error rate_limited 0.2}}"
"""After these the next entry of the chain is asked, so there has to be one."""

LOST_WITH_DAEMON = frozenset({"daemon_stopped", "disconnected", "not_found", "gone"})
"""How a job of which nothing is kept may end."""

NO_SPACE = frozenset({"disk_full", "storage"})
"""How a job may end while the disk is full: by its name."""

THINGS = ["apple", "bridge", "candle", "desert", "engine", "feather", "garden", "harbour", "island", "jacket", "kettle"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One job. own: the codes with which it may end without success by its own doing, or its client's."""

    job: str
    way: str
    text: str
    options: dict[str, Any]
    own: frozenset[str] = frozenset()
    cuts: tuple[int, ...] = ()
    at: float = field(default=0.5)
    """Where in the text something is done: cancelled, listened in."""


def plan_for(seed: int, client: str, number: int) -> Plan:
    """What a client does as its job of this number."""
    chance = random.Random(f"{seed}/{client}/{number}")
    (way,) = chance.choices(list(WAYS), list(WAYS.values()))
    job = f"{client}-{number}"
    at = chance.random()
    if way == "words":
        return Plan(job, way, _words(chance), {"chain": ["espeak"], "rate": 0.86, "language": "en-us"}, at=at)
    if way == "poison":
        text = f"{_sentence(chance, job, 0)} This one {{{{segfault}}}} {job} brings down whoever says it."
        return Plan(job, way, text, {"chain": ["brittle"]}, frozenset({"quarantined"}), at=at)
    text, moves = _harmful(chance, job, chance.randint(1, 3) if way == "urgent" else chance.randint(2, 12))
    options: dict[str, Any] = {"chain": ["tone", "alto"] if moves or chance.random() < 0.3 else ["tone"]}
    options["pace"] = chance.choice(["listen", "render"])
    options["patience"] = 120.0
    options["keep"] = chance.choice(["job", "history"])
    own: frozenset[str] = frozenset()
    if way == "urgent":
        options["priority"] = "important"
    elif way == "nothing":
        options["keep"], own = "nothing", LOST_WITH_DAEMON
    elif way == "pieces":
        own = frozenset({"text_incomplete"})
    elif way == "opus":
        options["sample_rate"] = 8000
    cuts = tuple(sorted(chance.sample(range(1, len(text)), min(len(text) - 1, chance.randint(1, 12)))))
    return Plan(job, way, text, options, own, cuts, at)


def _harmful(chance: random.Random, job: str, count: int) -> tuple[str, bool]:
    """So many sentences, with a marker in some; and whether one of them moves the job down its chain."""
    sentences, moves = [], False
    for number in range(count):
        sentence = _sentence(chance, job, number)
        if chance.random() < 0.25:
            marker = chance.choice(RARE if chance.random() < 0.04 else ONCE)
            moves = moves or marker in MOVES
            words = sentence.split(" ")
            # Only a sentence without any sound is known to be a failure.
            place = 0 if marker == "{{silence}}" else chance.randint(1, len(words) - 1)
            sentence = " ".join([*words[:place], marker, *words[place:]])
        sentences.append(sentence)
    return " ".join(sentences), moves


def _sentence(chance: random.Random, job: str, number: int) -> str:
    """A sentence that no other job has."""
    things = " and ".join(chance.choice(THINGS) for _ in range(chance.randint(2, 8)))
    return f"Sentence {number} of {job} speaks of {things}."


def _words(chance: random.Random) -> str:
    """Sentences of words that the recogniser knows."""
    return " ".join(
        " ".join(chance.choice(WORDS) for _ in range(4)).capitalize() + "." for _ in range(chance.randint(1, 4))
    )
