"""Audio to a loudspeaker.

Owns: the sound device, the buffer before it, and when to begin, wait and fall silent. Must not know: sockets, messages,
keyboards. Invariant: what is played is the job's audio in order, each sentence from one take; silence follows `pause`
and `stop` within one period of the device (`PERIOD_MS`), whatever the rest of the program does. What the device's
own thread runs takes no lock that anybody holds for long and decodes nothing: it copies bytes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from ..bus.errors import JobCancelled, VoicebusError
from . import sound
from .events import Event, Frame, Notice, Result, Rewound, Segment
from .pace import CHARS_PER_S, Speed
from .sound import NoSoundDevice, devices

__all__ = ["Buffer", "NoSoundDevice", "Player", "devices"]

if TYPE_CHECKING:
    from .sync import Speech

PERIOD_MS = 20
"""The device asks for this much at a time, and holds about three of them."""

GONE_S = 2.0
"""A device that wants nothing for so long is gone."""

POLL_S = 0.1
"""How often the player looks after the device while no event comes."""


class Buffer:
    """Samples between the thread that receives and the thread of the device.

    rate: samples a second. `heard` is the job's offset up to which samples were given to the device.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.heard = 0
        self.underruns = 0
        self.asked_at = 0.0
        """When the device last wanted samples."""
        self.open = False
        """Whether samples may go out; else there is silence."""
        self.ended = False
        """No more samples will come, so an empty buffer is no underrun."""
        self._chunks: deque[tuple[int, memoryview]] = deque()
        self._samples = 0
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """How long what is in here will sound."""
        return self._samples / self.rate

    def put(self, offset: int, pcm: memoryview) -> None:
        """Add samples that begin at an offset of the job."""
        with self._lock:
            self._chunks.append((offset, pcm))
            self._samples += len(pcm) >> 1

    def drop(self, offset: int) -> None:
        """Forget what was not played of all that begins at or behind an offset."""
        with self._lock:
            kept = [(at, pcm[: max(0, 2 * (offset - at))]) for at, pcm in self._chunks]
            self._chunks = deque((at, pcm) for at, pcm in kept if pcm)
            self._samples = sum(len(pcm) >> 1 for _, pcm in self._chunks)
            self.heard = min(self.heard, offset)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._chunks.clear()
            self._samples = 0

    def take(self, samples: int) -> bytes:
        """The next samples, followed by silence where there are not enough. Called by the device's thread."""
        wanted = 2 * samples
        self.asked_at = time.monotonic()
        if not self.open:
            return bytes(wanted)
        parts = []
        missing = wanted
        with self._lock:
            while missing and self._chunks:
                offset, pcm = self._chunks.popleft()
                part = pcm[:missing]
                parts.append(part)
                missing -= len(part)
                if len(part) < len(pcm):
                    self._chunks.appendleft((offset + (len(part) >> 1), pcm[len(part) :]))
                self.heard = offset + (len(part) >> 1)
            self._samples -= (wanted - missing) >> 1
        if missing and not self.ended:
            self.underruns += 1
            self.open = False  # until enough has come to go on without a stutter
        return b"".join(parts) + bytes(missing)


class Player:
    """Plays one speech. `run` does it in the caller's thread; the other methods may be called from any thread and
    from signal handlers.

    device: a name from `devices`, None for the system's default. volume: a factor, 0 to 4. on_event: told of every
    event, in order. backend: one of miniaudio's by name, such as "null" (plays to nobody, in real time).
    """

    def __init__(
        self,
        speech: Speech,
        *,
        device: str | None = None,
        volume: float = 1.0,
        on_event: Callable[[Event], object] | None = None,
        backend: str | None = None,
    ) -> None:
        self._speech = speech
        self._device_name = device
        self._volume = volume
        self._on_event = on_event
        self._backend = backend
        self._device: Any = None
        self._buffer: Buffer | None = None
        self._speed = Speed()
        self._chars = speech._reading.chars  # noqa: SLF001
        """Length of the text, as far as it is known."""
        self._paused = False
        self._stopped = False
        self._gone = False
        self._opened = False

    # ------------------------------------------------------------------------------------------------ from anywhere

    def pause(self) -> None:
        """Be silent within a period of the device, and keep the place."""
        self._paused = True
        if self._buffer is not None:
            self._buffer.open = False

    def resume(self) -> None:
        """Go on."""
        self._paused = False

    def stop(self) -> None:
        """Be silent within a period of the device, for good."""
        self._stopped = True
        if self._buffer is not None:
            self._buffer.open = False

    @property
    def paused(self) -> bool:
        """Whether it waits for `resume`: after `pause`, or because the device is gone."""
        return self._paused

    @property
    def underruns(self) -> int:
        """How often the audio came too late."""
        return self._buffer.underruns if self._buffer is not None else 0

    @property
    def heard(self) -> int:
        """The job's offset up to which samples were given to the device."""
        return self._buffer.heard if self._buffer is not None else 0

    # -------------------------------------------------------------------------------------------------- the playing

    def run(self) -> Result:
        """Play to the end. An exception, Ctrl-C too, is silence at once, and then cancels the job."""
        try:
            self._play()
        except BaseException:
            self.stop()
            if self._buffer is not None:
                self._buffer.clear()
            self._close_device()
            self._speech.cancel()
            raise
        self._close_device()
        return self._speech._finished()  # noqa: SLF001

    def _play(self) -> None:
        error: VoicebusError | None = None
        while not self._stopped:
            try:
                event = self._speech._wait(POLL_S)  # noqa: SLF001
            except JobCancelled:
                raise  # silence at once
            except VoicebusError as end:  # what is already here is played before it is told
                error, event = end, None
            if event is not None:
                self._event(event)
            elif error is not None or self._speech.over:
                break
            self._look_after()
        if self._buffer is not None and not self._stopped:
            self._buffer.ended = True
            self._play_out(self._buffer)
        if error is not None:
            raise error

    def _event(self, event: Event) -> None:
        if isinstance(event, Frame):
            self._frame(event)
        elif isinstance(event, Rewound) and self._buffer is not None:
            self._buffer.drop(event.offset)
        elif isinstance(event, Segment):
            self._chars = max(self._chars, event.start + event.length)
        elif isinstance(event, Notice) and event.kind in ("started", "moved"):
            self._speed = Speed(event.factor)
        if self._on_event is not None:
            self._on_event(event)

    def _frame(self, frame: Frame) -> None:
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = Buffer(frame.rate)
            buffer.heard = frame.offset
            self._open_device(frame.rate)
        self._speed.came(frame.samples, time.monotonic())
        buffer.put(frame.offset, self._scaled(frame.pcm))

    def _scaled(self, pcm: memoryview) -> memoryview:
        if self._volume == 1.0:
            return pcm
        import numpy as np

        loud = np.frombuffer(pcm, "<i2").astype(np.float32) * self._volume
        return memoryview(loud.clip(-32768, 32767).astype("<i2").tobytes())

    def _look_after(self) -> None:
        """Begin or go on where that makes sense, pass on what was heard, notice a device that is gone."""
        buffer = self._buffer
        if buffer is None:
            return
        if self._device is not None and time.monotonic() - buffer.asked_at > GONE_S:
            self._gone = True  # not every system says so when a device is pulled out
        if self._gone:
            self._close_device()
            self._gone = False
            self._paused = True
        if self._paused or self._stopped:
            self._speech._report(buffer.heard, buffer.heard)  # noqa: SLF001
            return
        if self._device is None:
            self._open_device(buffer.rate)
        if not buffer.open and buffer.seconds > 0:
            said = self._speech._held / buffer.rate  # noqa: SLF001
            remaining = max(0.0, self._chars / CHARS_PER_S - said)
            if buffer.ended or self._speed.enough(buffer.seconds, remaining, buffer.rate):
                buffer.open = True
        self._speech._report(buffer.heard, buffer.heard)  # noqa: SLF001

    def _play_out(self, buffer: Buffer) -> None:
        """All is here: wait until it was heard."""
        done = threading.Event()
        while not self._stopped and (buffer.seconds > 0 or self._paused):
            self._look_after()
            done.wait(max(0.005, min(POLL_S, buffer.seconds)))
        if not self._stopped and self._device is not None:
            done.wait(3 * PERIOD_MS / 1000)  # what the device holds

    # ---------------------------------------------------------------------------------------------------- the device

    def _open_device(self, rate: int) -> None:
        import miniaudio

        buffer = self._buffer
        assert buffer is not None
        device_id = None
        if self._device_name is not None:
            try:
                device_id = sound.find(self._device_name, self._backend)
            except NoSoundDevice:
                if not self._opened:
                    raise
                # It was there before: go on with the default one.
        self._device = sound.playback(rate, PERIOD_MS, device_id, self._backend)
        self._opened = True
        source = self._source(buffer)
        next(source)
        buffer.asked_at = time.monotonic()
        self._device.stop_callback = self._device_stopped
        try:
            with sound.quiet():
                self._device.start(source)
        except miniaudio.MiniaudioError as error:
            self._close_device()
            raise sound.no_device(error) from None

    def _device_stopped(self) -> None:
        """Called by the device's thread, also when somebody pulled the plug."""
        if not self._stopped and self._device is not None:
            self._gone = True

    @staticmethod
    def _source(buffer: Buffer) -> Generator[bytes, int, None]:
        wanted = yield b""
        while True:
            wanted = yield buffer.take(wanted)

    def _close_device(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()
