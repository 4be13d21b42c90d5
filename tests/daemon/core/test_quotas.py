"""Scenes of several users at one daemon: what each may take, whose turn it is, and what they see of each other."""

from __future__ import annotations

from typing import Any

import pytest

from voicebus.bus.messages import UNLIMITED, Append, Cancel, Error, Refused, Terminal, Welcome
from voicebus.daemon.core.settings import Limits

from .scenes import Scene, query, scene, speak_all
from .world_of_one import settings

ANNA, BERT = 1000, 2000


def limited(**limits: Any) -> Scene:
    return Scene(settings(limits=Limits(**limits)))


def test_what_nobody_set_is_a_quarter_where_users_share() -> None:
    """In a daemon of several users a limit for one user that is not set is a quarter of the whole, never nothing."""
    shared = Limits(clients=2, jobs=40, jobs_per_user=30).shared()
    assert (shared.clients_per_user, shared.jobs_per_user) == (1, 30)
    assert shared.texts_bytes_per_user * 4 == shared.texts_bytes
    assert shared.disk_bytes_per_user * 4 == shared.disk_bytes


def test_a_user_has_so_many_clients() -> None:
    """One more client of a user than its limit is refused, those of others are let in, and a place can be had again."""
    stage = limited(clients_per_user=2)
    first = stage.client(ANNA)
    stage.client(ANNA)
    third = stage.client(ANNA)
    assert third.last(Refused).code == "full"
    assert "2 clients" in third.last(Refused).message
    assert stage.client(BERT).got(Welcome)
    stage.leave(first)
    third.hello()
    assert third.got(Welcome)


def test_a_user_has_so_many_jobs() -> None:
    """A job over a user's limit is refused with a hint for when to try again, whichever of its clients asks; another
    user's is accepted, and so is the next when one is over."""
    stage = limited(jobs_per_user=2)
    one, two, other = stage.client(ANNA), stage.client(ANNA), stage.client(BERT)
    one.submit("a", "One.")
    two.submit("b", "Two.")
    two.submit("c", "Three.")
    refused = two.last(Error)
    assert (refused.code, refused.job) == ("queue_full", "c")
    assert refused.retry_after >= 1.0
    assert "2 jobs of yours" in refused.message
    other.submit("c", "Three.")
    assert "c" in other.accepted
    one.say(Cancel(job="a"))
    two.submit("c", "Three.")
    assert "c" in two.accepted


def test_a_user_has_so_much_text() -> None:
    """Texts of one user over the limit are refused, in a new job and in a piece, each with a hint; others' are not."""
    stage = limited(texts_bytes_per_user=10)
    anna, bert = stage.client(ANNA), stage.client(BERT)
    anna.submit("a", "A sentence of some length.", complete=False)
    anna.submit("b", "More.")
    assert (anna.last(Error).code, anna.last(Error).job) == ("queue_full", "b")
    anna.say(Append(job="a", n=1), b" And more.")
    assert (anna.last(Error).code, anna.last(Error).job) == ("queue_full", "a")
    assert anna.last(Error).retry_after >= 1.0
    bert.submit("b", "More.")
    assert "b" in bert.accepted


def test_a_user_has_so_much_disk() -> None:
    """With its audio at the limit a user's next job is refused, but not one of which nothing is kept, nor another
    user's; what is over and unread makes room first."""
    stage, worker, anna = scene(
        "One. Two. Three. Four.",
        configuration=settings(limits=Limits(disk_bytes_per_user=300)),
        credit=0,
        pace="render",
    )
    worker.speak(worker.current, 3)
    worker.speak(worker.current, 3)
    assert stage.core.world.disk_of[ANNA] >= 300
    assert not worker.current, "a rendered job waits while its user's audio is at the limit"
    anna.submit("k", "More.")
    assert (anna.last(Error).code, anna.last(Error).job) == ("queue_full", "k")
    assert "300 bytes" in anna.last(Error).message
    anna.submit("m", "More.", keep="nothing")
    assert "m" in anna.accepted
    bert = stage.client(BERT)
    bert.submit("k", "More.", pace="render")
    speak_all(worker)
    assert bert.last(Terminal).state == "finished"
    anna.say(Cancel(job="j"))
    stage.live(2)
    assert stage.core.world.disk_of[ANNA] < 300
    anna.submit("k", "More.")
    assert "k" in anna.accepted


def test_users_sums_add_up() -> None:
    """What users have on disk is the whole, and who has nothing is forgotten."""
    stage, worker, anna = scene("One. Two.")
    bert = stage.client(BERT)
    bert.submit("j", "One.")
    speak_all(worker)
    world = stage.core.world
    assert sum(world.disk_of.values()) == world.disk > 0
    assert set(world.disk_of) == {ANNA, BERT}
    world.settings = settings(limits=Limits(finished_jobs=0))
    stage.leave(anna)
    stage.leave(bert)
    stage.live(2)
    assert (world.disk, dict(world.disk_of)) == (0, {})


def test_rendered_jobs_of_a_user_that_do_not_fit_together_give_way() -> None:
    """Where a user's jobs wait for each other's disk, the youngest ends by name; other users' jobs go on."""
    stage, worker, _anna = scene(
        "One. Two. Three. Four.",
        configuration=settings(limits=Limits(disk_bytes_per_user=300)),
        credit=0,
        pace="render",
    )
    speak_all(worker)
    bert = stage.client(BERT)
    bert.submit("b", "One.", 0, pace="render", complete=False)
    stage.live(40)
    end = stage.job().verdict
    assert end is not None
    assert (end.state, end.code) == ("failed", "disk_full")
    assert "of yours" in end.message and "disk_bytes_per_user" in end.message
    assert not bert.got(Terminal)


def test_a_user_without_rendered_jobs_waits_for_its_disk() -> None:
    """Audio that is listened to may stay over the limit: nothing is ended for it."""
    stage, worker, anna = scene(configuration=settings(limits=Limits(disk_bytes_per_user=100)), credit=0)
    speak_all(worker)
    stage.live(40)
    assert anna.got(Terminal) == []
    assert ANNA in stage.core.world.crowded
    assert "j" in [row["job"] for row in query(anna, "jobs")[0]]
    stage.leave(anna)
    stage.live(2)
    assert stage.core.world.crowded == {}


@pytest.mark.parametrize("crowd", [1, 5])
def test_users_get_equal_shares_however_many_programs_they_run(crowd: int) -> None:
    """Five programs of one user get together as much as one of another."""
    stage = Scene()
    worker = stage.worker()
    for number in range(crowd):
        one = stage.client(ANNA, pid=10 + number)
        one.submit(f"a{number}", "One. Two. Three. Four. Five. Six.", UNLIMITED, pace="render")
    stage.client(BERT, pid=99).submit("b", "One. Two. Three. Four. Five. Six.", UNLIMITED, pace="render")
    made = []
    for _ in range(8):
        made.append(stage.core.world.by_peer[worker.peer].leases[worker.current].job.key[0])
        worker.speak(worker.current, 3)
    assert made.count(ANNA) == made.count(BERT) == 4


def test_within_a_user_programs_get_equal_shares() -> None:
    """A program that comes later is not put behind those of its user that had their turn, whatever others had."""
    stage = Scene()
    worker = stage.worker()

    def next_up() -> tuple[int, int]:
        job = stage.core.world.by_peer[worker.peer].leases[worker.current].job
        worker.speak(worker.current, 3)
        return job.client

    text = "One. Two. Three. Four. Five. Six. Seven. Eight."
    for uid, pid in ((ANNA, 1), (ANNA, 2), (BERT, 3)):
        stage.client(uid, pid=pid).submit(f"j{pid}", text, UNLIMITED, pace="render")
    for _ in range(8):
        next_up()
    stage.client(ANNA, pid=4).submit("j4", text, UNLIMITED, pace="render")
    following = [next_up() for _ in range(12)]
    assert sum(uid == BERT for uid, _ in following) == 6 or len(following) == 12
    assert [pid for uid, pid in following if uid == ANNA].count(4) >= 2


def test_what_another_user_sees_of_the_daemon() -> None:
    """A user whose daemon it is not sees how busy it is, and of jobs, disk, paths, faults and engines' words only what
    is its own; the daemon's user and root see all."""
    stage, worker, anna = scene("One. Two.")
    stage.core.world.info.update(config="/c", log_file="/l", state_dir="/s")
    speak_all(worker)
    stage.core.bad_client_message(anna.peer, ANNA, 1, "odd", stage.now)
    bert, root = stage.client(BERT), stage.client(0)
    for client in (anna, root):
        row = query(client, "status")[0][0]
        assert row["jobs"]["finished"] == 1
        assert row["takes_bytes"] > 0
        assert (row["config"], row["log_file"], row["state_dir"]) == ("/c", "/l", "/s")
        assert row["counters"]
    row = query(bert, "status")[0][0]
    assert not any(row["jobs"].values())
    assert (row["takes_bytes"], row["counters"], row["problems"]) == (0, {}, [])
    assert (row["config"], row["log_file"], row["state_dir"]) == ("", "", "")
    assert (row["clients"], row["unfinished"]) == (3, 0)
    assert query(bert, "jobs")[0] == []


def test_what_an_engine_said_is_not_for_other_users() -> None:
    """A worker's failures, its standard error, and a provider's reason may have a text in them, and are kept from
    those whose daemon it is not."""
    stage, _worker, anna = scene()
    (state,) = (w for w in stage.core.world.workers.values() if w.session)
    state.last_failure, state.reason, state.stderr = "cannot say 'secret'", "secret", ["secret"]
    stage.core.world.providers[state.provider].reason = "secret"
    bert = stage.client(BERT)
    for what in ("workers", "providers"):
        assert "secret" in repr(query(anna, what))
        assert "secret" not in repr(query(bert, what))
        assert len(query(bert, what)[0]) == len(query(anna, what)[0])
