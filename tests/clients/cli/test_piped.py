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


@pytest.mark.parametrize(
    ("closed", "arguments", "code", "told"),
    [
        (0, ["say", "-o", "x.wav"], 3, b"ended while starting"),
        (1, ["config", "path"], 7, b"Bad file descriptor"),
        (1, ["history", "export", "-"], 3, b"ended while starting"),
        (2, ["config", "path"], 0, b""),
    ],
)
def test_a_standard_stream_that_is_closed(closed, arguments, code, told, tmp_path):
    """Started with `<&-`, `>&-` or `2>&-` it reads nothing, cannot write, or stays silent: no internal error."""
    (tmp_path / "file").touch()  # where a daemon would have its state: none can be started
    environment = {**os.environ, "VOICEBUS_RUNTIME_DIR": str(tmp_path), "VOICEBUS_STATE_DIR": str(tmp_path / "file")}
    line = ["sh", "-c", f'exec "$@" {closed}{"<" if closed == 0 else ">"}&-', "sh", *command(*arguments)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, env=environment, timeout=25, check=False)
    assert done.returncode == code, done
    assert told in done.stderr
    assert b"internal error" not in done.stderr
    assert b"Exception" not in done.stderr


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
