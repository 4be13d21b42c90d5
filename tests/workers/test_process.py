"""The process of a worker: ticket, lifeline, signals, and the ways to die."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from voicebus.bus import messages as m
from voicebus.workers.session import REFUSED_EXIT
from voicebus.workers.tone import expected

TONE = "voicebus.workers.tone"


def test_the_ticket_comes_from_standard_input(broker, start):
    """REGISTER shows the first line of standard input, the provider's name and the process's number."""
    worker = start(TONE, ticket="a b.c")
    register = broker.welcome()
    assert (register.ticket, register.provider, register.pid) == ("a b.c", "tone", worker.process.pid)
    broker.wait(m.Ready)
    broker.say(m.Quit())
    assert worker.exit() == 0


def test_an_engine_can_be_started_by_its_name(broker, start):
    """`python -m voicebus.workers NAME` runs that engine."""
    start("voicebus.workers", "tone")
    assert broker.ready()[0].rate == 24000


def test_an_unknown_engine_is_said_plainly(broker, start):
    """A name that is no engine's ends with one line and the exit code for a wrong set-up."""
    worker = start("voicebus.workers", "nosuch")
    assert worker.exit() == REFUSED_EXIT
    assert worker.words() == "there is no module voicebus.workers.nosuch\n"


def test_a_hand_started_worker_shows_its_key(broker, start):
    """With a key in the environment standard input is not needed, and its end means nothing."""
    worker = start(TONE, ticket="", env={"VOICEBUS_KEY": "the key"})
    worker.process.stdin.close()
    register = broker.welcome()
    assert register.ticket == "the key"
    broker.wait(m.Ready)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.exit() == 0


def test_without_ticket_or_key_it_does_not_start(broker, start):
    """Standard input that ends before a ticket came is an exit with a plain line."""
    worker = start(TONE, ticket="")
    worker.process.stdin.close()
    assert worker.exit() == REFUSED_EXIT
    assert "ended before a ticket came" in worker.words()


def test_a_refused_worker_leaves_with_the_reason(broker, start):
    """REFUSED ends the worker with exit code 78 and the daemon's own words on standard error."""
    worker = start(TONE)
    broker.wait(m.Register)
    broker.say(m.Refused(code="ticket", message="this ticket is used"))
    assert worker.exit() == REFUSED_EXIT
    assert "this ticket is used" in worker.words()


def test_the_end_of_the_lifeline_is_the_end(broker, start):
    """When standard input ends, the worker is gone at once."""
    worker = start(TONE)
    broker.ready()
    worker.process.stdin.close()
    assert worker.exit(5.0) != 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs a signal on the pipe")
def test_the_lifeline_kills_an_engine_that_holds_the_interpreter(broker, start):
    """Even while an engine holds the interpreter lock, the end of the lifeline kills at once."""
    worker = start(TONE)
    broker.ready()
    broker.work("a", "{{spam 1}}{{hold_gil 25}}")
    # What it prints is the last that it can do before it holds the lock.
    assert worker.process.stderr.readline().startswith(b"xxx")
    worker.process.stdin.close()
    assert worker.exit(5.0) == -signal.SIGKILL


def test_a_segfault_leaves_its_trace(broker, start):
    """An engine that crashes leaves where it was on standard error; BEGUN had been said."""
    worker = start(TONE)
    broker.ready()
    broker.work("a", "{{segfault}}")
    broker.wait(m.Begun)
    assert worker.exit() == -signal.SIGSEGV
    assert "Segmentation fault" in worker.words()


def test_an_exit_in_the_engine_is_the_worker_s(broker, start):
    """An engine that ends the process ends it with its own code, after what it had made."""
    worker = start(TONE)
    broker.ready()
    broker.work("a", "one {{exit 3}}")
    broker.wait(m.Begun)
    broker.wait(m.Chunk, skip=(m.TakeMarks,))
    assert worker.exit() == 3


def test_standard_output_goes_to_standard_error(broker, start):
    """What an engine prints is kept with its last words and disturbs nobody."""
    worker = start(TONE)
    broker.ready()
    broker.work("a", "one {{spam 4}}")
    assert broker.take("a")[0] == expected("one ")
    worker.process.send_signal(signal.SIGINT)
    broker.say(m.Quit())
    assert worker.exit() == 0
    assert worker.words().count("x" * 1023) == 4
    assert worker.process.stdout.read() == b""


def test_a_signal_ends_it_after_its_work(broker, start):
    """SIGTERM lets the running attempt end; SIGINT, which a shell sends to everybody, does nothing."""
    worker = start(TONE)
    broker.ready()
    broker.work("a", "one", credit=10)
    broker.wait(m.Begun)
    worker.process.send_signal(signal.SIGINT)
    worker.process.send_signal(signal.SIGTERM)
    broker.say(m.Grant(attempt="a", up_to=m.UNLIMITED))
    broker.wait(m.Done, skip=(m.Chunk, m.TakeMarks))
    assert worker.exit() == 0


def test_a_marker_works_once_among_workers_that_share_a_folder(broker, start, tmp_path):
    """With `once_dir` the second try of a text succeeds, in another worker too."""
    settings = {"once_dir": str(tmp_path)}
    first = start(TONE)
    broker.ready(settings=settings)
    broker.work("a", "one {{exit 4}}")
    assert first.exit() == 4
    while isinstance(broker.wait(m.Begun, m.Chunk, m.TakeMarks)[0], m.Begun | m.TakeMarks):
        pass
    start(TONE)
    broker.ready(settings=settings)
    broker.work("b", "one {{exit 4}}")
    assert broker.take("b")[0] == expected("one ")


def test_without_an_endpoint_it_says_so():
    """A worker without VOICEBUS_WORKERS tells who starts workers."""
    done = subprocess.run(
        [sys.executable, "-m", TONE], env={}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == REFUSED_EXIT
    assert "VOICEBUS_WORKERS" in done.stderr
