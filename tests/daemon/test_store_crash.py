"""A store killed, or without power, at any write: a few of the points of ``make crash-points``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("crash_points.py")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_was_told_is_there_after_a_crash():
    """Whatever write it dies at, by a kill or a power cut: what was told is there, the rest wholly or not at all."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--every", "29", "--seeds", "1"], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps, crashes, failed = map(int, re.findall(r"\d+", done.stdout.splitlines()[-1]))
    assert (steps > 300, crashes > 20, failed) == (True, True, 0)
