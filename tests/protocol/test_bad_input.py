"""Whatever anybody sends: who speaks the protocol gets a typed error, it is counted, and nobody else is harmed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import msgpack
import pytest
import zmq

from .fuzz import nonsense
from .rawpeer import EVERYTHING, SUBMIT_DEFAULTS, Client, Nothing, Stage, Worker

TEXT = "This must be said, whatever happens."
ESPEAK = [{"provider": "espeak"}]
NUMBERS = itertools.count()


def chain(*providers: str) -> list[dict[str, str]]:
    return [{"provider": provider} for provider in providers]


def counter(client: Client, name: str) -> int:
    return client.status()["counters"].get(name, 0)


@pytest.fixture
def others(stage: Stage) -> Iterator[Client]:
    """Somebody else, whose job is under way during the test, comes to its end after it, and one more job with it."""
    client = stage.client()
    name = f"other-{next(NUMBERS)}"
    client.submit(name, TEXT, chain=ESPEAK, credit=500)
    yield client
    client.credit(name, EVERYTHING)
    assert client.finish(name)["state"] == "finished"
    client.submit(f"{name}-2", TEXT, chain=ESPEAK)
    assert client.finish(f"{name}-2")["state"] == "finished"
    assert client.readings[name].rewinds == []


NO_MESSAGES = {
    "nothing": [b""],
    "noise": [b"\xc1\xff\x00noise"],
    "text": [b"GET / HTTP/1.1\r\n\r\n"],
    "a map": [msgpack.packb({"type": "hello"})],
    "an unknown type": [msgpack.packb(["sing", 1, "", "job"])],
    "wrong fields": [msgpack.packb(["credit", 1, "", "job", "much", None])],
    "a message for a worker": [msgpack.packb(["work", 1, ""])],
    "a long header": [msgpack.packb(["query", 1, "", "r", "jobs", "x" * 70_000])],
    "deep nesting": [b"\x91" * 60_000],
    "a lying length": [b"\xdd\xff\xff\xff\xff\xa5hello"],
    "three parts": [msgpack.packb(["bye", 1, ""]), b"", b""],
    "many parts": [msgpack.packb(["bye", 1, ""])] + [b"x"] * 100,
}


@pytest.mark.parametrize("parts", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_is_no_message_is_answered_and_counted(stage, others, parts) -> None:
    """A client that sends nonsense hears `bad_message`, can go on, and the nonsense is counted."""
    client = stage.client()
    before = counter(others, "bad client messages")
    client.send_raw(*parts)
    error = client.expect("error")
    assert (error["code"], error["blame"]) == ("bad_message", "caller")
    assert len(error["message"]) < 1000
    assert counter(others, "bad client messages") == before + 1
    assert client.status()["state"] == "serving"


def test_a_part_over_the_limit_costs_the_sender_his_connection(stage, others) -> None:
    """Who sends more than 1 MiB in a part is cut off, and starts over by HELLO."""
    client = stage.client()
    client.send_raw(msgpack.packb(["bye", 1, ""]), bytes(1_048_577))
    client.greet()
    assert client.status()["state"] == "serving"


def test_the_largest_text_is_taken(stage, others) -> None:
    """A body at the limit is a text like any other."""
    client = stage.client()
    text = "A usual sentence of a book, with some words in it. " * 21_000
    client.submit("large-1", text[:1_048_576], chain=ESPEAK, credit=0)
    client.send("cancel", "large-1")
    assert client.finish("large-1")["state"] == "cancelled"


def test_replayed_messages_change_nothing(stage, others) -> None:
    """The very bytes of a conversation sent a second time get the same answers, and no second job."""
    client = stage.client()
    reading = client.submit("replayed-1", TEXT, chain=ESPEAK)
    client.finish("replayed-1")
    fields = SUBMIT_DEFAULTS | {"job": "replayed-1", "chain": ESPEAK, "credit": EVERYTHING}
    submit = [msgpack.packb(["submit", 1, client.epoch, *fields.values()]), TEXT.encode()]
    length = reading.samples
    other = stage.client()
    for _ in range(3):
        other.send_raw(*submit)
        assert other.expect("accepted")["existing"] is True
        other.send_raw(msgpack.packb(["cancel", 1, client.epoch, "replayed-1"]))
        assert other.expect("terminal", state="finished")["samples"] == length
        other.inbox.clear()
    assert [row["job"] for row in other.rows("jobs")].count("replayed-1") == 1


def test_a_conversation_of_another_daemon_is_none_here(stage, others) -> None:
    """Bytes recorded with another daemon bear its epoch and are not acted on."""
    client = stage.client()
    for message in (["cancel_all", 1, "old", "r"], ["bye", 1, "old"], ["credit", 1, "old", "x", 5, 0]):
        client.send_raw(msgpack.packb(message))
        client.expect("greet")
    assert client.status()["state"] == "serving"


def test_a_client_that_never_reads_costs_nobody_anything(stage, others) -> None:
    """A client that asks for much and reads nothing holds up nobody; when it reads after all, it gets everything."""
    client = stage.client()
    client.submit("deaf-1", "A rather long sentence that is said again. " * 60, chain=ESPEAK, pace="render", credit=0)
    client.reading = False
    client.credit("deaf-1", EVERYTHING)
    for number in range(3):
        others.submit(f"beside-deaf-{number}", TEXT, chain=ESPEAK)
        assert others.finish(f"beside-deaf-{number}")["state"] == "finished"
    assert others.status()["memory_bytes"] < 64 * 1024 * 1024
    client.reading = True
    end = client.finish("deaf-1", 25)
    assert end["samples"] == client.readings["deaf-1"].samples


def test_a_client_that_vanishes_is_forgotten(stage, others) -> None:
    """A client that is gone without a word stops costing anything, and its job can be found by another."""
    client = stage.client()
    reading = client.submit("gone-1", "A sentence. " * 20, chain=ESPEAK, credit=EVERYTHING, pace="render")
    stage.until(lambda: reading.samples > 0)
    client.close()
    other = stage.client()
    other.attach("gone-1")
    assert other.finish("gone-1")["samples"] == other.readings["gone-1"].samples


def test_too_many_jobs_are_refused_by_name(stage, others) -> None:
    """Very many submits fill the sender's own allowance: he hears when to try again, others do not notice."""
    client = stage.client()
    codes: list[str] = []
    for number in range(620):
        client.submit_once(
            f"many-{number}", "Some words.", chain=ESPEAK, read="none", pace="render", priority="progress"
        )
        if number % 20 == 19:
            client.status()  # Takes in the answers, so that the pipe never fills.
        while client.inbox:
            message = client.inbox.popleft()
            codes.append(message.get("code", "") or message["type"])
            if message["type"] == "error":
                assert message["retry_after"] > 0
                assert message["job"].startswith("many-")
    client.send("cancel_all", "r")
    client.expect("cancelled_all")
    assert set(codes) <= {"accepted", "queue_full"}


@pytest.mark.parametrize("cursor", ["x", "-1", "99999999999999999999", "１２", "²", "1e3"])
def test_a_cursor_that_is_none(stage, others, cursor) -> None:
    """A cursor that is no number is an error, one beyond the end an empty page."""
    client = stage.client()
    client.send("query", "r1", "voices", cursor, 10, {})
    answer = client.ask("page", "error", send=lambda: None, repeat_s=10.0, request="r1")
    if answer["type"] == "error":
        assert answer["code"] == "invalid"
    else:
        assert msgpack.unpackb(answer.body) == []


def test_a_list_that_is_none(stage, others) -> None:
    """Asking for a list that there is not is answered by name, to the request that asked."""
    client = stage.client()
    client.send("query", "r2", "secrets")
    assert client.expect("error", request="r2")["code"] == "invalid"


# --------------------------------------------------------------------------------------------------------- workers


def test_nonsense_on_the_workers_socket_is_counted(stage, others) -> None:
    """Strangers that send nonsense where workers register are counted and get no further."""
    before = counter(others, "bad worker messages")
    worker = Worker(stage, f"ipc://{stage.runtime_dir}/workers.sock", "espeak", "x")
    for parts in NO_MESSAGES.values():
        worker.send_raw(*parts)
    stage.until(lambda: counter(others, "bad worker messages") == before + len(NO_MESSAGES))


def test_a_client_cannot_speak_as_a_worker(stage, others) -> None:
    """Messages of clients mean nothing where workers register, nor the other way round."""
    before = counter(others, "bad worker messages")
    worker = Worker(stage, f"ipc://{stage.runtime_dir}/workers.sock", "espeak", "x")
    worker.send("cancel_all", "r")
    stage.until(lambda: counter(others, "bad worker messages") == before + 1)
    client = stage.client()
    client.send("register", 1, 1, "", "espeak", "1", 1)
    assert client.expect("error")["code"] == "bad_message"


def test_liars_are_refused_and_counted(stage, daemon, others) -> None:
    """Whoever guesses at tickets is refused each time, and counted."""
    provider, _ = daemon.provider()
    before = counter(others, "refused workers")
    worker = Worker(stage, f"ipc://{stage.runtime_dir}/workers.sock", provider, "guess")
    for number in range(20):
        worker.send("register", 1, 1, f"guess-{number}", provider, "1", 1, epoch="")
    for _ in range(20):
        assert worker.expect("refused")["code"] == "ticket"
    assert counter(others, "refused workers") == before + 20


def test_a_foreign_attempt_is_not_touched(stage, daemon, others) -> None:
    """Frames for an attempt that is another worker's are counted and change nothing of it."""
    provider, key = daemon.provider()
    owner = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    reading = client.submit("foreign-1", "Some words.", chain=chain(provider))
    attempt = owner.begin(owner.expect("work"))
    owner.send_chunk(attempt, 400)
    stage.until(lambda: reading.samples == 400)
    second, second_key = daemon.provider()
    thief = stage.worker(second, second_key, by_hand=True)
    before = counter(others, "stale frames")
    thief.send("chunk", thief.session, attempt.name, 1, 400, body=Worker.sound(400, 9000))
    thief.send("done", thief.session, attempt.name, 800, 9000, 9000.0, 0.1)
    thief.send("failed", thief.session, attempt.name, "crash", "", 0.0)
    thief.send("stopped", thief.session, attempt.name)
    stage.until(lambda: counter(others, "stale frames") == before + 1)
    strange = counter(others, "strange worker messages")
    thief.send("chunk", owner.session, attempt.name, 1, 400, body=Worker.sound(400, 9000))
    stage.until(lambda: counter(others, "strange worker messages") == strange + 1)
    owner.send_chunk(attempt, attempt.samples - 400)
    owner.done(attempt)
    client.finish("foreign-1")
    assert bytes(reading.pcm) == attempt.pcm


def test_registering_twice_leaves_one_worker(stage, daemon, others) -> None:
    """A worker that registers again is one worker, with its newest session."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key)
    for _ in range(3):
        worker.register()
        worker.ready()
    client = stage.client()
    for number in range(3):
        reading = client.submit(f"reg-{number}", "Some words.", chain=chain(provider))
        assert client.finish(f"reg-{number}", 8)["samples"] == reading.samples
        assert reading.rewinds == []
    rows = [row for row in client.rows("workers") if row["provider"] == provider]
    assert [row["state"] for row in rows] == ["ready"]


BREAKS = {
    "a gap in the count": lambda w, a: w.send("chunk", w.session, a.name, 5, 400, body=bytes(800)),
    "a gap in the audio": lambda w, a: w.send("chunk", w.session, a.name, 1, 500, body=bytes(800)),
    "a repeat": lambda w, a: w.send("chunk", w.session, a.name, 0, 0, body=bytes(800)),
    "half a sample": lambda w, a: w.send("chunk", w.session, a.name, 1, 400, body=bytes(801)),
    "an empty chunk": lambda w, a: w.send("chunk", w.session, a.name, 1, 400, body=b""),
    "no body": lambda w, a: w.send("chunk", w.session, a.name, 1, 400),
    "more than the credit": lambda w, a: w.send("chunk", w.session, a.name, 1, 400, body=bytes(1_000_000)),
    "marks that are none": lambda w, a: w.send("take_marks", w.session, a.name, body=b"\xc1"),
    "marks beyond the text": lambda w, a: w.send(
        "take_marks", w.session, a.name, body=msgpack.packb([["word", 0, 900, 5]])
    ),
    "a READY that is none": lambda w, a: w.send("ready", w.session, 8000, 1, 0.1, 0.1, 0.1, body=b"\xc1"),
    "a READY without voices": lambda w, a: w.ready(voices=[]),
    "a voice without a name": lambda w, a: w.ready(voices=[{"languages": ["en"]}]),
    "a voice that is a number": lambda w, a: w.ready(voices=[5]),
    "voices that are a word": lambda w, a: w.ready(voices="square"),
    "languages that are numbers": lambda w, a: w.ready(voices=[{"name": "x", "languages": [1]}]),
    "capabilities that are a list": lambda w, a: w.ready(capabilities=[1]),
    "default voices that are a list": lambda w, a: w.ready(capabilities={"default_voices": [1]}),
    "a default voice that is a map": lambda w, a: w.ready(capabilities={"default_voices": {"en": {}}}),
    "noise": lambda w, a: w.send_raw(b"\xc1\xff"),
    "a message of a client": lambda w, a: w.send("cancel_all", "r"),
    "its end": lambda w, a: w.send("failed", w.session, a.name, "x" * 200, "y" * 60_000, 1.0),
    "a failure of its own making": lambda w, a: w.send("failed", w.session, a.name, "sulking", "no", 1.0),
}


@pytest.mark.parametrize("wrong", BREAKS.values(), ids=BREAKS)
def test_a_worker_that_breaks_the_rules_costs_its_take_and_no_more(stage, daemon, others, wrong) -> None:
    """What a worker does against the protocol, or without sense, ends its attempt; the next provider says it in full.

    Where it was only strange and no break, the worker may go on, and its own take counts.
    """
    provider, key = daemon.provider()
    second, second_key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    stage.worker(second, second_key)
    client = stage.client()
    job = f"break-{provider}"
    reading = client.submit(job, "Some words.", chain=chain(provider, second), patience_s=0.0)
    attempt = worker.begin(worker.expect("work"))
    worker.send_chunk(attempt, 400)
    stage.until(lambda: reading.samples == 400)
    wrong(worker, attempt)
    with contextlib.suppress(Nothing):
        stage.until(lambda: reading.rewinds or reading.terminal, 2.0)
    if not reading.rewinds:
        worker.send_chunk(attempt, attempt.samples - 400)
        worker.done(attempt)
    end = client.finish(job)
    assert (end["state"], end["samples"]) == ("finished", 1100)
    assert reading.samples == 1100
    client.rows("workers")
    client.rows("providers")
    client.rows("voices")


def test_a_worker_that_goes_on_after_it_was_given_up(own_daemon) -> None:
    """Whatever a worker says after it broke the rules, in whatever order, is nobody's harm."""
    provider, key = own_daemon.provider()
    stage = Stage(own_daemon.runtime_dir)
    try:
        client = stage.client()
        worker = stage.worker(provider, key, by_hand=True)
        worker.send_raw(b"\xc1")
        worker.ready()
        worker.beat()
        worker.send("begun", worker.session, "x")
        worker.send("done", worker.session, "x", 5, 5, 5.0, 5.0)
        worker.ready()
        worker.send("register", 1, 1, key, provider, "1", 1, epoch="")
        worker.send("stopped", worker.session, "x")
        client.submit("after-1", TEXT, chain=ESPEAK)
        assert client.finish("after-1")["state"] == "finished"
    finally:
        stage.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_short_fuzz(stage, daemon, others, seed) -> None:
    """Hundreds of damaged, shuffled and senseless messages on both sockets leave a daemon that serves."""
    nonsense(stage, daemon.provider(), seed=seed, rounds=150)
    assert others.status()["state"] == "serving"
    assert daemon.process.poll() is None


def test_half_a_message_and_a_plain_socket(daemon, others) -> None:
    """Whoever connects without speaking ZeroMQ, or stops in the middle, does no harm."""
    import socket

    for name in ("bus.sock", "workers.sock"):
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(str(daemon.runtime_dir / name))
            plain.sendall(b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f" + b"\x00" * 20)
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(str(daemon.runtime_dir / name))
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
    assert others.status()["state"] == "serving"


def test_other_kinds_of_sockets(stage, daemon, others) -> None:
    """A REQ, a ROUTER and a PUB that connect where clients do are no clients, and no harm."""
    endpoint = f"ipc://{daemon.runtime_dir}/bus.sock"
    for kind in (zmq.REQ, zmq.ROUTER, zmq.PUB):
        with stage.context.socket(kind) as other:
            other.setsockopt(zmq.LINGER, 0)
            other.connect(endpoint)
            with contextlib.suppress(zmq.ZMQError):
                other.send(b"hello", zmq.NOBLOCK)
    assert others.status()["state"] == "serving"
