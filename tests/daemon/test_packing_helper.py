"""Packing for real: journals into FLAC files and back, byte for byte; damage is found."""

from __future__ import annotations

import math
import os
import random
import signal
import struct
import subprocess
import sys

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.daemon.journal import Journals, scan
from voicebus.daemon.packer import HELPER
from voicebus.daemon.packing_helper import Damaged, pack, unpack


def tone(samples, frequency=440.0, rate=22050):
    """Something that sounds like speech in how well it packs: a tone with noise."""
    noise = random.Random(samples)
    wave = (9000 * math.sin(2 * math.pi * frequency * i / rate) + noise.gauss(0, 200) for i in range(samples))
    return struct.pack(f"<{samples}h", *(int(value) for value in wave))


def journal(tmp_path, *takes, rate=22050, log="log-1"):
    """A journal with these takes, each (marks, PCM); a note stands between them."""
    journals = Journals(tmp_path / "logs")
    for number, (marks, pcm) in enumerate(takes):
        journals.append(log, {"take": f"t{number}", "rate": rate, "start": number}, marks, [pcm])
        journals.append(log, {"note": "failed", "start": number, "trail": ["crash"]}, b"", [])
    journals.close()
    return journals.path(log)


def helper(*arguments):
    """The helper process; its standard input is open."""
    return subprocess.Popen(
        [sys.executable, "-m", HELPER, *map(str, arguments)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finished(process):
    """How a helper has ended: its code and what it said."""
    _, said = process.communicate(timeout=20) if process.stdin.closed else (None, process.stderr.read())
    process.stdin.close()
    process.stderr.close()
    return process.wait(20), said.decode().strip()


def test_a_journal_comes_back_byte_for_byte(tmp_path):
    """Headers, metadata, marks and audio of all records are as before; the file is FLAC that any player plays, and
    smaller."""
    path = journal(tmp_path, (b"\x91\x01", tone(20_000)), (b"\x90", tone(30_001)), (b"\x90", b""))
    packed, again = tmp_path / "x.flac", tmp_path / "x.takes"
    pack(path, packed)
    unpack(packed, again)
    assert again.read_bytes() == path.read_bytes()
    assert packed.stat().st_size < 0.8 * path.stat().st_size
    with soundfile.SoundFile(packed) as sound:
        assert (sound.samplerate, sound.channels, sound.frames) == (22050, 1, 50_001)
        pcm = bytes(sound.buffer_read(-1, "int16"))
    assert pcm == tone(20_000) + tone(30_001)


@settings(max_examples=30, deadline=None)
@given(
    takes=st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=400).filter(lambda pcm: len(pcm) % 2 == 0))),
    rate=st.sampled_from([0, 1000, 8000, 22050, 44100, 192_000]),
)
def test_whatever_a_journal_holds(tmp_path_factory, takes, rate):
    """Any audio, marks and rate come back."""
    folder = tmp_path_factory.mktemp("any")
    path = journal(folder, (b"", b"\1\0"), *takes, rate=rate)
    pack(path, folder / "x.flac")
    unpack(folder / "x.flac", folder / "x.takes")
    assert (folder / "x.takes").read_bytes() == path.read_bytes()


def test_much_metadata(tmp_path):
    """What is not audio may be longer than one block of the format."""
    noise = random.Random(1).randbytes
    path = journal(tmp_path, *((noise(6_000_000), tone(100)) for _ in range(3)))
    pack(path, tmp_path / "x.flac")
    unpack(tmp_path / "x.flac", tmp_path / "x.takes")
    assert (tmp_path / "x.takes").read_bytes() == path.read_bytes()


def test_a_damaged_journal_is_not_packed(tmp_path):
    """What cannot be read as whole records is left as it is."""
    path = journal(tmp_path, (b"", tone(1000)))
    with path.open("ab") as file:
        file.write(b"VBT1 and then nothing")
    with pytest.raises(Damaged, match="damaged behind byte"):
        pack(path, tmp_path / "x.flac")


@pytest.mark.parametrize("place", [0, 3, 60, -400])
def test_a_damaged_file_is_found(tmp_path, place):
    """A bit that fell over anywhere in a packed file is found, at the checksum at the latest."""
    path = journal(tmp_path, (b"", tone(20_000)))
    pack(path, tmp_path / "x.flac")
    data = bytearray((tmp_path / "x.flac").read_bytes())
    data[place] ^= 0x10
    (tmp_path / "x.flac").write_bytes(data)
    with pytest.raises((Damaged, soundfile.SoundFileError)):
        unpack(tmp_path / "x.flac", tmp_path / "x.takes")
    (tmp_path / "x.flac").write_bytes(data[:30])
    with pytest.raises((Damaged, soundfile.SoundFileError)):
        unpack(tmp_path / "x.flac", tmp_path / "x.takes")


def test_the_helper_says_what_is_wrong(tmp_path):
    """It ends with 1 and one line, for a file that is missing as for one that is damaged."""
    assert finished(helper("pack", tmp_path / "x.takes", tmp_path / "x.part")) == (1, "the file is missing: x.takes")
    (tmp_path / "x.flac").write_bytes(b"not FLAC at all")
    code, said = finished(helper("unpack", tmp_path / "x.flac", tmp_path / "x.part"))
    assert (code, said) == (1, "the packed file is no FLAC file")


def test_the_helper_ends_with_its_input(tmp_path):
    """Whatever it is at, it ends when the daemon that started it is gone."""
    path = journal(tmp_path, (b"", tone(200_000) * 40))
    process = helper("pack", path, tmp_path / "x.part")
    process.stdin.close()
    assert process.wait(20) == 1
    process.stderr.close()


@pytest.mark.slow
def test_killed_at_any_instant_it_loses_nothing(tmp_path):
    """A helper that is killed, whenever, leaves the journal as it was; the next one packs it, and every sample is the
    same afterwards."""
    path = journal(tmp_path, *((b"\x90", tone(100_000 + n)) for n in range(4)))
    before = path.read_bytes()
    chance, finished_by_themselves = random.Random(7), 0
    for _ in range(12):
        process = helper("pack", path, tmp_path / "x.part")
        try:
            process.wait(chance.uniform(0.0, 0.5))
            finished_by_themselves += 1
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        process.stdin.close()
        process.stderr.close()
        assert path.read_bytes() == before
    assert finished_by_themselves < 12
    assert finished(helper("pack", path, tmp_path / "x.part"))[0] == 0
    assert finished(helper("unpack", tmp_path / "x.part", tmp_path / "again.takes"))[0] == 0
    assert (tmp_path / "again.takes").read_bytes() == before
    assert [record.meta for record in scan(tmp_path / "again.takes")] == [record.meta for record in scan(path)]
