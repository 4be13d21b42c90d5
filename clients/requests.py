"""What is asked of the daemon for one job, and asked again until it is answered.

Owns: SUBMIT, ATTACH, the pieces of a text, CREDIT and CANCEL: when each goes out, and when again. Must not know: what
audio comes, sockets, threads, clocks (`now` is an argument). Invariant: nothing that was asked is given up before it
is answered or the job is over, and nothing is asked in words that would do harm if both arrived.
"""

from __future__ import annotations

from ..bus.errors import VoicebusError
from ..bus.messages import Append, Attach, Cancel, Credit, End, Message, Read, Submit
from .events import Event, Result
from .line import Line
from .pieces import Pieces, cut
from .window import Window

REPEAT_S = 0.25
"""An unanswered request is repeated after this, then after twice as long, up to `REPEAT_MAX_S`."""

REPEAT_MAX_S = 2.0

STARVED_S = 1.0
"""Credit is said again when audio is waited for and nothing has come for so long."""

DOUBTFUL_S = 5.0
"""After so long the reading itself is asked for again: a lost connection may have ended it without a word."""


class Requests:
    """What one job's client says. It stands in `outbox` until it is sent.

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
        self.window = Window(window_s, submit.rate if submit else 0, offset)
        self.outbox: list[tuple[Message, bytes]] = []
        self.events: list[Event] = []
        self.error: VoicebusError | None = None
        self.result: Result | None = None
        self.answered = False
        """The daemon has let us in: the job is there and is being read."""
        self.cancelled = False
        """This client has asked for the end."""
        self.keep = submit.keep if submit is not None else ""
        """What will stay of the job; "" while nobody knows."""
        self.chars = 0
        """Length of the text in code points; 0 while nobody knows."""
        binary = submit is not None and submit.kind == "transcribe"
        self.pieces = Pieces(retain=submit is not None and submit.keep in ("", "nothing"), binary=binary)
        self._submit = submit
        self._text = text
        self.line = Line(job, offset, take)
        self._news = now  # when something last came for this job
        self._began = now
        self._asked = now  # when credit was last said
        self._doubted = now
        self._request: Message | None = None  # SUBMIT or ATTACH without an answer
        self._owes_credit = False  # it is to be said when the request has its answer
        self._repeat_at = now
        self._pause = REPEAT_S
        self._reborn = False
        if submit is not None:
            if not submit.complete and not binary:
                self._hold_back(text)
            self._ask_submit(now)
        else:
            self._ask_attach(now)

    # ------------------------------------------------------------------------------------------- what goes out

    @property
    def rate(self) -> int:
        """Samples a second; 0 while nobody knows."""
        return self.window.rate

    @property
    def new(self) -> bool:
        """Whether the job is made by this reading, and not an older one that is read again."""
        return self._submit is not None

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.result is not None or self.error is not None

    @property
    def text_kept(self) -> bool:
        """Whether the daemon has all of the text, and knows that it is all."""
        complete = self._submit is None or self._submit.complete or self.pieces.ended
        return self.answered and complete and self.pieces.settled and not self.pieces.refused

    @property
    def _attaching(self) -> bool:
        return self._request is not None and self._request is not self._submit

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
        if self.cancelled:
            return  # the end is told without, and behind CANCEL it would begin a reading that nobody ends
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

    def _settle(self, now: float) -> None:
        """The request has its answer. What was consumed in the meantime is said now: where all that the request allowed
        had come before, nothing would come any more that gave occasion to say it."""
        self.answered = True
        self._request = None
        self._asked = now
        if self._owes_credit:
            self._say_credit(now)

    def _grant(self) -> int:
        self._owes_credit = False
        return 0 if self.read == "none" else self.window.grant()

    def _say_credit(self, now: float) -> None:
        self._asked = now
        self._send(Credit(job=self.job, up_to=self._grant(), heard=self.window.heard))

    def _renew_credit(self, now: float) -> None:
        """Say the credit, or as soon as the request that is under way has its answer: before, nobody heeds it."""
        if self.over:
            return
        if self._request is None:
            self._say_credit(now)
        else:
            self._owes_credit = True

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
        offset = min(offset, self.line.end)
        worth = self.window.consumed(offset, offset if heard is None else min(heard, self.line.end))
        if worth:
            self._renew_credit(now)

    def widen(self, window_s: float, now: float) -> None:
        """Another window: how many seconds of audio may come beyond what was consumed."""
        self.window.seconds = window_s
        self._renew_credit(now)

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
        return (
            self._request is None and not self.cancelled and self.read != "none" and self.window.granted > self.line.end
        )

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
