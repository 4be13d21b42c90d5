"""Leaving a command: signals get to it whatever it is doing, and land nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import click
import pytest

from voicebus.bus.messages import Cancel, Query
from voicebus.clients.cli import hearing, leaving
from voicebus.clients.sync import Client


def interrupt():
    """A Ctrl-C, of which the handler has run when this returns."""
    signal.raise_signal(signal.SIGINT)


def left(body):
    """The exit code with which a command leaves that does this."""
    with pytest.raises(click.exceptions.Exit) as found, leaving.stoppable():
        body()
    return found.value.exit_code


def test_who_leaves_waits_briefly_for_the_word_that_his_job_is_cancelled(daemon, tmp_path, monkeypatch):
    """A daemon that beats but cannot write (its disk is full) does not answer a CANCEL; the command ends all the
    same, with what made it leave."""
    monkeypatch.setattr(hearing, "ANSWER_S", 0.2)
    daemon.on[Cancel] = lambda peer, message, body: None
    (tmp_path / "folder.wav").mkdir()
    with Client(endpoint=daemon.endpoint) as client:
        speech = client.speak("Hello.")
        target = hearing.Target(str(tmp_path / "folder.wav"), "wav", None, quiet=True)
        with pytest.raises(IsADirectoryError):
            hearing.hear(client, speech, target, total=6)
    assert daemon.expect(Cancel)


def test_nothing_is_raised_where_the_signal_comes():
    """The code that a signal interrupts goes on; the command ends behind the block that was woken."""
    done = []

    def body():
        with leaving.wakes(lambda: done.append("woken")):
            interrupt()
            done.append("went on")

    assert (left(body), done) == (130, ["woken", "went on"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_before_anybody_can_be_woken_is_not_lost():
    """What came before such a block ends the command at its beginning, or else at its own end."""

    def body():
        interrupt()
        with leaving.wakes(pytest.fail):
            pytest.fail("it began")

    assert left(body) == 130
    assert left(interrupt) == 130


def test_what_waits_in_the_system_is_interrupted_at_once(monkeypatch):
    """A read that nothing else ends is broken off by the signal itself."""
    monkeypatch.setattr(leaving, "GRACE_S", 60.0)
    reading, writing = os.pipe()

    def body():
        with leaving.at_once():
            threading.Timer(0.1, signal.pthread_kill, [threading.get_ident(), signal.SIGTERM]).start()
            os.read(reading, 1)

    assert left(body) == 143
    os.close(reading)
    os.close(writing)


def test_what_was_swallowed_is_raised_again(monkeypatch):
    """Where the exception is lost (a `__del__`, a callback, an import), it comes again until it is not."""
    monkeypatch.setattr(leaving, "GRACE_S", 0.05)
    lost = []

    def body():
        interrupt()
        for _ in range(3):
            try:
                threading.Event().wait(10)
            except leaving.Leave as error:
                lost.append(error)
        threading.Event().wait(10)

    assert (left(body), len(lost)) == (130, 3)


def test_an_alarm_of_somebody_else_is_left_alone():
    """The timer that insists is ours only after a signal has come; then it is given back as it was."""
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append("rang"))
    timer = signal.setitimer(signal.ITIMER_REAL, 60.0)
    try:
        with leaving.stoppable():
            signal.raise_signal(signal.SIGALRM)
        assert left(interrupt) == 130
        signal.raise_signal(signal.SIGALRM)
        assert rang == ["rang", "rang"]
        assert 50.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60.0
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def test_what_is_done_on_the_way_out_is_not_interrupted_again(monkeypatch):
    """As long as somebody handles the exception, no other comes, however long he takes; a second signal does."""
    monkeypatch.setattr(leaving, "GRACE_S", 0.01)
    after = []

    def body():
        try:
            interrupt()
            threading.Event().wait(10)
        finally:
            threading.Event().wait(0.2)
            after.append("all of it")
            with pytest.raises(leaving.Leave):
                interrupt()

    assert (left(body), after) == (130, ["all of it"])


def test_waiting_for_the_daemon_ends_with_the_signal(daemon, monkeypatch):
    """A question that is not answered does not hold up who leaves."""
    monkeypatch.setattr(leaving, "GRACE_S", 60.0)
    monkeypatch.setattr(leaving.seam, "connect", lambda **_: Client(endpoint=daemon.endpoint))
    main = threading.get_ident()
    daemon.on[Query] = lambda *_: signal.pthread_kill(main, signal.SIGINT)

    def body():
        with leaving.connected() as client:
            client.status()

    assert left(body) == 130


def test_audio_that_does_not_end_is_left_with_the_signal(daemon, monkeypatch):
    """Who reads audio leaves between two events, also while they come without a pause."""
    monkeypatch.setattr(leaving, "GRACE_S", 60.0)
    monkeypatch.setattr(leaving.seam, "connect", lambda **_: Client(endpoint=daemon.endpoint))
    daemon.segments = [(60 * 22050, "t1")]
    events = []

    def body():
        with leaving.connected() as client:
            for event in client.speak("Long."):
                events.append(event)
                interrupt()

    assert (left(body), len(events)) == (130, 1)


def test_only_the_main_thread_is_meant(daemon):
    """What is left for who waits is not called by another thread of the program that waits in the same client."""
    called = []
    with Client(endpoint=daemon.endpoint) as client:
        client.interrupt(lambda: called.append(threading.current_thread()))
        thread = threading.Thread(target=client.status)
        thread.start()
        thread.join(5)
        assert called == []
        client.status()
    assert called == [threading.main_thread()]


IMPATIENT = """
import signal, sys

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Impatient())
from voicebus.clients.cli import main
main()
"""


@pytest.mark.parametrize("name", ["click", "voicebus.clients.cli.logs"])
def test_ctrl_c_while_the_command_is_still_loaded(name):
    """Whoever is faster than the imports, of the command or of one subcommand, gets the same exit code, and no
    traceback."""
    line = [sys.executable, "-c", IMPATIENT.format(name=name), "logs", "--path"]
    done = subprocess.run(line, capture_output=True, timeout=25, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
