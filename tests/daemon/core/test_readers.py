"""Scenes of reading: live and whole, fast and slow, from everywhere, and what is taken back from whom."""

from __future__ import annotations

import pytest

from voicebus.bus import codec
from voicebus.bus.messages import (
    UNLIMITED,
    Accepted,
    Attached,
    Audio,
    Cancel,
    Detach,
    Error,
    MarkRow,
    Marks,
    Notice,
    Rewind,
    Submit,
    TakeMarks,
    Terminal,
)
from voicebus.daemon.core.records import Outcome
from voicebus.daemon.core.settings import Limits

from .scenes import THREE, Scene, catch_up, heard, kinds, lose, rows, scene, speak_all
from .world_of_one import FakeWorker, samples, settings


def mark(worker: FakeWorker, *at: int, length: int = 1) -> None:
    """Timings of the take in hand."""
    found = [MarkRow("word", sample, 0, length) for sample in at]
    worker.say(TakeMarks(attempt=worker.current), codec.encode(found))


# ----------------------------------------------------------------------------------------------------- ways to read


def test_a_live_reader_hears_each_frame_when_it_is_made() -> None:
    """A live reader gets a frame the moment the worker sends it, as the worker's own bytes."""
    _, worker, client = scene()
    attempt = worker.current
    for count in (1, 2, 3):
        worker.chunk(attempt)
        assert client.audio["j"] == samples(attempt, 0, 100 * count)


def test_a_reader_of_whole_takes_waits_for_each_to_be_whole() -> None:
    """Who can take nothing back gets nothing of a growing take, and all of it at once when it is whole."""
    _, worker, client = scene(read="whole")
    attempt = worker.current
    worker.chunk(attempt)
    worker.chunk(attempt)
    assert heard(client) == 0
    worker.done(attempt)
    assert heard(client) == 200


def test_a_reader_of_whole_takes_is_never_rewound() -> None:
    """A take that breaks off is nothing to a reader of whole takes."""
    _, worker, client = scene(read="whole")
    worker.chunk(worker.current)
    lose(worker)
    speak_all(worker)
    assert client.got(Rewind) == []
    assert heard(client) == client.last(Terminal).samples == 900


def test_a_reader_of_the_end_hears_no_audio() -> None:
    """Who reads nothing is told what goes on, and how it ended when that is so, whoever else is behind."""
    stage, worker, client = scene(pace="render", credit=0)
    other = stage.client()
    other.attach("j", read="none")
    assert other.last(Attached).offset == 0
    lose(worker)
    speak_all(worker)
    assert kinds(other) == ["Welcome", "Attached", "Notice", "Terminal"]
    assert client.got(Terminal) == []


def test_two_listeners_hear_the_same_at_their_own_pace() -> None:
    """Each of two listeners gets every sample once, and the slow one costs the fast one nothing."""
    stage, worker, fast = scene()
    slow = stage.client()
    slow.attach("j", credit=150)
    speak_all(worker)
    assert (heard(fast), heard(slow)) == (900, 150)
    assert fast.got(Terminal) and not slow.got(Terminal)
    slow.grant("j", UNLIMITED)
    assert slow.audio["j"] == fast.audio["j"]
    assert slow.got(Terminal) == fast.got(Terminal)


def test_a_second_attach_replaces_the_first_reading() -> None:
    """One connection has one reading of a job: nothing comes twice after it attached again."""
    _, worker, client = scene()
    worker.chunk(worker.current)
    catch_up(client)
    catch_up(client)
    worker.chunk(worker.current)
    assert heard(client) == 200


def test_who_detached_hears_nothing_more() -> None:
    """DETACH ends the reading and not the job."""
    stage, worker, client = scene(pace="render")
    client.say(Detach(job="j"))
    speak_all(worker)
    assert heard(client) == 0
    assert stage.job().state == "finished"


# ------------------------------------------------------------------------------------------------------------ credit


@pytest.mark.parametrize("read", ["live", "whole"])
@pytest.mark.parametrize("keep", ["nothing", "job"])
def test_credit_holds_to_the_sample(read: str, keep: str) -> None:
    """Frames are cut exactly where the credit ends, from memory and from a journal, and go on exactly there."""
    _, worker, client = scene(pace="render", read=read, keep=keep, credit=150)
    speak_all(worker)
    for up_to in (150, 151, 299, 300, 301, 650):
        client.grant("j", up_to)
        assert heard(client) == up_to
    client.grant("j", UNLIMITED)
    assert heard(client) == 900


def test_no_credit_is_a_pause() -> None:
    """Without credit nothing comes, and nothing is lost by it."""
    _, worker, client = scene(credit=0)
    worker.chunk(worker.current)
    assert client.got(Audio) == [] and client.got(Marks) == []
    client.grant("j", 1)
    assert heard(client) == 1


def test_a_lowered_credit_holds_from_then_on() -> None:
    """Less credit than before is allowed: what was sent was sent, nothing more comes until it is passed."""
    _, worker, client = scene(credit=500)
    worker.chunk(worker.current)
    client.grant("j", 50)
    worker.chunk(worker.current)
    assert heard(client) == 100
    client.grant("j", 130)
    assert heard(client) == 130


def test_nobody_has_heard_what_he_was_not_sent() -> None:
    """A client cannot claim to have heard beyond what it has: audio is made ahead of what it got only."""
    limits = Limits(look_ahead_s=0.2)
    _, worker, client = scene(configuration=settings(limits=limits), credit=100)
    worker.speak(worker.current)
    client.grant("j", 100, heard=10**9)
    assert worker.current == ""
    client.grant("j", 300, heard=10**9)
    client.grant("j", 300, heard=10**9)
    assert worker.current != ""


def test_credit_without_a_reading_is_only_counted() -> None:
    """CREDIT for a job that is not read, or is not there, changes nothing."""
    stage, _, client = scene(read="none")
    client.grant("j", 5)
    client.grant("nothing", 5)
    assert stage.core.world.counters["credit without reading"] == 2


# ------------------------------------------------------------------------------------------------- from anywhere


@pytest.mark.parametrize("keep", ["nothing", "job"])
@pytest.mark.parametrize("offset", [0, 1, 100, 150, 299, 300, 301, 600, 899, 900])
def test_reading_goes_on_from_any_offset(offset: int, keep: str) -> None:
    """Start, middle of a take, boundary, end: who attaches with the take he holds gets exactly the rest."""
    stage, worker, client = scene(keep=keep)
    speak_all(worker)
    other = stage.like(client, upto=offset)
    assert catch_up(other) == [offset]
    assert other.last(Attached).offset == offset
    assert other.audio == client.audio
    assert other.got(Terminal) == client.got(Terminal)


def test_the_take_need_not_be_named() -> None:
    """Who does not care names no take and is let in anywhere."""
    stage, worker, client = scene()
    speak_all(worker)
    other = stage.like(client, upto=450)
    other.attach("j", 450)
    assert other.audio == client.audio


@pytest.mark.parametrize("offset", [1, 99, 100, 101, 199])
def test_reading_goes_on_inside_a_growing_take(offset: int) -> None:
    """A live reader that lost its connection goes on in the take that is still growing."""
    stage, worker, client = scene()
    worker.chunk(worker.current)
    worker.chunk(worker.current)
    other = stage.like(client, upto=offset)
    assert catch_up(other) == [offset]
    speak_all(worker)
    assert other.audio == client.audio and other.got(Terminal)


@pytest.mark.parametrize("credit", [200, UNLIMITED])
def test_who_attached_to_a_growing_take_is_rewound_with_the_others(credit: int) -> None:
    """A reader that came back with all that there was of a take, and was sent no more of it, still holds it: when the
    take is lost he goes back too, or he would hear half of two."""
    stage, worker, client = scene()
    worker.chunk(worker.current)
    worker.chunk(worker.current)
    other = stage.like(client)
    catch_up(other, credit=credit)
    lost = lose(worker)
    assert [(m.offset, m.take) for m in other.got(Rewind)] == [(0, lost)]
    speak_all(worker)
    other.grant("j", UNLIMITED)
    assert other.audio == client.audio


def test_who_comes_back_after_a_take_was_lost_is_rewound() -> None:
    """A take that was lost while its reader was away is not in the log: he goes back to its segment's start."""
    stage, worker, client = scene()
    worker.speak(worker.current)
    worker.chunk(worker.current)
    other = stage.like(client)
    stage.leave(client)
    lose(worker)
    assert catch_up(other) == [400, 300]
    speak_all(worker)
    assert heard(other) == 900


def test_reader_and_log_go_back_until_they_agree() -> None:
    """With takes that the log never had, each answer goes back at least a segment, down to the start."""
    stage, worker, client = scene()
    speak_all(worker)
    other = stage.like(client, upto=900)
    other.takes["j"] = [(at, count, "other") for at, count, _ in client.takes["j"]]
    assert catch_up(other) == [900, 600, 300, 0]
    assert other.audio == client.audio


def test_beyond_the_end_is_not_in_the_log() -> None:
    """Who claims more than there is, of a job that goes on or is over, goes back to its end."""
    stage, worker, client = scene()
    worker.speak(worker.current)
    for text in ("", "nonsense"):
        client.audio["j"] += bytes(10000)
        client.attach("j", 5000, text)
        assert client.last(Rewind).offset == 300
    speak_all(worker)
    other = stage.like(client)
    other.audio["j"] += b"xx"
    assert catch_up(other) == [901, 900]
    assert other.audio == client.audio and other.got(Terminal)


def test_a_reader_of_whole_takes_is_not_let_into_a_growing_one() -> None:
    """What may be taken back is not there for somebody who can take nothing back."""
    stage, worker, client = scene()
    worker.speak(worker.current)
    worker.chunk(worker.current)
    other = stage.like(client)
    assert catch_up(other, read="whole") == [400, 300]
    lose(worker)
    assert len(other.got(Rewind)) == 1
    speak_all(worker)
    assert heard(other) == 900


def test_segments_without_sound_take_no_place() -> None:
    """A segment without a sample is passed, announced, and no offset leads into it or is lost by it."""
    stage, worker, client = scene("* * *\n", complete=False)
    for n, piece in enumerate(["One.\n", "* * *\n", "* * *\n", "Two.\n", "* * *\n"]):
        client.append("j", n + 1, piece)
    client.end("j", 6)
    while worker.current:
        if "*" in worker.texts[worker.current]:
            worker.done(worker.current, peak=0)
        else:
            worker.speak(worker.current)
    assert [m.offset for m in client.got(Marks)] == [0, 0, 300, 300, 300, 600]
    assert client.last(Terminal).samples == heard(client) == 600
    for offset in (0, 1, 299, 300, 301, 600):
        other = stage.like(client, upto=offset)
        assert catch_up(other) == [offset]
        assert other.audio["j"] == client.audio["j"] and other.got(Terminal)


def test_a_job_in_memory_begins_where_it_was_kept() -> None:
    """What all listeners have heard may leave memory: from there on it can be read, before that it is gone, also for
    who submits the job again."""
    stage, worker, client = scene(
        keep="nothing", configuration=settings(limits=Limits(memory_job_bytes=1000, look_ahead_s=0.1)), credit=0
    )
    for end in (300, 600, 900):
        worker.speak(worker.current)
        client.grant("j", end)
        client.grant("j", end, min(end, 600))
    assert stage.job().released == 2
    late = stage.client()
    late.attach("j", 0)
    assert (late.last(Error).code, late.last(Error).answers) == ("gone", "attach")
    again = stage.client()
    again.submit("j", THREE, 0, keep="nothing")
    assert again.last(Accepted).existing and again.last(Error).code == "gone"
    assert again.last(Error).answers == "submit"
    for offset in (600, 601, 899):
        other = stage.like(client, upto=offset)
        assert catch_up(other) == [offset]
        assert other.audio["j"] == client.audio["j"]
    other = stage.like(client, upto=599)
    other.attach("j", 599)
    assert other.last(Error).code == "gone"


# -------------------------------------------------------------------------------------------------------- rewinding


def test_a_rewind_goes_to_who_heard_some_of_the_lost_take() -> None:
    """Who was sent some of a lost take hears REWIND to its segment's start; who is behind hears nothing of it."""
    stage, worker, client = scene()
    worker.speak(worker.current)
    behind = stage.client()
    behind.attach("j", credit=200)
    worker.chunk(worker.current)
    lost = lose(worker)
    rewind = client.last(Rewind)
    assert (rewind.segment, rewind.offset, rewind.take) == (1, 300, lost)
    assert behind.got(Rewind) == []
    speak_all(worker)
    behind.grant("j", UNLIMITED)
    assert behind.audio == client.audio and heard(client) == 900


def test_what_nobody_has_heard_is_stopped_first() -> None:
    """Of two takes in hand an urgent job stops the one that nobody has heard any of, also if it has come further."""
    stage = Scene(settings(workers=2))
    first, second = stage.worker("a/0"), stage.worker("a/1")
    client = stage.client()
    client.submit("j", THREE)
    first.chunk(first.current)
    second.chunk(second.current, 200)
    for state in stage.core.world.workers.values():
        state.factor = 5.0
    client.submit("urgent", "Stop!", priority="important")
    assert (first.stops, len(second.stops)) == ([], 1)
    assert client.got(Rewind) == []


def test_the_credit_stands_after_a_rewind() -> None:
    """Credit is absolute: after a rewind it means what it meant before."""
    _, worker, client = scene(credit=250)
    worker.chunk(worker.current)
    lose(worker)
    worker.speak(worker.current)
    assert heard(client) == 250


# ------------------------------------------------------------------------------------------------------------ marks


def test_each_take_is_announced_before_its_audio() -> None:
    """MARKS says who speaks and which range of text, before the first frame of each take, also where there are none."""
    _, worker, client = scene()
    speak_all(worker)
    assert kinds(client) == ["Welcome", "Accepted", "Notice"] + ["Marks", "Audio"] * 3 + ["Terminal"]
    assert [(m.segment, m.offset, m.start, m.length) for m in client.got(Marks)] == [
        (0, 0, 0, 4), (1, 300, 5, 4), (2, 600, 10, 6),
    ]  # fmt: skip
    assert {(m.provider, m.voice) for m in client.got(Marks)} == {("a", "en")}


def test_marks_come_once_to_a_live_reader() -> None:
    """Rows known before the audio come with the announcement, later ones at once, none twice."""
    _, worker, client = scene()
    mark(worker, 0)
    worker.chunk(worker.current)
    mark(worker, 50, 90)
    worker.chunk(worker.current)
    mark(worker, 150)
    worker.done(worker.current)
    assert [row.sample for row in rows(client)] == [0, 50, 90, 150]


@pytest.mark.parametrize("keep", ["nothing", "job"])
def test_a_slow_reader_has_all_marks_once_when_the_take_becomes_whole(keep: str) -> None:
    """A reader in the middle of a take when it leaves memory gets the rest of its marks then, and not again."""
    stage, worker, client = scene("Only one.", keep=keep, credit=50)
    worker.chunk(worker.current)
    stage.core.client_full(client.peer, stage.now)
    mark(worker, 0, 10)
    worker.done(worker.current)
    stage.core.client_drained(client.peer, stage.now)
    stage.run()
    client.grant("j", UNLIMITED)
    assert [row.sample for row in rows(client)] == [0, 10]
    assert client.got(Terminal)


def test_marks_of_a_take_that_is_not_heard_yet_wait() -> None:
    """Marks come before their audio and not before that of others: made ahead, or without credit, they wait."""
    stage, worker, client = scene("Only one.", credit=0)
    whole = stage.client()
    whole.attach("j", read="whole")
    mark(worker, 0, 10)
    worker.speak(worker.current)
    assert rows(client) == []
    client.grant("j", UNLIMITED)
    assert [row.sample for row in rows(client)] == [row.sample for row in rows(whole)] == [0, 10]


def test_marks_of_respelled_words_count_in_the_callers_text() -> None:
    """Where a word was sent as another, its marks cover the caller's word."""
    words = settings(pronunciations={"SQL": "sequel"})
    _, worker, client = scene("Use SQL now.", configuration=words)
    assert worker.texts[worker.current] == "Use sequel now."
    worker.chunk(worker.current)
    found = [MarkRow("word", 0, 0, 3), MarkRow("word", 10, 4, 6), MarkRow("word", 20, 11, 3)]
    worker.say(TakeMarks(attempt=worker.current), codec.encode(found))
    worker.done(worker.current)
    assert [(row.start, row.length) for row in rows(client)] == [(0, 3), (4, 3), (8, 3)]


def test_more_marks_than_fit_into_one_body_are_refused() -> None:
    """What a take holds can be read back in one message, or its worker is replaced."""
    stage, worker, client = scene("Only one.")
    attempt = worker.current
    for _ in range(17):
        worker.say(TakeMarks(attempt=attempt), codec.encode([MarkRow("word", 0)] * 1000))
    assert stage.killed == ["a/0"]
    stage, worker, client = scene("Only one.")
    attempt = worker.current
    for _ in range(6):
        worker.say(TakeMarks(attempt=attempt), codec.encode([MarkRow("mark", 0, name="x" * 1000)] * 100))
    assert stage.killed == ["a/0"]
    assert client.got(Terminal) == []


# ------------------------------------------------------------------------------------------------------------- ends


def test_the_terminal_comes_behind_the_last_frame() -> None:
    """A job that is over tells its end to each reader when he has all."""
    _, worker, client = scene(pace="render", credit=899)
    speak_all(worker)
    assert heard(client) == 899 and client.got(Terminal) == []
    client.grant("j", 900)
    assert type(client.inbox[-2][0]) is Audio and type(client.inbox[-1][0]) is Terminal


def test_a_cancellation_overtakes_audio() -> None:
    """Who is behind when a job is cancelled hears the end at once and no more audio."""
    stage, worker, client = scene(pace="render", credit=100)
    other = stage.client()
    worker.speak(worker.current)
    other.say(Cancel(job="j"))
    client.grant("j", UNLIMITED)
    assert heard(client) == 100
    assert client.last(Terminal).state == other.last(Terminal).state == "cancelled"


def test_a_failed_job_is_told_behind_what_is_whole() -> None:
    """A reader of a failed job gets all of it that is whole, then the end; what was begun is taken back."""
    _, worker, client = scene(pace="render", credit=100)
    worker.speak(worker.current)
    worker.chunk(worker.current)
    lose(worker, "invalid_input", "no such word")
    assert client.got(Terminal) == []
    client.grant("j", UNLIMITED)
    assert heard(client) == client.last(Terminal).samples == 300


def test_segments_left_out_are_passed() -> None:
    """With skip_bad a reader goes from the segment before straight to the one behind."""
    stage, worker, client = scene(skip_bad=True)
    worker.speak(worker.current)
    lose(worker, "invalid_input")
    speak_all(worker)
    assert [m.segment for m in client.got(Marks)] == [0, 2]
    assert client.last(Terminal).skipped == 1
    other = stage.like(client, upto=300)
    assert catch_up(other) == [300]
    assert other.audio == client.audio


# ------------------------------------------------------------------------------------------------ taking turns


def test_readers_of_much_take_turns() -> None:
    """What is there already goes out in bursts, so that one long replay does not hold up another."""
    stage, worker, client = scene("Only one.", keep="nothing")
    worker.begin(worker.current)
    for _ in range(80):
        worker.chunk(worker.current, 10)
    worker.done(worker.current)
    readers = [stage.client(), stage.client()]
    for reader in readers:
        stage.core.client_full(reader.peer, stage.now)
        reader.attach("j")
    del stage.said[:]
    for reader in readers:
        stage.core.client_drained(reader.peer, stage.now)
    stage.run()
    peers = [peer for peer, message in stage.said if type(message) is Audio]
    turns = [peer for index, peer in enumerate(peers) if index == 0 or peers[index - 1] != peer]
    assert turns == [readers[0].peer, readers[1].peer] * 3
    assert readers[0].audio == readers[1].audio == client.audio


def test_a_client_of_many_readings_is_fed_a_few_at_a_time() -> None:
    """When its pipe opens, not all that it reads is sent at once; each reading has its turn, and all comes."""
    stage = Scene()
    worker, client = stage.worker(), stage.client()
    names = [f"j{number}" for number in range(20)]
    for name in names:
        client.submit(name, "Only one.", pace="render", read="none")
        worker.begin(worker.current)
        worker.chunk(worker.current, 100)
        worker.done(worker.current)
    core = stage.core
    core.client_full(client.peer, stage.now)
    for name in names:
        client.attach(name)
    core.client_drained(client.peer, stage.now)
    core.tick(stage.now)
    assert sum(type(codec.decode_to_client(effect.header)) is Audio for effect in core.effects) == 8
    stage.run()
    assert [client.terminals[name].state for name in names] == ["finished"] * 20


def test_who_left_in_the_middle_of_a_burst_is_forgotten() -> None:
    """A reading that ended while it waited for its turn, or whose job was forgotten, is no trouble."""
    one = settings(limits=Limits(finished_jobs=1))
    for forget in (False, True):
        stage, worker, client = scene("Only one.", keep="nothing", configuration=one)
        worker.begin(worker.current)
        for _ in range(80):
            worker.chunk(worker.current, 10)
        worker.done(worker.current)
        core = stage.core
        client.audio.clear()
        core.client_full(client.peer, stage.now)
        client.attach("j")
        core.client_drained(client.peer, stage.now)
        assert core.hungry
        core.client_message(client.peer, 1000, 1, Detach(epoch="e1", job="j"), b"", stage.now)
        if forget:
            core.client_message(client.peer, 1000, 1, Submit(epoch="e1", job="k", read="none"), b"More.", stage.now)
            core.client_message(client.peer, 1000, 1, Cancel(epoch="e1", job="k"), b"", stage.now)
            for ticket in list(core.world.commits):
                core.committed(Outcome(ticket), stage.now)
            assert (1000, "j") not in core.world.jobs
        stage.run()
        assert not core.hungry


def test_a_full_pipe_is_left_alone_until_it_is_open() -> None:
    """Nothing is sent to a client whose pipe is full; when it is open all goes on where it was, new marks as well."""
    stage, worker, client = scene()
    worker.chunk(worker.current)
    stage.core.client_full(client.peer, stage.now)
    worker.chunk(worker.current)
    mark(worker, 120)
    assert heard(client) == 100 and rows(client) == []
    stage.core.client_drained(client.peer, stage.now)
    stage.run()
    assert heard(client) == 200 and [row.sample for row in rows(client)] == [120]


def test_what_is_read_back_comes_in_short_frames() -> None:
    """A long take in a journal is read back in frames of at most 0.4 s."""
    stage, worker, client = scene("Only one.")
    worker.begin(worker.current)
    worker.chunk(worker.current, 2000)
    worker.done(worker.current)
    other = stage.client()
    other.attach("j")
    assert [count for _, count, _ in other.takes["j"]] == [400] * 5
    assert other.audio == client.audio


# --------------------------------------------------------------------------------------------------- before commits


def test_nothing_is_heard_before_the_job_is_durable() -> None:
    """Until the text is committed there is no ACCEPTED, notice, mark or frame of it, for nobody; then all, in order."""
    stage = Scene()
    worker, client, other = stage.worker(), stage.client(), stage.client()
    stage.hold_commits = True
    client.submit("j", THREE)
    other.attach("j")
    worker.chunk(worker.current)
    mark(worker, 0)
    assert kinds(client) == kinds(other) == ["Welcome"]
    stage.let_go()
    assert kinds(client) == ["Welcome", "Accepted", "Notice", "Marks", "Audio"]
    assert kinds(other) == ["Welcome", "Attached", "Marks", "Audio"]
    assert client.last(Notice).kind == "started"


def test_a_piece_is_not_heard_before_it_is_durable() -> None:
    """Of a text in pieces only what is committed is heard, however far it is made."""
    stage, worker, client = scene("One.\n", complete=False)
    worker.speak(worker.current)
    stage.hold_commits = True
    client.append("j", 1, "Two.\n")
    worker.speak(worker.current)
    assert heard(client) == 300
    stage.let_go()
    assert heard(client) == 600


def test_the_rate_is_told_as_soon_as_it_is_known() -> None:
    """Where nobody knew the rate when the job was accepted, ATTACHED tells it, behind ACCEPTED and before any frame."""
    stage = Scene(settings(provider={"rate": 0}))
    client = stage.client()
    stage.hold_commits = True
    client.submit("j")
    worker = stage.worker()
    worker.chunk(worker.current)
    stage.let_go()
    assert kinds(client)[1:3] == ["Accepted", "Attached"]
    assert (client.last(Accepted).rate, client.last(Attached).rate) == (0, 1000)
    assert heard(client) == 100


def test_credit_from_a_connection_that_lost_its_reading_is_answered() -> None:
    """A client whose connection broke and came back unnoticed is told that it has to attach again."""
    stage = Scene()
    stage.worker()
    client = stage.client()
    client.submit("j", "One. Two.", credit=0)
    again = stage.client()
    again.grant("j", 100)
    error = again.last(Error)
    assert (error.code, error.job, error.answers) == ("not_reading", "j", "credit")
