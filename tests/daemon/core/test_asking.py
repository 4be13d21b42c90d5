"""Questions to the store, and who waits for the answers."""

from __future__ import annotations

from dataclasses import replace

from voicebus.bus import codec
from voicebus.bus.messages import Attach, Attached, Bye, Detach, Error, Page, Query
from voicebus.daemon.core import asking
from voicebus.daemon.core.records import Found

from .scenes import speak_all
from .world_of_one import FakeClient, FakeWorker, Stage, settings

TEXT = "One. Two."


def durable() -> tuple[Stage, FakeWorker, FakeClient]:
    """A daemon with a store that answers when told to."""
    stage = Stage(settings(), durable=True)
    stage.hold_answers = True
    return stage, stage.worker(), stage.client()


def test_what_nobody_knows_is_not_found() -> None:
    """The store is asked once for a name, and all that was said about it is answered in order."""
    stage, _, client = durable()
    other = stage.client()
    client.attach("x")
    client.cancel("x")
    other.say(Query(request="q7", what="segments", where={"job": "x"}))
    assert len(stage.asked) == 1 and client.got(Error) == []
    stage.answer()
    assert [(e.code, e.answers) for e in client.got(Error)] == [("not_found", "attach"), ("not_found", "cancel")]
    assert (other.last(Error).request, other.last(Error).job, other.last(Error).answers) == ("q7", "x", "")
    assert stage.core.world.lookups == {} == stage.core.world.questions


def test_another_uids_job_is_as_if_it_were_not_there() -> None:
    """Names count per uid, also in the store."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    speak_all(worker)
    later = stage.reborn()
    stranger = later.client(uid=4000)
    stranger.attach("j")
    assert stranger.last(Error).code == "not_found"


def test_who_left_meanwhile_is_not_answered() -> None:
    """An answer for a client that is gone goes nowhere."""
    stage, _, client = durable()
    client.attach("x")
    client.say(Query(request="q", what="history"))
    client.say(Bye())
    count = len(client.inbox)
    stage.answer()
    assert len(client.inbox) == count


def test_a_job_submitted_meanwhile_answers() -> None:
    """The name was unknown when it was asked for, and is taken when the answer comes."""
    stage, worker, client = durable()
    client.attach("j")
    client.submit("j", TEXT)
    stage.answer()
    assert client.got(Attached) and client.got(Error) == []
    speak_all(worker)
    assert client.terminals["j"].state == "finished"


def test_a_store_that_cannot_answer_says_why() -> None:
    """The reason reaches whoever asked, for jobs and for lists."""
    stage, _, client = durable()
    client.attach("x")
    client.say(Query(request="q", what="history"))
    for effect in stage.asked:
        stage.core.found(Found(effect.ticket, reason="the disk is gone"), stage.now)
    stage.run()
    assert [(error.code, error.job, error.request) for error in client.got(Error)] == [
        ("storage", "x", ""),
        ("storage", "", "q"),
    ]
    assert all("the disk is gone" in error.message for error in client.got(Error))


def test_lists_of_the_store_come_in_pages() -> None:
    """What was asked for reaches the store, and its rows and cursor the client."""
    stage, _, client = durable()
    stage.store.rows = ({"job": "a"}, {"job": "b"})
    client.say(Query(request="q", what="history", where={"text": "fox"}, cursor="5", limit=2))
    wanted = stage.asked[0].wanted
    assert (wanted.what, wanted.uid, wanted.where, wanted.cursor, wanted.limit) == (
        "history", 1000, {"text": "fox"}, "5", 2
    )  # fmt: skip
    stage.answer()
    page, body = client.inbox[-1]
    assert (type(page), page.request, page.what, page.next) == (Page, "q", "history", "more")
    assert codec.decode_rows(body) == [{"job": "a"}, {"job": "b"}]


def test_questions_are_bounded() -> None:
    """Too many at a time are refused with a hint, whether for one job or for many."""
    stage, _, client = durable()
    for _ in range(asking.WAITING + 1):
        client.attach("x")
    assert client.last(Error).code == "queue_full" and client.last(Error).retry_after > 0
    for number in range(asking.QUESTIONS):
        client.attach(f"x{number}")
    assert client.last(Error).job == f"x{asking.QUESTIONS - 1}"
    client.say(Query(request="q", what="history"))
    assert (client.last(Error).code, client.last(Error).request) == ("queue_full", "q")
    stage.answer()
    assert stage.core.world.questions == {}


def test_detaching_from_what_is_not_there_asks_nobody() -> None:
    """What is not in memory is read by nobody, so nothing is to be done and nothing to be said: least of all that there
    is no such job, which a reading that has just begun again would take for an answer."""
    stage, _, client = durable()
    before = len(client.inbox)
    client.say(Detach(job="x"))
    assert client.inbox[before:] == [] and stage.asked == []


def test_an_answer_that_nobody_waits_for_is_ignored() -> None:
    """It changes nothing."""
    stage, _, _ = durable()
    stage.core.found(Found(99), stage.now)
    assert stage.core.effects == []


def test_a_job_that_is_not_over_in_the_store_is_not_brought_back() -> None:
    """It can only be one that was given up; nobody reads it."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    saved = stage.store.jobs[1000, "j"]
    client.cancel("j")
    worker.answer_stops()
    stage.core.world.jobs.clear()
    client.say(Attach(job="j"))
    stage.store.jobs[1000, "j"] = saved
    stage.answer()
    assert client.last(Error).code == "not_found"


def test_a_repeated_submit_waits_for_the_job_that_it_found() -> None:
    """Between "there is one" and the job itself, the name is nobody's."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    speak_all(worker)
    later = stage.reborn()
    later.hold_answers = True
    later.worker()
    again = later.client()
    again.submit("j", TEXT)
    assert again.inbox[1:] == [] and len(later.asked) == 1
    later.answer()
    assert again.terminals["j"].state == "finished"


def test_a_list_that_cannot_be_given() -> None:
    """A question that makes no sense, a job that is not there and one that was deleted each have their error."""
    stage, _, client = durable()
    for found in (Found(0, reason="No such date.", code="invalid"), Found(0, reason="Busy."), Found(0, deleted=True)):
        client.say(Query(request="q", what="text", where={"job": "j"}))
        effect = stage.asked.pop()
        stage.core.found(replace(found, ticket=effect.ticket), stage.now)
        stage.run()
    told = [(error.code, error.message, error.request) for error in client.got(Error)]
    assert told == [
        ("invalid", "No such date.", "q"),
        ("storage", "Busy.", "q"),
        ("deleted", "The job j was deleted.", "q"),
    ]
