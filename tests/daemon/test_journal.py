"""The journals of takes: whole records or none."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from voicebus.daemon.journal import HEADER, Journals, scan

META = {"segment": 1, "take": "e-1", "provider": "tone"}


@pytest.fixture
def journals(tmp_path):
    made = Journals(tmp_path / "logs", open_files=3)
    yield made
    made.close()


def taken(path):
    """Take names and audio of all whole records."""
    data = path.read_bytes()
    return [(r.meta["take"], data[r.pcm_at : r.pcm_at + r.pcm_length]) for r in scan(path)]


def test_a_take_is_read_back_where_append_said(journals):
    """`append` tells where the PCM and the marks are, and reading there gives them back."""
    for number in range(3):
        pcm_at, marks_at = journals.append("job", META, b"marks%d" % number, [b"ab", b"", b"cd" * 700])
        assert journals.read("job", pcm_at, 1402) == b"ab" + b"cd" * 700
        assert journals.read("job", marks_at, 6) == b"marks%d" % number
    assert journals.total == journals.path("job").stat().st_size
    assert [(r.meta, r.marks) for r in scan(journals.path("job"))] == [
        (META, b"marks%d" % number) for number in range(3)
    ]


def test_a_take_of_many_pieces_is_one_record(journals):
    """More pieces than one system call can take are written all the same."""
    pieces = [bytes([number % 256]) * 2 for number in range(3000)]
    journals.append("job", META, b"", pieces)
    assert taken(journals.path("job")) == [("e-1", b"".join(pieces))]


def test_every_cut_and_every_damaged_byte_is_noticed(journals, tmp_path):
    """However short a file is cut, and whichever byte of its last record is damaged, the records before it
    are read and that one is not."""
    journals.append("job", {**META, "take": "1"}, b"m", [b"first"])
    whole = journals.path("job").stat().st_size
    journals.append("job", {**META, "take": "2"}, b"m", [b"second"])
    data = journals.path("job").read_bytes()
    torn = tmp_path / "torn"
    for length in range(whole, len(data)):
        torn.write_bytes(data[:length])
        assert taken(torn) == [("1", b"first")]
    for at in range(whole, len(data)):
        torn.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert taken(torn) == [("1", b"first")]
    torn.write_bytes(data + b"\0" * 100)
    assert [name for name, _ in taken(torn)] == ["1", "2"]


def test_a_record_that_lies_about_its_length_is_the_end(journals, tmp_path):
    """A damaged length does not make the reader ask for gigabytes."""
    (tmp_path / "lie").write_bytes(HEADER.pack(b"VBT1", 2**32 - 1, 2**32 - 1, 2**32 - 1, 0))
    assert list(scan(tmp_path / "lie")) == []


def test_few_descriptors_serve_many_journals(journals):
    """At most so many files are open as was said, and closed ones are opened again when they are needed."""
    before = len(list(Path("/dev/fd").iterdir()))
    places = {f"job{number}": None for number in range(20)}
    for name in places:
        places[name] = journals.append(name, META, b"", [name.encode()])[0]
    assert len(list(Path("/dev/fd").iterdir())) - before == 3
    for name, place in places.items():
        assert journals.read(name, place, len(name)) == name.encode()
    for name in places:
        journals.append(name, META, b"", [b"more"])
        assert [pcm for _, pcm in taken(journals.path(name))] == [name.encode(), b"more"]


def test_dropping_gives_the_space_back(journals):
    """A dropped journal is gone from the disk and from the total; dropping what is not there is nothing."""
    journals.append("a", META, b"", [b"x" * 100])
    size = journals.total
    journals.append("b", META, b"", [b"x"])
    journals.drop("b")
    journals.drop("b")
    assert journals.total == size
    assert not journals.path("b").exists()
    with pytest.raises(OSError, match="No such file"):
        journals.read("b", 0, 1)
    with pytest.raises(OSError, match="ends before"):
        journals.read("a", 0, 10_000)


def test_names_that_differ_only_in_case_are_different_files(journals):
    """On a file system that does not tell cases apart two jobs still have two journals."""
    assert journals.path("Job").name.lower() != journals.path("job").name.lower()


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a\0", "a" * 200])
def test_a_name_that_could_leave_the_directory_is_refused(journals, name):
    """No name reaches a path outside the directory of the journals."""
    with pytest.raises(ValueError, match="cannot be the name"):
        journals.append(name, META, b"", [])


def test_a_journal_is_taken_up_where_it_is_whole(tmp_path):
    """What a power cut left torn is cut off, and what is written next stands right behind what can be read."""
    before = Journals(tmp_path)
    before.append("log", META, b"m", [b"first"])
    whole = before.size("log")
    before.append("log", META, b"", [b"second"])
    before.close()
    os.truncate(before.path("log"), before.size("log") - 1)
    later = Journals(tmp_path)
    assert [record.marks for record in later.take_up("log")] == [b"m"]
    assert later.size("log") == whole
    at, _ = later.append("log", META, b"", [b"third"])
    assert later.read("log", at, 5) == b"third"
    assert len(list(scan(later.path("log")))) == 2
    assert later.take_up("other") == []
    later.close()


def test_a_journal_without_a_whole_record_is_emptied(tmp_path):
    """Nothing that was torn stays in the way."""
    journals = Journals(tmp_path)
    journals.path("log").write_bytes(b"VBT1 and then the power went")
    assert journals.take_up("log") == [] and journals.size("log") == 0


def test_syncing_from_anywhere(journals):
    """What is there is synced, what is not there needs it not."""
    journals.append("job", META, b"", [b"x"])
    journals.sync("job")
    journals.sync("nothing")


FULL = """
import resource, sys
from pathlib import Path
from voicebus.daemon.journal import Journals, scan

def names():
    return [r.meta["take"] for r in scan(journals.path("job"))]

journals = Journals(Path(sys.argv[1]))
journals.append("job", {"take": "1"}, b"", [b"x" * 1000])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    journals.append("job", {"take": "2"}, b"", [b"y" * 1000, b"z" * 5000])
except OSError as error:
    print(error.strerror)
print(names(), journals.path("job").stat().st_size, journals.total)
pcm_at, _ = journals.append("job", {"take": "3"}, b"", [b"w" * 1000])
print(names(), journals.read("job", pcm_at, 4))
"""


def test_a_full_disk_leaves_whole_records_only(tmp_path):
    """When a take does not fit, its beginning is cut off again, and a smaller one can still be written after
    it."""
    ran = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True)
    assert ran.stderr == ""
    said, after, again = ran.stdout.splitlines()
    assert said == os.strerror(27)
    assert after.split()[1] == after.split()[2]
    assert after.startswith("['1'] ")
    assert again == "['1', '3'] b'wwww'"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
