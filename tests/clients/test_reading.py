"""The reading of one job, played through without sockets or clocks: messages in, messages and events out."""

import pytest

from voicebus.bus import codec
from voicebus.bus.errors import BadMessage, Conflict, Disconnected, NotFound, QueueFull
from voicebus.bus.messages import (
    Accepted,
    Append,
    Appended,
    Attach,
    Attached,
    Audio,
    Cancel,
    Credit,
    End,
    Error,
    MarkRow,
    Marks,
    Notice,
    Rewind,
    Submit,
    Terminal,
)
from voicebus.clients import events
from voicebus.clients.line import Protocol
from voicebus.clients.reading import Reading

RATE = 1000


def silence(samples):
    return bytes(2 * samples)


class Play:
    """A reading and a clock that only tests move."""

    def __init__(self, text="Hello.", accepted=True, reading=None, **fields):
        self.now = 100.0
        submit = Submit(job="j", **fields)
        self.reading = reading or Reading("j", now=self.now, window_s=10.0, submit=submit, text=text.encode())
        if accepted:
            self.out()
            self.say(Accepted(job="j", rate=RATE, pieces=1))

    def say(self, message, body=b""):
        self.reading.receive(message, body, self.now)

    def audio(self, offset, samples, segment=0, take="t1"):
        self.say(Audio(job="j", segment=segment, take=take, offset=offset), silence(samples))

    def after(self, seconds):
        self.now += seconds
        self.reading.tick(self.now)
        return self.out()

    def out(self):
        sent = [message for message, _ in self.reading.outbox]
        self.reading.outbox.clear()
        return sent

    def kinds(self):
        return [type(message) for message in self.out()]

    def events(self):
        got = list(self.reading.events)
        self.reading.events.clear()
        return got


def attached(offset=0, take=""):
    play = Play(accepted=False, reading=Reading("j", now=100.0, window_s=10.0, offset=offset, take=take, read="live"))
    play.out()
    play.say(Attached(job="j", offset=offset, rate=RATE))
    return play


# ------------------------------------------------------------------------------------------------------- the sound way


def test_frames_of_two_segments_and_the_end() -> None:
    """A job's frames come out in order with offset, rate, segment and take, and TERMINAL makes the result."""
    play = Play()
    play.audio(0, 300)
    play.audio(300, 200)
    play.audio(500, 100, segment=1, take="t2")
    play.now += 2.0
    play.say(Terminal(job="j", samples=600, segments=2, speakers=[{"provider": "p"}]))
    got = play.events()
    assert [(f.offset, f.samples, f.segment, f.take, f.rate) for f in got] == [
        (0, 300, 0, "t1", RATE),
        (300, 200, 0, "t1", RATE),
        (500, 100, 1, "t2", RATE),
    ]
    result = play.reading.result
    assert (result.state, result.samples, result.seconds, result.complete) == ("finished", 600, 0.6, True)
    assert result.first_audio_s == 0.0
    assert result.realtime_factor == pytest.approx(2.0 / 0.6)


def test_marks_become_positions_in_the_job() -> None:
    """A mark's sample and text range are given from the job's beginning, behind an announcement of the segment."""
    play = Play()
    play.audio(0, 500)
    body = codec.encode([MarkRow("word", 20, 3, 5), MarkRow("mark", 30, name="here", confidence=0.5)])
    play.say(Marks(job="j", segment=1, take="t2", offset=500, start=40, length=30, provider="p", voice="v"), body)
    _, segment, word, mark = play.events()
    assert segment == events.Segment(1, "t2", 500, 40, 30, "p", "v")
    assert (word.offset, word.seconds, word.start, word.length) == (520, 0.52, 43, 5)
    assert (mark.name, mark.confidence) == ("here", 0.5)


def test_more_marks_of_the_same_take_announce_nothing() -> None:
    """Timings that become known later do not announce their segment a second time."""
    play = Play()
    for _ in range(2):
        play.say(Marks(job="j", take="t1"), codec.encode([MarkRow("word", 1)]))
    assert [type(event) for event in play.events()] == [events.Segment, events.Mark, events.Mark]


def test_notices_come_with_a_sentence() -> None:
    """A notice has its particulars and the same in words, also one of a kind nobody knows yet."""
    play = Play()
    play.say(Notice(job="j", kind="loading", data={"provider": "p", "percent": 40.0}))
    play.say(Notice(job="j", kind="pondering", data={"reason": "why not"}))
    first, second = play.events()
    assert first.text == "p is loading (40 %)"
    assert second.text == "pondering: why not"


@pytest.mark.parametrize("kind", ["queued", "started", "moved", "again", "waiting", "skipped"])
def test_every_notice_can_be_told(kind: str) -> None:
    """Each kind of notice has a sentence, with or without particulars."""
    assert events.notice_text(kind, {})
    assert "because" in events.notice_text(kind, {"reason": "because", "place": 2}) or kind in ("queued", "started")


def test_a_rate_that_becomes_known_later() -> None:
    """A job accepted without a rate takes it from the ATTACHED that tells it."""
    play = Play(accepted=False)
    play.say(Accepted(job="j", rate=0, pieces=1))
    play.say(Attached(job="j", offset=0, rate=8000))
    play.audio(0, 80)
    assert play.events()[0].seconds == 0.01


# ------------------------------------------------------------------------------------------------------------ breaches


@pytest.mark.parametrize(
    ("offset", "samples", "segment", "take", "what"),
    [
        (400, 10, 0, "t1", "misses"),
        (200, 10, 0, "t1", "repeats"),
        (300, 10, 0, "t2", "mixes"),
    ],
)
def test_audio_that_does_not_fit(offset, samples, segment, take, what) -> None:
    """A gap, a repeat or a second take inside a segment ends the reading with an error that says so."""
    play = Play()
    play.audio(0, 300)
    play.audio(offset, samples, segment, take)
    assert isinstance(play.reading.error, Protocol)
    assert what in str(play.reading.error)


def test_a_segment_that_comes_too_late() -> None:
    """A segment behind a later one is an error."""
    play = Play()
    play.audio(0, 300, segment=1)
    play.audio(300, 10, segment=0, take="t2")
    assert "behind" in str(play.reading.error)


def test_half_a_sample() -> None:
    """A frame with an odd number of bytes is an error."""
    play = Play()
    play.say(Audio(job="j", take="t1"), b"abc")
    assert isinstance(play.reading.error, Protocol)


def test_audio_before_its_rate() -> None:
    """Audio whose rate nobody told is an error."""
    play = Play(accepted=False)
    play.say(Accepted(job="j", rate=0))
    play.audio(0, 10)
    assert isinstance(play.reading.error, Protocol)


def test_marks_that_cannot_be_read() -> None:
    """A body of MARKS that is no list of timings ends the reading."""
    play = Play()
    play.say(Marks(job="j", take="t1"), b"\xc1")
    assert isinstance(play.reading.error, BadMessage)


def test_an_end_before_all_audio() -> None:
    """A finished job of which samples are missing is an error and no success."""
    play = Play()
    play.audio(0, 300)
    play.say(Terminal(job="j", samples=400))
    assert play.reading.result is None
    assert "400" in str(play.reading.error)


def test_a_rewind_into_the_future() -> None:
    """A REWIND to where nothing was sent yet is an error."""
    play = Play()
    play.audio(0, 300)
    play.say(Rewind(job="j", offset=301, take="t1"))
    assert isinstance(play.reading.error, Protocol)


# -------------------------------------------------------------------------------------------------------------- rewind


def test_a_rewind_while_reading() -> None:
    """REWIND voids the segment; its next take is taken from its beginning, and what was consumed goes back too."""
    play = Play()
    play.audio(0, 300)
    play.audio(300, 100, segment=1, take="t2")
    play.reading.consumed(400, None, play.now)
    play.say(Rewind(job="j", segment=1, offset=300, take="t2", reason="crash"))
    play.audio(300, 50, segment=1, take="t3")
    *_, rewound, frame = play.events()
    assert rewound == events.Rewound(300, 1, "crash", "t2")
    assert (frame.offset, frame.take) == (300, "t3")
    assert play.reading.error is None


def test_a_take_comes_again_under_its_own_announcement() -> None:
    """After a REWIND the segment is announced anew."""
    play = Play()
    play.say(Marks(job="j", take="t1"))
    play.audio(0, 10)
    play.say(Rewind(job="j", offset=0, take="t1"))
    play.say(Marks(job="j", take="t2"))
    assert [type(event).__name__ for event in play.events()] == ["Segment", "Frame", "Rewound", "Segment"]


def test_rewind_as_the_answer_to_attach() -> None:
    """REWIND that answers ATTACH: attach again from its offset with the take before it, until both agree."""
    play = Play()
    play.audio(0, 300)
    play.audio(300, 100, segment=1, take="t2")
    play.reading.resume(play.now, reborn=True)
    (first,) = play.out()
    assert (first.offset, first.take) == (400, "t2")
    play.say(Rewind(job="j", segment=1, offset=300, take="t2", reason="gone"))
    (second,) = play.out()
    assert (second.offset, second.take) == (300, "t1")
    play.say(Rewind(job="j", segment=0, offset=0, take="t1", reason="gone"))
    (third,) = play.out()
    assert (third.offset, third.take) == (0, "")
    play.say(Attached(job="j", offset=0, rate=RATE))
    play.audio(0, 10, take="t9")
    assert [e.offset for e in play.events() if isinstance(e, events.Rewound)] == [300, 0]
    assert play.reading.error is None


def test_an_attach_whose_first_answer_came_late() -> None:
    """An ATTACH that was repeated is answered twice, and between the answers the log may have grown: the second REWIND,
    to a place beyond the first, is no answer to what was asked since."""
    play = Play()
    play.audio(0, 300)
    play.audio(300, 400, segment=1, take="t2")
    play.reading.resume(play.now, reborn=True)
    play.out()
    assert [type(message) for message in play.after(0.3)] == [Attach]
    play.say(Rewind(job="j", segment=1, offset=300, take="t2", reason="gone"))
    assert [message.offset for message in play.out()] == [300]
    play.say(Rewind(job="j", segment=2, offset=600, take="t2", reason="gone"))
    assert play.out() == []
    play.say(Attached(job="j", offset=300, rate=RATE))
    play.audio(300, 300, segment=1, take="t5")
    assert play.reading.error is None
    assert play.reading.line.end == 600


def test_audio_of_the_reading_before_is_ignored() -> None:
    """Between ATTACH and its answer nothing counts, since it belongs to the reading before."""
    play = Play()
    play.audio(0, 300)
    play.reading.resume(play.now, reborn=False)
    play.audio(300, 100)
    play.say(Attached(job="j", offset=300, rate=RATE))
    play.audio(300, 100)
    assert [f.offset for f in play.events()] == [0, 300]
    assert play.reading.error is None


def test_an_attach_that_was_answered_twice() -> None:
    """A repeated ATTACH is answered twice, and its audio comes twice; the second time it is thrown away."""
    play = attached()
    play.audio(0, 100)
    play.audio(100, 100)
    play.say(Attached(job="j", offset=0, rate=RATE))
    play.audio(0, 150)
    play.audio(150, 150)
    assert [(f.offset, f.samples) for f in play.events()] == [(0, 100), (100, 100), (200, 100)]
    assert play.reading.error is None


def test_an_attach_that_was_answered_twice_with_another_take_between() -> None:
    """When the audio that comes twice is of another take, the reading asks what became of what it has."""
    play = attached()
    play.audio(0, 100)
    play.say(Attached(job="j", offset=0, rate=RATE))
    play.audio(0, 100, take="t2")
    (again,) = play.out()
    assert (again.offset, again.take) == (100, "t1")


def test_going_on_from_where_another_client_stopped() -> None:
    """A reading from an offset names the take that the caller knows, and takes that take's rest as its own."""
    reading = Reading("j", now=0.0, offset=500, take="t1")
    (sent,) = [message for message, _ in reading.outbox]
    assert (sent.offset, sent.take) == (500, "t1")
    play = attached(500, "t1")
    play.audio(500, 10, segment=3)
    play.audio(510, 10, segment=4, take="t2")
    assert play.reading.error is None


# -------------------------------------------------------------------------------------------------------------- credit


def test_going_back_behind_where_it_began() -> None:
    """Attached within a sentence that is then made anew: what stands before that is of a take that nobody named."""
    play = attached(15, take="t2")
    play.audio(15, 5, segment=1, take="t2")
    play.say(Rewind(job="j", segment=1, offset=10, take="t2", reason="killed"))
    play.reading.resume(play.now, reborn=False)
    assert [(m.offset, m.take) for m in play.out()] == [(10, "t2")]  # not "": any take would do then
    play.say(Attached(job="j", offset=10, rate=RATE))
    play.audio(10, 20, segment=1, take="t3")
    assert play.reading.error is None and play.reading.line.end == 30
    play.say(Rewind(job="j", segment=0, offset=0, take="t1"))
    play.audio(0, 5, segment=0, take="t4")
    assert play.reading.error is None and play.reading.line.take == "t4"


def test_credit_goes_with_submit() -> None:
    """SUBMIT brings credit for the whole window, at a guessed rate where none is known."""
    play = Play(accepted=False, rate=8000)
    assert play.out()[0].credit == 80000
    assert Play(accepted=False).out()[0].credit == 240000


def test_credit_follows_what_was_consumed() -> None:
    """Credit is renewed by absolute offsets once a part of the window has been used up, not for each frame."""
    play = Play()
    play.reading.widen(10.0, play.now)
    assert play.out()[-1].up_to == 10 * RATE
    play.audio(0, 5000)
    play.reading.consumed(500, None, play.now)
    assert play.out() == []
    play.reading.consumed(2000, 1900, play.now)
    (credit,) = play.out()
    assert (credit.up_to, credit.heard) == (12000, 1900)


def test_credit_for_what_was_consumed_while_a_request_had_no_answer() -> None:
    """A reader whose credit is used up, and who consumes all that he has while ATTACH has no answer, says so as soon as
    it has one: nothing else would, since nothing may come."""
    play = Play()
    play.audio(0, 10 * RATE)
    play.say(Error(job="j", code="not_reading"))
    (attach,) = play.out()
    assert attach.credit == attach.offset
    play.reading.consumed(attach.offset, None, play.now)
    assert play.out() == []
    play.say(Attached(job="j", offset=attach.offset, rate=RATE))
    (credit,) = play.out()
    assert (type(credit), credit.up_to) == (Credit, attach.offset + 10 * RATE)


def test_credit_goes_down_after_a_rewind() -> None:
    """What was consumed and is void counts no more."""
    play = Play()
    play.audio(0, 6000)
    play.reading.consumed(6000, None, play.now)
    assert play.out()[0].up_to == 16000
    play.say(Rewind(job="j", offset=0, take="t1"))
    play.reading.consumed(0, None, play.now)
    assert (play.out()[0].up_to, play.reading.line.end) == (10000, 0)


def test_a_starved_reader_says_its_credit_again() -> None:
    """After one second without anything the credit is said again; what came meanwhile puts that off."""
    play = Play()
    assert play.after(0.9) == []
    play.say(Notice(job="j", kind="queued"))
    assert play.after(0.9) == []
    assert [type(message) for message in play.after(0.2)] == [Credit]
    assert play.reading.deadline() == pytest.approx(play.now + 1.0)


def test_a_reader_starved_for_long_attaches_again() -> None:
    """A reading that a lost connection ended without a word is begun again after five seconds of silence."""
    play = Play()
    sent = [message for _ in range(6) for message in play.after(1.0)]
    assert [type(message) for message in sent] == [Credit] * 4 + [Attach, Attach]


def test_a_reader_that_wants_nothing_says_nothing() -> None:
    """Who has as much audio as his credit allows waits in silence."""
    play = Play()
    play.reading.widen(10.0, play.now)
    play.out()
    play.audio(0, 10 * RATE)
    assert play.after(100.0) == []
    assert play.reading.deadline() == float("inf")
    assert not play.reading.waiting


def test_a_reader_of_nothing_gives_no_credit() -> None:
    """A job that is only watched has no credit."""
    reading = Reading("j", now=0.0, submit=Submit(job="j", read="none"), text=b"x", read="none")
    assert reading.outbox[0][0].credit == 0


# ------------------------------------------------------------------------------------------------------- repeats, texts


def test_submit_is_repeated_until_answered() -> None:
    """An unanswered SUBMIT goes out again after 250 ms and then at growing intervals, with its text."""
    play = Play(accepted=False)
    assert play.kinds() == [Submit]
    assert play.after(0.2) == []
    times = []
    while play.now < 106:
        if any(isinstance(message, Submit) for message in play.after(0.05)):
            times.append(round(play.now - 100, 2))
    assert times[:4] == pytest.approx([0.25, 0.75, 1.75, 3.75], abs=0.2)
    play.say(Accepted(job="j", rate=RATE))
    assert play.reading.answered
    assert play.after(0.5) == []


def test_a_text_in_pieces() -> None:
    """Pieces go out once the job is accepted, are repeated until kept, and END follows the last."""
    play = Play(text="", complete=False)
    play.reading.append(b"one ", play.now)
    play.reading.end(play.now)
    assert [(m.n) for m in play.out()] == [1]
    assert [(m.n) for m in play.after(0.3)] == [1]
    play.say(Appended(job="j", n=1))
    (end,) = play.out()
    assert isinstance(end, End)
    assert end.n == 2
    assert [type(m) for m in play.after(0.3)] == [End]
    play.say(Appended(job="j", n=1, ended=True))
    assert play.after(0.5) == []


def test_a_job_that_ended_before_its_text_takes_no_more_of_it() -> None:
    """A piece that crosses the end of its job (a full disk, somebody else's cancel) is no mistake of the caller's: no
    more text is sent, and the end comes as it is."""
    play = Play(text="", complete=False)
    play.reading.append(b"one ", play.now)
    assert play.kinds() == [Append]
    play.say(Error(job="j", code="ended", message="The text of j is complete; nothing can be added."))
    play.reading.append(b"two ", play.now)
    play.reading.end(play.now)
    assert play.kinds() == []
    assert not play.reading.text_kept
    play.say(Terminal(job="j", state="failed", code="disk_full", message="The disk is full."))
    assert play.reading.error is None
    assert play.reading.result.code == "disk_full"


def test_a_text_that_comes_before_the_job_is_accepted_waits() -> None:
    """No piece goes out before SUBMIT is answered."""
    play = Play(text="", complete=False, accepted=False)
    play.reading.append(b"one ", play.now)
    assert play.kinds() == [Submit]
    play.say(Accepted(job="j", rate=RATE, pieces=1))
    assert play.kinds() == [Append]


def test_a_long_text_is_cut() -> None:
    """A text over the limit of a body goes out as piece 0 and further ones, cut between characters."""
    text = "ä" * (codec.BODY_BYTES // 2) + "bcd"
    reading = Reading("j", now=0.0, submit=Submit(job="j", complete=False), text=("x" + text).encode())
    reading.end(0.0)
    first = reading.outbox[0][1]
    reading.outbox.clear()
    reading.receive(Accepted(job="j", rate=RATE, pieces=1), b"", 0.0)
    (append,) = reading.outbox
    assert len(first) == codec.BODY_BYTES - 1
    assert (first + append[1]).decode() == "x" + text


def test_a_missing_piece_is_sent_again() -> None:
    """`out_of_order` repeats what is not kept, with the next repeat; a daemon that never has enough is given up."""
    play = Play(text="", complete=False)
    play.reading.append(b"one", play.now)
    play.out()
    play.say(Error(job="j", code="out_of_order", message="send 1"))
    assert [type(m) for m in play.after(0.3)] == [Append]
    for _ in range(25):
        play.say(Error(job="j", code="out_of_order", message="send 1"))
    assert play.reading.error.code == "out_of_order"


def test_what_was_said_of_a_piece_on_accepting() -> None:
    """ACCEPTED after a reconnect tells how many pieces are there, and those are not sent again."""
    play = Play(text="", complete=False)
    play.reading.append(b"one", play.now)
    play.out()
    play.say(Accepted(job="j", rate=RATE, pieces=2, existing=True))
    assert play.after(0.5) == []


# ------------------------------------------------------------------------------------- ends and restarts


def test_a_piece_for_a_job_that_is_over() -> None:
    """It is not sent again, and how the job ended comes in its turn, behind its last frame; the text was not kept."""
    play = Play(text="", complete=False)
    play.reading.append(b"one", play.now)
    play.out()
    play.say(Error(job="j", code="ended", message="The job j is over."))
    play.reading.append(b"two", play.now)
    play.reading.end(play.now)
    play.say(Appended(job="j", n=1))
    assert play.after(0.5) == []
    assert play.reading.pieces.settled and not play.reading.text_kept
    play.audio(0, 10)
    play.say(Terminal(job="j", state="failed", code="storage", samples=10))
    assert (play.reading.result.code, play.reading.error) == ("storage", None)


def test_a_job_that_fails() -> None:
    """A failure is a result with its reason, behind the audio that is whole."""
    play = Play()
    play.audio(0, 10)
    play.say(Terminal(job="j", state="failed", code="crash", message="It crashed.", samples=10))
    assert (play.reading.result.state, play.reading.result.code) == ("failed", "crash")
    assert not play.reading.result.complete


def test_cancelling() -> None:
    """After `cancel` no event comes out, CANCEL is repeated, and TERMINAL ends it though audio is missing."""
    play = Play()
    play.audio(0, 10)
    play.reading.cancel(play.now)
    assert play.kinds() == [Cancel]
    play.audio(10, 10)
    assert play.events() == []
    assert [type(m) for m in play.after(0.3)] == [Cancel]
    play.say(Terminal(job="j", state="cancelled", code="cancelled", samples=500))
    assert play.reading.result.state == "cancelled"
    assert play.after(1.0) == []


def test_cancelling_what_is_not_there() -> None:
    """A job that the daemon does not know is as good as cancelled."""
    play = Play()
    play.reading.cancel(play.now)
    play.say(Error(job="j", code="not_found", message="no such job"))
    assert play.reading.result.state == "cancelled"


@pytest.mark.parametrize(("code", "kind"), [("conflict", Conflict), ("queue_full", QueueFull), ("not_found", NotFound)])
def test_refusals(code, kind) -> None:
    """An ERROR about the job becomes the exception that stands for its code."""
    play = Play(accepted=False)
    play.say(Error(job="j", code=code, message="no", retry_after=2.0))
    assert isinstance(play.reading.error, kind)
    assert play.reading.error.retry_after == 2.0
    assert play.after(5.0) == []


def test_a_new_daemon_without_the_job_before_anything_was_heard() -> None:
    """A job that died with its daemon is submitted again when nothing of it was heard."""
    play = Play(text="Hello.", keep="nothing")
    play.reading.resume(play.now, reborn=True)
    assert play.kinds() == [Attach]
    play.say(Error(job="j", code="not_found", message="no such job"))
    assert [(type(m), b) for m, b in play.reading.outbox] == [(Submit, b"Hello.")]


def test_a_new_daemon_without_the_job_after_something_was_heard() -> None:
    """A job that died with its daemon after it was heard in part is not spoken from the beginning by itself."""
    play = Play(keep="nothing")
    play.audio(0, 10)
    play.reading.resume(play.now, reborn=True)
    play.say(Error(job="j", code="not_found", message="no such job"))
    assert isinstance(play.reading.error, Disconnected)


def test_a_job_that_no_daemon_ever_knew() -> None:
    """An ATTACH that was answered by no daemon is refused by the new one: there is no such job, and none died."""
    play = Play(accepted=False, reading=Reading("j", now=100.0, window_s=10.0, read="live"))
    play.out()
    play.reading.resume(play.now, reborn=True)
    assert play.kinds() == [Attach]
    play.say(Error(job="j", code="not_found", message="no such job"))
    assert isinstance(play.reading.error, NotFound)


def test_pieces_of_a_job_that_died_with_its_daemon() -> None:
    """With `keep` nothing all pieces are kept here and sent again; else those that were kept there are gone."""
    for keep, again in (("nothing", True), ("job", False)):
        play = Play(text="", complete=False, keep=keep)
        play.reading.append(b"one", play.now)
        play.say(Appended(job="j", n=1))
        play.out()
        play.reading.resume(play.now, reborn=True)
        play.out()
        play.say(Error(job="j", code="not_found", message="no such job"))
        assert (play.kinds() == [Submit]) is again
        assert isinstance(play.reading.error, Disconnected) is not again
        if again:
            play.say(Accepted(job="j", rate=RATE, pieces=1))
            assert [m.n for m in play.after(0.3)] == [1]


def test_a_job_that_died_with_its_daemon_may_be_missed_more_than_once() -> None:
    """Each thing that was said of it is answered by "not found"; the first starts it anew, the others are late."""
    play = Play(text="", complete=False, keep="nothing")
    play.reading.append(b"one", play.now)
    play.out()
    play.reading.resume(play.now, reborn=True)
    assert play.kinds() == [Attach, Append]
    play.say(Error(job="j", code="not_found", message="no such job"))
    play.say(Error(job="j", code="not_found", message="no such job"))
    assert play.reading.error is None and play.kinds() == [Submit]


def test_a_submit_without_an_answer_goes_to_the_new_daemon() -> None:
    """What was not answered before a restart is said again after it."""
    play = Play(accepted=False)
    play.out()
    play.reading.resume(play.now, reborn=True)
    assert play.kinds() == [Submit]


def test_what_was_lost_with_the_answer_to_submit_is_fetched() -> None:
    """Where ACCEPTED was lost with a connection that the daemon did not miss, audio may have been lost with it."""
    play = Play(accepted=False)
    play.out()
    play.reading.resume(play.now, reborn=False)
    assert play.kinds() == [Submit]
    play.audio(10, 10)
    play.say(Rewind(job="j", segment=1, offset=10, take="t1"))
    play.say(Terminal(job="j", samples=20))
    assert play.events() == [] and not play.reading.over
    play.say(Accepted(job="j", rate=RATE, existing=True))
    attach = play.out()[-1]
    assert isinstance(attach, Attach) and attach.offset == 0
    play.audio(20, 10)
    play.say(Attached(job="j", rate=RATE))
    play.audio(0, 30)
    assert [event.samples for event in play.events()] == [30] and play.reading.error is None


def test_an_answer_to_submit_that_was_only_late() -> None:
    """It came from this connection after all, so nothing is missing behind it."""
    play = Play(accepted=False)
    play.out()
    play.reading.resume(play.now, reborn=False)
    play.out()
    play.say(Accepted(job="j", rate=RATE))
    play.audio(0, 10)
    play.say(Accepted(job="j", rate=RATE, existing=True))
    assert play.out() == [] and [event.samples for event in play.events()] == [10]


def test_the_end_of_the_reading_before() -> None:
    """A TERMINAL that comes while ATTACH has no answer belongs to the reading before; the new one brings its own."""
    play = Play()
    play.audio(0, 10)
    play.reading.resume(play.now, reborn=False)
    play.say(Terminal(job="j", samples=20))
    assert not play.reading.over
    play.say(Attached(job="j", offset=10, rate=RATE))
    play.audio(10, 10)
    play.say(Terminal(job="j", samples=20))
    assert play.reading.result.state == "finished"


def test_nothing_counts_after_the_end() -> None:
    """What comes behind the end is ignored."""
    play = Play()
    play.say(Terminal(job="j", samples=0))
    play.audio(5, 5)
    play.reading.cancel(play.now)
    play.reading.resume(play.now, reborn=True)
    assert (play.reading.error, play.events(), play.out()) == (None, [], [])


def test_a_failed_reading_stays_failed() -> None:
    """The first error is the one that counts."""
    play = Play()
    play.reading.fail(Disconnected("one"))
    play.reading.fail(Disconnected("two"))
    assert str(play.reading.error) == "one"


def test_where_marks_of_the_reading_before_go() -> None:
    """Marks between ATTACH and its answer are ignored like the audio they belong to."""
    play = Play()
    play.reading.resume(play.now, reborn=False)
    play.say(Marks(job="j", take="t1"))
    assert play.events() == []


def test_a_reading_that_the_daemon_lost() -> None:
    """Credit that is answered by `not_reading` is followed by ATTACH from where the reading is; once."""
    play = Play()
    play.audio(0, 500)
    play.say(Error(job="j", code="not_reading"))
    play.say(Error(job="j", code="not_reading"))
    again = play.out()
    assert [(type(message), message.offset, message.take) for message in again] == [(Attach, 500, "t1")]
    play.say(Attached(job="j", offset=500, rate=RATE))
    play.audio(500, 100)
    play.say(Terminal(job="j", samples=600))
    assert play.reading.error is None
    assert play.reading.result.samples == 600


def test_a_lost_reading_that_is_cancelled() -> None:
    """Whoever wants no more audio does not attach again."""
    play = Play()
    play.reading.cancel(play.now)
    play.out()
    play.say(Error(job="j", code="not_reading"))
    assert play.out() == []
    assert not play.reading.over
