"""The history as one file, against a scripted daemon on a real socket."""

import json
import zipfile

import pytest

from voicebus.bus import codec
from voicebus.bus.errors import StorageError
from voicebus.bus.messages import Attach, Error, Page, Query
from voicebus.clients.archive import export
from voicebus.clients.sync import Client

from .scripted import RATE

ROWS = [{"job": name, "samples": 7000, "rate": RATE} for name in ("a", "b")]


@pytest.fixture
def client(daemon):
    def answer(peer, message, body):
        name = message.where.get("job")
        rows = {
            "history": [row for row in ROWS if name in (None, row["job"])],
            "text": [{"n": 0, "text": "Hello."}],
            "segments": [{"segment": 0}],
        }[message.what]
        daemon.send(peer, Page(request=message.request, what=message.what), codec.encode(rows))

    daemon.on[Query] = answer
    with Client(endpoint=daemon.endpoint) as client:
        yield client


def test_audio_that_cannot_be_had_does_not_stop_the_rest(client, daemon, tmp_path) -> None:
    """A job whose audio is gone is in the archive without it, and is named."""
    attach = daemon.on_attach

    def refuse(peer, message, body):
        if message.job == "a":
            daemon.send(peer, Error(job="a", code="gone", message="The audio of a is missing."))
        else:
            attach(peer, message, body)

    daemon.on[Attach] = refuse
    seen = []
    done = export(client, tmp_path / "x.zip", on_job=lambda row: seen.append(row["job"]), keep="history")
    assert (done.jobs, done.silent, seen) == (2, {"a": "The audio of a is missing."}, ["a", "b"])
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.testzip() is None
    assert (manifest["format"], manifest["version"]) == ("voicebus-history", 1)
    assert [sorted(job["sha256"]) for job in manifest["jobs"]] == [
        ["record.json", "text.txt"],
        ["audio.flac", "record.json", "text.txt"],
    ]


def test_a_job_that_was_removed_meanwhile_is_left_out(client, daemon, tmp_path) -> None:
    """What is gone by its turn is not in the archive."""
    daemon.on[Attach] = lambda peer, message, body: daemon.send(
        peer, Error(job=message.job, code="deleted", message="It was deleted.")
    )
    assert export(client, tmp_path / "x.zip").jobs == 0


def test_an_archive_is_complete_or_not_there(client, daemon, tmp_path) -> None:
    """Where the history cannot be read to its end, the file that was there before stays, and nothing else is left."""
    (tmp_path / "x.zip").write_bytes(b"before")
    daemon.on[Query] = lambda peer, message, body: daemon.send(
        peer, Error(request=message.request, code="storage", message="The disk is full.")
    )
    with pytest.raises(StorageError):
        export(client, tmp_path / "x.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]
    assert (tmp_path / "x.zip").read_bytes() == b"before"
