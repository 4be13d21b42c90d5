"""One job as its client sees it: sent, read, and read on after whatever happens. Messages in, messages out.

Owns: what is asked for again and when, what the audio so far consists of, how much more may come. Must not know:
sockets, threads, clocks (`now` is an argument), whose ears or files the audio is for. Invariant: the frames that it
hands out, less what a `Rewound` took back, are the job's audio from where the reading began: each sample once, in
order, every segment from one take. Anything else ends the reading with an error.
"""

from __future__ import annotations

from ..bus import codec
from ..bus.errors import BadMessage, Disconnected, VoicebusError, error_for
from ..bus.messages import (
    TERMINAL_STATES,
    UNLIMITED,
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
    Marks,
    Message,
    Read,
    Rewind,
    Submit,
    Terminal,
)
from ..bus.messages import Notice as NoticeMessage
from .events import Event, Frame, Mark, Notice, Result, Rewound, Segment, notice_text
from .line import Line, Protocol
from .pieces import Pieces, cut

REPEAT_S = 0.25
"""An unanswered request is repeated after this, then after twice as long, up to `REPEAT_MAX_S`."""

REPEAT_MAX_S = 2.0

STARVED_S = 1.0
"""Credit is said again when audio is waited for and nothing has come for so long."""

DOUBTFUL_S = 5.0
"""After so long the reading itself is asked for again: a lost connection may have ended it without a word."""

DISORDER = 20
"""How often the daemon may miss a piece before the reading gives up."""

GUESSED_RATE = 24000
"""Samples a second, for the first credit of a job whose rate nobody knows yet."""


class Reading:
    """The state of one job at its client. What is to be sent stands in `outbox`, what the consumer gets in `events`.

    window_s: how many seconds of audio may be on their way beyond what was consumed. submit, text: for a new job;
    without, a job that is there is read from `offset` on, of which the sample before came from `take`.
    """

    def __init__(
        self,
        job: str,
        *,
        now: float,
        read: Read = "live",
        window_s: float = 30.0,
        submit: Submit | None = None,
        text: bytes = b"",
        offset: int = 0,
        take: str = "",
    ) -> None:
        self.job = job
        self.read = read
        self.window_s = window_s
        self.rate = submit.rate if submit else 0
        self.outbox: list[tuple[Message, bytes]] = []
        self.events: list[Event] = []
        self.error: VoicebusError | None = None
        self.result: Result | None = None
        self.answered = False
        """The daemon has let us in: the job is there and is being read."""
        self.cancelled = False
        """This client has asked for the end."""
        self.pieces = Pieces(retain=submit is not None and submit.keep == "nothing")
        self._submit = submit
        self._text = text
        self.line = Line(job, offset, take)
        self._consumed = offset
        self._heard = offset
        self._granted = 0
        self._told_heard = offset
        self._segments: dict[str, Marks] = {}
        self._replayed = False
        self._began = now
        self._first_audio: float | None = None
        self._news = now  # when something last came for this job
        self._asked = now  # when credit was last said
        self._doubted = now
        self._request: Message | None = None  # SUBMIT or ATTACH without an answer
        self._repeat_at = now
        self._pause = REPEAT_S
        self._reborn = False
        self._disorder = 0
        if submit is not None:
            if not submit.complete:
                self._hold_back(text)
            self._ask_submit(now)
        else:
            self._ask_attach(now)

    # ------------------------------------------------------------------------------------------- what goes out

    @property
    def new(self) -> bool:
        """Whether the job is made by this reading, and not an older one that is read again."""
        return self._submit is not None

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.result is not None or self.error is not None

    def _send(self, message: Message, body: bytes = b"") -> None:
        self.outbox.append((message, body))

    def _hold_back(self, text: bytes) -> None:
        """Piece 0 is as much of the text as fits; the rest waits for its turn."""
        end = cut(text)
        self._text = text[:end]
        self.pieces.add(text[end:])

    def _ask_submit(self, now: float) -> None:
        assert self._submit is not None
        self._submit.credit = self._grant()
        self._begin(self._submit, now)

    def _ask_attach(self, now: float) -> None:
        line = self.line
        request = Attach(job=self.job, read=self.read, offset=line.end, take=line.take, credit=self._grant())
        self._begin(request, now)

    def _begin(self, request: Message, now: float) -> None:
        self._request = request
        self._pause = REPEAT_S
        self._put_request(now)

    def _put_request(self, now: float) -> None:
        assert self._request is not None
        self._send(self._request, self._text if self._request is self._submit else b"")
        self._repeat_at = now + self._pause
        self._asked = now

    def _grant(self) -> int:
        """Renew the credit: so many seconds beyond what was consumed."""
        if self.read == "none":
            return 0
        ahead = int(self.window_s * (self.rate or GUESSED_RATE))
        self._granted = min(self._consumed + ahead, UNLIMITED)
        self._told_heard = self._heard
        return self._granted

    def _say_credit(self, now: float) -> None:
        self._asked = now
        self._send(Credit(job=self.job, up_to=self._grant(), heard=self._heard))

    # ------------------------------------------------------------------------------------------ what the consumer does

    def append(self, data: bytes, now: float) -> None:
        """More text, UTF-8, of a job whose text comes in pieces."""
        self.pieces.add(data)
        self._send_pieces(now)

    def end(self, now: float) -> None:
        """The text is complete."""
        self.pieces.ended = True
        self._send_pieces(now)

    def consumed(self, offset: int, heard: int | None, now: float) -> None:
        """The consumer has no more need of audio before `offset`, and its listener has heard up to `heard` (None: as
        far as that). Credit follows when an eighth of the window has been used up."""
        self._consumed = min(offset, self.line.end)
        self._heard = self._consumed if heard is None else min(heard, self.line.end)
        step = int(self.window_s * (self.rate or GUESSED_RATE)) // 8
        target = self._consumed + 8 * step
        moved = abs(self._heard - self._told_heard)
        if not self.over and self._request is None and (abs(target - self._granted) >= step or moved >= step):
            self._say_credit(now)

    def widen(self, window_s: float, now: float) -> None:
        """Another window: how many seconds of audio may come beyond what was consumed."""
        self.window_s = window_s
        if not self.over and self._request is None:
            self._say_credit(now)

    def cancel(self, now: float) -> None:
        """End the job. From now on no event is handed out."""
        if self.cancelled or self.over:
            return
        self.cancelled = True
        self.events.clear()
        self._send(Cancel(job=self.job))
        self._pause = REPEAT_S
        self._repeat_at = now + self._pause

    def fail(self, error: VoicebusError) -> None:
        """End the reading with an error; the job is left alone."""
        if not self.over:
            self.error = error
            self.outbox.clear()

    # ------------------------------------------------------------------------------------------------- time passes

    def deadline(self) -> float:
        """When `tick` has something to do at the latest."""
        if self.over:
            return float("inf")
        at = max(self._news, self._asked) + STARVED_S if self._wants_audio() else float("inf")
        if self._request is not None or self.cancelled or not self.pieces.settled:
            at = min(at, self._repeat_at)
        return at

    def _wants_audio(self) -> bool:
        return self._request is None and not self.cancelled and self.read != "none" and self._granted > self.line.end

    @property
    def waiting(self) -> bool:
        """Whether the daemon owes something: an answer, or audio that there is credit for."""
        return not self.over and (
            self._request is not None or self.cancelled or not self.pieces.settled or self._wants_audio()
        )

    def tick(self, now: float) -> None:
        """Say again what was not answered."""
        if self.over:
            return
        if now >= self._repeat_at and (self._request is not None or self.cancelled or not self.pieces.settled):
            self._pause = min(2 * self._pause, REPEAT_MAX_S)
            if self._request is not None:
                self._put_request(now)
            else:
                self._repeat_at = now + self._pause
                for number, piece in self.pieces.unanswered():
                    self._send(Append(job=self.job, n=number), piece)
                if self.pieces.end_due:
                    self._send(End(job=self.job, n=self.pieces.count))
            if self.cancelled:
                self._send(Cancel(job=self.job))
        elif self._wants_audio() and now - max(self._news, self._asked) >= STARVED_S:
            if now - max(self._news, self._doubted) >= DOUBTFUL_S:
                self._doubted = now
                self._ask_attach(now)
            else:
                self._say_credit(now)

    def resume(self, now: float, *, reborn: bool) -> None:
        """The daemon greeted us anew, after a lost connection or (`reborn`) as another run: go on from here."""
        if self.over:
            return
        self.outbox.clear()
        self._reborn = self._reborn or reborn
        if self._request is not None and not self._attaching:
            self._begin(self._request, now)
        else:
            self._ask_attach(now)
            for number, piece in self.pieces.unanswered():
                self._send(Append(job=self.job, n=number), piece)
        if self.cancelled:
            self._send(Cancel(job=self.job))

    def _send_pieces(self, now: float) -> None:
        if self.over or self.cancelled or self._request is self._submit:
            return
        fresh = self.pieces.fresh()
        for number, piece in fresh:
            self._send(Append(job=self.job, n=number), piece)
        if self.pieces.end_due:
            self._send(End(job=self.job, n=self.pieces.count))
        if fresh or self.pieces.end_due:
            self._pause = REPEAT_S
            self._repeat_at = now + self._pause

    # ----------------------------------------------------------------------------------------------- what comes in

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
                case Rewind():
                    self._rewind(message, now)
                case Accepted():
                    self._accepted(message, now)
                case Attached():
                    self._attached(message, now)
                case Appended():
                    self._appended(message, now)
                case NoticeMessage():
                    text = notice_text(message.kind, message.data)
                    self._hand_out(Notice(message.kind, message.data, text, message.segment))
                case Terminal():
                    self._terminal(message, now)
                case Error():
                    self._refused(message, now)
                case _:
                    pass  # a word of a later version
        except (Protocol, BadMessage) as error:
            self.fail(error)

    def _hand_out(self, event: Event) -> None:
        if not self.cancelled:
            self.events.append(event)

    @property
    def _attaching(self) -> bool:
        return self._request is not None and self._request is not self._submit

    def _audio(self, message: Audio, body: bytes, now: float) -> None:
        if self._attaching:
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

    def _marks(self, message: Marks, body: bytes) -> None:
        rows = codec.decode_marks(body) if body else []
        if self._attaching:
            return
        known = self._segments.get(message.take)
        if known is None:
            # Of the takes before only the last can still get marks.
            self._segments = {message.take: message}
            self._hand_out(
                Segment(
                    message.segment,
                    message.take,
                    message.offset,
                    message.start,
                    message.length,
                    message.provider,
                    message.voice,
                )
            )
        for row in rows:
            at = message.offset + row.sample
            self._hand_out(
                Mark(
                    row.kind,
                    at,
                    at / self.rate if self.rate else 0.0,
                    message.start + row.start,
                    row.length,
                    row.name,
                    row.confidence,
                    message.segment,
                    message.take,
                )
            )

    def _rewind(self, message: Rewind, now: float) -> None:
        attaching = self._attaching
        if message.offset > self.line.end:
            raise Protocol(f"{self.job} rewinds to {message.offset}, beyond {self.line.end}")
        void = message.offset < self.line.end
        self.line.cut(message.offset)
        self._consumed = min(self._consumed, message.offset)
        self._heard = min(self._heard, message.offset)
        self._replayed = False
        self._segments.pop(message.take, None)
        if void:
            self._hand_out(Rewound(message.offset, message.segment, message.reason, message.take))
        if attaching:
            self._ask_attach(now)

    def _accepted(self, message: Accepted, now: float) -> None:
        self.rate = message.rate or self.rate
        if message.pieces:
            self.pieces.acknowledge(message.pieces - 1)
        if self._request is self._submit:
            self.answered = True
            self._request = None
            self._asked = now
            self._send_pieces(now)

    def _attached(self, message: Attached, now: float) -> None:
        self.rate = message.rate or self.rate
        asked = self._attaching
        if asked and message.offset != self.line.end:
            return  # the answer to an earlier one
        if asked:
            self.answered = True
            self._request = None
            self._asked = now
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
        if self._attaching and not self.cancelled:
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

    # ------------------------------------------------------------------------------------------------------ errors

    def _refused(self, message: Error, now: float) -> None:
        if message.code == "out_of_order" and self._disorder < DISORDER:
            self._disorder += 1  # what is not acknowledged goes out again, from its beginning, with the next repeat
            return
        if message.code in ("not_found", "gone") and self._reborn:
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
            self._ask_submit(now)
            return
        heard = "some of it had been heard" if self._first_audio is not None else "its text is no longer at hand"
        self.fail(Disconnected(f"The daemon was started anew and no longer has {self.job}; {heard}. Send it again."))
