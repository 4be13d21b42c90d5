"""A scripted daemon at a short path, for each test that wants one."""

import shutil
import tempfile
from pathlib import Path

import pytest

from .scripted import Daemon


@pytest.fixture
def short_dir():
    """A directory whose path leaves room for a socket's name; pytest's own may not."""
    path = Path(tempfile.mkdtemp(prefix="vb-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def daemon(short_dir):
    found = Daemon(short_dir / "bus.sock")
    yield found
    found.stop()
