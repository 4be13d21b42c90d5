"""A real daemon, and a stage for peers that know only the document."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..faults.leaks import Gate, left_in_order
from .rawpeer import Stage

RAW_PEER = Path(__file__).with_name("rawpeer.py")
KEYED = 120
"""Providers that workers of tests register for, each for one test: none meets what another left behind."""


class Daemon:
    """A daemon in a process of its own, with directories of its own."""

    def __init__(self, config: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="vb")
        self.root = Path(self.folder.name)
        (self.root / "voicebus.toml").write_text(config.replace("@ROOT@", str(self.root)), encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.gate = Gate(self.root)
        self.killed = False
        self.unused = iter(range(KEYED))

    @property
    def runtime_dir(self) -> Path:
        return self.root / "r"

    def start(self) -> None:
        """Start it; clients find out by themselves when it is there."""
        env = os.environ | {
            "VOICEBUS_STATE_DIR": str(self.root / "s"),
            "VOICEBUS_RUNTIME_DIR": str(self.runtime_dir),
            "VOICEBUS_CONFIG": str(self.root / "voicebus.toml"),
        }
        with (self.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "voicebus.daemon", "run"],
                env=env,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """As a power cut of the process: nothing is finished."""
        assert self.process is not None
        self.killed = True
        self.process.kill()
        self.process.wait(10)

    def leave_nothing(self) -> None:
        """After a stop: no process, socket, descriptor or thread is left, nor anything half made."""
        left_in_order(self.runtime_dir, self.root / "s", never_killed=not self.killed)
        self.gate.shut()

    def stop(self) -> int:
        """Ask it to leave; twice, so that it does not wait for anybody."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                return self.process.wait(0.3)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise

    def provider(self) -> tuple[str, str]:
        """A provider that nobody has used yet, and its key."""
        number = next(self.unused)
        return f"raw{number}", f"key-{number}-of-this-test"

    def output(self) -> str:
        return (self.root / "output").read_text(encoding="utf-8", errors="replace")


def config(*extra: str) -> str:
    """A configuration: espeak, providers that nobody is started for, one whose worker is started by the daemon."""
    parts = ["[providers.espeak]\nworkers = 1\n"]
    parts += [
        f'[providers.raw{n}]\nkey = "key-{n}-of-this-test"\nrate = 8000\nbeat_s = 0.5\nworkers = 0\n'
        "first_chunk_s = 5.0\nchunk_s = 1.0\n"
        for n in range(KEYED)
    ]
    parts.append(
        f'[providers.started]\ncommand = ["{sys.executable}", "{RAW_PEER}"]\nrate = 8000\nworkers = 2\n'
        '[providers.started.env]\nRAW_DIE_ONCE = "@ROOT@/die-once"\n'
    )
    return "\n".join([*parts, *extra])


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """The daemon of all tests of a file: it must survive them all."""
    daemon = Daemon(config())
    daemon.start()
    try:
        yield daemon
        assert daemon.process.poll() is None, f"the daemon died:\n{daemon.output()[-4000:]}"
        assert daemon.stop() == 0
        daemon.leave_nothing()
        assert "Traceback" not in daemon.output(), daemon.output()[-4000:]
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
        daemon.folder.cleanup()


@pytest.fixture
def own_daemon() -> Iterator[Daemon]:
    """A daemon for one test, which may kill it."""
    daemon = Daemon(config())
    daemon.start()
    try:
        yield daemon
        daemon.stop()
        daemon.leave_nothing()
    finally:
        daemon.stop()
        daemon.folder.cleanup()


@pytest.fixture
def stage(daemon: Daemon) -> Iterator[Stage]:
    """A stage before the common daemon."""
    stage = Stage(daemon.runtime_dir)
    try:
        yield stage
    finally:
        stage.close()
