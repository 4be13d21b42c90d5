"""What is kept for too long, or takes too much room, goes; what is read stays."""

from __future__ import annotations

from typing import Any

import pytest

from voicebus.bus.messages import Attach, Delete, Deleted, Detach, Error, Terminal
from voicebus.daemon.core import aging
from voicebus.daemon.core.effects import Pack
from voicebus.daemon.core.records import Found, Retention
from voicebus.daemon.core.settings import History, Limits

from .scenes import speak_all
from .test_packing import wait
from .world_of_one import FakeClient, Stage, settings

TEXT = "One. Two."


def kept(*names: str, **changes: Any) -> tuple[Stage, FakeClient]:
    """A daemon with a store and jobs that are over. Nothing is packed unless asked for."""
    history = changes.pop("history", History(pack_after_s=0.0))
    stage = Stage(settings(history=history, **changes), durable=True)
    worker, client = stage.worker(), stage.client()
    for name in names:
        client.submit(name, TEXT)
        speak_all(worker)
    return stage, client


def test_the_store_is_asked_at_the_start_and_then_now_and_then() -> None:
    """What is configured goes to the store as its policy, in its units."""
    history = History(job_keep_s=60.0, keep_days=2.0, keep_bytes=1000, pack_after_s=0.0)
    stage, _ = kept("j", history=history)
    wait(stage, 0)
    assert stage.policies == [Retention(60.0, 172_800.0, 1000)]
    wait(stage, 500)
    assert len(stage.policies) == 1
    wait(stage, 100)
    assert len(stage.policies) == 2
    idle = Stage(settings(), durable=True)
    idle.pass_time(700.0, step=50.0)
    assert len(idle.policies) == 2


def test_what_is_past_its_time_is_gone() -> None:
    """Its audio goes, from memory and from the disk, whether the job was in memory or not."""
    stage, client = kept("j", "k", "l", limits=Limits(finished_jobs=2))
    assert (1000, "j") not in stage.core.world.jobs
    stage.store.past = {(1000, "j"), (1000, "k")}
    wait(stage, 700)
    assert stage.journals.keys() == {stage.store.jobs[1000, "l"].job.log}
    assert stage.core.world.disk == stage.store.jobs[1000, "l"].ended.disk  # type: ignore[union-attr]
    client.say(Attach(job="k"))
    assert client.last(Error).code == "deleted"
    assert stage.core.world.counters["jobs past their time"] == 2


def test_what_somebody_reads_is_spared() -> None:
    """The store is told which jobs are being read; they go when nobody reads them any more."""
    stage, client = kept("j", "k")
    client.audio.clear()
    client.attach("j", credit=10)
    stage.store.past = {(1000, "j"), (1000, "k")}
    wait(stage, 700)
    assert stage.policies[-1].spared == (1,)
    assert len(stage.journals) == 1
    client.say(Detach(job="j"))
    wait(stage, 700)
    assert stage.journals == {}


def test_who_begins_to_read_meanwhile_can_finish() -> None:
    """A reader who came between the question and its answer hears the job to its end; then it goes, not before."""
    stage, client = kept("j")
    wait(stage, 590)
    stage.hold_answers = True
    stage.store.past = {(1000, "j")}
    wait(stage, 20)
    sound = client.audio.pop("j")
    client.terminals.clear()
    client.attach("j", credit=10)
    stage.answer()
    wait(stage, 20)
    assert len(stage.journals) == 1
    client.grant("j", 10_000)
    assert client.audio["j"] == sound and client.last(Terminal).state == "finished"
    wait(stage, 2)
    assert stage.journals == {} and stage.core.world.disk == 0
    assert stage.core.world.leaving == {} == stage.core.world.jobs


@pytest.mark.parametrize("reason", ["", "no space"])
def test_what_its_owner_deletes_meanwhile_is_gone_once(reason: str) -> None:
    """A DELETE that came between the question and its answer is answered, and the job is gone, even where the DELETE
    itself could not be written down."""
    stage, client = kept("j")
    wait(stage, 590)
    stage.hold_answers = True
    stage.store.past = {(1000, "j")}
    wait(stage, 20)
    stage.hold_commits, stage.commits_fail = True, reason
    client.say(Delete(job="j"))
    stage.answer()
    wait(stage, 2)
    assert client.got(Deleted) == [] == client.got(Error)
    stage.let_go()
    wait(stage, 2)
    assert (client.last(Error).code == "storage") if reason else (client.last(Deleted).job == "j")
    assert stage.core.world.jobs == {} == stage.core.world.leaving
    assert stage.journals == {} and stage.core.world.disk == 0


def test_room_is_made_when_the_disk_is_full() -> None:
    """Where the logs are at their limit, so much is asked for that a tenth of it is free; again at once while that
    helps, and after a pause where it does not."""
    stage, _ = kept("j", "k", limits=Limits(disk_bytes=1000))
    used = stage.core.world.disk
    assert used > 1000
    wait(stage, 0)
    asked = len(stage.policies)
    assert stage.policies[-1].free_bytes == used - 900
    wait(stage, 30)
    assert asked < len(stage.policies) <= asked + 5
    stage.store.past = {(1000, "j"), (1000, "k")}
    wait(stage, 20)
    assert stage.core.world.disk == 0
    asked = len(stage.policies)
    wait(stage, 100)
    assert len(stage.policies) == asked


def test_room_is_made_for_a_user_whose_share_is_used_up() -> None:
    """The same for each user's own share, where there is one."""
    stage, _ = kept("j", limits=Limits(disk_bytes_per_user=100))
    used = stage.core.world.disk
    wait(stage, 2)
    assert (stage.policies[-1].free_bytes, stage.policies[-1].free_of) == (0, ((1000, used - 90),))


def test_a_store_that_cannot_is_asked_again_later() -> None:
    """A failure is counted, and is not the end of it."""
    stage, _ = kept("j")
    stage.hold_answers = True
    wait(stage, 700)
    [effect] = stage.asked
    stage.asked.clear()
    stage.core.found(Found(effect.ticket, reason="the disk is full"), stage.now)
    stage.run()
    assert stage.core.world.counters["retention that failed"] == 1
    wait(stage, 700)
    assert len(stage.asked) == 1


def test_a_job_that_is_packed_meanwhile() -> None:
    """The helper that packs a job which is past its time ends with its files, and packing goes on."""
    stage, client = kept("j", history=History())
    stage.hold_helpers = True
    wait(stage)
    assert [type(effect) for effect in stage.helping] == [Pack]
    stage.store.past = {(1000, "j")}
    wait(stage, 700)
    assert stage.helping == [] and stage.journals == {} and stage.core.world.packing is None
    assert client.got(Error) == []


def test_nothing_is_removed_that_was_packed_for_nothing() -> None:
    """A job that expires between its packing and the commit takes both files with it."""
    stage, _ = kept("j", history=History())
    stage.hold_commits = True
    wait(stage)
    stage.store.past = {(1000, "j")}
    wait(stage, 700)
    stage.let_go()
    assert stage.journals == stage.packs == {} and stage.core.world.disk == 0


def test_every_pause_is_bounded() -> None:
    """The pause under pressure is shorter than the usual one."""
    assert aging.PRESSED_S < aging.EACH_S
