"""Audio into files and streams, as it arrives.

Owns: the formats, their headers and what each can take back. Must not know: sockets, jobs, who asked. Invariant: a
file appears under its name only when it is complete (or its caller wants what there is); what cannot be taken back
is written only once its take is whole, so a rewind never leaves two halves behind.
"""

from __future__ import annotations

import contextlib
import secrets
import stat
from collections.abc import Callable
from pathlib import Path, PurePath
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from ..bus.errors import DaemonError, Disconnected, InvalidRequest, JobFailed
from .encoders import Compressed, Encoder, Plain, Resampled
from .events import Event, Frame, Result, Rewound

if TYPE_CHECKING:
    from .speech import SpeechBase
    from .sync import Speech

AHEAD_S = 120.0
"""How much audio may be on its way to a file: nobody listens, so only memory bounds it (5 MB at 22 050 Hz)."""

EXTENSIONS = {
    "wav": "wav",
    "wave": "wav",
    "raw": "raw",
    "pcm": "raw",
    "s16": "raw",
    "s16le": "raw",
    "flac": "flac",
    "ogg": "ogg",
    "oga": "ogg",
    "opus": "opus",
    "mp3": "mp3",
}
"""Extension to format. ogg is Vorbis in Ogg, opus is Opus in Ogg, raw is signed 16-bit little-endian mono."""

FORMATS = ("wav", "raw", "flac", "ogg", "opus", "mp3")

REWRITABLE = frozenset({"wav", "raw"})
"""Formats of which the end can be cut off again."""

RATES: dict[str, tuple[int, ...]] = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
"""The sample rates of formats that cannot have any."""


def format_of(target: str | Path | IO[bytes], wanted: str | None = None) -> str:
    """The format for a target: the wanted one, else by extension; a stream gets WAV. Raises InvalidRequest."""
    if wanted is not None:
        if wanted.lower() not in EXTENSIONS:
            raise InvalidRequest(f"There is no format {wanted!r}; there are {', '.join(FORMATS)}.")
        return EXTENSIONS[wanted.lower()]
    if not isinstance(target, str | Path):
        return "wav"
    extension = PurePath(target).suffix.lstrip(".").lower()
    if extension in EXTENSIONS:
        return EXTENSIONS[extension]
    what = f"The extension .{extension} of {target}" if extension else f"{target}, without an extension,"
    raise InvalidRequest(f"{what} names no format; there are {', '.join(FORMATS)}. Name one with `format`.")


def rate_for(form: str) -> int:
    """The sample rate to ask for when this format is wanted: 0 (any will do) but for those that are choosy."""
    return 24000 if form in RATES else 0


def nearest_rate(form: str, rate: int) -> int:
    """The sample rate in which a format keeps most of audio of this one: the next higher that it can have."""
    rates = RATES.get(form, (rate,))
    return min((each for each in rates if each >= rate), default=rates[-1])


# ------------------------------------------------------------------------------------------------------------- saving


class Saving:
    """One speech on its way into a target: a context manager to which the events are given, then `finish`.

    Without `finish` (an error) a file that was begun is removed, or with `partial` kept if the job failed or the daemon
    went away, and there is anything of it.
    """

    def __init__(
        self,
        speech: SpeechBase,
        target: str | Path | IO[bytes],
        form: str | None = None,
        *,
        on_event: Callable[[Event], object] | None = None,
        partial: bool = False,
    ) -> None:
        self.form = format_of(target, form)
        self._speech = speech
        self._on_event = on_event
        self._partial = partial
        self._path = Path(target) if isinstance(target, str | Path) else None
        self._draft: Path | None = None
        self._stream: IO[bytes] | None = None if isinstance(target, str | Path) else target
        self._ours = self._path is not None
        self._encoder: Encoder | None = None
        self._begun = -1
        self._written = 0
        self._held: list[Frame] = []
        self._rewrites = False

    def __enter__(self) -> Self:
        if self._path is not None:
            self._open(self._path)
        self._rewrites = self._draft is not None
        self._speech._act(lambda reading, now: reading.widen(AHEAD_S, now))  # noqa: SLF001
        return self

    def _open(self, path: Path) -> None:
        """A real file is written beside its place and moved there in the end; a pipe or device is written at once."""
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat().st_mode):
                self._stream = path.open("wb")
                return
        path = path.resolve()  # so that a symbolic link stays one
        self._path = path
        draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
        try:
            self._stream = draft.open("xb")
        except OSError as error:
            error.filename = str(path)
            raise
        self._draft = draft

    def event(self, event: Event) -> None:
        """What the speech told, in order."""
        if isinstance(event, Frame):
            self._frame(event)
        elif isinstance(event, Rewound):
            self._rewound(event)
        if self._on_event is not None:
            self._on_event(event)

    @property
    def _revocable(self) -> bool:
        """Whether what was written can be taken back."""
        return self._rewrites and self.form in REWRITABLE

    @property
    def _certain(self) -> bool:
        """Whether what comes is never taken back."""
        return self._speech.whole

    def _frame(self, frame: Frame) -> None:
        if self._begun < 0:
            self._begun = frame.offset
        if self._revocable or self._certain:
            self._write(frame)
            return
        if self._held and self._held[0].segment != frame.segment:
            self._release()
        self._held.append(frame)

    def _rewound(self, event: Rewound) -> None:
        self._held = [frame for frame in self._held if frame.offset < event.offset]
        if self._encoder is None or event.offset >= self._written:
            return
        if not self._revocable:
            raise Disconnected("The daemon lost audio that it had called whole, and that was written already.")
        self._encoder.cut(max(0, event.offset - self._begun))
        self._written = event.offset

    def _release(self) -> None:
        """The take that was held back is whole."""
        for frame in self._held:
            self._write(frame)
        self._held.clear()

    def _write(self, frame: Frame) -> None:
        if self._encoder is None:
            self._encoder = self._start(frame.rate)
        self._encoder.write(frame.pcm)
        self._written = frame.end

    def _start(self, rate: int) -> Encoder:
        assert self._stream is not None
        if self.form in REWRITABLE:
            return Plain(self._stream, rate, header=self.form == "wav", rewrites=self._rewrites)
        suitable = nearest_rate(self.form, rate)
        encoder = Compressed(self._stream, suitable, self.form, rewrites=self._rewrites)
        return encoder if suitable == rate else Resampled(encoder, rate, suitable)

    def finish(self) -> None:
        """The speech has ended well: complete the file and put it in its place."""
        if self._speech.result is not None and self._speech.result.state == "finished":
            self._release()
            self._complete()

    def _complete(self) -> None:
        if self._encoder is None and self._speech.rate:
            self._encoder = self._start(self._speech.rate)
        if self._encoder is not None:
            encoder, self._encoder = self._encoder, None
            encoder.close()
        if self._draft is not None and self._stream is not None and self._path is not None:
            self._stream.close()
            self._draft.replace(self._path)
            self._draft = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, JobFailed | DaemonError) and self._partial:
                self._release()  # behind a failure comes what is whole; what was not has been rewound
                if self._written > self._begun >= 0:
                    self._complete()
            if isinstance(error, OSError) and self._path is not None:
                error.filename = str(self._path)  # the draft is nobody's business
        finally:
            if self._encoder is not None:  # a stream gets a proper end where that is possible
                with contextlib.suppress(Exception):
                    self._encoder.close()
            self._let_go(failed=error is not None)

    def _let_go(self, *, failed: bool) -> None:
        """Close what we opened, and remove what did not become a file. failed: an error is under way, behind which one
        of closing (what could not be written before cannot be written then) would only hide it."""
        try:
            if self._ours and self._stream is not None:
                self._stream.close()
        except OSError:
            if not failed:
                raise
        finally:
            if self._draft is not None:
                self._draft.unlink(missing_ok=True)


def save(
    speech: Speech,
    target: str | Path | IO[bytes],
    form: str | None = None,
    *,
    on_event: Callable[[Event], object] | None = None,
    partial: bool = False,
) -> Result:
    """Write a speech to a file or stream; see `Speech.save`."""
    with Saving(speech, target, form, on_event=on_event, partial=partial) as saving:
        for event in speech:
            saving.event(event)
        saving.finish()
    return speech._finished()  # noqa: SLF001
