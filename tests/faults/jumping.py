"""Runs a Python program with a wall clock that jumps: ``jumping.py FILE PROGRAM...``, PROGRAM as for ``python``.

The number in FILE is added to `time.time` (and `time.time_ns`) from then on, whatever it is at that moment. The
machine's own clock belongs to everybody on it, and no name space holds another one. So this shows what a jump does to
the program and its libraries in Python; what C code reads by itself (file times, SQLite's ``now``) does not jump.
Owns: that clock. Must not know: what the program is.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    """Patch, then become the program."""
    file, _python, *rest = sys.argv[1:]
    offset = Path(file)
    wall, wall_ns = time.time, time.time_ns

    def jump() -> float:
        return float(offset.read_text() or 0) if offset.exists() else 0.0

    time.time = lambda: wall() + jump()
    time.time_ns = lambda: wall_ns() + int(jump() * 1e9)
    while rest[0].startswith("-") and rest[0] != "-m":
        del rest[0 : 2 if rest[0] in ("-W", "-X") else 1]
    sys.argv = rest[1:]
    runpy.run_module(rest[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
