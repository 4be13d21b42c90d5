"""Measures the project's figures and prints one table: ``make bench`` or ``python benchmarks/run.py [--only 1,4]``.

What each figure means stands at the head of its file and in docs/benchmarks.md. Absolute times say something about
this machine at this moment only; ratios to the floors are what is worth comparing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from common import RUNS, Row, machine, say, show

MODULES = (
    "fig01_first_audio",
    "fig02_relay",
    "fig03_listeners",
    "fig04_failover",
    "fig05_cancel",
    "fig06_urgent",
    "fig07_old_design",
    "fig08_idle",
    "fig09_say",
    "fig10_two_workers",
    "fig11_durability",
    "fig12_simulation",
    "fig13_restart",
    "fig14_cloning",
)


def figures(only: str) -> list[int]:
    """The numbers in "1,4", or all."""
    try:
        chosen = [int(word) for word in only.split(",") if word.strip()] or list(range(1, len(MODULES) + 1))
    except ValueError:
        raise SystemExit(f"--only wants numbers such as 1,4, not {only!r}") from None
    if unknown := [number for number in chosen if not 1 <= number <= len(MODULES)]:
        raise SystemExit(f"there are figures 1 to {len(MODULES)}, not {unknown}")
    return chosen


def measured(number: int, runs: int) -> list[Row]:
    """A figure's rows; one that says so where it could not be measured."""
    module = importlib.import_module(MODULES[number - 1])
    say(f"{number}. {module.TITLE}")
    begin = time.perf_counter()
    try:
        rows: list[Row] = module.measure(runs)
    except Exception as error:  # noqa: BLE001 - the other figures are still worth having
        traceback.print_exc()
        rows = [Row(number, module.TITLE, "", [], met=False, note=f"could not be measured: {error}"[:300])]
    say(f"  {time.perf_counter() - begin:.0f} s")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the figures of voicebus.")
    parser.add_argument("--only", default="", metavar="1,4", help="figures to measure")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"rounds of each ({RUNS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    chosen = parser.parse_args()
    about: dict[str, Any] = machine() | {"runs": chosen.runs}
    rows: list[Row] = []
    for number in figures(chosen.only):
        rows += measured(number, chosen.runs)
    show(about, rows)
    if chosen.json:
        text = json.dumps({"machine": about, "rows": [row.plain() for row in rows]}, indent=1)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    return 1 if any(row.met is False and not row.values for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
