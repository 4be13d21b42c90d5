"""What people do with voices of their own, and who speaks with them, drawn from a seed.

Owns: that part of a plan. Must not know: how any of it is carried out. Invariant: of chance of its own, so that all
else in a plan is what it would be without voices.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random
from typing import Literal

from voicebus.bus.messages import Consent, SampleSpec, VoiceSpec

from .plan import FAULTS_END, USERS, Act, Order, Plan

NAMES = ("v0", "v1", "v2")
POOL = 3
"""Recordings of each user; voices share them."""


def recording(uid: int, number: int) -> bytes:
    """The file of a recording."""
    return f"{uid} says {number}. ".encode() * (9 + 8 * number)


def sample_name(data: bytes) -> str:
    """What a recording is called."""
    return hashlib.sha256(data).hexdigest()


def spec_of(uid: int, act: Act) -> VoiceSpec:
    """The voice that an act wants."""
    samples = [SampleSpec(sample_name(recording(uid, number)), f"Words {number}.") for number in act.samples]
    return VoiceSpec(samples=samples, consent=Consent("me", "It is my own voice."))


def with_voices(plan: Plan) -> Plan:
    """The plan, with voices in it."""
    chance = Random(f"voices {plan.seed}")
    acts = tuple(act for user in range(USERS) for act in _acts(chance, user, plan.clients + USERS))
    orders = tuple(_spoken(chance, order) for order in plan.orders)
    return replace(plan, acts=tuple(sorted(acts, key=lambda act: act.at)), orders=orders)


def _acts(chance: Random, user: int, people: int) -> list[Act]:
    """One voice comes early; then anything happens to any."""
    mine = [number for number in range(people) if number % USERS == user]
    acts = [_act(chance, "add", NAMES[0], mine, chance.uniform(0.1, 2.0))]
    for _ in range(chance.randint(0, 6)):
        kind: Literal["add", "change", "rename", "remove"] = chance.choices(
            ("add", "change", "rename", "remove"), (5, 1, 2, 4)
        )[0]
        soon, later = acts[-1].at + chance.uniform(0.0, 0.05), chance.uniform(0.2, FAULTS_END)
        acts.append(_act(chance, kind, chance.choice(NAMES), mine, soon if chance.random() < 0.3 else later))
    return [_as_it_was(act, acts) if number % 2 else act for number, act in enumerate(acts)]


def _as_it_was(act: Act, acts: list[Act]) -> Act:
    """A change of something else than the recordings, where somebody has added the voice."""
    added = [other.samples for other in acts if (other.kind, other.name) == ("add", act.name)]
    return replace(act, samples=added[0]) if act.kind == "change" and added else act


def _act(
    chance: Random, kind: Literal["add", "change", "rename", "remove"], name: str, mine: list[int], at: float
) -> Act:
    samples = tuple(chance.sample(range(POOL), chance.choice((1, 1, 2))))
    return Act(kind, name, chance.choice(NAMES), samples, chance.choice(mine), at)


def _spoken(chance: Random, order: Order) -> Order:
    draw, name, later = chance.random(), chance.choice((*NAMES[:1], *NAMES)), chance.uniform(0.0, 12.0)
    if order.hears or draw < 0.3:
        return order
    return replace(order, voice=name, at=order.at + later)
