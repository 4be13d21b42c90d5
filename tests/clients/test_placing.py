"""Files that get their names when they are whole."""

from __future__ import annotations

import os

import pytest

from voicebus.clients.placing import placed


def write(path, data=b"new"):
    with placed(path) as file:
        file.write(data)


def test_a_file_appears_when_it_is_whole(tmp_path):
    """Until then what was there before stays, and afterwards nothing lies beside it."""
    path = tmp_path / "it"
    path.write_bytes(b"old")
    with placed(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"new", [path])


def test_what_breaks_off_leaves_all_as_it_was(tmp_path):
    """An error in the middle costs nothing that was there, and leaves no draft."""
    path = tmp_path / "it"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), placed(path) as file:
        print(b"new", file=file)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_a_symbolic_link_stays_one(tmp_path):
    """What it points to is written."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_pipe_stays_one(tmp_path):
    """What is no file is written as it is: moving a file to its place would take a pipe, or a device, away."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(path)
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert path.is_fifo()


def test_an_error_names_the_target(tmp_path):
    """Not the draft beside it, which nobody has heard of."""
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "nowhere" / "it")
    assert caught.value.filename == str(tmp_path / "nowhere" / "it")


def test_permissions_may_be_narrower(tmp_path):
    """A file may be for its owner alone."""
    with placed(tmp_path / "it", 0o600) as file:
        file.write(b"x")
    assert (tmp_path / "it").stat().st_mode & 0o777 == 0o600
