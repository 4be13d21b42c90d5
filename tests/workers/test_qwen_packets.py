"""The loop around a model's frames, with frames and samples made here."""

from __future__ import annotations

import numpy as np
import pytest

from voicebus.workers._qwen_packets import Packets, Packing, frames_at_most, packed, pcm
from voicebus.workers._qwen_request import most_frames, options, sayable, self_test
from voicebus.workers.engine import EngineError, Request

RATE, SAMPLES = 24000, 1920


class Frames:
    """Frames whose first code is a square: no loop. end: after so many, the text is over."""

    def __init__(self, end=None):
        self.made, self.end = 0, end

    def __call__(self):
        if self.made == self.end:
            return None
        self.made += 1
        return [self.made * self.made * 31 % 1021, 0]


class Window:
    """Decodes each frame to its number, or to silence."""

    def __init__(self, loud=True):
        self.new, self.loud, self.number = [], loud, 0

    @property
    def waiting(self):
        return len(self.new)

    def add(self, frame):
        self.new.append(frame)

    def decode(self):
        numbers = range(self.number, self.number + len(self.new))
        self.number, self.new = numbers.stop, []
        return np.concatenate([np.full(SAMPLES, (n % 50 + 1) / 100 * self.loud, np.float32) for n in numbers])


def said(frames, window, text="Hello.", stop_after=0, **settings):
    """How many frames each chunk has."""
    items = packed(frames, Packing(text, window, Packets.told(settings, usual=4), RATE, stop_after))
    return [len(chunk.pcm) // 2 // SAMPLES for chunk in items]


def test_packets_have_their_sizes():
    """The first packet has one frame and the others four, the last what is left; between them are empty chunks."""
    assert said(Frames(11), Window()) == [1, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 2]


def test_sizes_are_settings():
    """So they are as the settings say, and never less than a frame."""
    assert said(Frames(7), Window(), first_frames=2, packet_frames=3) == [0, 2, 0, 0, 3, 0, 0, 2]
    assert said(Frames(2), Window(), first_frames=0, packet_frames=-3) == [1, 1]


def test_no_frame_is_made_ahead():
    """A frame is asked for when its chunk is, and none after the iterator was closed."""
    frames = Frames()
    items = packed(frames, Packing("Hello.", Window(), Packets.told({}, usual=4), RATE))
    for count in (1, 2, 3):
        next(items)
        assert frames.made == count
    items.close()
    assert frames.made == 3


def test_a_text_has_its_cap():
    """As many frames are made as the text can take, and the attempt is `truncated` instead of one more."""
    frames = Frames()
    with pytest.raises(EngineError) as caught:
        said(frames, Window())
    assert (caught.value.code, frames.made) == ("truncated", frames_at_most("Hello.", Packets.told({}, usual=4)))


def test_silence_ends_it():
    """Four seconds of nothing end the attempt as `silent`."""
    with pytest.raises(EngineError) as caught:
        said(Frames(), Window(loud=False), "word " * 100)
    assert caught.value.code == "silent"


def test_the_self_test_is_short():
    """It stops after two seconds, and is whole all the same."""
    frames = most_frames(self_test("anna"))
    assert sum(said(Frames(), Window(), stop_after=frames)) == 25 == frames
    assert most_frames(Request("Hello.", "anna")) == 0


def test_samples_become_pcm():
    """Full scale is 32767, what is beyond it is cut there, and halves go to the even neighbour as numpy rounds."""
    made = np.frombuffer(pcm(np.array([0.0, 1.0, -1.0, 2.0, -2.0, 0.5], np.float32)), "<i2")
    assert made.tolist() == [0, 32767, -32767, 32767, -32767, 16384]


def test_options_have_bounds():
    """What is out of its bounds, or no number, is refused by name; what is meant for others is left alone."""
    assert options({"temperature": 0.5, "top_k": "7", "other": 1}) == {"temperature": 0.5, "top_k": 7}
    for name, value in [("temperature", 9.0), ("top_p", 0.0), ("top_k", "many")]:
        with pytest.raises(EngineError, match=name) as caught:
            options({name: value})
        assert caught.value.code == "invalid_input"


def test_what_can_be_said():
    """A text with a letter or digit, in any script; punctuation alone is none."""
    assert [sayable(text) for text in ("a", "7", "今", "... !", "")] == [True, True, True, False, False]
