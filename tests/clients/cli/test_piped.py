"""A file that is "-": who may be at the other end of it."""

from __future__ import annotations

import os
import pty
import subprocess
import zipfile

import pytest

from voicebus.clients.cli import piped

from .test_whole import command


@pytest.mark.parametrize(
    "arguments",
    [
        ["voices", "export", "anna", "-"],
        ["history", "export", "-"],
        ["voices", "import", "-"],
        ["history", "import", "-"],
    ],
)
def test_a_terminal_is_refused(arguments, tmp_path):
    """Bytes that nobody can read are not shown, and nobody is left to type them; nothing is asked of a daemon."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "VOICEBUS_RUNTIME_DIR": str(tmp_path), "VOICEBUS_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=25,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, b"is a terminal" in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_standard_output_may_be_a_file_that_is_added_to(tmp_path, monkeypatch):
    """What stands in a file before stays, as with any command whose output a shell appends."""
    path = tmp_path / "all"
    path.write_bytes(b"before")
    with path.open("a") as file:
        monkeypatch.setattr("sys.stdout", file)
        with zipfile.ZipFile(piped.output(), "w") as archive:
            archive.writestr("text.txt", "Hello.")
    data = path.read_bytes()
    assert data.startswith(b"before")
    with zipfile.ZipFile(path) as archive:  # what stands before a zip does not matter to it
        assert archive.read("text.txt") == b"Hello."
