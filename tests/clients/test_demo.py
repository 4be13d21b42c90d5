"""The demonstration, with the real daemon and engine."""

import subprocess
import sys

import pytest
import soundfile


@pytest.mark.slow
def test_the_demonstration(tmp_path) -> None:
    """It speaks its paragraph into the file with a daemon of its own, shows the figures, and leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "voicebus.clients.demo", "demo.wav"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "real-time factor" in done.stdout
    assert soundfile.info(tmp_path / "demo.wav").duration > 15
    assert [path.name for path in tmp_path.iterdir()] == ["demo.wav"]


def test_wrong_arguments(tmp_path) -> None:
    """It says how it is used."""
    command = [sys.executable, "-m", "voicebus.clients.demo", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=25)
    assert done.returncode == 2
    assert "usage" in done.stderr
