"""There is no space left on the disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from voicebus.bus.errors import JobFailed, StorageError
from voicebus.clients.events import Segment

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
settings = {{ {TONE} }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
NARROW = (
    "import os, resource, sys;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
LONG, SHORT = sentences(40), sentences(3)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte and a half, which only root can make: the database, its log and reserve, and some
    seconds of audio."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1536k,mode=700", "none", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def fill(path, leave):
    """Take all room on a file system but so many bytes."""
    free = os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize
    path.write_bytes(bytes(free - leave))


def fails_by_name(client):
    """A long job that is to be kept fails, and what had been written of it is there; returns the reason."""
    heard = Heard(client.speak(LONG))
    with pytest.raises((JobFailed, StorageError)) as full:
        heard.listen()
    assert full.value.code == "disk_full"
    assert 0 < heard.samples == heard.speech.result.samples
    return full.value.message


def speaks(client, text, **options):
    """A job is said in full, exactly."""
    heard = Heard(client.speak(text, **options)).listen()
    exact(client, heard, text)
    assert heard.speech.result.complete


def test_it_fails_by_name_and_what_is_not_kept_still_speaks(small_disk, launch):
    """A job that is to be kept ends as `disk_full`, with what to do about it; one that is not to be kept is said in
    full; and once there is room, so is the next."""
    service = launch(CONFIG, state=small_disk / "s")
    client = service.client()
    service.ready(client, "tone")
    fill(small_disk / "filler", leave=100_000)
    message = fails_by_name(client)
    assert "No space left on device" in message
    assert "keep=nothing" in message
    speaks(client, LONG, keep="nothing")
    (small_disk / "filler").unlink()
    speaks(client, SHORT)


@pytest.mark.parametrize("reserve", [True, False])
def test_a_start_on_a_full_disk_loses_no_job(small_disk, launch, reserve):
    """A daemon that starts while the disk is full, with room in reserve or without, knows the jobs that were accepted:
    who listened waits for theirs, and hears them to the end once there is room; what is new is refused by name."""
    service = launch(CONFIG, state=small_disk / "s")
    client = service.client()
    service.ready(client, "tone")
    done = Heard(client.speak(SHORT, job="done")).listen()
    text = sentences(6, start=50)
    heard = Heard(client.speak(text, job="open", pace="render"))
    next(heard.take(event) or event for event in heard.speech if isinstance(event, Segment))
    service.kill()
    if not reserve:
        (service.state / "voicebus.db-reserve").unlink(missing_ok=True)
    fill(small_disk / "filler", leave=0)
    service.start_again()
    assert "in memory only" not in service.output()
    assert Heard(service.client().attach("done")).listen().pcm == done.pcm
    assert "open" in {row["job"] for row in client.jobs()}
    (small_disk / "filler").unlink()
    with contextlib.suppress(JobFailed):
        heard.listen()
    result = heard.speech.result
    # What had to be written while there was no room fails by that name.
    assert result.complete or result.code == "disk_full"
    if result.complete:
        exact(client, heard, text)
    speaks(service.client(), SHORT)


def test_a_file_that_may_not_grow(launch):
    """The same where it is not the disk that is full but the file that is as large as it may be; jobs of which there
    is less are kept as ever."""
    service = launch(CONFIG, wrapper=[sys.executable, "-c", NARROW])
    client = service.client()
    service.ready(client, "tone")
    assert "File too large" in fails_by_name(client)
    speaks(client, LONG, keep="nothing")
    speaks(client, SHORT)
