"""An archive goes into the history of another daemon, and comes out of it the same, whatever dies in between."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import threading
import zipfile
from pathlib import Path

import pytest
import soundfile

from voicebus.bus.errors import Disconnected, JobError, QueueFull, StorageError
from voicebus.clients.archive import export

from .listening import TONE, Heard, exact, sentences
from .service import until

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE} }}
[providers.espeak]
workers = 1
[defaults]
chain = ["tone"]
[history]
pack_after_s = 0.1
"""
BARE = "[providers.espeak]\nworkers = 0\n[history]\npack_after_s = 0\n"
"""A daemon that can say nothing at all."""

BAD = "{{error invalid_input}}"

OF_THE_DISK = {"audio", "bytes"}
"""What of a record is about the disk that it was read from."""


def speak_some(service, folder: Path) -> tuple[Path, dict[str, bytes]]:
    """Jobs of many kinds, exported; the archive, and what was heard of some."""
    client = service.client()
    service.ready(client, "tone", 2)
    heard = {}
    for number in range(3):
        text = sentences(3 + number, start=10 * number)
        speech = client.speak(text, job=f"book-{number}", pace="render", keep="history", seed=[None, 7, 0][number])
        heard[f"book-{number}"] = bytes(exact_pcm(client, speech, text))
    client.speak(
        "The kitchen light is on. Turn it off.", job="words", provider="espeak", keep="history", rate=1.2
    ).wait()
    for job, text in (("failed", f"{sentences(2)} {BAD} Never."), ("one", f"{BAD} No.")):
        with pytest.raises(JobError):
            client.speak(text, job=job, keep="history", pace="render").wait()
    client.speak(f"{sentences(1)} {BAD} x. Yes.", job="skips", keep="job", skip_bad=True, pace="render").wait()
    client.speak(iter(["In pieces, ", "with ümläuts. ", "Yes."]), job="pieces", keep="history", pace="render").wait()
    speech = client.speak(sentences(200), job="cancelled", keep="history", pace="render")
    until(lambda: any(row["job"] == "cancelled" and row["done"] for row in client.jobs()))
    client.cancel("cancelled")
    speech.close()
    client.pin("book-1")
    until(lambda: sum(row["audio"] == "packed" for row in client.history()) >= 5, "packing")
    service.close_clients()
    service.signal(15)
    service.start_again()  # so that all is as the store has it
    client = service.client()
    done = export(client, folder / "first.zip")
    assert done.jobs == 9 and set(done.silent) <= {"cancelled"}
    return folder / "first.zip", heard


def exact_pcm(client, speech, text: str) -> bytearray:
    heard = Heard(speech).listen()
    exact(client, heard, text)
    return heard.pcm


def contents(path: Path) -> dict[str, dict[str, object]]:
    """All that an archive says, by job, and in its order."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in json.loads(archive.read("manifest.json"))["jobs"]:
            files = {name: archive.read(f"{entry['folder']}/{name}") for name in entry["sha256"]}
            record = json.loads(files.pop("record.json"))
            found[entry["job"]] = {**files, **{k: v for k, v in record.items() if k not in OF_THE_DISK}}
    return found


def same(path: Path, other: Path) -> None:
    """Two archives say the same of the same jobs."""
    first, second = contents(path), contents(other)
    assert list(first) == list(second)
    for job, said in first.items():
        for name in said.keys() | second[job].keys():
            assert said.get(name) == second[job].get(name), (job, name)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """An archive with jobs of many kinds, and how some of them sounded."""
    from .service import Service

    service = Service(CONFIG)
    try:
        made = speak_some(service, tmp_path_factory.mktemp("archive"))
        service.stop()
        return made
    finally:
        service.give_up()


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_out_and_in_and_out_again(launch, source, tmp_path):
    """What comes into another daemon's history is what was exported, field for field and sample for sample, also for
    who listens, after a restart and after it was packed; a second import changes nothing."""
    archive, heard = source
    service = launch(BARE.replace("pack_after_s = 0", "pack_after_s = 0.1"))
    client = service.client()
    done = client.import_history(archive)
    assert (done.imported, done.skipped, done.damaged) == (9, [], {})
    export(client, tmp_path / "second.zip")
    same(archive, tmp_path / "second.zip")
    for job, pcm in heard.items():
        samples, _ = soundfile.read(io.BytesIO(contents(archive)[job]["audio.flac"]), dtype="int16")
        assert Heard(client.attach(job)).listen().pcm == pcm == samples.tobytes()
    again = client.import_history(archive)
    assert (again.imported, len(again.skipped), again.damaged) == (0, 9, {})
    assert [row["job"] for row in client.history(text="kitchen")] == ["words"]
    assert [row["job"] for row in client.history(pinned=True)] == ["book-1"]
    kept = [row for row in client.history() if row["samples"] and row["audio"] != "missing"]
    until(lambda: sum(row["audio"] == "packed" for row in client.history()) == len(kept), "packing")
    service.kill()
    service.start_again()
    client = service.client()
    export(client, tmp_path / "third.zip")
    same(archive, tmp_path / "third.zip")


def test_what_was_deleted_does_not_come_back_so_soon(launch, source):
    """A job that was deleted after it had been imported is skipped."""
    archive, _ = source
    client = launch(BARE).client()
    client.import_history(archive)
    client.delete("words")
    done = client.import_history(archive)
    assert (done.imported, len(done.skipped)) == (0, 9)
    assert "words" not in {row["job"] for row in client.history()}


class Killed:
    """Kills the daemon before the questions of a client with these numbers, and starts another."""

    def __init__(self, service, client, numbers) -> None:
        self._service = service
        self._ask = client._ask
        self._numbers = set(numbers)
        self.asked = 0
        client._ask = self

    def __call__(self, message, body=b""):
        self.asked += 1
        if self.asked in self._numbers:
            self._service.kill()
            self._service.start_again()
        return self._ask(message, body)


def journals(service) -> set[str]:
    return {path.name for path in Path(service.state, "logs").iterdir()}


def owned(service) -> set[str]:
    """The logs that some job has, as the database says."""
    db = sqlite3.connect(service.state / "voicebus.db")
    try:
        return {row[0] for row in db.execute("SELECT log FROM jobs WHERE samples > 0 AND audio != 'missing'")}
    finally:
        db.close()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_daemon_that_is_killed_again_and_again(launch, source, tmp_path):
    """Killed in the middle of jobs, between them and behind the last piece of one, the next daemon gets the rest: in
    the end all is there once and the same. What the killed ones left belongs to nobody, and goes at a later start."""
    archive, _ = source
    service = launch(BARE)
    client = service.client()
    killed = Killed(service, client, (2, 9, 13, 20, 27, 33, 40, 41))
    done = client.import_history(archive)
    assert (done.imported, done.skipped, done.damaged) == (9, [], {}) and killed.asked > 41
    export(client, tmp_path / "second.zip")
    same(archive, tmp_path / "second.zip")
    has = owned(service)
    strays = {name for name in journals(service) if not any(name.startswith(f"{log}-") for log in has)}
    assert strays, "no kill came in the middle of a take's journal"
    for path in Path(service.state, "logs").iterdir():
        os.utime(path, (0, 0))
    service.kill()
    service.start_again()
    assert len(journals(service)) == len(has)
    export(service.client(), tmp_path / "third.zip")
    same(archive, tmp_path / "third.zip")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_daemon_that_is_killed_at_any_moment(launch, source, tmp_path):
    """Also when nobody chose the moment: kills from outside while pieces fly."""
    archive, _ = source
    service = launch(BARE)
    client = service.client(reconnect_s=20.0)
    over = threading.Event()
    kills = []

    def killing():
        while not over.wait(0.11 + 0.03 * len(kills)) and len(kills) < 5:
            service.kill()
            kills.append(1)
            service.start_again()

    thread = threading.Thread(target=killing)
    thread.start()
    try:
        done = client.import_history(archive)
    finally:
        over.set()
        thread.join()
    assert kills and done.damaged == {}
    client.import_history(archive)
    export(client, tmp_path / "second.zip")
    same(archive, tmp_path / "second.zip")


def test_a_client_that_is_killed_leaves_nothing(launch, source):
    """A client that goes away in the middle of a job leaves no journal and no job behind."""
    archive, _ = source
    service = launch(BARE)
    client = service.client()
    before = client._ask
    asked = []

    def leave(message, body=b""):
        asked.append(message)
        if len(asked) == 6:
            client._service.stop()  # no more is said
        return before(message, body)

    client._ask = leave
    with pytest.raises(Disconnected):
        client.import_history(archive)
    later = service.client()
    until(lambda: len(journals(service)) == len(owned(service)), "the end of what was half there")
    assert later.import_history(archive).imported + len(list(later.history())) >= 9
    assert len(list(later.history())) == 9


def test_no_more_than_there_is_room_for(launch, source):
    """Where the share of the disk is used up, the import ends by that name; what fitted is there, and nothing is
    removed to make room for what is older."""
    archive, _ = source
    service = launch(BARE + "[limits]\ndisk_bytes = 200_000\n")
    client = service.client()
    with pytest.raises(QueueFull, match="on disk would be over"):
        client.import_history(archive)
    status = client.status()
    assert 0 < status["takes_bytes"] <= 200_000
    assert len(journals(service)) == len(owned(service)) > 0


def test_a_daemon_without_a_store(launch, source):
    """A daemon that keeps nothing on disk says so."""
    archive, _ = source
    service = launch(BARE)
    service.client().close()
    service.signal(15)
    service.process.wait(15)
    database = service.state / "voicebus.db"
    db = sqlite3.connect(database)
    db.execute("PRAGMA user_version = 99")  # of a voicebus to come, which is left alone
    db.close()
    service.start_again()
    with pytest.raises(StorageError, match="nothing on disk"):
        service.client().import_history(archive)
    for left in service.state.glob("voicebus.db*"):  # also what our own look at it has made
        left.unlink()
