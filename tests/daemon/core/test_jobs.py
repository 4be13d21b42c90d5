"""Scenes of jobs from the caller's side: submitted, repeated, fed with text, cancelled, abandoned."""

from __future__ import annotations

from typing import Any

import pytest

from voicebus.bus.codec import decode_rows
from voicebus.bus.messages import (
    UNLIMITED,
    Accepted,
    Append,
    Appended,
    Cancel,
    CancelAll,
    CancelledAll,
    Choice,
    Detach,
    End,
    Error,
    Notice,
    Query,
    Style,
    Submit,
    Terminal,
)
from voicebus.daemon.core.segmentation import Splitter
from voicebus.daemon.core.settings import History, Limits, Settings

from .scenes import THREE, Scene, heard, kinds, lose, scene, speak_all
from .world_of_one import FakeClient, Stage, settings


def refusal(client: FakeClient) -> Error:
    """The last thing that was said, which is an error."""
    error = client.inbox[-1][0]
    assert type(error) is Error, error
    return error


# ---------------------------------------------------------------------------------------------------- the same again


def test_the_same_submit_finds_the_job() -> None:
    """The same SUBMIT again is answered with the job that is there, and nothing is said twice."""
    stage, worker, client = scene()
    client.submit("j", THREE)
    assert client.last(Accepted).existing
    speak_all(worker)
    told = client.audio.pop("j")
    client.submit("j", THREE)
    assert client.audio["j"] == told
    assert (client.last(Accepted).state, client.last(Accepted).existing) == ("finished", True)
    assert stage.job().tries == 3


def test_the_same_submit_before_its_commit_is_answered_behind_it() -> None:
    """Repeated before it is durable, a SUBMIT is answered when it is, like the first."""
    stage = Scene()
    client = stage.client()
    stage.hold_commits = True
    client.submit("j")
    client.submit("j")
    assert client.got(Accepted) == []
    stage.let_go()
    assert [m.existing for m in client.got(Accepted)] == [False, True]


def test_another_connection_may_read_by_submitting_again() -> None:
    """After a broken connection the same SUBMIT gives a reading from the start, and how it is read does not count."""
    stage, worker, client = scene()
    worker.speak(worker.current)
    stage.leave(client)
    other = stage.client()
    other.submit("j", THREE, credit=100, patience_s=1.0)
    assert heard(other) == 100
    silent = stage.client()
    silent.submit("j", THREE, read="none")
    assert silent.last(Accepted).existing and silent.peer not in stage.job().readers


@pytest.mark.parametrize(
    "changes", [{"text": "Other."}, {"rate": 8000}, {"style": Style(rate=2.0)}, {"priority": "progress"}, {"seed": 1}]
)
def test_another_body_under_the_same_name_is_a_conflict(changes: dict[str, Any]) -> None:
    """Other words or other settings under a name that is taken are refused, and the job there goes on."""
    stage, worker, client = scene()
    client.submit("j", **{"text": THREE, **changes})
    assert (refusal(client).code, refusal(client).answers) == ("conflict", "submit")
    speak_all(worker)
    assert stage.job().state == "finished"


def test_a_name_belongs_to_its_owner() -> None:
    """What another uid calls the same is another job, and his job is as if it were not there."""
    stage, _, client = scene()
    other = stage.client(uid=7)
    for message in (Cancel(job="j"), Append(job="j", n=1), End(job="j", n=1), Detach(job="j")):
        other.say(message)
        assert refusal(other).code == "not_found"
    other.attach("j")
    assert refusal(other).code == "not_found"
    other.submit("j", "Mine.")
    assert not other.last(Accepted).existing
    assert stage.job("j", 7) is not stage.job("j")
    assert client.got(Terminal) == []


# -------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"style": Style(rate=0.2)}, "invalid", "rate is 0.2"),
        ({"style": Style(rate=6.1)}, "invalid", "0.25 to 6"),
        ({"style": Style(rate=float("nan"))}, "invalid", "rate is nan"),
        ({"style": Style(pitch=0.4)}, "invalid", "pitch"),
        ({"style": Style(pitch=float("inf"))}, "invalid", "pitch"),
        ({"style": Style(volume=2.1)}, "invalid", "volume"),
        ({"style": Style(volume=-0.1)}, "invalid", "volume"),
        ({"patience_s": 86401.0}, "invalid", "patience"),
        ({"rate": 999}, "invalid", "1000 to 192000"),
        ({"rate": 192_001}, "invalid", "192001"),
        ({"chain": [Choice("a")] * 33}, "invalid", "32 entries"),
        ({"ssml": True, "complete": False}, "unsupported", "pieces"),
        ({"text": " \n\t"}, "empty_text", "empty"),
        ({"text": ""}, "empty_text", "empty"),
        ({"text": "x" * 60_001, "ssml": True}, "too_long", "60000"),
        ({"text": "ä" * 100_001}, "too_long", "200000"),
        ({"chain": [Choice("b")]}, "unknown_provider", "'b'"),
        ({"chain": [Choice("a", "nobody")]}, "unknown_voice", "nobody"),
    ],
)
def test_what_cannot_be_done_is_refused_without_a_trace(changes: dict[str, Any], code: str, words: str) -> None:
    """A request that cannot be done is answered with what is wrong with it and leaves nothing behind."""
    stage = Scene(settings(limits=Limits(text_bytes=200_000)))
    stage.worker()
    client = stage.client()
    client.submit("j", **{"text": "Hello.", **changes})
    assert refusal(client).code == code
    assert words in refusal(client).message
    assert (refusal(client).job, refusal(client).retry_after) == ("j", 0.0)
    assert stage.core.world.jobs == {} and stage.core.world.commits == {}


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "ä", "a/b", "a\n"])
def test_a_name_has_its_form(name: str) -> None:
    """A job's name has 1 to 64 plain characters."""
    client = Scene().client()
    client.submit(name)
    assert "1 to 64" in refusal(client).message


@pytest.mark.parametrize(
    "changes",
    [
        {"style": Style(rate=0.25, pitch=0.5, volume=0.0)},
        {"style": Style(rate=6.0, pitch=2.0, volume=2.0)},
        {"rate": 1000},
        {"rate": 192_000},
        {"patience_s": 86400.0},
        {"chain": [Choice("a")] * 32},
    ],
)
def test_the_ends_of_each_range_are_allowed(changes: dict[str, Any]) -> None:
    """Both ends of a range belong to it."""
    _, _, client = scene(**changes)
    assert client.got(Accepted)


def test_text_must_be_utf_8() -> None:
    """Bytes that are no text are refused, in the first piece and in later ones, and a good piece may follow."""
    _, _, client = scene("One.\n", complete=False)
    client.say(Submit(job="k"), b"\xff\xfe")
    assert "UTF-8" in refusal(client).message
    client.say(Append(job="j", n=1), "ä".encode()[:1])
    assert "between characters" in refusal(client).message
    client.append("j", 1, "ä")
    assert client.last(Appended).n == 1


def test_a_chain_without_any_provider_is_refused() -> None:
    """With nothing configured nothing is accepted, and trying again is no use."""
    client = Scene(Settings()).client()
    client.submit("j")
    assert (refusal(client).code, refusal(client).retry_after) == ("unknown_provider", 0.0)


def test_a_daemon_that_stops_takes_nothing_on() -> None:
    """While it drains, new jobs are refused with a hint to try again."""
    stage, _, client = scene()
    stage.core.terminate(stage.now)
    stage.run()
    client.submit("k")
    assert (refusal(client).code, refusal(client).retry_after) == ("unavailable", 1.0)


def test_a_full_queue_says_when_to_come_again() -> None:
    """Over the limit a job is refused before any commit, with a hint from the shortest rest of work."""
    stage = Scene(settings(limits=Limits(jobs=2)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", "x" * 100)
    client.submit("k", "Hello. " * 1000)
    client.submit("l")
    assert (refusal(client).code, refusal(client).retry_after) == ("queue_full", 6.5)
    speak_all(worker)
    assert client.terminals["j"]
    client.submit("l")
    assert client.last(Accepted).job == "l"


def test_one_client_cannot_take_all_places() -> None:
    """A client has a share of the queue; another still finds a place. Without work in sight the hint is a second."""
    stage = Scene(settings(limits=Limits(jobs_per_client=1)))
    client, other = stage.client(), stage.client()
    client.submit("j", "", complete=False)
    client.submit("k")
    assert "of yours" in refusal(client).message and refusal(client).retry_after == 1.0
    other.submit("k")
    assert other.got(Accepted)


# ---------------------------------------------------------------------------------------------------- what is made


def test_the_language_is_the_callers_the_texts_or_the_daemons() -> None:
    """A language that is named counts, "auto" is found out from the text, none is the daemon's own."""
    stage = Scene(settings(language="de"))
    worker, client = stage.worker(), stage.client()
    client.submit("named", "Hallo.", language="en")
    client.submit("none", "Hello.")
    client.submit("auto", "The weather is nice today and we are going for a walk.", language="auto")
    client.submit("nothing", "12", language="auto")
    said = {}
    while worker.current:
        said[worker.texts[worker.current]] = worker.work[worker.current].language
        worker.speak(worker.current)
    assert list(said.values()) == ["en", "de", "en", "de"]


def test_ssml_is_one_segment() -> None:
    """Marked-up text goes to the engine as it is, in one piece, without respelling."""
    text = "<speak>One. Two. SQL.</speak>"
    _, worker, client = scene(text, configuration=settings(pronunciations={"SQL": "sequel"}), ssml=True)
    assert worker.texts[worker.current] == text and worker.work[worker.current].ssml
    speak_all(worker)
    assert client.last(Terminal).segments == 1


def test_an_engine_that_gives_out_nothing_early_gets_a_short_beginning() -> None:
    """Where audio comes only when a segment is finished, the first one ends at a clause."""
    stage = Scene(settings(limits=Limits(first_segment_chars=40)))
    worker, client = stage.worker(capabilities={"streams": False}), stage.client()
    client.submit("j", "This is a sentence of some length, which has a clause, and which goes on for long after it.")
    assert worker.texts[worker.current] == "This is a sentence of some length,"


def test_nobody_can_do_it_any_more() -> None:
    """A job whose providers are all out for good is accepted, which is durable, and fails with the reason."""
    stage = Scene()
    client = stage.client()
    stage.exit("a/0", code=78)
    client.submit("j")
    assert kinds(client) == ["Welcome", "Accepted", "Terminal"]
    assert client.last(Terminal).code == "unavailable"


# ------------------------------------------------------------------------------------------------------ text in pieces


def test_text_comes_in_pieces() -> None:
    """Pieces are answered when they are durable, spoken as soon as sentences are whole, and END ends the job."""
    _, worker, client = scene("", complete=False)
    for n, piece in enumerate(["One. T", "wo", ". Three."]):
        client.append("j", n + 1, piece)
    client.end("j", 4)
    assert [(m.n, m.ended) for m in client.got(Appended)] == [(1, False), (2, False), (3, False), (4, True)]
    texts = []
    while worker.current:
        texts.append(worker.texts[worker.current])
        worker.speak(worker.current)
    assert texts == ["One.", "Two.", "Three."]
    assert client.last(Terminal).state == "finished"


def test_end_may_come_when_all_is_spoken() -> None:
    """A job that has said all it has waits for its END, and then is over."""
    stage, worker, client = scene("One.\n", complete=False)
    speak_all(worker)
    assert stage.job().state == "waiting" and client.got(Terminal) == []
    client.end("j", 1)
    assert client.last(Terminal).state == "finished"


def test_a_piece_that_came_before_is_answered_again() -> None:
    """The same piece again changes nothing; before its commit it is answered behind it, as END is."""
    stage, _, client = scene("", complete=False)
    client.append("j", 1, "One.")
    client.append("j", 1, "One.")
    assert [m.n for m in client.got(Appended)] == [1, 1]
    stage.hold_commits = True
    client.append("j", 2, "Two.")
    client.submit("other")
    client.append("j", 2, "Two.")
    client.end("j", 3)
    client.end("j", 3)
    client.submit("j", "", complete=False)
    assert len(client.got(Appended)) == 2 and len(client.got(Accepted)) == 1  # of the first SUBMIT
    stage.let_go()
    assert [(m.n, m.ended) for m in client.got(Appended)][2:] == [(2, False), (2, False), (3, True), (3, True)]
    assert client.last(Accepted).pieces == 3
    client.append("j", 1, "One.")
    client.end("j", 3)
    assert [(m.n, m.ended) for m in client.got(Appended)][6:] == [(1, False), (3, True)]


def test_pieces_out_of_turn_are_refused() -> None:
    """Other words under a number are a conflict, a gap says what is wanted, nothing follows END."""
    _, _, client = scene("", complete=False)
    client.append("j", 1, "One.")
    client.append("j", 1, "Other.")
    assert refusal(client).code == "conflict"
    for n in (0, 3):
        client.append("j", n, "x")
        assert refusal(client).code == "out_of_order" and "piece 2" in refusal(client).message
    for n in (1, 3):
        client.end("j", n)
        assert refusal(client).code == "out_of_order" and "2 pieces" in refusal(client).message
    client.end("j", 2)
    client.append("j", 2, "x")
    assert refusal(client).code == "ended"
    client.end("j", 1)
    assert refusal(client).code == "out_of_order"


def test_nothing_is_added_to_a_job_that_is_over() -> None:
    """Pieces for a job that ended, and its END, are answered by that; but not before its end is written: a daemon that
    is started anew before that goes on with it and wants the rest of its text."""
    stage, _, client = scene("", complete=False)
    stage.hold_commits = True
    client.cancel("j")
    client.append("j", 1, "x")
    client.end("j", 1)
    assert client.got(Error) == []
    stage.let_go()
    client.append("j", 1, "x")
    assert refusal(client).code == "ended"
    client.end("j", 1)
    assert refusal(client).code == "ended"


def test_a_text_has_a_longest_length() -> None:
    """Pieces that would make a text too long are refused and leave it as it is."""
    _, _, client = scene("12345", complete=False, configuration=settings(limits=Limits(text_bytes=10)))
    client.append("j", 1, "123456")
    assert refusal(client).code == "too_long"
    client.append("j", 1, "12345")
    assert client.last(Appended).n == 1


def test_a_text_of_nothing_fails() -> None:
    """Pieces without a word end as an empty text."""
    _, _, client = scene("", complete=False)
    client.append("j", 1, " \n")
    client.end("j", 2)
    assert (client.last(Terminal).state, client.last(Terminal).code) == ("failed", "empty_text")


@pytest.mark.parametrize("read", ["live", "none"])
def test_a_caller_may_think_for_long(read: str) -> None:
    """As long as the caller is there the rest of his text is waited for, whether he listens or not; 30 s after he
    left the job ends as text_incomplete, and what was made stays."""
    stage, worker, client = scene("One.\n", complete=False, read=read, pace="render")
    speak_all(worker)
    stage.live(100)
    assert stage.job().verdict is None
    stage.leave(client)
    stage.live(28)
    assert stage.job().verdict is None
    stage.live(4)
    assert (stage.job().state, stage.job().terminal.code) == ("failed", "text_incomplete")  # type: ignore[union-attr]
    other = stage.client()
    other.attach("j")
    assert heard(other) == other.last(Terminal).samples == 300


def test_a_listener_does_not_stand_for_the_author() -> None:
    """Who only listens adds nothing: 30 s after the author left the job ends, however many still listen. Whoever adds a
    piece is its author from then on."""
    stage, worker, client = scene("One.\n", complete=False, pace="render")
    other = stage.client(pid=77)
    other.attach("j")
    speak_all(worker)
    stage.leave(client)
    stage.live(20)
    other.append("j", 1, "Two.\n")
    speak_all(worker)
    stage.live(100)
    assert stage.job().verdict is None
    third = stage.client(pid=78)
    third.attach("j")
    stage.leave(other)
    stage.live(32)
    assert third.terminals["j"].code == "text_incomplete"
    assert heard(third) == third.terminals["j"].samples == 600


def test_a_text_is_not_given_up_while_it_is_spoken() -> None:
    """Who left with work in hand leaves a job that is still made; only a job with nothing to do waits for text."""
    stage, worker, client = scene(THREE, complete=False, pace="render")
    stage.leave(client)
    for _ in range(8):
        stage.live(4)
        worker.chunk(worker.current)
    assert stage.job().verdict is None


# -------------------------------------------------------------------------------------------------------- left alone


def test_a_job_that_nobody_hears_is_abandoned() -> None:
    """A job made for a listener waits for one, and is cancelled when nobody comes; one that is rendered goes on."""
    stage = Scene(settings(limits=Limits(abandon_s=20.0)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", THREE)
    client.submit("k", THREE, pace="render", read="none")
    client.submit("l", THREE, read="none")
    client.say(Detach(job="j"))
    worker.speak(worker.current)
    speak_all(worker)
    assert stage.job("k").state == "finished"
    stage.live(15)
    client.attach("l", credit=0)
    stage.live(10)
    assert (stage.job().state, stage.job().terminal.code) == ("cancelled", "abandoned")  # type: ignore[union-attr]
    assert stage.job("l").verdict is None


def test_a_listener_who_comes_back_in_time_is_waited_for() -> None:
    """A reader that is back before the time is over hears the rest; the time begins anew when he leaves again."""
    stage = Scene(settings(limits=Limits(abandon_s=20.0, look_ahead_s=0.1)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", THREE, credit=100)
    worker.speak(worker.current)
    stage.leave(client)
    stage.live(15)
    back = stage.client()
    back.attach("j", credit=100)
    stage.live(10)
    stage.leave(back)
    stage.live(15)
    assert stage.job().verdict is None
    again = stage.client()
    again.attach("j")
    speak_all(worker)
    assert again.terminals["j"].state == "finished"


def test_who_only_waits_for_the_end_does_not_listen() -> None:
    """A reading that is changed to one without audio leaves the job alone, from then on."""
    stage = Scene(settings(limits=Limits(abandon_s=20.0, look_ahead_s=0.1)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", THREE, credit=100)
    worker.speak(worker.current)
    stage.live(30)
    client.attach("j", read="none")
    stage.live(18)
    assert stage.job().verdict is None
    stage.live(5)
    assert client.terminals["j"].code == "abandoned"


def test_text_that_keeps_coming_is_no_listener() -> None:
    """A job made for a listener is abandoned though its text still comes, and what comes then is refused."""
    stage = Scene(settings(limits=Limits(abandon_s=20.0)))
    client = stage.client()
    stage.worker()
    client.submit("j", "One. ", complete=False, read="none")
    for number in range(1, 12):
        stage.live(2)
        client.append("j", number, "More. ")
    assert stage.job().terminal.code == "abandoned"  # type: ignore[union-attr]
    assert client.inbox[-1][0].code == "ended"


def test_a_rendered_job_without_text_is_not_abandoned() -> None:
    """A rendered job goes on without any listener for as long as its text comes, however slowly."""
    stage = Scene(settings(limits=Limits(abandon_s=5.0)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One. ", complete=False, read="none", pace="render")
    for number in range(1, 5):
        speak_all(worker)
        stage.live(8)
        client.append("j", number, "More. ")
    client.end("j", 5)
    speak_all(worker)
    assert stage.job().state == "finished"


def test_a_rendered_job_that_fills_its_memory_and_has_no_listener_is_abandoned() -> None:
    """Of a job of which nothing is kept no more is made than memory holds; if nobody comes to hear it, it ends."""
    stage = Scene(settings(limits=Limits(abandon_s=20.0, memory_job_bytes=500)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", THREE, keep="nothing", pace="render", read="none")
    client.submit("k", THREE, keep="nothing", pace="render", read="none")
    worker.speak(worker.current)
    worker.speak(worker.current)
    assert not worker.current
    stage.live(15)
    client.attach("k")
    for part in (300, 600, 900):
        client.grant("k", UNLIMITED, heard=part)
        speak_all(worker)
    stage.live(8)
    assert stage.job("k").state == "finished"
    assert (stage.job("j").state, stage.job("j").terminal.code) == ("cancelled", "abandoned")  # type: ignore[union-attr]


def test_readers_are_told_what_a_job_waits_for() -> None:
    """Loading, queued, waiting: each is told once, when it changes."""
    stage = Scene(settings("a"))
    client = stage.client()
    client.submit("j")
    stage.live(3)
    assert [m.kind for m in client.got(Notice)] == ["loading"]
    worker = stage.worker()
    other = stage.client()
    other.submit("k")
    stage.live(3)
    assert [(m.kind, m.data.get("place")) for m in other.got(Notice)] == [("queued", 0)]
    del other
    lose(worker, "crash")
    stage.exit("a/0", signal=11)
    stage.live(1)
    assert {"started", "loading"} <= {m.kind for m in client.got(Notice)}


def test_a_provider_that_recovers_is_waited_for() -> None:
    """Where no worker is up or loading, the readers hear for what the job waits, with the reason."""
    stage, worker, client = scene(configuration=settings(restart=None or settings().restart))
    worker.begin(worker.current)
    stage.exit("a/0", signal=11)
    stage.core.world.workers["a/0"].retry_at = stage.now + 30
    stage.live(3)
    waiting = [m for m in client.got(Notice) if m.kind == "waiting"]
    assert len(waiting) == 1 and "signal 11" in waiting[0].data["reason"]


def test_a_job_that_lost_all_its_providers_while_it_waited_fails() -> None:
    """Nobody is left in the chain: the job ends, with who failed and why."""
    stage = Scene()
    client = stage.client()
    client.submit("j")
    stage.exit("a/0", code=78)
    assert (client.last(Terminal).state, client.last(Terminal).code) == ("failed", "unavailable")


def test_a_voice_that_turns_out_not_to_be_there_fails_the_job() -> None:
    """What could not be known when the job was accepted is told as its end, by its own name."""
    stage = Scene()
    client = stage.client()
    client.submit("j", chain=[Choice("a", "nobody")])
    assert client.got(Accepted)
    stage.worker()
    assert client.last(Terminal).code == "unknown_voice"


def test_a_job_fails_at_the_next_look_when_its_provider_rested_too_long() -> None:
    """A job whose patience is over while its last provider rests does not wait for ever."""
    stage, worker, client = scene(patience_s=2.0)
    lose(worker, "auth")
    assert client.got(Terminal) == [] or client.last(Terminal).code == "auth"
    client.submit("k", patience_s=2.0)
    stage.live(4)
    assert client.terminals["k"].state == "failed"


# --------------------------------------------------------------------------------------------------- the disk's share


def crowd() -> tuple[Scene, FakeClient]:
    """Two rendered jobs that together fill the disk, each with more to be said; the client of the younger."""
    stage = Scene(settings(limits=Limits(disk_bytes=3000)))
    worker, client, other = stage.worker(), stage.client(), stage.client()
    client.submit("j", "One. Two. Three. Four. Five.", pace="render", credit=0)
    other.submit("k", "Uno. Due. Tre. Quattro. Cinque.", pace="render", credit=0)
    while worker.current:
        worker.speak(worker.current, 12 if worker.texts[worker.current] == "Uno." else 6)
    assert stage.job("j").placed and stage.job("k").placed
    return stage, other


def test_jobs_that_wait_for_each_others_disk_do_not_wait_for_ever() -> None:
    """When nothing can be forgotten the youngest gives way after 10 s; the next has 10 s more, for what it freed."""
    stage, _ = crowd()
    assert stage.core.world.disk >= 3000
    assert [job.state for job in stage.core.world.jobs.values()] == ["waiting", "waiting"]
    stage.live(8)
    assert stage.core.world.finished == {}
    stage.live(6)
    assert [key[1] for key in stage.core.world.finished] == ["k"]
    assert stage.job("k").terminal.code == "disk_full"  # type: ignore[union-attr]
    stage.live(6)
    assert [key[1] for key in stage.core.world.finished] == ["k"]
    stage.live(8)
    assert [key[1] for key in stage.core.world.finished] == ["k", "j"]
    stage.live(12)
    assert stage.core.world.unfinished == {}


def test_a_job_that_gives_way_makes_room_for_the_other() -> None:
    """As soon as nobody reads what was given up its space is free and the other job goes on."""
    stage, client = crowd()
    client.say(Detach(job="k"))
    stage.live(14)
    assert set(stage.core.world.jobs) == {(1000, "j")}
    worker = stage.processes["a/0"]
    assert worker.current in stage.job("j").attempts


def test_a_job_without_room_says_so() -> None:
    """Its readers hear once that the disk's share is used up; the list of what the daemon is says it as well."""
    stage, client = crowd()
    stage.live(5)
    waiting = [m for m in client.got(Notice) if m.kind == "waiting"]
    assert [m.data["reason"] for m in waiting] == ["the disk's share for audio is used up (limits.disk_bytes)"]
    client.say(Query(request="q", what="status"))
    status = decode_rows(client.inbox[-1][1])[0]
    assert status["crowded"] and status["takes_bytes"] >= status["takes_limit"] == 3000


def test_who_is_heard_may_go_somewhat_beyond_the_share() -> None:
    """A short text is spoken though a book fills the disk; a long one stops at an eighth more, and gives way when no
    rendered job is left to do so."""
    limits = Limits(disk_bytes=3000, memory_job_bytes=2000)
    stage = Scene(settings(limits=limits))
    worker, client, other = stage.worker(), stage.client(), stage.client()
    client.submit("book", "One. Two. Three. Four. Five. Six.", pace="render", credit=0)
    while worker.current:
        worker.speak(worker.current, 5)
    assert stage.core.world.disk >= 3000
    other.submit("short", "Hear me.", credit=0)
    worker.speak(worker.current, 1)
    assert stage.job("short").state == "finished"
    other.submit("long", "Uno. Due. Tre. Quattro. Cinque.", credit=0)
    while worker.current:
        worker.speak(worker.current, 3)
    assert stage.core.world.disk < 3000 + 2000 + 2 * 700
    stage.live(12)
    assert stage.job("book").terminal.code == "disk_full"  # type: ignore[union-attr]
    assert stage.job("long").verdict is None
    stage.live(12)
    assert stage.job("long").terminal.code == "disk_full"  # type: ignore[union-attr]


def test_who_listens_does_not_give_way() -> None:
    """A job that is made for its listener is not ended because the disk is full, nor one that writes nothing."""
    stage, worker, client = scene(configuration=settings(limits=Limits(disk_bytes=500, look_ahead_s=0.2)), credit=100)
    worker.speak(worker.current)
    client.submit("k", "More.", read="none", pace="render", keep="nothing")
    assert worker.texts[worker.current] == "More."
    stage.live(5)
    worker.speak(worker.current)
    assert stage.job("k").state == "finished"
    stage.live(15)
    assert stage.job().verdict is None


# ------------------------------------------------------------------------------------------------------------ cancelled


def test_cancel_is_committed_then_answered() -> None:
    """The worker is told to stop at once, the owner when it is durable, reader or not, and as often as he asks."""
    stage, worker, client = scene()
    other = stage.client()
    worker.chunk(worker.current)
    stage.hold_commits = True
    other.cancel("j")
    assert len(worker.stops) == 1
    other.cancel("j")
    assert client.got(Terminal) == other.got(Terminal) == []
    stage.let_go()
    assert client.last(Terminal).code == "cancelled" and other.last(Terminal) == client.last(Terminal)
    other.cancel("j")
    assert other.inbox[-1][0] == client.last(Terminal)


def test_cancel_of_a_job_that_is_ending_answers_with_its_end() -> None:
    """Too late to cancel: the answer is how it ended, when that is durable, also to a reader who is far behind."""
    stage, worker, client = scene("Only one.", pace="render", credit=0)
    stage.hold_commits = True
    speak_all(worker)
    client.cancel("j")
    assert client.got(Terminal) == []
    stage.let_go()
    assert client.last(Terminal).state == "finished" and heard(client) == 0


def test_cancel_of_a_finished_job_answers_with_its_end() -> None:
    """A finished job stays finished, and its reader is silent from then on."""
    _, worker, client = scene("Only one.", pace="render", credit=0)
    speak_all(worker)
    client.cancel("j")
    client.grant("j", UNLIMITED)
    assert client.last(Terminal).state == "finished" and heard(client) == 0


def test_cancel_all_ends_all_jobs_of_a_user() -> None:
    """All jobs of the uid that are not over end, nobody else's; the answer says how many, behind their commits."""
    stage, worker, client = scene()
    other, stranger = stage.client(), stage.client(uid=7)
    other.submit("k")
    stranger.submit("s")
    stage.hold_commits = True
    other.cancel("k")
    client.say(CancelAll(request="r"))
    assert client.got(CancelledAll) == []
    stage.let_go()
    assert (client.last(CancelledAll).request, client.last(CancelledAll).count) == ("r", 1)
    assert type(client.inbox[-1][0]) is CancelledAll
    stage.hold_commits = False
    worker.answer_stops()
    speak_all(worker)
    assert stranger.last(Terminal).state == "finished"


def test_cancel_all_where_there_is_nothing_to_cancel() -> None:
    """The answer is none, and comes at once."""
    stage, _, client = scene()
    stranger = stage.client(uid=7)
    stranger.say(CancelAll(request="r"))
    assert stranger.last(CancelledAll).count == 0 and client.got(CancelledAll) == []


def test_leaving_a_job_that_is_ending_is_no_trouble() -> None:
    """A client that goes while its job's end is on its way to the disk changes nothing."""
    stage, worker, client = scene("Only one.")
    stage.hold_commits = True
    speak_all(worker)
    stage.live(2)
    client.grant("j", 100)
    stage.leave(client)
    stage.let_go()
    assert stage.job().state == "finished"


def test_many_pieces_do_not_need_a_commit_each_to_be_waited_for() -> None:
    """A job that is busy when it is looked at goes on as it is."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", THREE)
    worker.chunk(worker.current)
    stage.pass_time(2)
    assert stage.core.world.jobs[1000, "j"].state == "running"


def test_a_long_text_is_cut_as_if_at_once() -> None:
    """Segments do not depend on where the slices end in which a long text is cut: a line's end that falls there ends
    no sentence."""
    stage = Scene()
    worker, client = stage.worker(), stage.client()
    text = "Go on. " * 585 + "\nit goes on. " * 10
    assert text[4095] == "\n"
    client.submit("j", text)
    speak_all(worker, 1)
    splitter = Splitter("en", limit=600)
    splitter.feed(text)
    splitter.finish()
    assert [(segment.start, segment.end) for segment in stage.job().segments] == splitter.take()


def test_all_texts_together_have_a_limit() -> None:
    """Beyond it neither a job nor a piece is taken; when a job is over its text is let go, and there is room again."""
    stage = Scene(settings(limits=Limits(texts_bytes=20)))
    client = stage.client()
    client.submit("j", "A text that is long enough.", complete=False)
    client.submit("k")
    assert (refusal(client).code, refusal(client).job) == ("queue_full", "k")
    client.append("j", 1, "More.")
    assert (refusal(client).code, refusal(client).job) == ("queue_full", "j")
    client.cancel("j")
    client.submit("k")
    assert client.last(Accepted).job == "k"
    assert stage.core.world.text_chars == len("Hello there.")


def test_a_job_that_is_over_still_knows_its_text_from_another() -> None:
    """Its words are let go, but the same SUBMIT finds it, and another one is a conflict."""
    _, worker, client = scene("One.")
    speak_all(worker)
    client.submit("j", "One.", read="none")
    assert client.last(Accepted).existing
    client.submit("j", "Two.", read="none")
    assert refusal(client).code == "conflict"


def test_what_is_kept_where_nobody_says() -> None:
    """A SUBMIT without a word on what stays gets what is configured, is told so, and is the same SUBMIT again."""
    stage = Stage(settings(history=History(keep="nothing")), durable=True)
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One.", keep="")
    assert client.last(Accepted).keep == "nothing"
    assert stage.store.jobs == {}
    client.submit("j", "One.", keep="")
    assert client.last(Accepted).existing
    client.submit("k", "One.", keep="history")
    assert client.last(Accepted).keep == "history"
    worker.speak(worker.current)
    plain = Stage(settings())
    client = plain.client()
    client.submit("j", "One.", keep="")
    assert client.last(Accepted).keep == "job"
