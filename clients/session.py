"""A client's session with the daemon: greeting, epochs, questions and answers, and the readings of its jobs.

Owns: HELLO and what follows from WELCOME, GREET and silence; which message goes to which reading or question. Must not
know: sockets, threads, clocks. Invariant: every request is sent again until it is answered or the daemon has been
silent for `reconnect_s`, after which everything that waits ends with Disconnected; nothing of another epoch than the
last WELCOME's is acted on. Both clients, with threads and with asyncio, are this class and a socket.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator

from ..bus import codec
from ..bus.errors import BadMessage, Disconnected, VersionMismatch, VoicebusError, error_for
from ..bus.messages import (
    Accepted,
    Attached,
    Bye,
    Cancel,
    CancelledAll,
    Delete,
    Deleted,
    Detach,
    Error,
    Fetched,
    Greet,
    Hello,
    Message,
    Page,
    Refused,
    SampleHeld,
    ToClient,
    VoiceDone,
    Welcome,
)
from .questions import Asked, Named, OfJob, OfJobAnswer, answers, of_question, refuses
from .reading import Reading
from .requests import REPEAT_MAX_S, REPEAT_S, STARVED_S

BEAT_S = 10.0
"""A client that has nothing to say greets this often at least; the daemon forgets it after 30 s of silence."""

BLOCKED_S = 0.5
"""After so long without a way to send what has to be said, there is no connection."""

UNGREETED_S = 1.0
"""After so long without a first WELCOME, the daemon that could be connected to may have died in between."""

SILENCE_S = 3.0
"""After so long without any answer that is owed, the daemon counts as gone."""


class Session:
    """Events in (`receive`, `tick`), messages out (`outbox`, in order, each with its body).

    name, version: of the program, for people. reconnect_s: how long to wait for a daemon that went away.
    """

    def __init__(self, now: float, *, name: str = "", version: str = "", reconnect_s: float = 10.0) -> None:
        self.outbox: deque[tuple[Message, bytes]] = deque()
        self.readings: dict[str, Reading] = {}
        self.welcome: Welcome | None = None
        """The last WELCOME, None before the first."""
        self.error: VoicebusError | None = None
        """Why this session is over."""
        self.ready = False
        """Greeted, and not lost since."""
        self.missing = False
        """It is time to look whether a daemon is there at all, and to start one where that is for us to do."""
        self.reconnect_s = reconnect_s
        self._hello = Hello(name=name[:256], version=version[:256], pid=os.getpid())
        self._asked: dict[str, Asked] = {}
        self._of_jobs: dict[str, deque[Asked]] = {}
        self._dropped: set[str] = set()  # jobs that nobody reads any more, but whose end is not confirmed
        self._numbers = 0
        self._heard = now
        self._said = now
        self._owed_since = now  # when something was first said to which nothing has come
        self._greet_at = now
        self._lost_at: float | None = now
        self._blocked_since: float | None = None

    # ------------------------------------------------------------------------------------------------- the outside

    @property
    def lost(self) -> bool:
        """Whether the daemon has been silent for too long, and is being looked for."""
        return self._lost_at is not None

    @property
    def waiting(self) -> bool:
        """Whether anybody waits for the daemon."""
        return (
            not self.ready
            or any(not asked.over for asked in self._all_asked())
            or any(reading.waiting for reading in self.readings.values())
        )

    def add(self, reading: Reading) -> None:
        """Take a reading on."""
        self._dropped.discard(reading.job)
        self.readings[reading.job] = reading
        if self.error is not None:
            reading.fail(self.error)

    def drop(self, job: str) -> None:
        """Stop reading a job; it goes on by itself, unless its end was asked for: then that is seen to first."""
        reading = self.readings.get(job)
        if reading is None:
            return
        if reading.cancelled and not reading.over:
            self._dropped.add(job)
            return
        del self.readings[job]
        if not reading.over and self.ready:
            self._put(Detach(job=job))

    def ask(self, message: Named | OfJob, now: float, body: bytes = b"") -> Asked:
        """Put a question. Its answer is a pair (Page, SampleHeld or Fetched; its body), CancelledAll, VoiceDone, or one
        of `OfJobAnswer`."""
        asked = Asked(message, body, now)
        asked.error = self.error
        if isinstance(message, OfJob):
            self._of_jobs.setdefault(message.job, deque()).append(asked)
        else:
            self._numbers += 1
            message.request = f"q{self._numbers}"
            self._asked[message.request] = asked
        return asked

    def _all_asked(self) -> Iterator[Asked]:
        yield from self._asked.values()
        for of_job in self._of_jobs.values():
            yield from of_job

    def _askable(self) -> Iterator[Asked]:
        """What may be said now: of the questions about one job the first."""
        yield from self._asked.values()
        for of_job in self._of_jobs.values():
            yield of_job[0]

    @property
    def ending(self) -> list[str]:
        """The jobs whose end was asked for and is not confirmed."""
        jobs = [reading.job for reading in self.readings.values() if reading.cancelled and not reading.over]
        asked = [asked.message for asked in self._all_asked() if not asked.over]
        return [*jobs, *(message.job for message in asked if isinstance(message, Cancel))]

    def leave(self) -> None:
        """The client leaves: what waits ends, every CANCEL without an answer is said once more, then BYE."""
        ready, ending = self.ready, self.ending
        self.close(Disconnected("The client was closed."))
        if ready:
            for job in ending:
                self._put(Cancel(job=job))
            self._put(Bye())

    def sleep_until(self) -> float:
        """When `tick` has something to do at the latest."""
        if self.outbox:  # until the socket takes it, only the end of patience is left to wait for
            if self._lost_at is not None:
                return self._lost_at + (self.reconnect_s if self.missing else min(UNGREETED_S, self.reconnect_s))
            if not self.waiting:  # nobody's patience ends: the socket says when it takes something
                return float("inf")
            # When it began to wait is noted in the next `tick`.
            return self._said + BLOCKED_S if self._blocked_since is None else self._blocked_since + BLOCKED_S
        times = [self._greet_at if not self.ready else self._said + self._beat()]
        if self._lost_at is not None:
            times.append(self._lost_at + self.reconnect_s)
        elif self.waiting:
            times.append(max(self._heard, self._said) + STARVED_S)
        if self.ready:
            times += [asked.repeat_at for asked in self._askable() if not asked.over]
            times += [reading.deadline() for reading in self.readings.values()]
        return min(times)

    def tick(self, now: float) -> None:
        """Time has passed, or something was asked: put what is due into the outbox."""
        if self.error is not None:
            return
        self._watch(now)
        self._blocked_since = (self._blocked_since or now) if self.outbox else None
        if self.outbox:
            return  # nothing goes out at the moment, so nothing has to be said twice
        if not self.ready:
            if now >= self._greet_at:
                self._greet(now)
            return
        self._ask_again(self._asked.values(), now)
        for reading in self.readings.values():
            reading.tick(now)
        self.collect()
        # What is asked about a job goes behind its SUBMIT: before that there is no such job.
        self._ask_again([of_job[0] for of_job in self._of_jobs.values()], now)
        quiet = now - self._said
        if not self.outbox and (quiet >= self._beat() or (quiet >= STARVED_S and self._silent(now) and self.waiting)):
            self._put(self._hello)
        if self.outbox:
            self._speaks(now)

    def _ask_again(self, questions: Iterable[Asked], now: float) -> None:
        for asked in questions:
            if not asked.over and now >= asked.repeat_at:
                asked.repeat_at = now + asked.pause
                asked.pause = min(2 * asked.pause, REPEAT_MAX_S)
                self._put(asked.message, asked.body)

    def _speaks(self, now: float) -> None:
        if self._said <= self._heard:
            self._owed_since = now
        self._said = now

    def collect(self) -> None:
        """Take up what the readings have to say."""
        if not self.ready:
            return
        for reading in self.readings.values():
            for message, body in reading.outbox:
                self._put(message, body)
            reading.outbox.clear()

    def _beat(self) -> float:
        told = self.welcome.beat_s if self.welcome is not None else BEAT_S
        return min(BEAT_S, max(told, 0.1))

    def _silent(self, now: float) -> bool:
        return now - self._heard >= STARVED_S

    def _put(self, message: Message, body: bytes = b"") -> None:
        greeting = isinstance(message, Hello)
        message.epoch = "" if greeting or self.welcome is None else self.welcome.epoch
        self.outbox.append((message, body))

    # ------------------------------------------------------------------------------------------- there and not there

    def _greet(self, now: float) -> None:
        self._put(self._hello)
        self._speaks(now)
        self._greet_at = now + REPEAT_S

    def _watch(self, now: float) -> None:
        """Notice that the daemon is silent where it owes something, and give up in the end."""
        if self._lost_at is None:
            stuck = self._blocked_since is not None and now - self._blocked_since >= BLOCKED_S
            silent = self._said > self._heard and now - max(self._heard, self._owed_since) >= SILENCE_S
            if (stuck or silent) and self.waiting:
                self._look_again(now)
            return
        self.missing = self.missing or now - self._lost_at >= UNGREETED_S
        if now - self._lost_at >= self.reconnect_s:
            self.close(
                Disconnected(
                    f"The daemon went away and did not come back within {self.reconnect_s:g} s."
                    if self.welcome is not None
                    else f"The daemon did not answer within {self.reconnect_s:g} s."
                )
            )

    def _look_again(self, now: float) -> None:
        """The connection counts as lost: greet until somebody answers."""
        if self._lost_at is None:
            self._lost_at = now
        self.missing = True
        self.ready = False
        self.outbox.clear()
        self._greet_at = now

    def close(self, error: VoicebusError) -> None:
        """Everything that waits ends with this error."""
        self.error = error = self.error or error
        self.ready = False
        self.outbox.clear()
        for asked in self._all_asked():
            if not asked.over:
                asked.error = error
        for reading in self.readings.values():
            reading.fail(error)

    def _welcomed(self, message: Welcome, now: float) -> None:
        before = self.welcome
        self.welcome = message
        self._lost_at = None
        self.missing = False
        reborn = before is not None and before.epoch != message.epoch
        if self.ready and not reborn:
            return
        self.ready = True
        self.outbox.clear()
        for reading in self.readings.values():
            reading.resume(now, reborn=reborn)
        for asked in self._all_asked():
            asked.repeat_at = now

    def _refused(self, message: Refused) -> None:
        text = message.message or f"The daemon does not let us in ({message.code})."
        if message.code == "version":
            if "voicebus daemon restart" not in text:
                text += f" (Protocol {message.low} to {message.high} there.) Run: voicebus daemon restart"
            self.close(VersionMismatch(text))
        else:
            self.close(error_for(message.code, text))

    # --------------------------------------------------------------------------------------------- what comes in

    def receive(self, parts: list[bytes], now: float) -> None:
        """A message from the socket. One that cannot be read is thrown away: what it said comes again or is missed."""
        try:
            message = codec.decode_to_client(parts[0])
        except (BadMessage, IndexError):
            return
        if self.error is not None:
            return
        self._heard = now
        if isinstance(message, Welcome):
            self._welcomed(message, now)
        elif isinstance(message, Refused):
            self._refused(message)
        elif isinstance(message, Greet):
            if self.ready:  # several may come, one for each message that was thrown away
                self.ready = False
                self.outbox.clear()
                self._greet_at = now
        elif self.ready and self.welcome is not None and message.epoch == self.welcome.epoch:
            self._route(message, parts[1] if len(parts) > 1 else b"", now)

    def _route(self, message: ToClient, body: bytes, now: float) -> None:
        if isinstance(message, Page | SampleHeld | Fetched):
            self._answer(message.request, (message, body))
            return
        if isinstance(message, CancelledAll | VoiceDone):
            self._answer(message.request, message)
            return
        if isinstance(message, Error) and self._refuse(message):
            return
        if isinstance(message, Welcome | Refused | Greet):
            return
        if isinstance(message, OfJobAnswer):
            self._answer_of_job(message)
        reading = self.readings.get(message.job)
        if isinstance(message, Accepted | Attached) and (reading is None or reading.over):
            # Said again before the first answer came, and heard when all was over: it would be read to nobody for ever.
            self._put(Detach(job=message.job))
        if reading is not None:
            reading.receive(message, body, now)
            if reading.over and message.job in self._dropped:
                self._dropped.discard(message.job)
                del self.readings[message.job]
        elif isinstance(message, Error) and not message.job and not message.request:
            for reading in self.readings.values():  # what we sent could not be read: it will not get better
                if reading.waiting:
                    reading.fail(error_for(message.code, message.message, message.retry_after))

    def _answer(self, key: str, answer: object) -> None:
        asked = self._asked.pop(key, None)
        if asked is not None:
            asked.answer = answer

    def _answer_of_job(self, message: OfJobAnswer) -> None:
        of_job = self._of_jobs.get(message.job)
        if of_job and answers(message, of_job[0].message):
            self._pop_of_job(message.job).answer = message

    def _pop_of_job(self, job: str) -> Asked:
        of_job = self._of_jobs[job]
        asked = of_job.popleft()
        if not of_job:
            del self._of_jobs[job]
        return asked

    def _refuse(self, message: Error) -> bool:
        """An error that answers a question; True if that is all that it is."""
        error = error_for(message.code, message.message, message.retry_after)
        if message.request:
            asked = self._asked.pop(message.request, None)
            if asked is not None:
                asked.error = error
            return asked is not None
        of_job = self._of_jobs.get(message.job)
        if of_job and refuses(message, of_job[0].message):
            asked = self._pop_of_job(message.job)
            if message.code == "deleted" and isinstance(asked.message, Delete):
                asked.answer = Deleted(job=message.job)  # by an earlier saying of the same
            else:
                asked.error = error
        reading = self.readings.get(message.job)
        # A reading that was cancelled has said CANCEL itself.
        return of_question(message) and not (message.answers == "cancel" and reading is not None and reading.cancelled)
