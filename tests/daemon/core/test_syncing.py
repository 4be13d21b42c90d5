"""Scenes of a disk that does not keep up with what is written."""

from __future__ import annotations

from typing import Any

from voicebus.bus.messages import Terminal
from voicebus.daemon.core.settings import Limits

from .scenes import THREE, heard, scene, speak_all
from .world_of_one import FakeWorker, Stage, settings


def slow_disk(unsynced_bytes: int = 6000, **changes: Any) -> tuple[Stage, FakeWorker, Any]:
    """A rendered job of three sentences, and a disk that syncs when a test says so."""
    stage, worker, client = scene(configuration=settings(limits=Limits(unsynced_bytes=unsynced_bytes)), **changes)
    stage.hold_syncs = True
    return stage, worker, client


def test_what_is_written_is_brought_to_the_disk_while_the_job_goes_on() -> None:
    """From a quarter of the limit on a journal is synced, one at a time, and counts no more when it is."""
    stage, worker, _ = slow_disk()
    world = stage.core.world
    worker.speak(worker.current, 3)
    assert list(stage.syncing) == [] and world.unsynced_bytes > 600
    worker.speak(worker.current, 9)
    (log,) = stage.syncing
    assert log == stage.job().log
    stage.sync()
    assert world.unsynced_bytes == 0 and list(stage.syncing) == []


def test_what_comes_while_it_is_synced_counts_until_the_next_time() -> None:
    """A take that is written during a sync may not be on the disk after it."""
    stage, worker, _ = slow_disk()
    worker.speak(worker.current, 9)
    before = stage.core.world.unsynced_bytes
    worker.speak(worker.current, 9)
    assert len(stage.syncing) == 1
    stage.sync()
    assert stage.core.world.unsynced_bytes == before
    assert len(stage.syncing) == 1


def test_above_the_limit_workers_wait_for_the_disk() -> None:
    """No credit while too much is unsynced, and nobody is called hung for it; then they go on."""
    stage, worker, client = slow_disk(unsynced_bytes=1500)
    worker.speak(worker.current, 9)
    attempt = worker.current
    lease = stage.core.world.workers["a/0"].leases[attempt]
    for _ in range(8):
        worker.chunk(attempt, 1000)
    assert lease.granted == 8000
    stage.live(60)
    assert worker.current == attempt and stage.killed == []
    stage.sync()
    stage.live(2)
    assert lease.granted == 16_000
    speak_all(worker)
    assert client.last(Terminal).state == "finished"


def test_a_journal_that_cannot_be_synced_fails_its_job() -> None:
    """The system reports such a loss once: the sync at the job's end would call it a success."""
    stage, worker, client = slow_disk()
    worker.speak(worker.current, 9)
    stage.sync("Input/output error")
    end = client.last(Terminal)
    assert (end.state, end.code) == ("failed", "storage")
    assert "Input/output error" in end.message
    assert stage.core.world.counters["journals that could not be synced"] == 1


def test_a_job_that_is_over_or_gone_is_not_waited_for() -> None:
    """Its log is synced before its end is told, so nothing of it counts; a later answer changes nothing."""
    stage, worker, client = slow_disk()
    worker.speak(worker.current, 9)
    worker.speak(worker.current, 3)
    worker.speak(worker.current, 3)
    assert client.last(Terminal).state == "finished" and heard(client) == 1500
    world = stage.core.world
    assert (world.unsynced_bytes, dict(world.unsynced)) == (0, {})
    stage.sync("Input/output error")
    assert client.last(Terminal).state == "finished" and list(stage.syncing) == []
    client.submit("k", THREE)
    worker.speak(worker.current, 9)
    client.cancel("k")
    stage.sync()
    assert world.unsynced_bytes == 0
