"""What a worker's READY tells of its engine, besides what it can say.

Owns: reading that. Must not know: workers, what it is shown for. Invariant: whatever was told, what comes back is short
and can be shown in a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEVICE_WORDS = 32
"""Most things that are told of a device."""


def version(told: Mapping[str, Any]) -> str:
    """What stands in the record of a job: the engine's version, which names its model where it has one; "" for none."""
    engine = told.get("engine")
    found = engine.get("version") if isinstance(engine, dict) else ""
    return found[:100] if isinstance(found, str) and found.isprintable() else ""


def device(told: Mapping[str, Any]) -> str:
    """Whose memory it uses, by the name that budgets go by."""
    found = told.get("device")
    return str(found.get("id") or found.get("kind") or "")[:100] if isinstance(found, dict) else ""


def about(told: Mapping[str, Any]) -> dict[str, Any]:
    """The device for a list: number type, attention, free memory ..., each a word or a number."""
    found = told.get("device")
    rows = list(found.items())[:DEVICE_WORDS] if isinstance(found, dict) else []
    return {str(name)[:100]: _short(value) for name, value in rows}


def _short(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    return ", ".join(map(str, value))[:200] if isinstance(value, list) else str(value)[:200]
