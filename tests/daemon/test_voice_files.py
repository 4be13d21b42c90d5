"""Recordings and voice prompts as files."""

from __future__ import annotations

import os

import pytest

from voicebus.bus.prompts import Array, VoicePrompt, pack
from voicebus.daemon.voice_files import VoiceFiles

SAMPLE, PROMPT = "a" * 64 + ".sample", "b" * 32 + "." + "c" * 64 + ".prompt"


@pytest.fixture
def files(tmp_path):
    return VoiceFiles(tmp_path / "voices")


def test_a_recording_comes_in_pieces(files):
    """Pieces that fit are put to what is there, others change nothing; it has its name once it is adopted."""
    assert [files.write(7, SAMPLE, at, data) for at, data in ((0, b""), (0, b"abc"), (0, b"xyz"), (3, b"de"))] == [
        0,
        3,
        3,
        5,
    ]
    assert files.found() == {}
    files.adopt(7, SAMPLE)
    files.sync(7, ("a" * 64,))
    assert files.found() == {(7, SAMPLE): 5}
    assert files.read(7, SAMPLE, 1, 3) == b"bcd"
    assert files.path(7, SAMPLE).stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_taken_up_again(files):
    """A whole recording that nobody knows any more counts as all of what was sent."""
    files.write(7, SAMPLE, 0, b"abc")
    files.adopt(7, SAMPLE)
    assert files.write(7, SAMPLE, 0, b"") == 3
    assert files.found() == {}


@pytest.mark.parametrize("name", ["../x", "a" * 64, "a" * 63 + "/.sample", "", "A" * 64 + ".sample", SAMPLE + "\n"])
def test_no_other_name_reaches_a_path(files, name):
    """Only the names that the daemon itself makes are files."""
    for use in (
        lambda: files.read(7, name, 0, 1),
        lambda: files.write(7, name, 0, b"x"),
        lambda: files.drop(7, (name,)),
        lambda: files.store(7, name, b"x"),
    ):
        with pytest.raises(ValueError, match="not the name"):
            use()


def test_links_are_not_followed(files, tmp_path):
    """A link in place of a file is an error, whatever it leads to."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    files.write(7, SAMPLE, 0, b"x")
    files.path(7, SAMPLE).symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        files.read(7, SAMPLE, 0, 6)
    assert files.found() == {}


def test_dropped_is_gone(files):
    """Files go with what there is of them, and the folders with the last; what is not there is no error."""
    files.write(7, SAMPLE, 0, b"abc")
    files.store(7, PROMPT, b"prompt")
    files.drop(7, (SAMPLE, PROMPT, "d" * 64 + ".sample"))
    assert not files.directory.exists()


def test_a_range_that_is_not_there_is_an_error(files):
    """Nobody gets fewer bytes than were asked for."""
    files.write(7, SAMPLE, 0, b"abc")
    files.adopt(7, SAMPLE)
    with pytest.raises(OSError, match="no 5 bytes"):
        files.read(7, SAMPLE, 1, 5)


def test_a_damaged_prompt_is_not_found(files):
    """What a power cut left of a prompt is as good as nothing; one that is whole is found."""
    good = pack(VoicePrompt({"x": Array("U8", (1,), b"x")}))
    files.store(7, PROMPT, good)
    assert files.found() == {(7, PROMPT): len(good)}
    files.store(7, PROMPT, good[:-1])
    assert files.found() == {}


def test_a_full_disk_leaves_no_half_piece(files, monkeypatch):
    """A piece that could not be written whole is as if it had not come; nor is a prompt half there."""
    files.write(7, SAMPLE, 0, b"abc")

    def full(fd, data, at):
        os.write(fd, data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        files.write(7, SAMPLE, 3, b"def")
    monkeypatch.undo()
    assert files.write(7, SAMPLE, 3, b"") == 3
