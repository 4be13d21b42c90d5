"""From a prompt to frames of codes, and from codes to samples, with the package's own loop and its own decoder.

Owns: stopping the package between two frames, whose voice is read, its random numbers, the order of frames and
decoding. Must not know: requests, packets, guards, the bus. Invariant: what is drawn and what is decoded is what the
package itself draws and decodes with the same seed, which a test holds; between two frames nothing runs, so whoever
does not ask for the next one has stopped the work.

The package yields audio by packets of one fixed size, each decoded before anything else can be done, and shows nobody
its codes. So its streaming form is asked for packets of one frame, and where it has its codec it finds a `Tap`, which
keeps the codes and makes no sound of them. Sound is made of them here, in packets of any size, by the decoder's own
streaming step. The tap is also how a voice prompt comes in: where the package would listen to a recording before every
sentence, it is given what was heard in it once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np

FRAME_S = 0.08
"""The package's packet: one frame."""

NO_RECORDING = mx.zeros((1,))
"""Stands for the recording of which a prompt holds all that counts."""


class Tap:
    """Has what the package asks of a codec. reference: the codes (1, books, frames) of a cloned voice's recording."""

    has_encoder = True

    def __init__(self, reference: Any = None) -> None:
        self._reference = reference
        self.frame: Any = None

    @property
    def decoder(self) -> Tap:
        """The package streams by its codec's decoder."""
        return self

    def encode(self, _recording: Any) -> Any:
        """What is in the recording was found out when its prompt was made."""
        return self._reference

    def reset_streaming_state(self) -> None:
        """Nothing is streamed here."""

    def streaming_step(self, codes: Any) -> Any:
        """The package has made a frame: codes (1, books, 1)."""
        self.frame = codes
        return mx.zeros((1, 1, 1))


class Utterance:
    """One utterance under way. call: the package's public method, with all that it is asked; it is called when the
    first frame is. seed: of all its draws. speaker: how a cloned voice sounds, (1, width)."""

    def __init__(self, model: Any, call: Callable[[], Iterator[Any]], seed: int, tap: Tap, speaker: Any = None) -> None:
        self._model = model
        self._call = call
        self._random = seed
        self._tap = tap
        self._speaker = speaker
        self._items: Iterator[Any] | None = None

    def frame(self) -> Any:
        """The next frame's codes (books,), None at the end of the text."""
        with self._in_place():
            if self._items is None:
                self._items = self._call()
            if next(self._items, None) is None:
                return None
        codes, self._tap.frame = self._tap.frame, None
        return codes[0, :, 0]

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        """The tap, the speaker and the random numbers are those of this utterance while it makes a frame."""
        model = self._model
        model.speech_tokenizer = self._tap
        if self._speaker is not None:
            model.extract_speaker_embedding = lambda _recording: self._speaker
        mx.random.seed(self._random)
        try:
            yield
        finally:
            high, low = mx.random.state[0].tolist()
            self._random = high << 32 | low  # A seed is a key's two halves.
            if self._speaker is not None:
                del model.extract_speaker_embedding
                # It remembers recordings by their length and sum, without bound; ours are all the same.
                model["_icl_cache"].clear()


class Decoder:
    """The codec's decoder. It remembers one stream, so one window has it at a time."""

    def __init__(self, codec: Any) -> None:
        self._decoder = codec.decoder
        self._of: Window | None = None

    def begin(self, window: Window) -> None:
        """A new stream begins."""
        self._decoder.reset_streaming_state()
        self._of = window

    def end(self) -> None:
        """Forget what was streamed."""
        self._decoder.reset_streaming_state()
        self._of = None

    def step(self, window: Window, codes: Any) -> Any:
        """Codes (books, frames) to samples (samples,), evaluated."""
        if self._of is not window:
            raise RuntimeError("the decoder has gone over to another utterance")
        made = self._decoder.streaming_step(codes[None])[0, 0]
        mx.eval(made)
        return made


class Window:
    """The decoding of one utterance. reference: codes (books, frames) that come before, of the voice that is cloned:
    without them it starts cold, and the voice is wrong at first (the package's own streaming leaves them out)."""

    def __init__(self, decoder: Decoder, reference: Any = None) -> None:
        self._decoder = decoder
        self._reference = reference
        self._began = False
        self._new: list[Any] = []

    def add(self, frame: Any) -> None:
        """One more frame's codes (books,)."""
        self._new.append(frame)

    @property
    def waiting(self) -> int:
        """Frames that are not decoded yet."""
        return len(self._new)

    def decode(self) -> Any:
        """The samples of all frames that wait: a numpy array, float32, -1 to 1."""
        if not self._began:
            self._decoder.begin(self)
            self._began = True
            if self._reference is not None and self._reference.shape[1]:
                self._decoder.step(self, self._reference)
        made = self._decoder.step(self, mx.stack(self._new, axis=-1))
        self._new = []
        return np.array(made.astype(mx.float32))
