"""There is no space left on the disk."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from voicebus.bus.errors import JobFailed, StorageError
from voicebus.clients.events import Segment

from .. import disks
from ..disks import fill
from .leaks import until
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
def small_disk():
    """A file system of a megabyte and a half, which only root can make: the database, its log and reserve, and some
    seconds of audio."""
    with disks.small_disk("1536k") as disk:
        if disk is None:
            pytest.skip("a small file system cannot be mounted here")
        yield disk


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
    fill(small_disk / "filler", leave=200_000)
    message = fails_by_name(client)
    assert "No space left on device" in message
    assert "keep=nothing" in message
    speaks(client, LONG, keep="nothing")
    (small_disk / "filler").unlink()
    speaks(client, SHORT)


def listens(client, job):
    """Somebody hears a job to its end, whichever that is; None if the job was refused."""
    try:
        speech = client.speak(LONG, job=job, pace="render")
    except StorageError:
        return None
    heard = Heard(speech)
    with pytest.raises(JobFailed):
        heard.listen()
    return heard


def as_told(client, heard):
    """What is kept of a failed job is what was told of it and what was heard, and a second reading says the same."""
    told = heard.speech.result
    assert (told.state, told.code, told.samples) == ("failed", "disk_full", heard.samples)
    again = Heard(client.attach(heard.speech.job))
    with pytest.raises(JobFailed) as failed:
        again.listen()
    assert (failed.value.code, again.pcm) == ("disk_full", heard.pcm)
    segments = [row for row in client.segments(heard.speech.job) if row["state"] == "whole"]
    assert sum(row["samples"] for row in segments) == heard.samples


@pytest.mark.parametrize(("jobs", "filler"), [(6, False), (20, False), (20, True), (100, False)])
def test_every_job_that_the_full_disk_fails_is_told_so_at_once(small_disk, launch, jobs, filler):
    """However many jobs fill a disk to its last block, or are at work when somebody else does: each of them ends as
    `disk_full` or is refused (`storage`), while the disk is full; what is kept of each is what was told of it; what is
    not to be kept still speaks, and once there is room all is well."""
    service = launch(CONFIG, state=small_disk / "s")
    client = service.client()
    service.ready(client, "tone")
    listening = ThreadPoolExecutor(jobs)
    running = [listening.submit(listens, service.client(), f"job-{number}") for number in range(jobs)]
    if filler:
        until(lambda: service.busy(client, "tone"), "work")
        fill(small_disk / "filler", leave=0)
    if wait(running, timeout=20).not_done:
        jobs = client.jobs()
        service.kill()
        service.close_clients()
        raise AssertionError(f"these hang: {jobs}")
    heard = [each.result() for each in running]
    listening.shutdown()
    told = [each for each in heard if each is not None]
    assert told
    for each in told:
        as_told(client, each)
    speaks(client, SHORT, keep="nothing")
    (small_disk / "filler").unlink(missing_ok=True)
    for each in told:
        client.delete(each.speech.job)
    speaks(client, SHORT)


def test_who_was_killed_on_a_full_disk_ends_its_jobs_all_the_same(small_disk, launch):
    """A daemon that is killed while the disk is full leaves the next one the room that is owed: all jobs that go on
    come to their ends while there still is not a block free."""
    service = launch(CONFIG, state=small_disk / "s")
    client = service.client()
    service.ready(client, "tone")
    reading = [Heard(client.speak(LONG, job=f"job-{number}")) for number in range(5)]
    fill(small_disk / "filler", leave=0)
    service.kill()
    service.start_again()
    for heard in reading:
        with pytest.raises(JobFailed) as failed:
            heard.listen()
        assert failed.value.code == "disk_full"
        as_told(client, heard)
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
