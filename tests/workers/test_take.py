"""One attempt's accounting: frames, credit, marks, resampling."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_marks
from voicebus.workers.engine import Chunk, EngineError, Mark
from voicebus.workers.take import Take

RATE = 1000


def take_of(credit: int = m.UNLIMITED, rate: int = RATE, native: int = RATE) -> tuple[Take, list]:
    posted: list = []
    work = m.Work(epoch="e", session="s", attempt="a", rate=rate, credit=credit)
    take = Take(work, native, lambda message, body: posted.append((message, bytes(body))))
    take.text = 100
    take.open()
    return take, posted


def pcm(samples: int, start: int = 0) -> Chunk:
    return Chunk(b"".join((i % 30000).to_bytes(2, "little") for i in range(start, start + samples)))


def frames(posted: list) -> list:
    return [(message, body) for message, body in posted if isinstance(message, m.Chunk)]


def test_the_first_frame_goes_at_once():
    """However little the first chunk is, it is sent."""
    take, posted = take_of()
    take.add(pcm(1))
    assert take.push(0.0)
    assert [message.offset for message, _ in frames(posted)] == [0]


def test_a_fast_engine_s_frames_are_joined():
    """What comes quicker than it is played goes out in frames of a quarter of a second."""
    take, posted = take_of()
    for at in range(50):
        take.add(pcm(60, 60 * at))
        take.push(0.0001 * at)
    take.push(0.005, everything=True)
    assert [len(body) // 2 for _, body in frames(posted)] == [60] + [250] * 11 + [190]
    assert b"".join(body for _, body in frames(posted)) == pcm(3000).pcm


def test_a_slow_engine_s_audio_is_not_held_back():
    """Where the listener would run dry, each chunk goes out as it comes."""
    take, posted = take_of()
    for at in range(5):
        take.add(pcm(40, 40 * at))
        take.push(0.1 * at)
    assert [len(body) // 2 for _, body in frames(posted)] == [40] * 5


def test_a_long_chunk_is_cut():
    """No frame is longer than a quarter of a second."""
    take, posted = take_of()
    take.add(pcm(1100))
    take.push(0.0, everything=True)
    assert [len(body) // 2 for _, body in frames(posted)] == [250, 250, 250, 250, 100]


@settings(deadline=None)
@given(st.lists(st.integers(0, 700), max_size=12), st.lists(st.integers(0, 400), max_size=30))
def test_credit_is_used_to_the_last_sample_and_never_passed(chunks, grants):
    """Whatever the chunks and the credit: all up to the credit is sent when it runs out, in order, and no more."""
    take, posted = take_of(credit=0)
    made = 0
    for chunk, grant in itertools.zip_longest(chunks, grants, fillvalue=0):
        take.add(pcm(chunk, made))
        made += chunk
        take.credit += grant
        if not take.push(0.0):
            assert take.sent == take.credit < made
        assert take.sent <= take.credit
    take.credit = m.UNLIMITED
    assert take.push(0.0, everything=True)
    seen = frames(posted)
    assert [message.seq for message, _ in seen] == list(range(len(seen)))
    assert b"".join(body for _, body in seen) == pcm(made).pcm
    assert [message.offset for message, _ in seen] == [
        sum(len(body) // 2 for _, body in seen[:at]) for at in range(len(seen))
    ]


def test_marks_go_before_the_audio_at_their_sample():
    """Marks that came before a chunk are posted before its frame, and the last ones with the end."""
    take, posted = take_of()
    take.add(Mark("word", 0, 0, 5))
    take.add(pcm(10))
    take.push(0.0)
    take.add(Mark("mark", 10, name="end"))
    take.push(0.0, everything=True)
    kinds = [type(message) for message, _ in posted]
    assert kinds == [m.TakeMarks, m.Chunk, m.TakeMarks]
    assert decode_marks(posted[0][1]) == [m.MarkRow("word", 0, 0, 5)]
    assert decode_marks(posted[2][1]) == [m.MarkRow("mark", 10, 0, 0, "end")]


def test_marks_are_kept_inside_the_text():
    """A range that an engine puts beyond the text is cut off at its end."""
    take, posted = take_of()
    take.add(Mark("word", -5, 90, 50))
    take.add(Mark("word", 0, 500, 5))
    take.push(0.0, everything=True)
    assert decode_marks(posted[0][1]) == [m.MarkRow("word", 0, 90, 10), m.MarkRow("word", 0, 100, 0)]


def test_half_a_sample_is_refused():
    """A chunk of an odd length fails the attempt."""
    take, _ = take_of()
    with pytest.raises(EngineError, match="half a sample"):
        take.add(Chunk(b"abc"))


def test_done_tells_samples_and_level():
    """DONE has the number of samples sent and how loud they were."""
    take, posted = take_of()
    take.add(Chunk((100).to_bytes(2, "little") * 500))
    take.push(0.0, everything=True)
    take.done(1.5)
    last = posted[-1][0]
    assert (last.samples, last.peak, last.rms, last.work_s) == (500, 100, 100.0, 1.5)
    assert (last.epoch, last.session, last.attempt) == ("e", "s", "a")


def test_another_rate_is_resampled_with_its_marks():
    """Audio of another rate comes at the asked one, of the same duration, with marks at the same moments."""
    take, posted = take_of(rate=24000, native=22050)
    take.add(Mark("word", 11025, 0, 1))
    for _ in range(10):
        take.add(Chunk(b"\x10\x00" * 2205))
    take.finish()
    take.push(0.0, everything=True)
    assert sum(len(body) // 2 for _, body in frames(posted)) == 24000
    assert decode_marks(posted[0][1])[0].sample == 12000


def test_without_soxr_another_rate_is_unavailable(monkeypatch):
    """Where the resampler is not installed, the attempt fails with what to install."""
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(EngineError, match="pip install") as caught:
        take_of(rate=24000, native=22050)
    assert caught.value.code == "unavailable"
