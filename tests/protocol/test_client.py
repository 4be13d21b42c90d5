"""A client that knows only the document is served by the real daemon, with real speech."""

from __future__ import annotations

import struct
from functools import partial

import msgpack
import pytest

from .rawpeer import EVERYTHING, Client, Message, Reading, Stage

TEXT = "This is spoken over a bus. It has more than one sentence. That makes three."
ESPEAK = [{"provider": "espeak"}]


def raw(provider: str) -> list[dict[str, str]]:
    return [{"provider": provider}]


def test_speech_arrives_whole(stage) -> None:
    """A text comes back as sound: frames without a gap, each take announced, the end behind the last frame."""
    client = stage.client()
    reading = client.submit("speech-1", TEXT, chain=ESPEAK)
    end = client.finish("speech-1")
    assert (end["state"], end["code"], end["samples"]) == ("finished", "", reading.samples)
    assert end["segments"] == 3
    assert [(row["provider"], row["segments"]) for row in end["speakers"]] == [("espeak", 3)]
    peak = max(map(abs, struct.unpack(f"<{reading.samples}h", bytes(reading.pcm))))
    assert peak > 2000
    assert reading.samples > 2 * 22050


def test_a_job_comes_back_as_it_was_told(stage) -> None:
    """The rows of a job and its samples, sent as they were had under another name, are a job of the history that sounds
    the same; a second time there is one of that name."""
    client = stage.client()
    reading = client.submit("archived-1", TEXT, chain=ESPEAK, keep="history")
    client.finish("archived-1")
    [row] = client.rows("history", job="archived-1")
    pieces = [("text", TEXT.encode())]
    for segment in client.rows("segments", job="archived-1"):
        at = 2 * segment["offset"]
        pieces.append(("segment", msgpack.packb(segment | {"marks": [["word", 10, 0, 4]]})))
        pieces.append(("audio", bytes(reading.pcm[at : at + 2 * segment["samples"]])))
    record = msgpack.packb(row)
    client.ask("deposited", send=lambda: client.send("import", "copy-1", body=record), job="copy-1", n=0)
    for n, (kind, body) in enumerate(pieces[:-1]):
        put = partial(client.send, "deposit", "copy-1", n, kind, False, body=body)
        client.ask("deposited", send=put, job="copy-1", n=n + 1)
    last = partial(client.send, "deposit", "copy-1", len(pieces) - 1, "audio", True, body=pieces[-1][1])
    assert client.ask("imported", send=last, job="copy-1")["outcome"] == "imported"
    [copy] = client.rows("history", job="copy-1")
    assert {name for name in row if row[name] != copy[name]} <= {"job", "bytes", "audio"}
    client.attach("copy-1")
    client.finish("copy-1")
    assert client.readings["copy-1"].pcm == reading.pcm
    told = client.ask("imported", send=lambda: client.send("import", "copy-1", body=record), job="copy-1")
    assert told["outcome"] == "exists"


def test_the_same_job_again_is_the_same_job(stage) -> None:
    """SUBMIT repeated finds the job; another text under its name is a conflict."""
    client = stage.client()
    client.submit("again-1", TEXT, chain=ESPEAK)
    client.submit_once("again-1", TEXT, chain=ESPEAK)
    assert client.expect("accepted", job="again-1")["existing"] is True
    client.submit_once("again-1", "Another text.", chain=ESPEAK)
    error = client.expect("error", job="again-1")
    assert (error["code"], error["blame"]) == ("conflict", "caller")
    assert client.finish("again-1")["state"] == "finished"


def test_a_replay_is_the_same_audio(stage) -> None:
    """A job that is over can be read again, by another client too, sample for sample."""
    first = stage.client()
    heard = first.submit("replay-1", TEXT, chain=ESPEAK)
    first.finish("replay-1")
    second = stage.client()
    assert second.attach("replay-1")["type"] == "attached"
    end = second.finish("replay-1")
    again = second.readings["replay-1"]
    assert bytes(again.pcm) == bytes(heard.pcm)
    assert again.takes == heard.takes
    assert end["samples"] == heard.samples


def test_the_end_can_be_had_alone(stage) -> None:
    """Attaching with `read` none to a job that is over gives its end and no audio."""
    client = stage.client()
    client.submit("end-1", TEXT, chain=ESPEAK)
    client.finish("end-1")
    other = stage.client()
    other.attach("end-1", read="none", credit=0)
    assert other.finish("end-1", 5)["state"] == "finished"
    assert other.readings["end-1"].frames == 0


def test_no_audio_beyond_the_credit(stage) -> None:
    """Audio comes to the sample that was allowed and stops there; without any credit nothing comes."""
    client = stage.client()
    reading = client.submit("credit-1", TEXT, chain=ESPEAK, credit=0)
    stage.until(lambda: client.rows("segments", job="credit-1")[0]["state"] == "whole")
    assert reading.samples == 0
    for up_to in (1, 1234, 20_000):
        client.credit("credit-1", up_to)
        stage.until(lambda up_to=up_to: reading.samples == up_to)
        client.status()  # The answer stands behind all that would have been sent.
        assert reading.samples == up_to
    client.credit("credit-1", 5, 0)
    client.status()
    assert reading.samples == 20_000
    client.credit("credit-1", EVERYTHING)
    assert client.finish("credit-1")["samples"] == reading.samples


def test_reading_goes_on_where_it_was(stage) -> None:
    """A client that lost its connection attaches with offset and take and gets the rest, without a seam."""
    first = stage.client()
    part = first.submit("seam-1", TEXT, chain=ESPEAK, credit=30_000)
    stage.until(lambda: part.samples == 30_000)
    first.close()
    second = stage.client()
    second.readings["seam-1"] = part
    answer = second.attach("seam-1", 30_000, part.take_before(30_000))
    assert (answer["type"], answer["offset"]) == ("attached", 30_000)
    end = second.finish("seam-1")
    assert end["samples"] == part.samples
    third = stage.client()
    third.attach("seam-1")
    third.finish("seam-1")
    assert bytes(third.readings["seam-1"].pcm) == bytes(part.pcm)


def test_a_take_that_is_not_there_is_rewound(stage) -> None:
    """Whoever names a take that the log does not hold is sent back, segment by segment, until both agree."""
    client = stage.client()
    reading = client.submit("rewound-1", TEXT, chain=ESPEAK)
    client.finish("rewound-1")
    starts = [start for start, _ in reading.takes]
    assert len(starts) == 3
    inside = starts[2] + 100
    back = client.attach("rewound-1", inside, "no-such-take")
    assert (back["type"], back["offset"]) == ("rewind", starts[2])
    back = client.attach("rewound-1", starts[2], "no-such-take")
    assert (back["type"], back["offset"]) == ("rewind", starts[1])
    del reading.pcm[2 * starts[1] :]
    reading.takes = reading.takes[:1]
    reading.terminal = None
    reading.segments = {0: {reading.takes[0][1]}}
    assert client.attach("rewound-1", starts[1], reading.takes[0][1])["type"] == "attached"
    client.finish("rewound-1")
    assert [start for start, _ in reading.takes] == starts


def test_only_whole_takes_for_whom_cannot_go_back(stage, daemon) -> None:
    """Reading `whole` brings nothing of a take before that take is done."""
    provider, key = daemon.provider()
    worker = stage.worker(provider, key, by_hand=True)
    client = stage.client()
    whole = client.submit("whole-1", "Some words.", chain=raw(provider), read="whole")
    live = stage.client()
    live.attach("whole-1")
    attempt = worker.begin(worker.expect("work"))
    worker.send_chunk(attempt, 800)
    stage.until(lambda: live.readings["whole-1"].samples == 800)
    client.status()
    assert whole.samples == 0
    worker.done(attempt, None) if attempt.at == attempt.samples else worker.send_chunk(attempt, attempt.samples - 800)
    worker.done(attempt)
    client.finish("whole-1")
    assert whole.pcm == attempt.pcm


def test_text_in_pieces(stage) -> None:
    """A text that comes bit by bit is spoken as it comes, and each piece is answered when it is kept."""
    client = stage.client()
    reading = client.submit("pieces-1", "One sentence that is whole. The beg", chain=ESPEAK, complete=False)
    stage.until(lambda: reading.samples > 1000, what="sound before the text is complete")
    assert client.append("pieces-1", 1, "inning of the next")["n"] == 1
    assert client.append("pieces-1", 2, " and its end.")["n"] == 2
    ended = client.end("pieces-1", 3)
    assert ended["ended"] is True
    assert client.finish("pieces-1")["segments"] == 2
    assert client.end("pieces-1", 3)["ended"] is True


def test_pieces_are_checked(stage) -> None:
    """A repeated piece is answered again; other words, a gap, too few and too late are each an error of their own."""
    client = stage.client()
    client.submit("pieces-2", "One. ", chain=ESPEAK, complete=False, credit=0)
    assert client.append("pieces-2", 1, "Two. ")["type"] == "appended"
    assert client.append("pieces-2", 1, "Two. ")["type"] == "appended"
    assert client.append("pieces-2", 1, "Zwei. ")["code"] == "conflict"
    gap = client.append("pieces-2", 5, "Five. ")
    assert gap["code"] == "out_of_order"
    assert "2" in gap["message"]
    assert client.end("pieces-2", 7)["code"] == "out_of_order"
    assert client.end("pieces-2", 2)["ended"] is True
    assert client.append("pieces-2", 2, "Late. ")["code"] == "ended"
    client.submit_once("pieces-2", "One. ", chain=ESPEAK, complete=False)
    assert client.expect("accepted", existing=True, job="pieces-2")["pieces"] == 2
    client.credit("pieces-2", EVERYTHING)
    assert client.finish("pieces-2")["state"] == "finished"


def test_cancel_is_answered_with_the_end(stage) -> None:
    """CANCEL ends a job at once, ahead of its audio; again, it gets the same answer."""
    client = stage.client()
    reading = client.submit("cancel-1", TEXT * 20, chain=ESPEAK, credit=1000)
    client.send("cancel", "cancel-1")
    end = client.finish("cancel-1")
    assert (end["state"], end["code"]) == ("cancelled", "cancelled")
    reading.terminal = None
    client.send("cancel", "cancel-1")
    assert client.finish("cancel-1")["state"] == "cancelled"
    client.send("cancel", "no-such-job")
    error = client.expect("error", job="no-such-job")
    assert (error["code"], error["answers"]) == ("not_found", "cancel")


def test_cancel_all_ends_what_is_not_over(stage) -> None:
    """CANCEL_ALL counts what it ended, and each of those jobs says so."""
    client = stage.client()
    for number in range(3):
        client.submit(f"all-{number}", TEXT * 20, chain=ESPEAK, credit=0)
    client.send("cancel_all", "req-1")
    assert client.expect("cancelled_all", request="req-1")["count"] >= 3
    for number in range(3):
        assert client.finish(f"all-{number}")["state"] == "cancelled"


def test_detach_ends_the_reading_and_not_the_job(stage) -> None:
    """After DETACH no audio comes, and the job goes on."""
    client = stage.client()
    reading = client.submit("detach-1", TEXT, chain=ESPEAK, credit=1000, pace="render")
    stage.until(lambda: reading.samples == 1000)
    client.send("detach", "detach-1")
    client.credit("detach-1", EVERYTHING)
    stage.until(lambda: client.rows("jobs", state="finished") and True)
    stage.until(lambda: any(row["job"] == "detach-1" for row in client.rows("jobs", state="finished")))
    assert reading.samples == 1000


STATUS = (
    "pid version protocol epoch started_by uptime_s state clients jobs takes_bytes memory_bytes counters problems"
    " config log_file state_dir runtime_dir"
)
COLUMNS = {
    "status": STATUS,
    "workers": (
        "worker provider version pid state reason restarts last_failure jobs_done rss vram factor first_audio_s load_s"
        " slots running percent note stderr"
    ),
    "providers": "provider state workers ready version voices rate breaker retry_in_s capabilities reason",
    "voices": "provider voice languages gender description variants",
    "jobs": (
        "job state code message priority pace keep language rate segments done samples pieces complete provider voice"
        " age_s stops tries"
    ),
    "segments": ("segment start length state provider version voice attempt tries stops deaths offset samples trail"),
}


@pytest.mark.parametrize("what", COLUMNS)
def test_lists_have_their_columns(stage, what) -> None:
    """Each list's rows have what the document says."""
    client = stage.client()
    client.submit(f"list-{what}", TEXT, chain=ESPEAK)
    client.finish(f"list-{what}")
    rows = client.rows(what, job=f"list-{what}")
    assert rows
    for row in rows:
        assert set(COLUMNS[what].split()) <= set(row)


def test_long_lists_come_in_pages(stage) -> None:
    """Pages follow each other by cursor, and together are the list."""
    client = stage.client()
    voices = client.rows("voices", provider="espeak")
    assert len(voices) > 50
    page, cursor = client.page("voices", "", 20, provider="espeak")
    assert len(page) == 20
    assert cursor
    assert client.rows("voices", 20, provider="espeak") == voices
    german = client.rows("voices", provider="espeak", language="de")
    assert 0 < len(german) < len(voices)


def test_segments_tell_the_whole_story(stage) -> None:
    """The list of segments covers text and audio without holes, and names who spoke."""
    client = stage.client()
    reading = client.submit("story-1", TEXT, chain=ESPEAK)
    client.finish("story-1")
    rows = client.rows("segments", job="story-1")
    at = 0
    for row, (start, take) in zip(rows, reading.takes, strict=True):
        assert (row["offset"], row["attempt"], row["state"], row["provider"]) == (start, take, "whole", "espeak")
        assert row["offset"] == at
        at += row["samples"]
    assert at == reading.samples


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"job": "has spaces"}, "invalid"),
        ({"job": ""}, "invalid"),
        ({"chain": [{"provider": "nobody"}]}, "unknown_provider"),
        ({"chain": [{"provider": "espeak", "voice": "klingon-opera"}]}, "unknown_voice"),
        ({"style": {"rate": 50.0}}, "invalid"),
        ({"rate": 7}, "invalid"),
    ],
    ids=["name", "no name", "provider", "voice", "style", "rate"],
)
def test_what_cannot_be_done_is_said_in_words(stage, options, code) -> None:
    """A request with something wrong gets an error that names the job, the reason and whose mistake it is."""
    client = stage.client()
    fields = {"job": f"wrong-{code}-{len(str(options))}", "chain": ESPEAK} | options
    client.submit_once(text="Hello there.", **fields)
    error = client.expect("error", job=fields["job"])
    assert (error["code"], error["blame"]) == (code, "caller")
    assert len(error["message"]) > 10


def test_an_empty_text_is_refused(stage) -> None:
    """There is nothing to say in a text of spaces."""
    client = stage.client()
    client.submit_once("empty-1", "  \n ", chain=ESPEAK)
    assert client.expect("error", job="empty-1")["code"] == "empty_text"


def test_bye_ends_the_session(stage) -> None:
    """After BYE the client is a stranger again."""
    client = stage.client()
    client.send("bye")
    client.send("query", "r", "status")
    assert client.expect("greet")


def test_strangers_are_told_to_greet(stage) -> None:
    """Whatever a client says before HELLO is answered GREET, and not done."""
    client = stage.client(greet=False)
    client.submit_once("stranger-1", TEXT, chain=ESPEAK)
    client.expect("greet")
    client.greet()
    client.attach("stranger-1")
    client.send("attach", "stranger-1", "live", 0, "", 0)
    assert client.expect("error", job="stranger-1")["code"] == "not_found"


def test_another_epoch_is_another_daemon(stage) -> None:
    """A message that names another run of the daemon is answered GREET, and not done."""
    client = stage.client()
    right = client.epoch
    client.epoch = "of-old"
    client.submit_once("epoch-1", TEXT, chain=ESPEAK)
    client.epoch = right
    client.expect("greet")
    assert client.attach("epoch-1")["code"] == "not_found"


@pytest.mark.parametrize(("low", "high"), [(2, 9), (0, 0)])
def test_versions_that_do_not_meet_are_refused(stage, low, high) -> None:
    """A client of another protocol is told both ranges and what to do."""
    client = stage.client(greet=False)
    answer = client.greet(low, high)
    assert (answer["type"], answer["code"]) == ("refused", "version")
    assert (answer["low"], answer["high"]) == (1, 1)
    assert str(high) in answer["message"]


def test_a_version_range_that_meets_is_welcome(stage) -> None:
    """Of several versions the highest common one is agreed on."""
    client = stage.client(greet=False)
    assert client.greet(1, 7)["protocol"] == 1


def test_a_client_outlives_its_daemon(own_daemon) -> None:
    """After the daemon was killed, its successor is known by its epoch, and the job is heard to its end, once."""
    stage = Stage(own_daemon.runtime_dir)
    try:
        client = stage.client()
        reading = client.submit("killed-1", TEXT, chain=ESPEAK, credit=30_000)
        stage.until(lambda: reading.samples == 30_000)
        before = client.epoch
        own_daemon.kill()
        own_daemon.start()
        client.inbox.clear()
        client.greet()
        assert client.epoch != before
        end = hear_the_rest(client, reading)
        reading = client.readings["killed-1"]
        assert (end["state"], end["samples"]) == ("finished", reading.samples)
    finally:
        stage.close()


def hear_the_rest(client: Client, reading: Reading) -> Message:
    """As section 10 says: attach with what is here; go back as told; a job that nobody knows any more starts over."""
    while True:
        answer = client.attach(reading.job, reading.samples, reading.take_before(reading.samples))
        if answer["type"] == "error":
            assert answer["code"] in {"not_found", "gone"}
            reading = client.submit(reading.job, TEXT, chain=ESPEAK)
            return client.finish(reading.job)
        if answer["type"] == "attached":
            return client.finish(reading.job)
        assert reading.samples == answer["offset"]


def test_the_checks_of_a_reading_can_fail() -> None:
    """The client of these tests notices a frame that does not fit."""
    reading = Reading("x")
    reading.speakers["t"] = ("p", "v")
    frame = Message(offset=1, take="t", segment=0)
    frame.body = b"\x00\x00"
    with pytest.raises(AssertionError, match="frame at 1"):
        reading.audio(frame)
