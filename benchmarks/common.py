"""What every figure needs: rounds, statistics and the rows of the table.

A figure is measured in rounds. In each round everything is measured once, the floor too, in an order that turns from
round to round, so that a machine that gets slower or faster meanwhile does so for all. What is shown is the median of
the rounds with the smallest and the largest, and the ratio is taken within each round.
"""

from __future__ import annotations

import math
import mmap
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

RUNS = 5
"""Rounds of each figure, unless told otherwise."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def median(values: Sequence[float]) -> float:
    if not values:
        return math.nan
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass
class Row:
    """One line of the table.

    values: one for each round, in `unit`; floor: the same of the floor (empty: there is none); ratios: value to floor
    in each round, where that is not simply their quotient. aim: in words; met: whether it was (None: there is none).
    """

    figure: int
    what: str
    unit: str
    values: list[float]
    floor: list[float] = field(default_factory=list)
    floor_name: str = ""
    ratios: list[float] = field(default_factory=list)
    aim: str = ""
    met: bool | None = None
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.floor and not self.ratios:
            self.ratios = [v / f if f else math.inf for v, f in zip(self.values, self.floor, strict=True)]

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    def plain(self) -> dict[str, Any]:
        """As it stands in the JSON file."""
        found = asdict(self)
        found["median"] = self.value
        if self.floor:
            found["floor_median"] = median(self.floor)
        if self.ratios:
            found["ratio_median"] = self.ratio
        return found


def number(value: float) -> str:
    """Three digits that count."""
    if not math.isfinite(value):
        return "inf"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    if value == 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if abs(value) >= 0.001 else f"{value:.1e}"


def spread(values: Sequence[float]) -> str:
    """Median, smallest and largest."""
    if not values:
        return ""
    if len(set(values)) == 1:
        return number(values[0])
    return f"{number(median(values))} ({number(min(values))}..{number(max(values))})"


HEADINGS = ("#", "what", "measured", "floor", "ratio", "aim", "met")


def cells(row: Row) -> tuple[str, ...]:
    floor = f"{spread(row.floor)} {row.floor_name}".strip() if row.floor else ""
    met = {True: "yes", False: "NO", None: ""}[row.met]
    ratio = spread(row.ratios) if row.ratios else ""
    return str(row.figure), row.what, f"{spread(row.values)} {row.unit}", floor, ratio, row.aim, met


def table(rows: Sequence[Row]) -> str:
    """A table in Markdown, readable in a terminal too."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]

    def join(line: Sequence[str]) -> str:
        return "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    notes = [f"- {row.figure}, {row.what}: {row.note}" for row in rows if row.note]
    return "\n".join([join(lines[0]), rule, *map(join, lines[1:]), *([""] if notes else []), *notes])


def rounds(runs: int, **parts: Callable[[], Any]) -> dict[str, list[Any]]:
    """Measure all parts `runs` times, each round beginning with another."""
    found: dict[str, list[Any]] = {name: [] for name in parts}
    names = list(parts)
    for run in range(runs):
        first = run % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(parts[name]())
    return found


def touch_memory(gigabytes: float) -> None:
    """Use so much memory once and give it back.

    In a virtual machine a page that nobody has touched since it was started costs 10 to 40 us when it first is, which
    would be charged to whoever writes a journal.
    """
    size = int(gigabytes * 2**30)
    with mmap.mmap(-1, size) as memory:
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def until(condition: Callable[[], Any], timeout_s: float, what: str, pause_s: float = 0.02) -> Any:
    """What the condition gives as soon as that is anything. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not in {timeout_s} s")
        time.sleep(pause_s)
    return found


def show(about: dict[str, Any], rows: Sequence[Row]) -> None:
    """Print what was measured on what."""
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print()
    print(table(rows))


def machine() -> dict[str, Any]:
    """Where this was measured, as far as it matters and is nobody's business."""
    import msgspec
    import zmq

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "python": platform.python_version(),
        "pyzmq": zmq.__version__,
        "libzmq": zmq.zmq_version(),
        "msgspec": msgspec.__version__,
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }
