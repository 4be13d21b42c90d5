"""A worker's side of the protocol, without a socket."""

from __future__ import annotations

import pytest

from voicebus.bus import messages as m
from voicebus.workers.session import (
    LEAVE_S,
    REFUSED_EXIT,
    REGISTER_S,
    Allow,
    Begin,
    Drop,
    Exit,
    Halt,
    Identity,
    Load,
    Say,
    Session,
)

ME = Identity("ticket", "tone", "1.0", 42)


def said(actions: list) -> list:
    return [action.message for action in actions if isinstance(action, Say)]


def welcome(session: str = "s1", epoch: str = "e1") -> m.Welcome:
    return m.Welcome(epoch=epoch, session=session, beat_s=2.0, settings={"a": 1})


def ready_session(slots: int = 1) -> Session:
    session = Session(ME, 0.0)
    session.tick(0.0, 0)
    session.receive(welcome(), b"", 0.0)
    session.loaded(m.Ready(rate=24000, slots=slots), b"body", 5)
    return session


def work(attempt: str, session: str = "s1", epoch: str = "e1") -> m.Work:
    return m.Work(epoch=epoch, session=session, attempt=attempt)


def stop(attempt: str) -> m.Stop:
    return m.Stop(epoch="e1", session="s1", attempt=attempt)


def done(attempt: str) -> m.Done:
    return m.Done(epoch="e1", session="s1", attempt=attempt)


def test_registers_until_answered():
    """REGISTER goes out at once and every quarter of a second, until WELCOME; then beats do."""
    session = Session(ME, 0.0)
    first = said(session.tick(0.0, 0))
    assert first == [m.Register(ticket="ticket", provider="tone", version="1.0", pid=42)]
    assert session.tick(REGISTER_S / 2, 0) == []
    assert said(session.tick(REGISTER_S, 0)) == first
    assert session.receive(welcome(), b"", 0.3) == [Load({"a": 1})]
    beat = m.Beat(epoch="e1", session="s1", state="loading", rss=7)
    assert said(session.tick(0.3, 7)) == [beat]
    assert session.tick(2.2, 7) == []
    assert said(session.tick(2.3, 7, 8)) == [m.Beat(epoch="e1", session="s1", state="loading", rss=7, vram=8)]


@pytest.mark.parametrize("code", ["ticket", "unknown_provider", "version", "stranger"])
def test_refused_means_leaving(code):
    """A refusal that cannot change ends the worker with its reason and the exit code for a wrong set-up."""
    (leave,) = Session(ME, 0.0).receive(m.Refused(code=code, message="why"), b"", 0.0)
    assert leave.code == REFUSED_EXIT
    assert "why" in leave.line


def test_refused_for_being_full_is_no_end():
    """A daemon without room is asked again."""
    session = Session(ME, 0.0)
    session.tick(0.0, 0)
    assert session.receive(m.Refused(code="full"), b"", 0.0) == []
    assert len(said(session.tick(REGISTER_S, 0))) == 1


def test_ready_waits_for_the_welcome_and_for_the_engine():
    """READY is said once both are there, bears the session, and has a beat with the memory in use behind it; a repeated
    WELCOME changes nothing."""
    session = Session(ME, 0.0)
    session.receive(welcome(), b"", 0.0)
    assert session.loaded(m.Ready(rate=1), b"x", 5, 6) == [
        Say(m.Ready(epoch="e1", session="s1", rate=1), b"x"),
        Say(m.Beat(epoch="e1", session="s1", state="ready", rss=5, vram=6)),
    ]
    assert session.receive(welcome(), b"", 0.0) == []


def test_greet_makes_it_register_anew_without_loading_again():
    """After GREET attempts are void, the worker registers, and says READY under its new session."""
    session = ready_session()
    session.receive(work("a"), b"", 1.0)
    assert session.receive(m.Greet(epoch="e2"), b"", 1.0) == [Halt("a"), Drop("")]
    assert not session.current(done("a"))
    assert [type(message) for message in said(session.tick(1.0, 0))] == [m.Register]
    assert session.receive(m.Greet(epoch="e2"), b"", 1.0) == []
    again, _ = said(session.receive(welcome("s2", "e2"), b"", 1.1))
    assert (type(again), again.epoch, again.session) == (m.Ready, "e2", "s2")
    assert not session.current(done("a"))


def test_a_new_session_voids_the_one_before():
    """A second WELCOME, answering a REGISTER that crossed the first, begins a new session, without the voices of the
    one before."""
    session = ready_session()
    session.receive(work("a"), b"", 1.0)
    actions = session.receive(welcome("s2"), b"", 1.0)
    assert actions[:2] == [Halt("a"), Drop("")]
    assert said(actions)[0].session == "s2"


def test_what_is_to_be_forgotten_is_dropped():
    """FORGET of a voice prompt drops that one; of anything else, or without a name, it means nothing."""
    session = ready_session()
    told = [m.Forget(epoch="e1", session="s1", key=key) for key in ("prompt:k", "prompt:", "input:a", "")]
    assert [session.receive(message, b"", 1.0) for message in told] == [[Drop("k")], [], [], []]


@pytest.mark.parametrize(
    "message",
    [work("b", session="s0"), work("b", epoch="e0"), m.Quit(epoch="e1", session="s0"), m.Quit(session="s1")],
)
def test_messages_of_another_session_or_epoch_are_ignored(message):
    """What was meant for another session, or comes from another run of the daemon, has no effect."""
    assert ready_session().receive(message, b"", 0.0) == []


def test_begun_is_said_before_the_engine_starts():
    """An attempt is begun on the wire first, so that a death at once is blamed on it."""
    actions = ready_session().receive(work("a"), b"text", 0.0)
    assert actions == [Say(m.Begun(epoch="e1", session="s1", attempt="a")), Begin(work("a"), b"text")]


def test_the_same_work_twice_is_done_once():
    """A repeated WORK starts nothing."""
    session = ready_session()
    session.receive(work("a"), b"", 0.0)
    assert session.receive(work("a"), b"", 0.0) == []


def test_more_than_its_slots_waits():
    """Attempts beyond the slots begin when one has ended."""
    session = ready_session(slots=2)
    assert [len(session.receive(work(name), b"", 0.0)) for name in "abc"] == [2, 2, 0]
    assert session.ended(done("a"))[1] == Begin(work("c"), b"")


def test_work_before_ready_fails():
    """A worker that is still loading says so."""
    session = Session(ME, 0.0)
    session.receive(welcome(), b"", 0.0)
    (failed,) = said(session.receive(work("a"), b"", 0.0))
    assert (failed.attempt, failed.code) == ("a", "unavailable")


def test_stop_reaches_the_engine_or_is_answered():
    """STOP halts what runs, takes away what waits, and is answered STOPPED where there is no such attempt."""
    session = ready_session()
    session.receive(work("a"), b"", 0.0)
    session.receive(work("b"), b"", 0.0)
    assert session.receive(stop("a"), b"", 0.0) == [Halt("a")]
    assert [message.attempt for message in said(session.receive(stop("b"), b"", 0.0))] == ["b"]
    assert session.ended(m.Stopped(epoch="e1", session="s1", attempt="a")) == []
    assert [message.attempt for message in said(session.receive(stop("a"), b"", 0.0))] == ["a"]


def test_grants_reach_only_what_runs():
    """A GRANT is for an attempt that runs; another is ignored."""
    session = ready_session()
    session.receive(work("a"), b"", 0.0)
    grant = m.Grant(epoch="e1", session="s1", attempt="a", up_to=9)
    assert session.receive(grant, b"", 0.0) == [Allow("a", 9)]
    assert session.receive(m.Grant(epoch="e1", session="s1", attempt="b"), b"", 0.0) == []


def test_beats_tell_the_state():
    """Beats say loading with its progress, then ready, and busy while an attempt runs."""
    session = Session(ME, 0.0)
    session.receive(welcome(), b"", 0.0)
    session.percent, session.note = 50.0, "weights"
    (beat,) = said(session.tick(0.0, 1))
    assert (beat.state, beat.percent, beat.note) == ("loading", 50.0, "weights")
    session.loaded(m.Ready(rate=1), b"", 5)
    assert [(b.state, b.percent) for b in said(session.tick(10.0, 1))] == [("ready", -1.0)]
    session.receive(work("a"), b"", 0.0)
    assert [b.state for b in said(session.tick(20.0, 1))] == ["busy"]


def test_quit_finishes_what_runs():
    """After QUIT no work is taken; what runs is finished, then the worker leaves with 0."""
    session = ready_session()
    session.receive(work("a"), b"", 0.0)
    assert session.receive(m.Quit(epoch="e1", session="s1"), b"", 0.0) == []
    assert said(session.receive(work("b"), b"", 0.0))[0].code == "unavailable"
    assert session.ended(done("a")) == [Exit(0)]


def test_quit_when_idle_leaves_at_once():
    """A worker with nothing to do leaves when told to."""
    assert ready_session().receive(m.Quit(epoch="e1", session="s1"), b"", 0.0) == [Exit(0)]


def test_a_signal_gives_a_bounded_time():
    """Told by a signal, the worker leaves after a while even if its attempt does not end; told twice, at once."""
    session = ready_session()
    session.receive(work("a"), b"", 0.0)
    assert session.leave(within=5.0 + LEAVE_S) == []
    session.tick(5.0, 0)
    assert session.next_at <= 5.0 + LEAVE_S
    assert isinstance(session.tick(5.0 + LEAVE_S, 0)[0], Exit)
    assert session.leave(within=6.0 + LEAVE_S) == [Exit(0)]
