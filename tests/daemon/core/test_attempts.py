"""What a worker may say about an attempt, and what follows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from voicebus.bus import codec
from voicebus.bus.messages import Attached, Begun, Chunk, Done, Failed, MarkRow, Marks, Notice, Style, TakeMarks
from voicebus.daemon.core.settings import Limits

from .scenes import rows
from .world_of_one import FakeWorker, Stage, samples, settings

TEXT = "A sentence of some length, for the engine to say."


def scene(text: str = TEXT, **changes: object) -> tuple[Stage, FakeWorker, object]:
    """One worker at work on a job."""
    stage = Stage(settings(**changes))
    worker, client = stage.worker(), stage.client()
    client.submit("j", text)
    worker.begin(worker.current)
    return stage, worker, client


# ------------------------------------------------------------------------------------------------------ breaking rules


@pytest.mark.parametrize(
    ("frame", "body"),
    [
        (lambda a: Chunk(attempt=a, seq=1, offset=100), b"\1\1"),
        (lambda a: Chunk(attempt=a, seq=3, offset=100), b"\1\1"),
        (lambda a: Chunk(attempt=a, seq=2, offset=100), b"\1\1"),
        (lambda a: Chunk(attempt=a, seq=2, offset=201), b"\1\1"),
        (lambda a: Chunk(attempt=a, seq=2, offset=200), b""),
        (lambda a: Chunk(attempt=a, seq=2, offset=200), b"\1\1\1"),
        (lambda a: Chunk(attempt=a, seq=2, offset=200), b"\1" * 2 * 9000),
    ],
    ids=["repeated", "skipped", "earlier offset", "later offset", "empty", "odd", "beyond credit"],
)
def test_a_wrong_frame_costs_its_worker_and_nobody_else(frame: Callable[[str], Chunk], body: bytes) -> None:
    """Wrong sequence, offset, length, or more than was granted: the worker is killed, its take dropped, and the
    other job and the other worker go on as if nothing had been."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    client.submit("j", TEXT)
    bad, good = (one, two) if one.work else (two, one)
    attempt = bad.current
    client.submit("k", TEXT)
    bad.begin(attempt)
    bad.chunk(attempt)
    bad.chunk(attempt)
    bad.say(frame(attempt), body)
    assert stage.killed == [bad.name]
    assert "expected 2 at 200" in stage.core.world.workers[bad.name].last_failure
    assert client.audio["j"] == b""
    good.speak(good.current)
    good.speak(good.current)
    assert {t.state for t in client.terminals.values()} == {"finished"}
    assert stage.core.world.jobs[1000, "j"].segments[0].deaths == 0


def test_frames_of_an_attempt_that_is_not_ones_own_are_counted_and_thrown_away() -> None:
    """Another worker's attempt, one that is over, one that never was: nobody is harmed."""
    stage = Stage(settings(workers=2))
    one, two, client = stage.worker("a/0"), stage.worker("a/1"), stage.client()
    client.submit("j", TEXT)
    busy, idle = (one, two) if one.work else (two, one)
    attempt = busy.current
    busy.begin(attempt)
    busy.chunk(attempt)
    idle.say(Chunk(attempt=attempt, seq=1, offset=100), b"\1\1")
    idle.say(TakeMarks(attempt=attempt), codec.encode([]))
    idle.say(Begun(attempt="e0.7"))
    idle.say(Done(attempt=attempt, samples=100, peak=9))
    idle.say(Failed(attempt=attempt, code="crash"))
    assert stage.core.world.counters["stale frames"] == 2
    assert stage.killed == []
    busy.done(attempt)
    assert client.terminals["j"].state == "finished"
    assert client.audio["j"] == samples(attempt, 0, 100)


def test_frames_after_stop_are_counted_and_thrown_away() -> None:
    """What was under way when STOP was sent reaches nobody, however the attempt then ends."""
    stage, worker, client = scene()
    attempt = worker.current
    worker.chunk(attempt)
    client.cancel("j")
    worker.chunk(attempt)
    worker.say(TakeMarks(attempt=attempt), codec.encode([]))
    assert stage.core.world.counters["stale frames"] == 2
    worker.say(Failed(attempt=attempt, code="crash"))
    assert stage.core.world.workers["a/0"].leases == {}
    client.submit("k", TEXT)
    attempt = list(worker.work)[-1]
    client.cancel("k")
    worker.done(attempt)
    assert stage.core.world.workers["a/0"].leases == {}
    assert stage.killed == []


def test_an_engine_that_runs_away_is_stopped() -> None:
    """More than ten minutes, and more than four times what was to be expected, is no segment of anybody's text."""
    stage, worker, _ = scene()
    attempt = worker.current
    for _ in range(100):
        worker.chunk(attempt, 6000)
    assert stage.killed == []
    worker.chunk(attempt, 1)
    assert stage.killed == ["a/0"]
    assert "600 s of audio for one segment" in stage.core.world.workers["a/0"].last_failure


# ---------------------------------------------------------------------------------------------------------- marks


def test_marks_reach_the_reader() -> None:
    """Timings come with the take that they belong to."""
    _, worker, client = scene("Hello there.")
    attempt = worker.current
    worker.chunk(attempt)
    worker.say(TakeMarks(attempt=attempt), codec.encode([MarkRow("word", 10, 0, 5)]))
    assert client.last(Marks).take == attempt
    assert codec.decode_marks(client.inbox[-1][1]) == [MarkRow("word", 10, 0, 5)]
    worker.done(attempt)
    assert client.terminals["j"].state == "finished"


def test_marks_of_a_take_made_ahead_wait_with_it() -> None:
    """Those of a segment whose turn has not come are sent with its audio."""
    stage = Stage()
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", "One here. Two here.")
    first, second = worker.work
    worker.begin(second)
    worker.chunk(second)
    worker.say(TakeMarks(attempt=second), codec.encode([MarkRow("word", 10, 0, 3)]))
    assert client.got(Marks) == []
    worker.done(second)
    worker.speak(first)
    assert [m.segment for m in client.got(Marks)] == [0, 1]


def test_marks_of_respelled_text_count_in_the_callers_text() -> None:
    """The engine is sent the other spelling; its timings come back as ranges of what the caller wrote."""
    _, worker, client = scene("Use SQL now.", pronunciations={"sql": "sequel"})
    attempt = worker.current
    assert worker.texts[attempt] == "Use sequel now."
    worker.chunk(attempt)
    rows = [MarkRow("word", 0, 0, 3), MarkRow("word", 5, 4, 6), MarkRow("word", 9, 11, 3)]
    worker.say(TakeMarks(attempt=attempt), codec.encode(rows))
    told = codec.decode_marks(client.inbox[-1][1])
    assert [(row.start, row.length) for row in told] == [(0, 3), (4, 3), (8, 3)]


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        codec.encode([MarkRow("word", 0, 40, 100)]),
        codec.encode([MarkRow("mark", 0, 0, 1, "x" * 1001)]),
    ],
    ids=["unreadable", "outside", "long name"],
)
def test_bad_marks_cost_their_worker(body: bytes) -> None:
    """Marks that cannot be are a broken protocol."""
    stage, worker, _ = scene()
    worker.say(TakeMarks(attempt=worker.current), body)
    assert stage.killed == ["a/0"]


def test_too_many_marks_cost_their_worker() -> None:
    """However many messages they come in, a take has only so many."""
    stage, worker, _ = scene()
    body = codec.encode([MarkRow("word", 0, 0, 1)] * 6000)
    while not stage.killed:
        worker.say(TakeMarks(attempt=worker.current), body)
    assert "too many marks" in stage.core.world.workers["a/0"].last_failure


def estimated(stage: Stage, client: object, text: str, **options: object) -> list[MarkRow]:
    worker = stage.worker(capabilities={"marks": ["mark"]})
    client.submit("j", text, **options)
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"
    return rows(client)


@pytest.mark.parametrize("keep", ["nothing", "job"])
def test_words_that_the_engine_does_not_time_are_estimated(keep) -> None:
    """A take of an engine without word marks has them all the same, behind its audio, and each says that it is an
    estimate, and how sure."""
    stage = Stage()
    found = estimated(stage, stage.client(), "Use it now.", keep=keep)
    assert [(row.kind, row.start, row.length) for row in found] == [("word", 0, 3), ("word", 4, 2), ("word", 7, 3)]
    assert {(row.method, row.confidence) for row in found} == {("estimate", 0.5)}
    assert 0 == found[0].sample < found[1].sample < found[2].sample < 300


def test_estimated_words_are_the_callers() -> None:
    """Where a word was respelled for the engine, the one that the caller wrote is timed."""
    stage = Stage(settings(pronunciations={"sql": "sequel"}))
    found = estimated(stage, stage.client(), "Use SQL now.")
    assert [(row.start, row.length) for row in found] == [(0, 3), (4, 3), (8, 3)]


def test_nothing_is_estimated_where_it_would_be_wrong() -> None:
    """Markup is not spoken, so its text says nothing of its timing; and what the engine times is its own."""
    stage = Stage()
    assert estimated(stage, stage.client(), "<speak>Use it now.</speak>", ssml=True) == []
    _, worker, client = scene("Use it now.")
    worker.speak(worker.current)
    assert rows(client) == []


def test_words_that_were_timed_without_a_claim_are_not_estimated_as_well() -> None:
    """No word is timed twice."""
    stage = Stage()
    worker, client = stage.worker(capabilities={"marks": []}), stage.client()
    client.submit("j", "Use it now.")
    worker.say(TakeMarks(attempt=worker.current), codec.encode([MarkRow("word", 0, 0, 3)]))
    worker.speak(worker.current)
    assert rows(client) == [MarkRow("word", 0, 0, 3)]


def test_estimates_of_a_take_made_ahead_wait_with_it() -> None:
    """They come with the audio that they belong to, as an engine's own do."""
    stage = Stage()
    worker, client = stage.worker(slots=2, capabilities={"marks": []}), stage.client()
    client.submit("j", "One here. Two here.")
    first, second = worker.work
    worker.speak(second)
    assert client.got(Marks) == []
    worker.speak(first)
    assert [row.start for row in rows(client, 0)] == [0, 4]
    assert [row.start for row in rows(client, 1)] == [0, 4]


def test_marks_of_a_probe_mean_nothing() -> None:
    """Nobody listens to our own words."""
    stage = Stage()
    worker = stage.worker()
    stage.core.world.providers["a"].breaker.trip(stage.now)
    stage.pass_time(6.0)
    worker.ready()
    worker.say(TakeMarks(attempt=worker.current), b"\xc1")
    assert stage.killed == []


# --------------------------------------------------------------------------------------------------- no false success


def test_silence_for_text_that_can_be_spoken_is_a_failure() -> None:
    """A take without sound is not delivered as if it were one."""
    stage, worker, client = scene()
    worker.chunk(worker.current)
    worker.done(worker.current, peak=31)
    assert "j" not in client.terminals
    assert client.audio["j"] == b""
    assert "49 characters gave 0.10 s of silence" in stage.core.world.workers["a/0"].last_failure


@pytest.mark.parametrize("text", ["...", "🙂🙂", "你好"])
def test_silence_for_text_that_makes_no_sound_is_right(text: str) -> None:
    """Dots, pictures and scripts that the voice does not know may be silent, and take no time at all."""
    _, worker, client = scene(text)
    worker.done(worker.current, peak=0)
    assert client.terminals["j"].state == "finished"
    assert client.terminals["j"].samples == 0


def test_fewer_samples_than_the_worker_says_are_a_truncated_take() -> None:
    """What was lost on the way is noticed."""
    stage, worker, client = scene()
    worker.chunk(worker.current)
    worker.say(Done(attempt=worker.current, samples=200, peak=9000))
    assert "j" not in client.terminals
    assert stage.core.world.workers["a/0"].last_failure == "truncated: 100 of 200 samples came"


@pytest.mark.parametrize(
    ("own_end", "takes", "length", "chunks", "whole"),
    [
        (False, 20, 3, 1, False),
        (False, 20, 3, 20, True),
        (True, 20, 3, 1, True),
        (False, 19, 3, 1, True),
        (False, 20, 1, 1, True),
    ],
    ids=["short", "usual", "has its own end", "not known yet", "short text"],
)
def test_far_too_short_is_truncated(own_end: bool, takes: int, length: int, chunks: int, whole: bool) -> None:
    """Under a third of the usual length, where much is known of the voice, the text is long enough to tell, and the
    engine has no sign of its own for the end."""
    stage = Stage()
    worker, client = stage.worker(capabilities={"own_end": own_end}), stage.client()
    stage.core.world.providers["a"].takes = takes
    client.submit("j", " ".join(["really long words"] * length) + ".")
    worker.speak(worker.current, chunks)
    assert ("j" in client.terminals) == whole


def test_style_and_ssml_do_not_make_a_take_look_truncated() -> None:
    """Fast speech is expected to be short, and of SSML nobody knows how long it should be."""
    stage = Stage()
    worker, client = stage.worker(capabilities={"own_end": False}), stage.client()
    stage.core.world.providers["a"].takes = 20
    client.submit("j", TEXT, style=Style(rate=6.0))
    worker.speak(worker.current, 3)
    client.submit("k", f"<speak>{TEXT}</speak>", ssml=True)
    worker.speak(worker.current, 3)
    assert {t.state for t in client.terminals.values()} == {"finished"}


# ----------------------------------------------------------------------------------------------------------- respelled


def test_a_segment_of_which_no_word_is_left_is_whole_without_a_worker() -> None:
    """Words that are to be left out need no engine; the segment is a take without sound, and the job a success."""
    stage = Stage(settings(pronunciations={"ugh": ""}))
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One here.\n\nUgh\n\nTwo here.")
    assert len(worker.work) == 1
    worker.speak(worker.current)
    assert [text.strip() for text in worker.texts.values()] == ["One here.", "Two here."]
    worker.speak(worker.current)
    end = client.terminals["j"]
    assert (end.state, end.code, end.samples, end.segments) == ("finished", "", 600, 3)


@pytest.mark.parametrize("keep", ["nothing", "job"])
def test_a_job_of_which_no_word_is_left_is_finished_at_once(keep: str) -> None:
    """It has no sound, as was asked."""
    stage = Stage(settings(pronunciations={"ugh": ""}))
    worker, client = stage.worker(), stage.client()
    client.submit("j", "Ugh", keep=keep)
    assert not worker.work
    assert (client.terminals["j"].state, client.terminals["j"].samples) == ("finished", 0)


def test_silence_is_judged_by_what_was_sent() -> None:
    """Where only dots are left of a text, silence is right."""
    _, worker, client = scene("Ugh...", pronunciations={"ugh": ""})
    assert worker.texts[worker.current] == "..."
    worker.done(worker.current, peak=0)
    assert client.terminals["j"].state == "finished"


def test_ssml_is_not_respelled() -> None:
    """Tags are words as well."""
    stage = Stage(settings(pronunciations={"speak": "talk"}))
    worker, client = stage.worker(), stage.client()
    client.submit("j", "<speak>speak</speak>", ssml=True)
    assert worker.texts[worker.current] == "<speak>speak</speak>"


# ------------------------------------------------------------------------------------------------------------ the rest


def test_a_rate_that_nobody_knew_is_told_when_it_is_known() -> None:
    """A job accepted before its provider was ever up gets its rate with the first attempt."""
    stage = Stage(settings(provider={"rate": 0}))
    client = stage.client()
    client.submit("j", TEXT)
    worker = stage.worker()
    assert client.last(Attached).rate == 1000
    assert worker.work[worker.current].rate == 1000


def test_readers_are_told_who_speaks() -> None:
    """Once, with the first segment; not again as long as it is the same."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One here. Two here.")
    worker.speak(worker.current)
    worker.speak(worker.current)
    assert [(n.kind, n.data["voice"]) for n in client.got(Notice)] == [("started", "en")]


def test_the_speed_of_a_worker_is_learnt() -> None:
    """Time to first sound and work per second of audio follow what was measured."""
    stage = Stage()
    worker, client = stage.worker(factor=0.0, first_audio_s=0.0), stage.client()
    for job in ("j", "k"):
        client.submit(job, TEXT)
        worker.begin(worker.current)
        stage.now += 0.5
        worker.chunk(worker.current, 1000)
        worker.done(worker.current, work_s=0.5)
    known = stage.core.world.workers["a/0"]
    assert (known.factor, known.first_audio_s, known.jobs_done) == (0.5, 0.5, 2)
    assert stage.core.world.providers["a"].char_s < 0.065


def test_little_is_learnt_from_little() -> None:
    """A take of a fifth of a second or less says nothing about speed; SSML says nothing about length."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "Yes.")
    worker.speak(worker.current, 1)
    client.submit("k", "<speak>Yes.</speak>", ssml=True)
    worker.speak(worker.current, 9)
    assert stage.core.world.providers["a"].char_s == 0.065


def test_memory_is_bounded_by_making_workers_wait() -> None:
    """Over the limit no more audio is asked for; when memory is free again, those who wait go on."""
    stage = Stage(settings("a", "b", limits=Limits(memory_bytes=15_000)))
    one, two, client = stage.worker("a/0"), stage.worker("b/0"), stage.client()
    client.submit("j", TEXT)
    client.submit("k", TEXT, chain=[])
    attempt = one.current
    one.begin(attempt)
    for _ in range(8):
        one.chunk(attempt, 1000)
    lease = stage.core.world.workers["a/0"].leases[attempt]
    assert lease.granted == 8000 + 5000
    for _ in range(5):
        one.chunk(attempt, 1000)
    stage.pass_time(2.0)
    assert lease.granted == 13_000
    stage.core.world.memory -= 20_000
    stage.pass_time(2.0)
    assert lease.granted == 21_000
    stage.core.world.memory += 20_000
    assert two.work == {}


def test_an_attempt_that_was_stopped_gets_no_more_credit() -> None:
    """Whatever is free again goes to those who still work."""
    stage = Stage(settings(limits=Limits(memory_bytes=1000)))
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", TEXT)
    attempt = worker.current
    worker.begin(attempt)
    worker.chunk(attempt, 8000)
    lease = stage.core.world.workers["a/0"].leases[attempt]
    client.cancel("j")
    client.submit("k", TEXT)
    stage.pass_time(1.5)
    assert lease.granted == 8000


@pytest.mark.parametrize(
    ("text", "options"),
    [("Hello there.", {"style": Style(volume=0.0)}), ('<speak><break time="1s"/></speak>', {"ssml": True})],
)
def test_silence_that_was_asked_for_is_no_failure(text: str, options: dict) -> None:
    """No volume, or markup with nothing in it to be said: the take is silent and whole, and no breaker hears of it."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", text, **options)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    worker.done(worker.current, peak=0, rms=0.0)
    assert client.terminals["j"].state == "finished"
