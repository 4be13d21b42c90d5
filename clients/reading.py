"""One job as its client sees it: sent, read, and read on after whatever happens. Messages in, messages out.

Owns: what comes in, what it means for the consumer, and how a job ends. Must not know: when things are repeated
(`requests`), sockets, threads, clocks (`now` is an argument), whose ears or files the audio is for. Invariant: the
frames that it hands out, less what a `Rewound` took back, are the job's audio from where the reading began: each
sample once, in order, every segment from one take. Anything else ends the reading with an error.
"""

from __future__ import annotations

from ..bus import codec
from ..bus.errors import BadMessage, Disconnected, error_for
from ..bus.messages import (
    TERMINAL_STATES,
    Accepted,
    Appended,
    Attached,
    Audio,
    Error,
    Marks,
    Message,
    Rewind,
    Terminal,
    Transcript,
)
from ..bus.messages import Notice as NoticeMessage
from .events import Event, Frame, Notice, Result, Rewound, notice_text
from .line import Protocol
from .marks import announced, timed
from .passages import heard
from .requests import Requests

DISORDER = 20
"""How often the daemon may miss a piece before the reading gives up."""


LEAVING_WINDOW_S = 30.0
"""So much audio is fetched from a daemon that is about to be replaced: it may bridge the next one's start."""


class Reading(Requests):
    """The state of one job at its client. What is to be sent stands in `outbox`, what the consumer gets in `events`;
    in the end there is a `result` or an `error`. See `Requests` for the arguments.
    """

    hears = False
    """Whether it is a transcript that is read."""

    _announced = ""  # the take that MARKS were last for: of the takes before none can come
    _replayed = False
    _gap = False  # the connection was lost before the job was accepted: what came until then may be missing
    _anew = False  # asked for once more, since it had died with its daemon
    _first_audio: float | None = None
    _disorder = 0

    def receive(self, message: Message, body: bytes, now: float) -> None:
        """A message that names this job. What it breaks ends the reading in `error`, never in an exception."""
        if self.over:
            return
        self._news = now
        try:
            match message:
                case Audio():
                    self._audio(message, body, now)
                case Marks():
                    self._marks(message, body)
                case Transcript():
                    self._row(message, body, now)
                case Rewind():
                    self._rewind(message, now)
                case Accepted():
                    self._accepted(message, now)
                case Attached():
                    self._attached(message, now)
                case Appended():
                    self._appended(message, now)
                case NoticeMessage():
                    if message.kind == "leaving" and self.read != "none":
                        self.widen(max(self.window.seconds, LEAVING_WINDOW_S), now)
                    text = notice_text(message.kind, message.data, hears=self.hears)
                    self._hand_out(Notice(message.kind, message.data, text, message.segment))
                case Terminal():
                    self._terminal(message, now)
                case Error():
                    self._refused(message, now)
                case _:
                    pass  # a word of a later version
        except (Protocol, BadMessage) as error:
            self.fail(error)

    @property
    def _stale(self) -> bool:
        """Whether what comes is of a reading that is over for us: the answer to ATTACH, or to a SUBMIT after which the
        connection was lost, begins a new one."""
        return self._attaching or (self._gap and not self.answered)

    def _hand_out(self, event: Event) -> None:
        if not self.cancelled:
            self.events.append(event)

    def _audio(self, message: Audio, body: bytes, now: float) -> None:
        if self._stale:
            return  # of the reading before: the answer to ATTACH begins a new one
        if len(body) & 1 or not body:
            raise Protocol(f"half a sample, or none, in a frame of {self.job} ({len(body)} bytes)")
        if not self.rate:
            raise Protocol(f"audio of {self.job} came before its rate")
        offset, line = message.offset, self.line
        pcm = memoryview(body)
        if offset < line.end and self._replayed:
            if not line.holds(offset, message.take):
                self._ask_attach(now)  # let the daemon say what became of what is held here
                return
            pcm = pcm[2 * (line.end - offset) :]
            if not pcm:
                return
            offset = line.end
        line.put(offset, len(pcm) >> 1, message.segment, message.take)
        if self._first_audio is None:
            self._first_audio = now - self._began
        self._hand_out(Frame(pcm, offset, self.rate, message.segment, message.take))

    def _row(self, message: Transcript, body: bytes, now: float) -> None:
        """A row of a transcript, which stands in the line as one sample does."""
        if self._stale:
            return
        if message.n < self.line.end and self._replayed:
            return  # it is the answer to a request that was repeated, and final
        row = codec.decode_heard(body)
        self.line.put(message.n, 1, message.n, message.take)
        if self._first_audio is None:
            self._first_audio = now - self._began
        self._hand_out(heard(message, row))

    def _marks(self, message: Marks, body: bytes) -> None:
        rows = codec.decode_marks(body) if body else []
        if self._attaching:
            return
        if message.take != self._announced:
            self._announced = message.take
            self._hand_out(announced(message))
        for row in rows:
            self._hand_out(timed(message, row, self.rate))

    def _rewind(self, message: Rewind, now: float) -> None:
        attaching = self._attaching
        if self._stale and not attaching:
            return
        if message.offset > self.line.end:
            if attaching:
                return  # the answer to an earlier ATTACH, that was repeated; the last one has its own
            raise Protocol(f"{self.job} rewinds to {message.offset}, beyond {self.line.end}")
        void = message.offset < self.line.end
        self.line.cut(message.offset)
        self.window.cut(message.offset)
        self._replayed = False
        self._announced = ""
        if void:
            self._hand_out(Rewound(message.offset, message.segment, message.reason, message.take))
        if attaching:
            self._ask_attach(now)

    def _accepted(self, message: Accepted, now: float) -> None:
        self.window.rate = message.rate or self.rate
        self.keep = message.keep or self.keep
        if self.keep not in ("", "nothing"):
            self.pieces.retain = False
        if message.pieces:
            self.pieces.acknowledge(message.pieces - 1)
        if self._request is self._submit:
            self._anew = False
            self._settle(now)
            if message.existing and self._gap and self.read != "none":
                # The reading began with an answer that was lost, and audio with it.
                self._ask_attach(now)
            self._send_pieces(now)

    def _attached(self, message: Attached, now: float) -> None:
        self.window.rate = message.rate or self.rate
        asked = self._attaching
        if asked and message.offset != self.line.end:
            return  # the answer to an earlier one
        if asked:
            self._settle(now)
            self._reborn = False
            self._replayed = False
            self._send_pieces(now)
        elif message.offset < self.line.end:
            # A request that was repeated is answered twice, and then the audio comes twice.
            self._replayed = True

    def _appended(self, message: Appended, now: float) -> None:
        self.pieces.acknowledge(message.n)
        self.pieces.end_kept = self.pieces.end_kept or message.ended
        self._send_pieces(now)

    def _terminal(self, message: Terminal, now: float) -> None:
        if self._stale and not self.cancelled:
            return  # of the reading before; the new one brings its own
        if message.state not in TERMINAL_STATES:
            raise Protocol(f"{self.job} ended in a state that is no end: {message.state}")
        held = self.line.end
        if message.state == "finished" and not self.cancelled and self.read != "none" and held != message.samples:
            raise Protocol(f"{self.job} ended at {message.samples} samples, of which {held} came")
        self.result = Result(
            self.job,
            message.state,
            message.code,
            message.message,
            message.samples,
            self.rate,
            message.segments,
            message.skipped,
            message.speakers,
            self._first_audio,
            now - self._began,
        )

    def resume(self, now: float, *, reborn: bool) -> None:
        """The daemon greeted us anew; see `Requests.resume`."""
        self._gap = not self.answered and not reborn
        super().resume(now, reborn=reborn)

    # ------------------------------------------------------------------------------------------------------ errors

    def _refused(self, message: Error, now: float) -> None:
        if message.code == "out_of_order" and self._disorder < DISORDER:
            self._disorder += 1  # what is not acknowledged goes out again, from its beginning, with the next repeat
            return
        if message.code == "ended" and self.answered and self.read != "none":
            self.pieces.refuse()  # how it ended is told behind its last frame
            return
        if message.code == "not_reading":
            # The connection broke and came back unnoticed, and the daemon forgot the reading.
            if self._request is None and not self.cancelled:
                self._ask_attach(now)
            return
        if message.code == "not_found" and self._anew and not self.cancelled:
            return  # the answer to what was said before the job was asked for, which finds it or makes it
        known = self._submit is not None or self.answered  # else nobody ever said that there is such a job
        if message.code in ("not_found", "gone") and self._reborn and known:
            self._start_over(now)
            return
        if self.cancelled and message.code == "not_found":
            self.result = Result(self.job, "cancelled", "cancelled", rate=self.rate, total_s=now - self._began)
            return
        self.fail(error_for(message.code, message.message, message.retry_after))

    def _start_over(self, now: float) -> None:
        """The daemon was started anew and the job died with the one before."""
        if self._submit is not None and self._first_audio is None and not self.cancelled and self.pieces.restart():
            self._reborn = False
            self._anew = True
            self._ask_submit(now)
            return
        heard = "some of it was here already" if self._first_audio is not None else "its text is no longer at hand"
        self.fail(Disconnected(f"The daemon was started anew and no longer has {self.job}; {heard}. Send it again."))
