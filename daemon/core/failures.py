"""What follows when an attempt has failed, by class of failure.

Owns: the one table that says who tries next, whether the provider's breaker hears of it and whether the text is
blamed. Must not know: jobs, chains, how a failure is found. Invariant: each class in `bus.errors.FAILURES` has
exactly one rule here, so no failure is ever without a consequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["again", "next", "stop"]
Hears = Literal["no", "counts", "trips"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from one class of failure.

    action: "again" here at the same entry of the chain, on to the "next" one, or "stop", which ends the job with this
    reason where no entry is left to ask. tries: with "again", how many more attempts the entry gets before the next
    one is asked; 0 is no limit. breaker: what the provider's breaker makes of it: "no" (does not hear of it),
    "counts" (one of the failures that open it) or "trips" (opens it at once). blames: the segment may have brought
    the worker down; two such deaths quarantine its job. reseeds: the second attempt gets another seed, since the same
    one would fail in the same way. why: the reason for all this.
    """

    action: Action
    breaker: Hears
    why: str
    tries: int = 0
    blames: bool = False
    reseeds: bool = False


RULES: dict[str, Rule] = {
    "crash": Rule(
        action="again",
        tries=2,
        breaker="counts",
        blames=True,
        why="Most crashes are the engine's and do not come twice. A second one of the same text quarantines its job, "
        "before the tries are used up.",
    ),
    "killed": Rule(
        action="again",
        breaker="no",
        why="Neither the engine nor the text can help it: an administrator or the kernel did it. Nobody pays for it.",
    ),
    "hang": Rule(
        action="again",
        tries=1,
        breaker="counts",
        blames=True,
        why="Each try costs a whole deadline of silence, so there is only one more here.",
    ),
    "out_of_memory": Rule(
        action="again",
        tries=1,
        breaker="counts",
        why="The memory may have been somebody else's for a moment; a second time this machine cannot do it.",
    ),
    "load_failed": Rule(
        action="next",
        breaker="counts",
        why="It will not load any better for the next segment.",
    ),
    "silent": Rule(
        action="again",
        tries=1,
        breaker="counts",
        reseeds=True,
        why="Engines that sample their output miss now and then; another seed is another throw.",
    ),
    "truncated": Rule(
        action="again",
        tries=1,
        breaker="counts",
        reseeds=True,
        why="As with silence: another seed is another throw.",
    ),
    "repeating": Rule(
        action="again",
        tries=1,
        breaker="counts",
        reseeds=True,
        why="As with silence: an engine that goes round in circles is led out of them by another seed.",
    ),
    "unheard": Rule(
        action="again",
        tries=1,
        breaker="counts",
        why="The worker is replaced; what it heard before stays. A second time it is the program that does so.",
    ),
    "rate_limited": Rule(
        action="next",
        breaker="trips",
        why="It says itself for how long asking is no use. The last entry of a chain is waited for instead.",
    ),
    "quota": Rule(
        action="next",
        breaker="trips",
        why="Every further request would be refused as well, and may be counted.",
    ),
    "auth": Rule(
        action="next",
        breaker="trips",
        why="Every further request would be refused as well, and repeated bad keys get addresses banned.",
    ),
    "unavailable": Rule(
        action="next",
        breaker="counts",
        why="It is out of reach for a while; the breaker finds out when it is back.",
    ),
    "invalid_input": Rule(
        action="stop",
        breaker="no",
        why="The engine is fine, it refuses this text or voice. Another provider may take it; asking this one "
        "again is no use, and where it is the last there is nobody else to ask.",
    ),
    "protocol": Rule(
        action="again",
        tries=2,
        breaker="counts",
        why="The worker is replaced; it is its own fault and not the text's. A provider that keeps doing it is left.",
    ),
}
"""Class of failure to what follows."""
