"""A worker that knows only the document serves the real daemon."""

from __future__ import annotations

import pytest

from .rawpeer import EVERYTHING, Worker

TEXT = "Some words to be said. And some more of them."


def chain(*providers: str) -> list[dict[str, str]]:
    return [{"provider": provider} for provider in providers]


def stranger(stage, provider: str, ticket: str, **options: object) -> Worker:
    return Worker(stage, f"ipc://{stage.runtime_dir}/workers.sock", provider, ticket, **options)


def test_a_worker_with_the_key_serves(stage, daemon) -> None:
    """A worker that registers by its provider's key speaks for a client, sample for sample."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key)
    client = stage.client()
    reading = client.submit("key-1", TEXT, chain=chain(provider))
    end = client.finish("key-1")
    assert end["state"] == "finished"
    assert [work.body.decode().strip() for work in worker.works] == TEXT.replace(". ", ".|").split("|")
    expected = b"".join(Worker.sound(len(work.body.decode()) * 100, 1001 + n) for n, work in enumerate(worker.works))
    assert bytes(reading.pcm) == expected
    assert reading.speakers[worker.works[0]["attempt"]] == (provider, "square")
    assert {work["rate"] for work in worker.works} == {8000}
    row = next(row for row in client.rows("workers") if row["provider"] == provider)
    assert (row["state"], row["jobs_done"], row["rss"]) == ("ready", 2, 1_000_000)


def test_a_worker_never_needs_to_send_more_than_it_was_granted(stage, daemon) -> None:
    """Credit comes as an absolute offset, grows as the log takes audio, and is enough for a long take."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, samples_per_char=8000, chunk=4000)
    client = stage.client()
    reading = client.submit("grants-1", "Twenty seconds long.", chain=chain(provider), pace="render")
    end = client.finish("grants-1")
    assert end["samples"] == reading.samples == 20 * 8000
    assert worker.works[0]["credit"] < 20 * 8000


@pytest.mark.parametrize("ticket", ["", "wrong", "key-119-of-this-test"])
def test_without_the_key_nobody_is_let_in(stage, daemon, ticket) -> None:
    """No ticket, a wrong one and another provider's key are all refused as `ticket`."""
    provider, _ = daemon.provider()
    answer = stranger(stage, provider, ticket).register()
    assert (answer["type"], answer["code"]) == ("refused", "ticket")


def test_an_unknown_provider_is_refused(stage) -> None:
    """A worker of a provider that the configuration does not name is told so."""
    answer = stranger(stage, "nobody", "x").register()
    assert (answer["type"], answer["code"]) == ("refused", "unknown_provider")


def test_a_worker_of_another_version_is_refused(stage, daemon) -> None:
    """A worker whose protocol range does not meet the daemon's is refused with both in words."""
    provider, key = daemon.provider()
    worker = stranger(stage, provider, key)
    worker.send("register", 5, 9, key, provider, "1", 1, epoch="")
    answer = worker.expect("refused")
    assert (answer["code"], answer["low"], answer["high"]) == ("version", 1, 1)
    assert "5 to 9" in answer["message"]


def test_a_worker_without_a_session_is_told_to_greet(stage, daemon) -> None:
    """Whatever a worker says before REGISTER is answered GREET."""
    provider, key = daemon.provider()
    worker = stranger(stage, provider, key)
    worker.send("beat", "no-session", "ready")
    assert worker.expect("greet")


def test_a_broken_take_is_taken_back(stage, daemon) -> None:
    """When a worker fails in mid-take, the listener is sent back to the segment's start and hears another's take."""
    provider, key = daemon.provider()
    second, second_key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    stage.worker(second, second_key)
    client = stage.client()
    reading = client.submit("broken-1", "First words. Second words.", chain=chain(provider, second))
    whole = worker.begin(worker.expect("work"))
    worker.send_chunk(whole, whole.samples)
    worker.done(whole)
    broken = worker.begin(worker.expect("work"))
    worker.send_chunk(broken, 800)
    stage.until(lambda: reading.samples == whole.samples + 800)
    worker.failed(broken.name, "invalid_input")
    end = client.finish("broken-1")
    (rewind,) = reading.rewinds
    assert (rewind["offset"], rewind["take"], rewind["segment"]) == (whole.samples, broken.name, 1)
    assert [row["provider"] for row in end["speakers"]] == [provider, second]
    assert bytes(reading.pcm[: 2 * whole.samples]) == whole.pcm
    assert end["samples"] == reading.samples
    assert "moved" in [notice["kind"] for notice in reading.notices]
    row = client.rows("segments", job="broken-1")[1]
    assert (row["tries"], row["provider"]) == (2, second)
    assert "invalid_input" in row["trail"][0]


def test_a_listener_who_got_none_of_it_hears_nothing_of_a_broken_take(stage, daemon) -> None:
    """A reader without credit for a take that breaks off is sent no REWIND."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    reading = client.submit("unheard-1", "First words.", chain=chain(provider), credit=0)
    broken = worker.begin(worker.expect("work"))
    worker.send_chunk(broken, 400)
    worker.by_hand = False
    worker.failed(broken.name, "unavailable")
    stage.until(lambda: client.rows("segments", job="unheard-1")[0]["trail"])
    client.credit("unheard-1", EVERYTHING)
    client.finish("unheard-1", 25)
    assert reading.rewinds == []


def test_a_worker_that_dies_in_mid_take_is_replaced(stage, daemon) -> None:
    """A worker of the daemon's own dies after some audio: the sentence is said again by another, once, in full."""
    client = stage.client()
    text = "A good one. Here it shall die. A last one."
    reading = client.submit("dies-1", text, chain=chain("started"))
    stage.until(lambda: reading.samples > 100 * len("A good one."), what="audio of the second sentence")
    heard = reading.samples
    (daemon.root / "die-once").touch()
    end = client.finish("dies-1")
    assert end["state"] == "finished"
    (rewind,) = reading.rewinds
    assert (rewind["segment"], heard - rewind["offset"]) == (1, 800)
    rows = client.rows("segments", job="dies-1")
    assert reading.samples == end["samples"] == 100 * sum(row["length"] for row in rows)
    assert [row["deaths"] for row in rows] == [0, 1, 0]
    assert "crash" in rows[1]["trail"][0]


def test_registering_again_voids_what_was_under_way(stage, daemon) -> None:
    """A second REGISTER over the same connection begins a new session; the take of the old one is taken back."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    reading = client.submit("twice-1", "First words.", chain=chain(provider))
    old = worker.begin(worker.expect("work"))
    worker.send_chunk(old, 400)
    stage.until(lambda: reading.samples == 400)
    session = worker.session
    worker.register()
    assert worker.session != session
    worker.by_hand = False
    worker.ready()
    end = client.finish("twice-1")
    assert [rewind["offset"] for rewind in reading.rewinds] == [0]
    assert end["samples"] == reading.samples == 1200
    assert client.rows("segments", job="twice-1")[0]["deaths"] == 0


def test_a_worker_that_vanishes_loses_its_work_to_another(stage, daemon) -> None:
    """A connection that is gone is noticed, and its segment said by somebody else."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    reading = client.submit("vanish-1", "First words.", chain=chain(provider), patience_s=60.0)
    attempt = worker.begin(worker.expect("work"))
    worker.send_chunk(attempt, 400)
    stage.until(lambda: reading.samples == 400)
    worker.close()
    stage.worker(provider, key)
    end = client.finish("vanish-1", 20)
    assert end["state"] == "finished"
    assert end["samples"] == reading.samples == 1200
    assert len(reading.rewinds) == 1


def test_stop_frees_the_slot(stage, daemon) -> None:
    """Cancelling sends STOP; after STOPPED the worker gets the next piece of work."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    client.submit("stop-1", "First words.", chain=chain(provider))
    first = worker.begin(worker.expect("work"))
    client.send("cancel", "stop-1")
    client.finish("stop-1")
    worker.expect("stop", attempt=first.name)
    client.submit("stop-2", "Second words.", chain=chain(provider))
    second = worker.begin(worker.expect("work"))
    worker.send_chunk(second, second.samples)
    worker.done(second)
    assert client.finish("stop-2")["state"] == "finished"


def test_no_more_work_than_slots(stage, daemon) -> None:
    """A worker with two slots has two attempts at a time and gets a third when one is done."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True, slots=2)
    client = stage.client()
    for number in range(3):
        client.submit(f"slots-{number}", "Some words.", chain=chain(provider))
    first = worker.begin(worker.expect("work"))
    worker.expect("work")
    client.status()
    assert worker.take("work") is None
    worker.send_chunk(first, first.samples)
    worker.done(first)
    worker.expect("work")


@pytest.mark.parametrize(
    ("samples", "loudness", "code"), [(100, 1000, "truncated"), (None, 0, "silent")], ids=["short", "silent"]
)
def test_no_false_success(stage, daemon, samples, loudness, code) -> None:
    """A take with fewer samples than DONE says, or without any sound, is a failure with a name."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    job = f"false-{code}"
    client.submit(job, "Some words.", chain=chain(provider))
    over = client.readings[job]
    while stage.until(lambda: worker.take("work") or over.terminal) is not over.terminal:
        attempt = worker.begin(worker.works[-1])
        attempt.pcm = Worker.sound(attempt.samples, loudness)
        worker.send_chunk(attempt, attempt.samples)
        worker.done(attempt, samples)
    end = client.finish(job)
    assert (end["state"], end["code"]) == ("failed", code)


def test_marks_reach_the_listener(stage, daemon) -> None:
    """Timings of a worker come to the client with their take."""
    import msgpack

    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    reading = client.submit("marks-1", "First words.", chain=chain(provider))
    attempt = worker.begin(worker.expect("work"))
    worker.send(
        "take_marks", worker.session, attempt.name, body=msgpack.packb([["word", 0, 0, 5], ["word", 600, 6, 5]])
    )
    worker.send_chunk(attempt, attempt.samples)
    worker.done(attempt)
    client.finish("marks-1")
    assert [row[:4] for row in reading.marks[attempt.name]] == [["word", 0, 0, 5], ["word", 600, 6, 5]]
