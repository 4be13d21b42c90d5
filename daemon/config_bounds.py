"""Values of ``voicebus.toml``: of which type each is, and within which bounds.

Owns: the bounds, and the words for what is beyond them. Must not know: where in the file a value stands, what it is
for. Invariant: a value that is handed out has the type of its default.
"""

from __future__ import annotations

import math
from typing import Any

from .config_values import Bad

_AT_LEAST: dict[str, float] = {
    "workers": 0,
    "keep_warm": 0,
    "idle_unload_s": 0,
    "recycle_jobs": 0,
    "recycle_rss_bytes": 0,
    "recycle_vram_bytes": 0,
    "memory_budget_bytes": 0,
    "rate": 0,
    "idle_exit_s": 0,
    "fence_s": 0,
    "stop_s": 0,
    "base_s": 0,
    "text_wait_s": 0,
    "finished_jobs": 0,
    "disk_bytes": 0,
    "job_keep_s": 0,
    "keep_days": 0,
    "keep_bytes": 0,
    "pack_after_s": 0,
    "clients_per_user": 0,
    "jobs_per_user": 0,
    "texts_bytes_per_user": 0,
    "disk_bytes_per_user": 0,
    "segment_chars": 40,
    "first_segment_chars": 20,
    "beat_s": 0.05,
    "load_s": 0.1,
    "first_chunk_s": 0.1,
    "chunk_s": 0.1,
}
_WORDS = {"keep": ("history", "job", "nothing")}
_AT_MOST: dict[str, float] = {"workers": 64, "rate": 192_000, "segment_chars": 5000, "beat_s": 60}
"""Bounds. Where there is none: at least 1 for a count, more than 0 for a time."""


def checked(key: str, value: Any, default: Any) -> Any:
    """A value of the default's type, within the key's bounds. Raises Bad."""
    if isinstance(default, int | float):
        return _number(key, value, default)
    if isinstance(default, tuple):
        if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
            raise Bad("must be a list of strings")
        return tuple(value)
    if key in _WORDS and value not in _WORDS[key]:
        raise Bad(f"must be one of {', '.join(_WORDS[key])}")
    if not isinstance(value, type(default)):
        raise Bad("must be a table" if isinstance(default, dict) else "must be a string")
    return dict(value) if isinstance(value, dict) else value


def _number(key: str, value: Any, default: float) -> float:
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise Bad("must be a whole number" if whole else "must be a number")
    if not math.isfinite(value):
        raise Bad("must be finite")
    least = _AT_LEAST.get(key, 1 if whole else None)
    if least is None and value <= 0:
        raise Bad("must be more than 0")
    if least is not None and value < least:
        raise Bad(f"must be at least {least:g}")
    if value > _AT_MOST.get(key, 1e12):
        raise Bad(f"must be at most {_AT_MOST.get(key, 1e12):g}")
    return value if whole else float(value)
