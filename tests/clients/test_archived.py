"""Archives that are read: whole ones, damaged ones, and such as somebody made to do harm."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
import zipfile

import pytest

from voicebus.bus.archived import ArchivedSegment
from voicebus.bus.codec import BODY_BYTES, decode_archived_job, decode_archived_segment
from voicebus.bus.errors import InvalidRequest
from voicebus.bus.messages import MarkRow
from voicebus.clients import archived, unzipping
from voicebus.clients.archived import Archive
from voicebus.clients.unzipping import Damaged

from . import archives


def opened(path, job="a"):
    """The record and the pieces of a job of an archive."""
    with Archive(path) as archive:
        entry = next(each for each in archive.entries() if each.job == job)
        with entry.open() as whole:
            return decode_archived_job(whole.record), list(whole.pieces())


def refused(path, job="a"):
    """Why a job cannot be read."""
    with pytest.raises(Damaged) as error:
        opened(path, job)
    return str(error.value)


@pytest.mark.parametrize(("name", "form"), [("audio.flac", "FLAC"), ("audio.wav", "WAV")])
def test_a_job_in_pieces(tmp_path, name, form) -> None:
    """The text, then each segment with its timings in places of its own and its samples behind it, whichever of the two
    formats they are in."""
    path = archives.write(tmp_path / "x.zip", {"a": archives.files(audio=name, form=form)})
    job, pieces = opened(path)
    assert (job.state, job.samples, job.segments, job.audio, job.seed) == ("finished", 5000, 2, "kept", 5)
    assert [kind for kind, _ in pieces] == ["text", "segment", "audio", "segment", "audio"]
    assert pieces[0][1] == b"One. Two."
    first, second = (decode_archived_segment(body) for kind, body in pieces if kind == "segment")
    assert isinstance(first, ArchivedSegment) and (first.attempt, second.attempt) == ("old.0", "old.1")
    assert second.marks == [MarkRow("word", 100, 0, 4, "", 0.5, "estimate")]
    assert b"".join(body for kind, body in pieces if kind == "audio") == archives.pcm(5000).tobytes()


def test_the_oldest_comes_first(tmp_path) -> None:
    """Exports have the newest first; brought in from behind, jobs keep their order."""
    path = archives.write(tmp_path / "x.zip", {name: archives.files(name) for name in ("new", "mid", "old")})
    with Archive(path) as archive:
        assert [entry.job for entry in archive.entries()] == ["old", "mid", "new"]


def test_long_texts_and_takes_come_in_bodies(tmp_path) -> None:
    """Nothing is longer than a body may be, and no character is cut."""
    text = "ä€" * 400_000
    rows = [archives.segment(0, 0, 800_000, 1_200_000, 0)]
    found = archives.files(text=text, segments=rows, samples=1_200_000, marks=[])
    found["audio.flac"] = archives.sound(1_200_000)
    _, pieces = opened(archives.write(tmp_path / "x.zip", {"a": found}))
    assert max(len(body) for _, body in pieces) <= BODY_BYTES
    texts = [body for kind, body in pieces if kind == "text"]
    assert len(texts) == 2 and "".join(body.decode() for body in texts) == text
    assert len([1 for kind, _ in pieces if kind == "audio"]) == 3


def test_segments_that_were_never_done(tmp_path) -> None:
    """Whatever a job's row was doing when its job ended, it comes as not made; of one left out, its trail stays."""
    rows = [
        archives.segment(0, 0, 4, 5000, 0),
        archives.segment(1, 5, 1, 0, 5000, state="skipped", trail=["silent"]),
        archives.segment(2, 6, 1, 70, -1, tries=3),
        archives.segment(3, 7, 1, 0, -1, state="leased"),
    ]
    path = archives.write(tmp_path / "x.zip", {"a": archives.files(segments=rows, state="failed", marks=[])})
    _, pieces = opened(path)
    segments = [decode_archived_segment(body) for kind, body in pieces if kind == "segment"]
    assert [each.state for each in segments] == ["whole", "skipped", "unmade", "unmade"]
    assert (segments[1].trail, segments[2].tries, segments[2].samples, segments[2].attempt) == (["silent"], 3, 0, "")


def test_a_job_without_its_audio(tmp_path) -> None:
    """A job of which the export could not have the audio comes without it, and says so; one that never had any does
    not."""
    rows = [archives.segment(0, 0, 4, 0, 0, state="quarantined")]
    jobs = {
        "a": archives.files(audio=None),
        "b": archives.files("b", audio=None, samples=0, segments=rows, marks=[], state="failed"),
    }
    path = archives.write(tmp_path / "x.zip", jobs)
    job, pieces = opened(path)
    assert job.audio == "missing" and [kind for kind, _ in pieces] == ["text", "segment", "segment"]
    assert opened(path, "b")[0].audio == "kept"


LONG = "x" * BODY_BYTES
BAD = {
    "checksum": (archives.files(), {"text.txt": b"Other."}, "text.txt is damaged: its checksum is another"),
    "audio checksum": (archives.files(), {"audio.flac": archives.sound(4999)}, "audio.flac is damaged: its checksum"),
    "missing": (archives.files(), {"text.txt": None}, "text.txt is not in the zip"),
    "no record": ({"text.txt": b"x"}, {}, "record.json is not in the manifest"),
    "no json": ({"record.json": b"{", "text.txt": b"x"}, {}, "cannot be understood"),
    "a transcript": (archives.files(request={**archives.REQUEST, "kind": "transcribe"}), {}, "it is a transcript"),
    "deep": ({"record.json": b"[" * 100_000, "text.txt": b"x"}, {}, "cannot be understood"),
    "no segments": ({"record.json": b"{}", "text.txt": b"x"}, {}, "names no segments"),
    "fields": (archives.files(state="running"), {}, "cannot be understood"),
    "not a number": (archives.files(created=float("nan")), {}, "cannot be understood"),
    "another": (archives.files("b"), {}, "that of another job"),
    "no such segment": (archives.files(marks=[archives.mark(7, 0, 0)]), {}, "segment 7, which there is not"),
    "outside": (archives.files(marks=[archives.mark(1, 0, 5)]), {}, "not within it"),
    "long record": (archives.files(request={"style": {"instruct": LONG}}), {}, "record is too long"),
    "long segment": (archives.files(marks=[{**archives.mark(0, 0, 0), "name": LONG}]), {}, "segment 0 is too long"),
    "no text": ({**archives.files(), "text.txt": b"\xff"}, {}, "not UTF-8"),
    "short": ({**archives.files(), "audio.flac": archives.sound(4000)}, {}, "shorter than its record says"),
    "long": ({**archives.files(), "audio.flac": archives.sound(5001)}, {}, "longer than its record says"),
    "rate": ({**archives.files(), "audio.flac": archives.sound(rate=8000)}, {}, "8000 samples a second"),
    "stereo": ({**archives.files(), "audio.flac": archives.sound(channels=2)}, {}, "one channel of 16 bits"),
    "24 bits": ({**archives.files(), "audio.flac": archives.sound(subtype="PCM_24")}, {}, "one channel of 16 bits"),
    "no audio": ({**archives.files(), "audio.flac": b"fLaC" + bytes(100)}, {}, "cannot be decoded"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_damaged_says_how(tmp_path, case) -> None:
    """A job whose files are not what they should be is refused with a sentence, and its neighbour is not."""
    found, spoil, why = BAD[case]
    path = archives.write(tmp_path / "x.zip", {"a": found, "z": archives.files("z")}, spoil={"a": spoil})
    assert why in refused(path)
    assert opened(path, "z")[0].samples == 5000


def test_names_that_lead_elsewhere(tmp_path, monkeypatch) -> None:
    """Names in an archive are looked up in the zip, and never on the disk; a job is called as jobs are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").mkdir()
    for name, data in archives.files().items():
        (tmp_path / "secret" / name).write_bytes(data)
    before = sorted(tmp_path.rglob("*"))
    sums = {"record.json": "0", "text.txt": "0"}
    for job, folder in (
        ("a", str(tmp_path / "secret")),
        ("a", "../secret"),
        ("a", "secret"),
        ("../a", "jobs/1"),
        ("", ""),
    ):
        told = {"jobs": [{"job": job, "folder": folder, "sha256": sums}]}
        path = archives.write(tmp_path / "x.zip", {}, manifest=told)
        assert "not in the zip" in refused(path, job) or "cannot be that of a job" in refused(path, job)
        path.unlink()
        with zipfile.ZipFile(path, "w") as archive:  # also where the zip has files of such names
            for name, data in archives.files().items():
                archive.writestr(f"{folder}/{name}", data)
            archive.writestr("manifest.json", json.dumps({"format": "voicebus-history", "version": 1, **told}))
        assert refused(path, job)
        path.unlink()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bomb_does_not_go_off(tmp_path, monkeypatch) -> None:
    """A file that would unpack to more than can be right is not unpacked, whether it says so or not; so is audio that
    is far longer than its record."""
    monkeypatch.setattr(archived, "RECORD_BYTES", 1 << 20)
    bomb = bytes(64 << 20)
    path = archives.write(tmp_path / "x.zip", {"a": {"record.json": bomb, "text.txt": b""}})
    tracemalloc.start()
    try:
        assert "at most 1048576 can be right" in refused(path)
        data = path.read_bytes()
        size = struct.pack("<I", len(bomb))
        path.write_bytes(data.replace(size, struct.pack("<I", 1000)))  # both places
        assert refused(path)
        path = archives.write(tmp_path / "y.zip", {"a": {**archives.files(), "audio.flac": bomb}})
        assert "audio.flac has" in refused(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_another_way_of_packing_is_refused(tmp_path) -> None:
    """What no export uses needs not be trusted: a method that takes memory as it likes, or a password."""
    path = archives.write(tmp_path / "x.zip", {"a": archives.files()})
    with zipfile.ZipFile(path) as archive:
        everything = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, data in everything.items():
            archive.writestr(name, data, zipfile.ZIP_STORED if name == "manifest.json" else None)
    assert "in a way that no export uses" in refused(path)


def test_a_million_entries(tmp_path) -> None:
    """A zip that lists more than an export could is refused before its list is taken into memory, whatever number it
    says itself."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    listed = entry * 1_000_000
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(listed), 0, 0)
    path = tmp_path / "x.zip"
    path.write_bytes(listed + end)
    began = time.monotonic()
    with pytest.raises(InvalidRequest, match="lists more than 400000 files"):
        Archive(path)
    assert time.monotonic() - began < 5
    path.write_bytes(listed * 2 + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 2 * len(listed), 0, 0))
    with pytest.raises(InvalidRequest, match="lists more than"):
        Archive(path)


def test_a_list_in_the_long_form(tmp_path, monkeypatch) -> None:
    """The form of the list for very large zips is read and bounded as well."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = archives.write(tmp_path / "x.zip", {"a": archives.files()})
    assert b"PK\x06\x06" in path.read_bytes()
    assert opened(path)[0].samples == 5000
    monkeypatch.setattr(unzipping, "MOST_ENTRIES", 3)
    with pytest.raises(InvalidRequest, match="lists more than"):
        Archive(path)
    path.write_bytes(path.read_bytes().replace(b"PK\x06\x06", b"PK\x06\x00"))
    with pytest.raises(InvalidRequest, match="not a whole zip"):
        Archive(path)


def test_archives_that_are_cut_off(tmp_path) -> None:
    """A file that ends too soon, wherever, is refused whole or by its jobs: no part of it is taken for the whole."""
    path = archives.write(tmp_path / "x.zip", {"a": archives.files()})
    data = path.read_bytes()
    for end in {*range(0, len(data), 97), len(data) - 1, len(data) - 21, len(data) - 23}:
        path.write_bytes(data[:end])
        with pytest.raises(InvalidRequest, match="zip"):
            Archive(path)
    path.write_bytes(data[: len(data) // 2] + bytes(60) + data[len(data) // 2 + 60 :])
    with pytest.raises((InvalidRequest, Damaged)):
        opened(path)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"version": 2}, "only a newer voicebus"),
        ({"jobs": [{"job": 1}]}, "not an archive of the history"),
    ],
)
def test_what_is_no_archive(tmp_path, manifest, why) -> None:
    """Another zip, or one of a later version, is refused by name."""
    path = archives.write(tmp_path / "x.zip", {"a": archives.files()}, manifest=manifest)
    with pytest.raises(InvalidRequest, match=why):
        Archive(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(InvalidRequest, match=r"manifest\.json is not in the zip"):
        Archive(path)
    with pytest.raises(FileNotFoundError):
        Archive(tmp_path / "nothing.zip")
