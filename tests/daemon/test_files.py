"""Files below the state directory, read in ranges."""

from __future__ import annotations

import pytest

from voicebus.daemon.files import Files


def test_a_range_is_read(tmp_path):
    """A range of a file comes whole, from wherever it is asked for."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/a.input").write_bytes(b"0123456789")
    assert Files(tmp_path).read("logs/a.input", 3, 4) == b"3456"


@pytest.mark.parametrize(("at", "length"), [(8, 3), (20, 1)])
def test_a_file_that_ends_too_soon_is_an_error(tmp_path, at, length):
    """A range that the file does not have is an error, never fewer bytes."""
    (tmp_path / "a").write_bytes(b"0123456789")
    with pytest.raises(OSError, match="ends before"):
        Files(tmp_path).read("a", at, length)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../b", ".hidden", "", "a//b", "a/", "a\n"])
def test_no_name_leads_out(tmp_path, name):
    """What is not the plain name of a file in the directory is refused."""
    with pytest.raises(ValueError, match="name"):
        Files(tmp_path).read(name, 0, 1)


def test_no_link_is_followed(tmp_path):
    """A link in a file's place is not followed."""
    (tmp_path / "target").write_bytes(b"secret")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        Files(tmp_path).read("a", 0, 1)
