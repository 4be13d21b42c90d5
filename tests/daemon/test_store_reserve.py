"""Room kept for the day on which the disk is full."""

from __future__ import annotations

import subprocess
import sys

from voicebus.daemon.store_reserve import BYTES, Reserve

NARROW = """
import resource, sys
from pathlib import Path
from voicebus.daemon.store_reserve import Reserve
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
reserve = Reserve(Path(sys.argv[1]))
reserve.keep()
sys.exit(reserve.there)
"""


def test_the_room_is_really_taken(tmp_path):
    """The file has its blocks, not only its length, and nobody else may read it."""
    reserve = Reserve(tmp_path / "reserve")
    reserve.keep()
    found = (tmp_path / "reserve").stat()
    assert reserve.there
    assert (found.st_size, found.st_mode & 0o777) == (BYTES, 0o600)
    assert found.st_blocks * 512 >= BYTES


def test_it_is_given_once(tmp_path):
    """Giving says whether there was anything to give; keeping takes it again."""
    reserve = Reserve(tmp_path / "reserve")
    assert not reserve.give()
    reserve.keep()
    reserve.keep()
    assert reserve.give()
    assert not reserve.give()
    assert not reserve.there


def test_where_there_is_no_room_there_is_no_file(tmp_path):
    """Half of the promise is none."""
    code = subprocess.run([sys.executable, "-W", "error", "-c", NARROW, tmp_path / "reserve"]).returncode
    assert code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_gone_is_no_trouble(tmp_path):
    """There is simply nothing in reserve."""
    reserve = Reserve(tmp_path / "gone" / "reserve")
    reserve.keep()
    assert not reserve.there
    assert not reserve.give()
