"""A scripted daemon at a short path, for each test that wants one."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from voicebus.clients import requests, session, starting

from ..faults.leaks import Gate, left_in_order
from .scripted import Daemon


@pytest.fixture
def short_dir():
    """A directory whose path leaves room for a socket's name; pytest's own may not."""
    path = Path(tempfile.mkdtemp(prefix="vb-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def own_service(short_dir):
    """The environment of a program that has directories of its own; the daemon that it starts is stopped."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VOICEBUS_", "XDG_"))}
    environment |= {
        "VOICEBUS_RUNTIME_DIR": str(short_dir / "run"),
        "VOICEBUS_STATE_DIR": str(short_dir / "state"),
        "VOICEBUS_CONFIG": str(short_dir / "voicebus.toml"),
    }
    gate = Gate(short_dir)
    yield environment
    stop = "from voicebus.clients.cli import main; main()"
    subprocess.run([sys.executable, "-c", stop, "daemon", "stop", "--now"], env=environment, timeout=20)
    gate.shut()
    if (short_dir / "state").exists():
        left_in_order(short_dir / "run", short_dir / "state")


@pytest.fixture
def daemon(short_dir):
    found = Daemon(short_dir / "bus.sock")
    yield found
    found.stop()


@pytest.fixture
def dying(short_dir, monkeypatch):
    """Our own daemon is one that can be connected to and dies before it greets; gives a function that says for which
    endpoints one was brought back, which is then there."""
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(short_dir))
    path = short_dir / "bus.sock"
    came: list[Daemon] = []
    asked: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def bring_back(endpoint):
            asked.append(endpoint)
            listener.close()
            path.unlink()
            came.append(Daemon(path))

        monkeypatch.setattr(starting, "bring_back", bring_back)
        monkeypatch.setattr(session, "UNGREETED_S", 0.1)
        yield lambda: asked
    for each in came:
        each.stop()


@pytest.fixture
def impatient(monkeypatch):
    """A daemon that is silent counts as gone after a fraction of a second."""
    monkeypatch.setattr(session, "SILENCE_S", 0.3)
    monkeypatch.setattr(session, "STARVED_S", 0.1)
    monkeypatch.setattr(requests, "STARVED_S", 0.1)
