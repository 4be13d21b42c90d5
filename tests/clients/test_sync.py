"""`Client` against a scripted daemon on a real socket."""

import subprocess
import sys
import threading
import time

import pytest

from voicebus.bus.errors import (
    Conflict,
    Disconnected,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotFound,
    NotRunning,
    StorageError,
)
from voicebus.bus.messages import (
    Accepted,
    Append,
    Attach,
    Attached,
    Audio,
    Bye,
    Cancel,
    Credit,
    Detach,
    End,
    Error,
    Query,
    Refused,
    Rewind,
    Submit,
    Terminal,
)
from voicebus.clients.events import Frame, Mark, Rewound, Segment
from voicebus.clients.sync import Client

from .scripted import RATE, expected_pcm, pcm


@pytest.fixture
def client(daemon):
    with Client(endpoint=daemon.endpoint) as client:
        yield client


def sound(events):
    return b"".join(bytes(event.pcm) for event in events if isinstance(event, Frame))


def test_a_text_is_heard(client, daemon) -> None:
    """Iterating over a speech gives every sample once, with announcements and marks, and then the result."""
    speech = client.speak("Hello.", voice="a")
    events = list(speech)
    assert sound(events) == expected_pcm(daemon.segments)
    assert [e.number for e in events if isinstance(e, Segment)] == [0, 1]
    assert [(e.offset, e.start) for e in events if isinstance(e, Mark)] == [(10, 1), (4010, 101)]
    assert speech.result.samples == 7000
    assert speech.result.speakers[0]["provider"] == "tone"
    submit, body = daemon.expect(Submit)
    assert (body, submit.chain[0].voice, submit.complete) == (b"Hello.", "a", True)


def test_frames_and_wait(client, daemon) -> None:
    """`frames` gives the audio alone, `wait` only the result."""
    frames = list(client.speak("Hello.").frames())
    assert all(isinstance(frame, Frame) for frame in frames)
    assert frames[-1].end == 7000
    assert client.speak("Hello.").wait().seconds == 7000 / RATE


def test_audio_beyond_the_window_comes_as_it_is_consumed(client, daemon) -> None:
    """A long job comes in full though never more than the window is allowed at once."""
    daemon.segments = [(20 * RATE, "t1"), (25 * RATE, "t2"), (7, "t3")]
    assert sound(client.speak("Long.")) == expected_pcm(daemon.segments)
    credit, _ = daemon.expect(Credit)
    assert credit.up_to <= 45 * RATE


def test_text_from_an_iterator(client, daemon) -> None:
    """An iterator is read while the job runs; its pieces arrive in order and END behind them."""
    result = client.speak(word for word in ["One ", "two ", "three."]).wait()
    assert result.state == "finished"
    submit, _ = daemon.expect(Submit)
    end, _ = daemon.expect(End)
    job = daemon.jobs[submit.job]
    assert b"".join(job.pieces[n] for n in sorted(job.pieces)) == b"One two three."
    assert (submit.complete, end.n) == (False, len(job.pieces))


def test_audio_comes_while_the_text_is_still_being_written(client, daemon) -> None:
    """What the iterator has given so far is spoken before it has given the rest."""
    heard = threading.Event()

    def words():
        yield "One. "
        assert heard.wait(5.0)
        yield "Two."

    def speak_it(peer, message, body):
        daemon.on_append(peer, message, body)
        if message.n == 1:
            job = daemon.jobs[message.job]
            job.credit = 4000
            daemon.pump(peer, job)
            job.credit = 10**9

    daemon.on[Append] = speak_it
    frames = []
    for frame in client.speak(words()).frames():
        frames.append(frame)
        heard.set()
    assert sound(frames) == expected_pcm(daemon.segments)


def test_a_cancellation_overtakes_what_is_unread(client, daemon) -> None:
    """A job that somebody else cancels ends the iteration with JobCancelled, before frames that were not read yet."""
    told = {}

    def begin(peer, message, _):
        told.update(peer=peer, job=message.job)
        daemon.send(peer, Accepted(job=message.job, rate=RATE, pieces=1))
        for at in range(10):
            daemon.send(peer, Audio(job=message.job, take="t", offset=at * 100), pcm(1, 100))

    daemon.on[Submit] = begin
    speech = client.speak("Hello.")
    frames = iter(speech)
    next(frames)
    end = Terminal(job=told["job"], state="cancelled", code="cancelled", message="Cancelled.")
    daemon.do(lambda: daemon.send(told["peer"], end))
    with speech._changed:
        assert speech._changed.wait_for(lambda: speech.over, 5.0)
    with pytest.raises(JobCancelled):
        next(frames)


def test_an_iterator_that_breaks(client, daemon) -> None:
    """An exception in the caller's iterator cancels the job and is raised where the speech is read."""

    def words():
        yield "One. "
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.speak(words()).wait()
    daemon.expect(Cancel)


def test_a_text_over_the_limit_of_a_body(client, daemon) -> None:
    """A long text is sent in pieces by itself and arrives whole."""
    text = "Ein längerer Satz. " * 120_000
    client.speak(text).wait()
    submit, _ = daemon.expect(Submit)
    job = daemon.jobs[submit.job]
    assert b"".join(job.pieces[n] for n in sorted(job.pieces)).decode() == text


def test_a_refusal_is_raised_by_speak(client, daemon) -> None:
    """An unknown voice and a taken name are told by `speak` itself."""
    for code, kind in (("unknown_voice", InvalidRequest), ("conflict", Conflict)):
        daemon.on[Submit] = lambda peer, m, _, code=code: daemon.send(peer, Error(job=m.job, code=code, message="No."))
        with pytest.raises(kind) as caught:
            client.speak("Hello.")
        assert caught.value.code == code


def test_mistakes_are_told_before_anything_is_sent(client, daemon) -> None:
    """Empty texts and impossible options never reach the daemon."""
    with pytest.raises(InvalidRequest):
        client.speak("  ")
    with pytest.raises(InvalidRequest):
        client.speak("Hello.", rate=99)
    with pytest.raises(TypeError):
        client.speak(7)
    client.status()
    kinds = []
    while not daemon.received.empty():
        kinds.append(type(daemon.received.get()[0]))
    assert Submit not in kinds


def test_a_job_that_fails(client, daemon) -> None:
    """What is whole is heard, then JobFailed is raised with the reason; the result says the same."""

    def fail(peer, message, body):
        daemon.send(peer, Accepted(job=message.job, rate=RATE, pieces=1))
        daemon.send(peer, Audio(job=message.job, take="t"), pcm(1, 100))
        daemon.send(peer, Terminal(job=message.job, state="failed", code="crash", message="It crashed.", samples=100))

    daemon.on[Submit] = fail
    speech = client.speak("Hello.")
    frames = []
    with pytest.raises(JobFailed, match="It crashed") as caught:
        frames.extend(speech.frames())
    assert caught.value.code == "crash"
    assert speech.result.code == "crash"


def test_cancelling_here(client, daemon) -> None:
    """`cancel` lets go of whoever iterates, without an error, and the daemon is told."""
    daemon.segments = [(100 * RATE, "t1")]
    speech = client.speak("Long.")
    for count, _ in enumerate(speech):
        if count == 3:
            speech.cancel()
    daemon.expect(Cancel)
    assert speech.over


def test_cancelling_from_elsewhere(client, daemon) -> None:
    """A job that somebody else cancelled raises JobCancelled."""

    def cancelled(peer, message, body):
        daemon.send(peer, Accepted(job=message.job, rate=RATE, pieces=1))
        daemon.send(peer, Terminal(job=message.job, state="cancelled", code="cancelled", message="Cancelled."))

    daemon.on[Submit] = cancelled
    with pytest.raises(JobCancelled):
        client.speak("Hello.").wait()


def test_cancelling_by_name(client, daemon) -> None:
    """`Client.cancel` tells how the job ended, and raises NotFound where there is none."""
    speech = client.speak("Hello.", job="mine")
    speech.wait()
    assert client.cancel("mine")["state"] == "cancelled"
    daemon.on[Cancel] = lambda peer, m, _: daemon.send(peer, Error(job=m.job, code="not_found", message="No."))
    with pytest.raises(NotFound):
        client.cancel("other")


def test_attaching(client, daemon) -> None:
    """A job is heard from an offset on, naming the take before it."""
    frames = list(client.attach("old", 5000, take="t2").frames())
    assert sound(frames) == expected_pcm(daemon.segments)[10000:]
    attach, _ = daemon.expect(Attach)
    assert (attach.offset, attach.take, attach.read) == (5000, "t2", "live")


def test_attaching_to_nothing(client, daemon) -> None:
    """`attach` raises NotFound itself."""
    daemon.on[Attach] = lambda peer, m, _: daemon.send(peer, Error(job=m.job, code="not_found", message="No."))
    with pytest.raises(NotFound):
        client.attach("nothing")
    with pytest.raises(InvalidRequest):
        client.attach("no such name")


def test_reading_a_job_twice_in_one_client(client, daemon) -> None:
    """One client reads a job once at a time, and again when that is over or closed."""
    daemon.segments = [(100 * RATE, "t1")]
    speech = client.attach("j")
    with pytest.raises(InvalidRequest, match="already"):
        client.attach("j")
    speech.close()
    daemon.expect(Detach)
    client.attach("j").close()


def test_a_rewind(client, daemon) -> None:
    """A take that is gone is told by Rewound, and what stands at the end is exact."""

    def twice(peer, message, body):
        job = message.job
        daemon.send(peer, Accepted(job=job, rate=RATE, pieces=1))
        daemon.send(peer, Audio(job=job, take="t1", offset=0), pcm(1, 500))
        daemon.send(peer, Rewind(job=job, take="t1", offset=0, reason="crash"))
        daemon.send(peer, Audio(job=job, take="t2", offset=0), pcm(2, 300))
        daemon.send(peer, Terminal(job=job, samples=300, segments=1))

    daemon.on[Submit] = twice
    events = list(client.speak("Hello."))
    assert [type(event) for event in events] == [Frame, Rewound, Frame]
    assert events[1].reason == "crash"


def test_a_daemon_that_starts_anew_in_the_middle(client, daemon) -> None:
    """A reader greets the new daemon, attaches where it was with the take it had, and misses nothing."""
    daemon.segments = [(100_000, "t1"), (900_000, "t2")]
    events = iter(client.speak("Long."))
    got = [next(event for event in events if isinstance(event, Frame))]
    daemon.restart("e2")
    got += [event for event in events if isinstance(event, Frame)]
    assert sound(got) == expected_pcm(daemon.segments)
    attach, _ = daemon.expect(Attach)
    assert attach.epoch == "e2"
    assert attach.take in ("t1", "t2")


def test_a_job_that_died_with_its_daemon_unheard(client, daemon) -> None:
    """A job of which nothing was heard is given to the new daemon again."""
    daemon.on[Submit] = lambda peer, m, _: daemon.send(peer, Accepted(job=m.job, rate=RATE, pieces=1))
    speech = client.speak("Hello.", keep="nothing")
    daemon.restart("e2")
    daemon.on[Attach] = lambda peer, m, _: daemon.send(peer, Error(job=m.job, code="not_found", message="No."))
    del daemon.on[Submit]
    assert sound(speech) == expected_pcm(daemon.segments)


def test_a_job_that_died_with_its_daemon_half_heard(client, daemon) -> None:
    """A job that was heard in part and is gone raises Disconnected; it is not begun from the start by itself."""
    daemon.segments = [(100 * RATE, "t1")]
    events = iter(client.speak("Hello."))
    next(event for event in events if isinstance(event, Frame))
    daemon.on[Attach] = lambda peer, m, _: daemon.send(peer, Error(job=m.job, code="not_found", message="No."))
    daemon.restart("e2")
    with pytest.raises(Disconnected, match="was here already"):
        list(events)


def test_a_daemon_that_goes_away_for_good(daemon, impatient) -> None:
    """A reader is told after `reconnect_s`, and so is everybody else who asks."""
    daemon.segments = [(100 * RATE, "t1")]
    with Client(endpoint=daemon.endpoint, reconnect_s=0.3) as client:
        speech = client.speak("Long.")
        daemon.stop()
        with pytest.raises(Disconnected, match="did not come back"):
            speech.wait()
        with pytest.raises(Disconnected):
            client.status()


def test_a_daemon_that_dies_before_it_greets(dying) -> None:
    """One that was alive when it was looked for, and is killed before its WELCOME, is started again, once."""
    with Client() as client:
        assert client.speak("Hello.").wait().state == "finished"
    assert len(dying()) == 1


def test_lists_come_whole(client, daemon) -> None:
    """A list is fetched page by page, narrowed as asked, and `status` is one row."""
    rows = client.voices(provider="p", language="de")
    assert [row["cursor"] for row in rows] == ["", "2"]
    assert rows[0]["where"] == {"provider": "p", "language": "de"}
    assert client.status()["what"] == "status"
    for what in ("providers", "workers", "jobs"):
        assert getattr(client, what)()[0]["what"] == what
    assert client.segments("j")[0]["where"] == {"job": "j"}
    assert client.cancel_all() == 3


def test_a_question_is_repeated(client, daemon) -> None:
    """A question that was lost is asked again."""
    lost = []

    def lose_one(peer, message, body):
        if lost:
            daemon.on_query(peer, message, body)
        lost.append(message)

    daemon.on[Query] = lose_one
    assert client.status()["what"] == "status"


def test_closing_says_goodbye(daemon) -> None:
    """A client that leaves says BYE, and who still reads gets Disconnected."""
    daemon.segments = [(100 * RATE, "t1")]
    client = Client(endpoint=daemon.endpoint)
    speech = client.speak("Long.")
    client.close()
    daemon.expect(Bye)
    with pytest.raises(Disconnected):
        speech.wait()
    with pytest.raises(Disconnected):
        client.status()
    client.close()


def test_nobody_there(short_dir, monkeypatch) -> None:
    """Without a daemon and without leave to start one, the error says how to start it."""
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(short_dir))
    with pytest.raises(NotRunning, match="voicebus daemon start"):
        Client(start=False)


def test_not_let_in(daemon) -> None:
    """A daemon that refuses is told by the exception for its reason."""
    daemon.on_hello = lambda peer, m, _: daemon.send(peer, Refused(code="full", message="Too many."))
    with pytest.raises(Exception, match="Too many"):
        Client(endpoint=daemon.endpoint)


def test_a_late_rate(client, daemon) -> None:
    """A rate that nobody knew at first is known when the first frame comes."""

    def late(peer, message, body):
        daemon.send(peer, Accepted(job=message.job, rate=0, pieces=1))
        daemon.send(peer, Attached(job=message.job, rate=8000))
        daemon.send(peer, Audio(job=message.job, take="t"), pcm(1, 80))
        daemon.send(peer, Terminal(job=message.job, samples=80))

    daemon.on[Submit] = late
    assert [frame.rate for frame in client.speak("Hello.").frames()] == [8000]


def test_many_threads_share_a_client(client, daemon) -> None:
    """Several threads speak through one client at the same time, and each hears his own."""
    results = []

    def one():
        results.append(sound(client.speak("Hello.")))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert results == [expected_pcm(daemon.segments)] * 8


def test_a_reading_that_the_daemon_lost(client, daemon) -> None:
    """When the daemon answers credit with `not_reading`, the client attaches from where it is and misses nothing."""
    daemon.segments = [(40 * RATE, "t1"), (20 * RATE, "t2")]
    lost = []

    def forget(peer, message, body):
        if lost:
            return daemon.on_credit(peer, message, body)
        lost.append(daemon.jobs[message.job].sent)
        return daemon.send(peer, Error(job=message.job, code="not_reading", message="Attach again."))

    daemon.on[Credit] = forget
    speech = client.speak("Long.")
    assert sound(speech) == expected_pcm(daemon.segments)
    attach, _ = daemon.expect(Attach)
    assert (attach.offset, attach.take) == (lost[0], "t1" if lost[0] <= 40 * RATE else "t2")


def test_a_long_text_is_kept_before_one_leaves(client, daemon) -> None:
    """`wait_kept` returns when every piece of a long text is acknowledged, and its end."""
    text = "A sentence of some length. " * 200_000
    held = threading.Event()

    def keep(peer, message, body):
        if message.n < 3 or held.is_set():
            daemon.on_append(peer, message, body)

    daemon.on[Append] = keep
    speech = client.speak(text, pace="render", job="long")
    done = threading.Event()
    thread = threading.Thread(target=lambda: (speech.wait_kept(), done.set()))
    thread.start()
    daemon.expect(Append)
    assert not done.wait(0.1)
    held.set()
    assert done.wait(5.0)
    thread.join()
    assert b"".join(daemon.jobs["long"].pieces[n] for n in range(6)) == text.encode()


def test_keeping_a_text_that_cannot_be_kept(client, daemon) -> None:
    """`wait_kept` raises what the job ended with."""

    def refuse(peer, message, _):
        daemon.send(peer, Error(job=message.job, code="disk_full", message="The disk is full.", blame="daemon"))

    daemon.on[Append] = refuse
    with pytest.raises(StorageError):
        client.speak("A sentence of some length. " * 60_000, pace="render").wait_kept()


def test_a_short_text_is_kept_once_it_is_accepted(client) -> None:
    """For a text that went as a whole `wait_kept` returns at once; for one from an iterator, behind its end."""
    client.speak("Hello.", pace="render").wait_kept()
    client.speak(iter(["Hel", "lo."]), pace="render").wait_kept()


def test_connecting_and_closing_take_no_time(daemon) -> None:
    """A client that comes and leaves waits for nothing but the answer to its greeting."""
    took = []
    for _ in range(10):
        began = time.perf_counter()
        Client(endpoint=daemon.endpoint).close()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.02


def test_cancelling_is_not_lost_by_closing(daemon) -> None:
    """A CANCEL that the daemon could not act on, since it had just forgotten the client, is said again before BYE."""
    daemon.segments = [(1000 * RATE, "t1")]
    client = Client(endpoint=daemon.endpoint)
    speech = client.speak("Long.")
    daemon.do(daemon.known.clear)
    speech.cancel()
    client.close()
    daemon.expect(Cancel)
    assert daemon.expect(Cancel)[0].job == speech.job
    daemon.expect(Bye)
    assert daemon.jobs[speech.job].over


def test_closing_does_not_wait_for_a_daemon_that_hangs(daemon) -> None:
    """An answer to CANCEL that does not come holds up closing for half a second at most."""
    daemon.deaf.add(Cancel)
    daemon.segments = [(1000 * RATE, "t1")]
    client = Client(endpoint=daemon.endpoint)
    client.speak("Long.").cancel()
    began = time.perf_counter()
    client.close()
    assert 0.4 < time.perf_counter() - began < 1.5


def test_a_program_that_ends_says_goodbye(daemon) -> None:
    """A program that never closes its client has said BYE when it ends."""
    code = "import sys; from voicebus import Client; client = Client(endpoint=sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, daemon.endpoint], check=True, timeout=20)
    daemon.expect(Bye, timeout=1.0)
    assert daemon.known == set()
