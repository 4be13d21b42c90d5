"""How a job may end, after all that befell.

Owns: which end takes which reason. Must not know: the core, when anything happened. Invariant: an end without a reason
among the faults and what people asked for is a broken promise.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from voicebus.bus.messages import Terminal

from .plan import UNSAYABLE

if TYPE_CHECKING:
    from .plan import Order

ENGINE_CODES = frozenset(
    {"crash", "killed", "hang", "out_of_memory", "load_failed", "silent", "truncated", "repeating", "unheard",
     "rate_limited", "quota", "auth", "unavailable", "invalid_input", "protocol", "quarantined", "failed"}
)  # fmt: skip

BRING_DOWN = (
    "engine crashes",
    "engine hangs",
    "engine breaks the protocol",
    "worker stalls",
    "a worker is away",
    "an outsider goes",
)
"""What looks as if an engine had come to its end. Of whoever is away for long, and of an outsider, which has no process
to be seen ending, all that can be known is that nothing is made any more."""


class Asked(NamedTuple):
    """What people wanted of a job."""

    kept: bool
    cancelled: bool
    deleted: bool


def allowed(order: Order, end: Terminal, asked: Asked, befell: Counter[str]) -> bool:
    """Whether a job may end like this."""
    if end.state == "finished":
        bad = _of_engines(order, befell) > 0 or _brought_down(befell) >= 2
        return end.skipped == 0 or (order.options["skip_bad"] and bad)
    match end.code:
        case "unknown_voice":
            return bool(order.voice)
        case "cancelled":
            return asked.cancelled
        case "deleted":
            return asked.deleted
        case "abandoned":
            return bool(order.options["pace"] == "listen")
        case "text_incomplete":
            return len(order.pieces) > 1 and _of_clients(befell) > 0
        case "disk_full" | "storage":
            return befell["disk is full"] + befell["commits fail"] > 0
        case "daemon_stopped":
            return not asked.kept
        case "quarantined":
            # Which sentence it was depends on what was lost with the worker; that there were two is what counts.
            return _brought_down(befell) >= 2
    return end.code in ENGINE_CODES and _of_engines(order, befell) >= 2


def _brought_down(befell: Counter[str]) -> int:
    return sum(befell[kind] for kind in BRING_DOWN)


def _of_engines(order: Order, befell: Counter[str]) -> int:
    kinds = ("engine", "worker loads", "worker dies")
    faults = sum(count for kind, count in befell.items() if kind.startswith(kinds))
    return faults + 2 * (UNSAYABLE in order.text)


def _of_clients(befell: Counter[str]) -> int:
    return sum(count for kind, count in befell.items() if kind.startswith(("client", "daemon", "power")))
