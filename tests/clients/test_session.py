"""The session of a client, played through without sockets or clocks."""

import pytest

from voicebus.bus import codec
from voicebus.bus.errors import BadMessage, Disconnected, InvalidRequest, NotFound, QueueFull, VersionMismatch
from voicebus.bus.messages import (
    Accepted,
    Append,
    Attach,
    Attached,
    Audio,
    Bye,
    Cancel,
    CancelAll,
    CancelledAll,
    Delete,
    Deleted,
    Deposit,
    Detach,
    Error,
    Greet,
    Hello,
    Import,
    Page,
    Pin,
    Pinned,
    Query,
    Refused,
    Rewind,
    Submit,
    Terminal,
    Welcome,
)
from voicebus.clients.reading import Reading
from voicebus.clients.session import Session


class Play:
    """A session, its clock, and a daemon that says what the test wants. It is greeted unless told otherwise."""

    def __init__(self, greeted=True, **options):
        self.now = 50.0
        self.session = Session(self.now, name="test", version="1", **options)
        if greeted:
            assert self.kinds() == [Hello]
            self.say(Welcome(epoch="e1", version="0.1.0", beat_s=10.0))

    def say(self, message, *body):
        if not message.epoch and not isinstance(message, (Greet, Refused)):
            message.epoch = "e1"
        self.session.receive([codec.encode(message), *body], self.now)

    def after(self, seconds):
        self.now += seconds
        self.session.tick(self.now)
        sent = [message for message, _ in self.session.outbox]
        self.session.outbox.clear()
        return sent

    def kinds(self, seconds=0):
        return [type(message) for message in self.after(seconds)]

    def read(self, job="j", **fields):
        reading = Reading(job, now=self.now, submit=Submit(job=job, **fields), text=b"Hello.")
        self.session.add(reading)
        return reading


def test_greeting() -> None:
    """HELLO without an epoch comes first and is repeated every 250 ms; WELCOME's epoch is in everything after it."""
    play = Play(greeted=False)
    reading = play.read()
    (hello,) = play.after(0)
    assert isinstance(hello, Hello)
    assert (hello.epoch, hello.name, hello.version) == ("", "test", "1")
    assert play.kinds(0.2) == []
    assert play.kinds(0.1) == [Hello]
    play.say(Welcome(epoch="e1"))
    (submit,) = play.after(0)
    assert (type(submit), submit.epoch) == (Submit, "e1")
    assert not reading.over


def test_several_greets_are_one_hello() -> None:
    """Each message that was thrown away brings a GREET; one HELLO answers all of them."""
    play = Play()
    for _ in range(3):
        play.say(Greet())
    assert play.kinds() == [Hello]
    play.say(Greet())
    assert play.kinds(0.1) == []


def test_going_on_after_greet() -> None:
    """After GREET and a WELCOME of the same epoch, what had no answer is said again and readings attach."""
    play = Play()
    accepted = play.read("a")
    asked = play.session.ask(CancelAll(), play.now)
    play.after(0)
    play.say(Accepted(job="a", rate=8000, pieces=1))
    play.read("b")
    play.after(0)
    play.say(Greet())
    play.after(0)
    play.say(Welcome(epoch="e1"))
    assert play.kinds() == [CancelAll, Attach, Submit]
    assert not asked.over
    assert not accepted.over


def test_a_new_epoch_without_greet() -> None:
    """A WELCOME of another epoch, as the answer to a sign of life, makes all readings attach to the new daemon."""
    play = Play()
    play.read()
    play.after(0)
    play.say(Accepted(job="j", rate=8000))
    play.say(Welcome(epoch="e2"))
    (attach,) = play.after(0)
    assert (type(attach), attach.epoch) == (Attach, "e2")


def test_what_is_of_another_epoch_is_ignored() -> None:
    """A message of an earlier run of the daemon changes nothing."""
    play = Play()
    reading = play.read()
    play.after(0)
    play.say(Accepted(job="j", rate=8000, epoch="e0"))
    assert not reading.answered


def test_what_cannot_be_read_is_ignored() -> None:
    """Bytes that are no message, and messages of a later version, are thrown away."""
    play = Play()
    for parts in ([b"\xc1"], [b""], [], [b"\x93\xa6thanks\x01\xa0"]):
        play.session.receive(parts, play.now)
    assert play.session.error is None


def test_signs_of_life() -> None:
    """A client that has nothing to say greets every ten seconds, so that a paused reader is not forgotten."""
    play = Play()
    assert play.kinds(9.0) == []
    assert play.session.sleep_until() == pytest.approx(60.0)
    assert play.kinds(1.1) == [Hello]
    play.say(Welcome(epoch="e1", beat_s=10.0))
    assert play.kinds(9.0) == []


def test_a_daemon_that_falls_silent() -> None:
    """Where an answer is owed, silence is noticed after three seconds, the daemon is greeted every 250 ms, and after
    `reconnect_s` everything that waits ends with Disconnected."""
    play = Play(reconnect_s=5.0)
    reading = play.read()
    asked = play.session.ask(Query(what="jobs"), play.now)
    for _ in range(29):
        play.after(0.1)
    assert not play.session.lost
    play.after(0.3)
    assert play.session.lost
    assert play.kinds(0.3) == [Hello]
    for _ in range(60):
        play.after(0.1)
    assert isinstance(play.session.error, Disconnected)
    assert reading.error is asked.error is play.session.error
    assert play.after(1.0) == []


def test_a_long_silence_in_which_nothing_was_owed() -> None:
    """A daemon that was asked nothing for long is not taken for gone at the moment at which it is asked something."""
    play = Play()
    play.after(4.0)
    play.read()
    assert play.kinds() == [Submit]
    assert play.kinds(0.01) == []
    assert not play.session.lost


def test_a_daemon_that_comes_back() -> None:
    """A WELCOME after silence ends the search, and things go on."""
    play = Play(reconnect_s=5.0)
    play.read()
    for _ in range(40):
        play.after(0.1)
    assert play.session.lost
    play.say(Welcome(epoch="e2"))
    assert not play.session.lost
    assert play.kinds() == [Submit]


def test_a_daemon_that_never_was() -> None:
    """A client that gets no WELCOME gives up after `reconnect_s`."""
    play = Play(greeted=False, reconnect_s=1.0)
    for _ in range(11):
        play.after(0.1)
    assert "did not answer" in str(play.session.error)


@pytest.mark.parametrize("taken", [True, False])
def test_a_daemon_that_died_before_it_greeted(taken: bool) -> None:
    """Who could connect, and hears nothing for a second, wakes up to look for the daemon, whether or not the socket
    takes his HELLO; one that went away later is looked for at once."""
    play = Play(greeted=False)
    play.session.tick(play.now)
    while not play.session.missing:
        if taken:
            play.session.outbox.clear()
        before, play.now = play.now, play.session.sleep_until()
        assert before < play.now <= 51.0
        play.session.tick(play.now)
    assert play.now == 51.0
    assert play.session.sleep_until() > play.now
    play.say(Welcome(epoch="e1"))
    assert not play.session.missing
    play.read()
    for _ in range(40):
        play.after(0.1)
    assert play.session.lost
    assert play.session.missing


def test_nothing_is_repeated_into_a_full_pipe() -> None:
    """While the socket takes nothing, nothing is added to what waits for it, and nobody is woken for repeats."""
    play = Play()
    play.read()
    play.session.tick(play.now)
    before = list(play.session.outbox)
    play.session.tick(play.now + 0.4)
    assert list(play.session.outbox) == before
    assert play.session.sleep_until() == pytest.approx(play.now + 0.4 + 0.5)


def test_who_waits_for_nothing_sleeps_while_nothing_can_be_sent() -> None:
    """A sign of life that the socket does not take wakes nobody again and again; it goes when the socket takes it. When
    something is asked meanwhile, patience ends as ever."""
    play = Play()
    play.now += 10
    play.session.tick(play.now)
    play.now += 1
    play.session.tick(play.now)
    assert [type(message) for message, _ in play.session.outbox] == [Hello]
    assert play.session.sleep_until() == float("inf")
    play.session.ask(Query(what="status"), play.now)
    assert play.session.sleep_until() == play.now + 0.5
    play.now += 1
    play.session.tick(play.now)
    assert play.session.lost


@pytest.mark.parametrize("dropped", [False, True])
def test_what_was_asked_twice_is_not_read_to_nobody(dropped: bool) -> None:
    """A request that was said again before it was answered is heard when the reading is over; the daemon, which reads
    it once more, is told that nobody listens."""
    play = Play()
    reading = Reading("j", now=play.now)
    play.session.add(reading)
    assert play.kinds() == [Attach]
    play.say(Attached(job="j", rate=1000))
    play.say(Terminal(job="j", state="finished"))
    assert reading.over
    if dropped:
        play.session.drop("j")
    assert play.kinds() == []
    play.say(Attached(job="j", rate=1000))
    assert play.kinds() == [Detach]


def test_questions_and_answers() -> None:
    """Each question gets the answer that names it, an ERROR becomes the exception of its code."""
    play = Play()
    page = play.session.ask(Query(what="jobs"), play.now)
    count = play.session.ask(CancelAll(), play.now)
    wrong = play.session.ask(Query(what="nonsense"), play.now)
    end = play.session.ask(Cancel(job="j"), play.now)
    lost = play.session.ask(Cancel(job="k"), play.now)
    names = [getattr(message, "request", "") for message in play.after(0)]
    assert play.kinds(0.3) == [Query, CancelAll, Query, Cancel, Cancel]
    play.say(CancelledAll(request=names[1], count=7))
    play.say(Page(request=names[0], what="jobs"), codec.encode([{"job": "x"}]))
    play.say(Error(request=names[2], code="queue_full", retry_after=1.5))
    play.say(Terminal(job="j", state="cancelled"))
    play.say(Error(job="k", code="not_found"))
    assert codec.decode_rows(page.answer[1]) == [{"job": "x"}]
    assert count.answer.count == 7
    assert isinstance(wrong.error, QueueFull)
    assert end.answer.state == "cancelled"
    assert isinstance(lost.error, NotFound)
    assert play.kinds(1.0) == [Hello] or play.kinds(1.0) == []


def test_an_answer_to_nobody() -> None:
    """Answers that nobody waits for, and messages about jobs nobody reads, are ignored."""
    play = Play()
    play.say(CancelledAll(request="q99", count=7))
    play.say(Audio(job="x"), b"\0\0")
    play.say(Attached(job="x"))
    assert play.session.error is None


def test_an_unreadable_request() -> None:
    """`bad_message` names no job, since none could be read: whoever waits hears of it."""
    play = Play()
    reading = play.read()
    play.after(0)
    play.say(Error(code="bad_message", message="what?"))
    assert isinstance(reading.error, BadMessage)


@pytest.mark.parametrize(("code", "kind"), [("version", VersionMismatch), ("full", Exception)])
def test_not_let_in(code, kind) -> None:
    """REFUSED ends the session; for another version the error names the command that mends it."""
    play = Play(greeted=False)
    reading = play.read()
    play.after(0)
    play.say(Refused(code=code, low=2, high=3))
    assert isinstance(play.session.error, kind)
    assert ("voicebus daemon restart" in str(play.session.error)) is (code == "version")
    assert reading.error is play.session.error


def test_leaving_readings_and_the_daemon() -> None:
    """DETACH ends a reading that is not over, BYE the session."""
    play = Play()
    play.read()
    play.after(0)
    play.session.drop("j")
    play.session.drop("j")
    assert play.kinds() == [Detach]
    play.session.leave()
    assert [type(message) for message, _ in play.session.outbox] == [Bye]


def test_the_first_error_is_kept() -> None:
    """What ended the session is what later readings and questions are told."""
    play = Play()
    play.session.close(Disconnected("one"))
    play.session.close(Disconnected("two"))
    reading = play.read()
    assert str(reading.error) == "one"
    assert str(play.session.ask(CancelAll(), play.now).error) == "one"


def test_unanswered_pieces_go_to_the_new_connection() -> None:
    """Pieces that were not kept are said again after a reconnect."""
    play = Play()
    reading = play.read(complete=False)
    play.after(0)
    play.say(Accepted(job="j", rate=8000, pieces=1))
    reading.append(b"more", play.now)
    assert play.kinds() == [Append]
    play.say(Greet())
    play.after(0)
    play.say(Welcome(epoch="e1"))
    assert play.kinds() == [Attach, Append]


def test_leaving_says_every_cancel_that_has_no_answer() -> None:
    """A CANCEL that was asked for is said again before BYE, by whichever way it was asked; an answered one is not."""
    play = Play()
    for job in ("a", "b"):
        play.read(job).cancel(play.now)
    play.session.ask(Cancel(job="c"), play.now)
    play.after(0)
    play.say(Terminal(job="a", state="cancelled", code="cancelled"))
    assert play.session.ending == ["b", "c"]
    play.session.leave()
    sent = [message for message, _ in play.session.outbox]
    assert [(type(message), getattr(message, "job", "")) for message in sent] == [
        (Cancel, "b"),
        (Cancel, "c"),
        (Bye, ""),
    ]


def test_a_cancelled_reading_is_dropped_when_its_end_is_sure() -> None:
    """Whoever cancels and drops a job in one breath has it cancelled, and then it is forgotten."""
    play = Play()
    reading = play.read("a")
    play.after(0)
    play.say(Accepted(job="a", rate=16000, pieces=1))
    reading.cancel(play.now)
    play.session.drop("a")
    assert play.kinds() == [Cancel]
    assert play.kinds(0.3) == [Cancel]
    play.say(Terminal(job="a", state="cancelled", code="cancelled"))
    assert play.session.readings == {}


def test_a_lost_reading_is_no_answer_to_cancel() -> None:
    """`not_reading` is about the reading: who waits for the answer to CANCEL goes on waiting."""
    play = Play()
    asked = play.session.ask(Cancel(job="a"), play.now)
    play.after(0)
    play.say(Error(job="a", code="not_reading"))
    assert not asked.over
    play.say(Terminal(job="a", state="cancelled", code="cancelled"))
    assert asked.answer.state == "cancelled"


# ------------------------------------------------------------------------------------------------ about kept jobs


def test_deleting_is_repeated_until_answered() -> None:
    """DELETE goes out again until DELETED comes, which ends the waiting."""
    play = Play()
    asked = play.session.ask(Delete(job="j"), play.now)
    assert play.kinds() == [Delete]
    assert play.kinds(0.3) == [Delete]
    play.say(Deleted(job="j"))
    assert asked.over and asked.answer.job == "j"
    assert play.kinds(3.0) == []


def test_deleted_by_an_earlier_saying_is_deleted() -> None:
    """The answer to the first DELETE was lost; that the repeat finds nothing means that it is done."""
    play = Play()
    asked = play.session.ask(Delete(job="j"), play.now)
    play.after(0)
    play.say(Error(job="j", code="deleted", message="The job j was deleted."))
    assert asked.answer == Deleted(job="j") and asked.error is None


def test_one_question_about_a_job_at_a_time() -> None:
    """What is asked about the same job goes out in turn, so an error without a name belongs to the first; other jobs
    do not wait for it."""
    play = Play()
    pin = play.session.ask(Pin(job="j"), play.now)
    delete = play.session.ask(Delete(job="j"), play.now)
    other = play.session.ask(Pin(job="k", pinned=False), play.now)
    assert [(type(m), m.job) for m in play.after(0)] == [(Pin, "j"), (Pin, "k")]
    play.say(Error(job="j", code="unsupported", message="Nothing is kept of j."))
    assert isinstance(pin.error, InvalidRequest) and not delete.over
    assert play.kinds(0.01) == [Delete]
    play.say(Pinned(job="k", pinned=False))
    play.say(Deleted(job="j"))
    assert delete.over and other.answer.pinned is False


def test_two_who_cancel_the_same_job_are_both_answered() -> None:
    """Nobody's question is lost to a later one about the same job."""
    play = Play()
    first = play.session.ask(Cancel(job="j"), play.now)
    second = play.session.ask(Cancel(job="j"), play.now)
    play.after(0)
    play.say(Terminal(job="j", state="cancelled"))
    assert first.over and play.kinds(0.01) == [Cancel]
    play.say(Terminal(job="j", state="cancelled"))
    assert second.over


def test_what_is_asked_of_an_answer_to_something_else() -> None:
    """The end of a job that is deleted while it runs is no answer to the DELETE, nor is an error of its reading."""
    play = Play()
    asked = play.session.ask(Delete(job="j"), play.now)
    play.after(0)
    play.say(Terminal(job="j", state="cancelled", code="deleted"))
    play.say(Error(job="j", code="not_reading", message="Attach again."))
    assert not asked.over
    play.say(Deleted(job="j"))
    assert asked.over


@pytest.mark.parametrize("code", ["ended", "conflict"])
def test_what_is_refused_of_a_text_is_no_answer_to_what_was_asked_about_its_job(code) -> None:
    """A piece that comes too late for a job which its own client has removed does not fail the removal."""
    play = Play()
    asked = play.session.ask(Delete(job="j"), play.now)
    play.after(0)
    play.say(Error(job="j", code=code, message="It is over."))
    assert not asked.over
    play.say(Deleted(job="j"))
    assert asked.answer.job == "j"


@pytest.mark.parametrize("kind", [Pin, Delete, Import, Cancel])
def test_what_is_refused_of_a_question_is_no_answer_to_the_reading_of_its_job(kind) -> None:
    """An error that says which question it answers ends that one, and no reading, even where it comes twice because
    the question was put twice."""
    play = Play()
    reading = play.read()
    asked = play.session.ask(kind(job="j"), play.now)
    play.after(0)
    tag = kind.__struct_config__.tag
    for _ in range(2):
        play.say(Error(job="j", code="not_found", message="There is no job 'j'.", answers=tag))
        assert isinstance(asked.error, NotFound) and not reading.over
    play.say(Accepted(job="j", rate=16000, pieces=1))
    assert reading.answered


def test_what_is_refused_of_a_job_is_no_answer_to_a_question_about_it() -> None:
    """The refusal of a SUBMIT is the reading's, and whoever asks something of the job goes on waiting; so does he who
    asks something else than what is refused."""
    play = Play()
    reading = play.read()
    asked = play.session.ask(Pin(job="j"), play.now)
    play.after(0)
    play.say(Error(job="j", code="queue_full", message="Later.", answers="submit"))
    play.say(Error(job="j", code="not_found", message="There is no job 'j'.", answers="delete"))
    assert isinstance(reading.error, QueueFull) and not asked.over
    play.say(Error(job="j", code="not_found", message="There is no job 'j'.", answers="pin"))
    assert isinstance(asked.error, NotFound)


def test_an_error_ends_an_import_whatever_its_piece() -> None:
    """A daemon that gives an import up does not know which piece is on its way; a piece that is missing goes again."""
    play = Play()
    asked = play.session.ask(Deposit(job="j", n=3), play.now)
    play.after(0)
    play.say(Error(job="j", code="out_of_order", message="Send piece 2.", answers="deposit"))
    assert not asked.over
    play.say(Error(job="j", code="storage", message="The disk is gone.", answers="import"))
    assert asked.error.code == "storage"


def test_a_reading_that_was_cancelled_hears_that_there_is_no_such_job() -> None:
    """It has said CANCEL itself, so the answer is its own."""
    play = Play()
    reading = play.read()
    reading.cancel(play.now)
    play.after(0)
    play.say(Error(job="j", code="not_found", message="There is no job 'j'.", answers="cancel"))
    assert reading.result.state == "cancelled"


@pytest.mark.parametrize("answer", [Accepted(existing=True, rate=16000, pieces=1), Rewind(reason="another take")])
def test_a_reading_that_was_cancelled_is_not_begun_again(answer) -> None:
    """CANCEL ends the reading; an ATTACH behind it would begin one at the daemon that nobody ends."""
    play = Play()
    reading = play.read()
    if isinstance(answer, Rewind):
        play.after(0)
        play.say(Accepted(job="j", rate=16000, pieces=1))
    play.say(Greet())
    play.after(0)
    reading.cancel(play.now)
    play.say(Welcome(epoch="e1"))
    assert play.kinds()[-1] is Cancel
    answer.job = "j"
    play.say(answer)
    assert Attach not in play.kinds()
    play.say(Terminal(job="j", state="cancelled", code="cancelled"))
    assert reading.result.state == "cancelled" and play.kinds() == []


def test_a_job_is_asked_for_before_anything_is_asked_about_it() -> None:
    """The SUBMIT goes first, also over a new connection: otherwise there is no such job yet."""
    play = Play()
    asked = play.session.ask(Pin(job="j"), play.now)
    play.read()
    assert play.kinds() == [Submit, Pin]
    play.say(Greet())
    assert play.kinds() == [Hello]
    play.say(Welcome(epoch="e1"))
    assert play.kinds() == [Submit, Pin]
    play.say(Pinned(job="j"))
    assert asked.over


def test_a_new_daemon_is_asked_about_jobs_at_once() -> None:
    """DELETE is said again to the next run of the daemon, and a client that is closed ends it."""
    play = Play()
    asked = play.session.ask(Delete(job="j"), play.now)
    play.after(0)
    play.say(Greet())
    assert play.kinds(0) == [Hello]
    play.say(Welcome(epoch="e2"))
    (again,) = play.after(0)
    assert isinstance(again, Delete) and again.epoch == "e2"
    play.session.leave()
    assert isinstance(asked.error, Disconnected)


def test_what_stays_is_told_with_the_acceptance() -> None:
    """A caller who leaves it to the daemon what is kept learns what that came to; text that is on the disk need not
    be held any more."""
    play = Play()
    reading = play.read(keep="", complete=False)
    play.after(0)
    assert reading.keep == "" and reading.pieces.retain
    play.say(Accepted(job="j", rate=8000, pieces=1, keep="history"))
    assert reading.keep == "history" and not reading.pieces.retain
