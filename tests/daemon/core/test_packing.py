"""Audio that is packed when nobody hears it, and unpacked for whoever does."""

from __future__ import annotations

from typing import Any

import pytest

from voicebus.bus.messages import (
    UNLIMITED,
    Accepted,
    Attach,
    Attached,
    Beat,
    Bye,
    Cancel,
    Delete,
    Deleted,
    Detach,
    Error,
    Notice,
    Query,
    Terminal,
)
from voicebus.daemon.core import packing
from voicebus.daemon.core.effects import Pack, Unpack
from voicebus.daemon.core.records import Outcome
from voicebus.daemon.core.settings import History, Limits

from .scenes import speak_all
from .world_of_one import FakeClient, FakeWorker, Stage, settings

TEXT = "One. Two."
QUIET_S = 65.0
"""Longer than it takes until a job's audio is packed."""


def spoken(text: str = TEXT, **changes: Any) -> tuple[Stage, FakeWorker, FakeClient]:
    """A daemon with a store, and a job "j" that is over."""
    stage = Stage(settings(**changes), durable=True)
    worker, client = stage.worker(), stage.client()
    client.submit("j", text)
    speak_all(worker)
    return stage, worker, client


def wait(stage: Stage, seconds: float = QUIET_S) -> None:
    """Time passes, and whoever is connected goes on saying so."""
    for _ in range(int(seconds) + 1):
        for worker in list(stage.processes.values()):
            if worker.session and not stage.core.world.draining:
                worker.say(Beat(state="ready"))
        for client in stage.clients.values():
            client.hello()
        stage.pass_time(1.0, step=1.0)


def packed_job() -> tuple[Stage, FakeClient, bytes, str]:
    """A job whose audio is packed: how it sounded, and its log."""
    stage, _, client = spoken()
    wait(stage)
    log = stage.store.jobs[1000, "j"].job.log
    assert stage.packs.keys() == {log} and stage.journals == {}
    return stage, client, bytes(client.audio.pop("j")), log


def disk(stage: Stage) -> int:
    """What the files take: packed ones count half, as the helper says."""
    return sum(map(len, stage.journals.values())) + sum(len(pack) // 2 for pack in stage.packs.values())


def test_audio_is_packed_after_a_quiet_time() -> None:
    """A minute after its end a job's audio is packed; only then its journal goes, and the sum of bytes follows."""
    stage, _, client = spoken()
    stage.pass_time(30.0, step=1.0)
    assert stage.packs == {}
    before = stage.core.world.disk
    wait(stage, 40)
    assert len(stage.packs) == 1 and stage.journals == {}
    assert stage.store.jobs[1000, "j"].audio == "packed"
    assert 0 < stage.core.world.disk < before
    assert stage.core.world.disk == stage.store.jobs[1000, "j"].ended.disk  # type: ignore[union-attr]
    assert client.got(Error) == []


def test_nothing_is_packed_where_that_is_off() -> None:
    """`pack_after_s` = 0 leaves journals as they are; so does a daemon without a store."""
    stage, _, _ = spoken(history=History(pack_after_s=0.0))
    wait(stage, 1000)
    plain = Stage(settings())
    worker, client = plain.worker(), plain.client()
    client.submit("j", TEXT)
    speak_all(worker)
    wait(plain, 1000)
    assert stage.packs == plain.packs == {} and len(stage.journals) == len(plain.journals) == 1


def test_what_somebody_reads_is_not_packed() -> None:
    """A log with a reader is left alone until he has gone; others are packed meanwhile."""
    stage, worker, client = spoken()
    client.audio.clear()
    client.attach("j", credit=10)
    client.submit("k", TEXT)
    speak_all(worker)
    wait(stage)
    assert stage.packs.keys() == {stage.store.jobs[1000, "k"].job.log}
    client.say(Detach(job="j"))
    wait(stage, 650)
    assert len(stage.packs) == 2


def test_a_packed_job_is_unpacked_to_be_read() -> None:
    """Who attaches is told what he waits for, once, however often he asks, and then hears every sample."""
    stage, client, sound, log = packed_job()
    stage.hold_helpers = True
    client.attach("j")
    client.attach("j")
    assert [notice.kind for notice in client.got(Notice)].count("unpacking") == 1
    count = len(client.got(Attached))
    assert [type(effect) for effect in stage.helping] == [Unpack]
    stage.help()
    assert len(client.got(Attached)) == count + 1
    assert bytes(client.audio["j"]) == sound and client.last(Terminal).state == "finished"
    assert stage.packs.keys() == stage.journals.keys() == {log}


def test_the_copy_goes_again_when_nobody_reads_it() -> None:
    """A minute after the last reader the journal's copy goes; nothing is packed anew and nothing is written down."""
    stage, client, _, log = packed_job()
    before = stage.core.world.disk
    client.attach("j", credit=10)
    assert stage.core.world.disk > before
    wait(stage, 200)
    assert log in stage.journals
    client.say(Detach(job="j"))
    wait(stage)
    assert stage.journals == {} and stage.core.world.disk == before
    assert stage.core.world.opened == set()


def test_the_middle_of_a_packed_job_is_read_with_its_take() -> None:
    """Reading on from an offset and a take works as if the journal had never been away."""
    stage, client, sound, _ = packed_job()
    take = stage.store.jobs[1000, "j"].ended.segments[0].take  # type: ignore[union-attr]
    client.audio["j"] = bytearray(sound[:200])
    client.attach("j", offset=100, take=take)
    assert bytes(client.audio["j"]) == sound


def test_the_same_submit_again_hears_a_packed_job() -> None:
    """A SUBMIT that finds its job packed is accepted as existing and gets the audio when it is there."""
    _, client, sound, _ = packed_job()
    client.submit("j", TEXT)
    assert client.last(Accepted).existing
    assert bytes(client.audio["j"]) == sound


def test_only_the_end_needs_no_audio() -> None:
    """Who reads nothing of a packed job but its end does not have it unpacked."""
    stage, client, _, _ = packed_job()
    client.attach("j", read="none")
    assert stage.journals == {} and client.last(Terminal).state == "finished"


def test_who_leaves_does_not_wait_any_more() -> None:
    """DETACH, BYE and CANCEL end the waiting; the audio that comes then is for nobody, and goes again."""
    stage, client, _, _ = packed_job()
    other, third = stage.client(), stage.client()
    stage.hold_helpers = True
    for one in (client, other, third):
        one.attach("j")
    client.say(Detach(job="j"))
    other.say(Bye())
    third.say(Cancel(job="j"))
    assert stage.core.world.jobs[1000, "j"].openers == {}
    stage.help()
    assert client.audio.get("j") is None and third.last(Terminal).job == "j"
    wait(stage)
    assert stage.journals == {}


def test_audio_that_cannot_be_unpacked() -> None:
    """Whoever waits is told why; the job stays as it was, and asking again tries again."""
    stage, client, sound, _ = packed_job()
    stage.helpers_fail = "the packed file is damaged"
    client.attach("j")
    error = client.last(Error)
    assert (error.code, error.job, error.answers) == ("storage", "j", "attach")
    assert "the packed file is damaged. If it is lost, say it again with: voicebus history again j" in error.message
    assert stage.core.world.counters["audio that could not be unpacked"] == 1
    stage.helpers_fail = ""
    client.attach("j")
    assert bytes(client.audio["j"]) == sound


def test_a_reader_who_comes_while_it_is_packed() -> None:
    """He reads the journal, which stays as long as he does, and goes when he has gone."""
    stage, _, client = spoken()
    stage.hold_helpers = True
    wait(stage)
    assert [type(effect) for effect in stage.helping] == [Pack]
    sound = bytes(client.audio.pop("j"))
    client.attach("j", credit=10)
    stage.help()
    assert len(stage.packs) == len(stage.journals) == 1
    assert stage.core.world.disk == disk(stage) + 128  # for the heads of two records, which the stage does not have
    client.grant("j", 10_000)
    assert bytes(client.audio["j"]) == sound
    wait(stage)
    assert stage.journals == {} and stage.core.world.disk == disk(stage)


def test_a_job_is_packed_that_left_memory() -> None:
    """What was forgotten meanwhile is packed all the same, by its number."""
    stage, worker, client = spoken(limits=Limits(finished_jobs=1))
    client.submit("k", TEXT)
    speak_all(worker)
    assert (1000, "j") not in stage.core.world.jobs
    wait(stage)
    assert len(stage.packs) == 2 and stage.journals == {}
    assert stage.core.world.disk == sum(saved.ended.disk for saved in stage.store.jobs.values() if saved.ended)


def test_an_open_job_that_leaves_memory_is_closed() -> None:
    """A job that is forgotten while its copy is there loses the copy, and is found packed again later."""
    stage, client, sound, log = packed_job()
    client.attach("j")
    assert log in stage.journals
    stage.core.reload(settings(limits=Limits(finished_jobs=0)), stage.now)
    stage.pass_time(2.0)
    assert (1000, "j") not in stage.core.world.jobs and stage.journals == {}
    assert stage.core.world.opened == set()
    stage.core.reload(settings(), stage.now)
    client.audio.pop("j")
    client.attach("j")
    assert bytes(client.audio["j"]) == sound


def test_the_next_daemon_packs_what_this_one_did_not() -> None:
    """Audio of an earlier run is packed too; packing that a daemon's death broke off begins anew."""
    stage, _, client = spoken()
    stage.hold_helpers = True
    wait(stage)
    later = stage.reborn()
    wait(later)
    assert len(later.packs) == 1 and later.journals == {}
    reader = later.client()
    reader.attach("j")
    assert reader.audio["j"] == client.audio["j"]


def test_what_fails_is_left_alone() -> None:
    """A log that cannot be packed is counted and not tried again in this run; the next ones are."""
    stage, worker, client = spoken()
    stage.helpers_fail = "the journal is damaged"
    wait(stage)
    assert stage.core.world.counters["audio that could not be packed"] == 1
    stage.helpers_fail = ""
    client.submit("k", TEXT)
    speak_all(worker)
    wait(stage, 2000)
    assert stage.packs.keys() == {stage.store.jobs[1000, "k"].job.log}
    assert stage.core.world.counters["audio that could not be packed"] == 1


def test_many_failures_mean_a_rest() -> None:
    """Where three fail in a row something is wrong with all of it, and nothing is tried for a while."""
    stage, worker, client = spoken()
    for name in ("k", "l", "m", "n"):
        client.submit(name, TEXT)
        speak_all(worker)
    stage.helpers_fail = "no such module"
    wait(stage, 100)
    assert stage.core.world.counters["audio that could not be packed"] == packing.MISSES
    wait(stage, 700)
    assert stage.core.world.counters["audio that could not be packed"] == 5


def test_a_disk_that_does_not_write_it_down() -> None:
    """A commit in vain leaves the journal as it was, and what was packed goes."""
    stage, _, client = spoken()
    before = stage.core.world.disk
    stage.commits_fail = "no space"
    wait(stage)
    assert stage.packs == {} and len(stage.journals) == 1 and stage.core.world.disk == before
    stage.commits_fail = ""
    client.audio.clear()
    client.attach("j")
    assert len(client.audio["j"]) > 0


def test_deleted_while_it_is_packed() -> None:
    """The helper ends with the files; what it would have made is of no use, and others are packed after it."""
    stage, worker, client = spoken()
    stage.hold_helpers = True
    wait(stage)
    client.say(Delete(job="j"))
    assert client.last(Deleted).job == "j" and stage.helping == []
    assert stage.journals == stage.packs == {} and stage.core.world.disk == 0
    stage.core.packed("e1-1", 100, "", stage.now)
    stage.hold_helpers = False
    client.submit("k", TEXT)
    speak_all(worker)
    wait(stage)
    assert len(stage.packs) == 1


def test_deleted_between_packing_and_its_commit() -> None:
    """Both files go with the deletion, and the late word that it is packed changes nothing."""
    stage, _, client = spoken()
    stage.hold_commits = True
    wait(stage)
    assert len(stage.packs) == len(stage.journals) == 1
    client.say(Delete(job="j"))
    assert stage.packs == stage.journals == {}
    stage.let_go()
    assert client.last(Deleted).job == "j"
    assert stage.core.world.disk == 0 and stage.core.world.packing is None


@pytest.mark.parametrize("read", ["to the end", "in part", "not at all"])
def test_a_job_is_asked_for_between_its_packing_and_the_word_of_it(read: str) -> None:
    """The store says that it is packed before the daemon knows: it is read from its journal, which is there still, and
    goes as it would have gone."""
    stage, worker, client = spoken(limits=Limits(finished_jobs=1))
    sound = bytes(client.audio.pop("j"))
    client.submit("k", TEXT, keep="nothing")
    speak_all(worker)
    assert (1000, "j") not in stage.core.world.jobs
    stage.hold_commits = True
    wait(stage)
    (effect,) = stage.held
    stage.held.clear()
    assert stage.store.commit(effect.record) == "done"
    if read == "not at all":
        client.say(Query(request="q", what="segments", where={"job": "j"}))
    else:
        client.attach("j", credit=UNLIMITED if read == "to the end" else 10)
    assert (1000, "j") in stage.core.world.jobs and client.got(Notice)[-1].kind != "unpacking"
    stage.core.committed(Outcome(effect.ticket, "done"), stage.now)
    stage.run()
    client.grant("j", UNLIMITED)
    assert read == "not at all" or bytes(client.audio["j"]) == sound
    stage.hold_commits = False
    wait(stage)
    assert len(stage.packs) == 1 and stage.journals == {} and stage.core.world.disk == disk(stage)


def test_deleted_while_somebody_waits_for_it() -> None:
    """Who waits for audio of a job that is deleted hears that it was."""
    stage, client, _, _ = packed_job()
    other = stage.client()
    stage.hold_helpers = True
    other.attach("j")
    stage.hold_commits = True
    client.say(Delete(job="j"))
    assert other.got(Error) == [] and stage.packs == {}
    stage.let_go()
    assert (other.last(Error).code, other.last(Error).job, other.last(Error).answers) == ("deleted", "j", "")
    assert client.last(Deleted).job == "j"
    stage.core.unpacked("e1-1", 100, "", stage.now)
    assert stage.core.world.disk == 0


def test_deleted_while_its_copy_is_there() -> None:
    """A job that is deleted while it is open is closed by that."""
    stage, client, _, _ = packed_job()
    client.attach("j")
    client.say(Delete(job="j"))
    wait(stage, 2)
    assert stage.packs == stage.journals == {} and stage.core.world.opened == set()
    assert stage.core.world.disk == 0


def test_a_job_that_ends_while_the_store_is_asked() -> None:
    """It is packed in its own time, not at the next general look."""
    stage, worker, client = spoken()
    stage.hold_answers = True
    wait(stage)
    client.submit("k", TEXT)
    speak_all(worker)
    stage.hold_answers = False
    stage.answer()
    wait(stage)
    assert len(stage.packs) == 2


def test_nothing_is_begun_while_the_daemon_leaves() -> None:
    """A daemon that stops begins no packing, also where the store's answer comes late."""
    stage, _, _client = spoken()
    stage.hold_answers = True
    wait(stage)
    stage.core.terminate(stage.now)
    stage.answer()
    assert stage.packs == {} and stage.core.world.packing is None
    wait(stage, 10)


def test_pages_are_gone_through_one_by_one() -> None:
    """Where a page has nothing that can be packed, the next one is looked at, and in the end the first again."""
    stage, worker, client = spoken()
    for number in range(packing.PAGE + 3):
        client.submit(f"k{number}", "One.")
        speak_all(worker)
    stage.core.world.unpackable = {saved.job.order for saved in stage.store.jobs.values()} - {packing.PAGE + 2}
    wait(stage)
    assert stage.packs.keys() == {stage.store.jobs[1000, f"k{packing.PAGE}"].job.log}
    assert stage.core.world.pack_from == 0


def test_attach_is_the_message_that_waits() -> None:
    """The last ATTACH counts, with its credit."""
    stage, client, sound, _ = packed_job()
    stage.hold_helpers = True
    client.attach("j", credit=10)
    client.say(Attach(job="j", credit=50))
    client.credit["j"] = 50
    stage.help()
    assert bytes(client.audio["j"]) == sound[:100]
