"""Clients: programs with the real session and readings, and somebody who listens.

Owns: what people ask for, hear and keep, over all the lives of their programs. Must not know: the daemon. Invariant: a
person's `Heard` of a job is what a file would hold that is cut back where the program was told to, and of nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebus.bus import codec
from voicebus.bus.errors import Disconnected
from voicebus.bus.messages import Choice, Hello, Submit
from voicebus.clients.events import About, Frame, Passage, Rewound
from voicebus.clients.reading import Reading
from voicebus.clients.session import Session
from voicebus.clients.speech import SpeechBase

from .clock import Clock
from .doings import Doing, Doings
from .hearing import Heard
from .network import Network, Plug
from .oracle import RATE, Oracle, Wrong
from .plan import USERS, Act, Order, Wish
from .wishes import Wished, Wishes

if TYPE_CHECKING:
    from collections.abc import Callable

PLAY_S = 0.1
"""A player takes so much audio at a time."""

AGAIN_S = 1.0
"""After so long somebody who was refused or left alone tries again."""

PASSING = frozenset({"storage", "queue_full", "unavailable"})
"""Refusals that are no fault of the caller's."""


NO_VOICE = frozenset({"unknown_voice"})
PATIENCE = 12
"""So often somebody asks again who is told that there is no such voice: it may come."""


class Person:
    """One program at a time, and what its user wants. lives: how many programs there were."""

    def __init__(self, number: int, clock: Clock, network: Network, oracle: Oracle) -> None:
        self.number = number
        self.uid = 1000 + number % USERS
        self.lives = 0
        self.jobs: dict[str, Heard] = {}
        self.wishes = Wishes(number)
        self.doings = Doings(number, self.uid)
        self.stalled_until = 0.0
        self.paused_until = 0.0
        self.plug: Plug | None = None
        self.session: Session | None = None
        self.ends: Callable[[Heard], None] = lambda heard: None
        self._clock = clock
        self._network = network
        self._oracle = oracle
        self._wakes = 0
        self._retry_at: dict[str, float] = {}

    @property
    def pid(self) -> int:
        """Of the program."""
        return 100 * (self.number + 1) + self.lives

    # -------------------------------------------------------------------------------------------------- the program

    def begin(self) -> None:
        """Start the program; it goes on with whatever its user still waits for."""
        if self.session is not None:
            return
        self.lives += 1
        self.session = Session(self._clock.now, name="person", version="1")
        self.session._hello = Hello(name="person", version="1", pid=self.pid)  # the real pid is chance
        self.plug = Plug(self._network, self._arrived, "c")
        who = self.uid, self.pid
        self.plug.who = lambda: who
        for heard in self.jobs.values():
            if heard.asked and not heard.over:
                self._read_on(heard)
        self._step()

    def vanish(self) -> int:
        """The program is gone, without a word. How many messages are lost."""
        if self.session is None:
            return 0
        assert self.plug is not None
        lost = self.plug.close()
        self.session = self.plug = None
        for heard in self.jobs.values():
            if heard.reading is not None and not heard.over:
                self._note(heard, heard.reading)
            heard.speech = heard.reading = None
        self.wishes.forget()
        self.doings.forget()
        return lost

    def _note(self, heard: Heard, reading: Reading) -> None:
        """What the program knew outlives it."""
        heard.accepted = heard.accepted or reading.answered
        heard.kept = heard.kept or reading.text_kept

    def stall(self, seconds: float) -> None:
        """The program does nothing for so long; what comes waits in its pipe."""
        self.stalled_until = max(self.stalled_until, self._clock.now + seconds)
        self._clock.at(self.stalled_until, self._step)

    def _arrived(self) -> None:
        if self._clock.now >= self.stalled_until:
            self._step()

    def _wake(self, at: float) -> None:
        self._wakes += 1
        if at < float("inf"):
            self._clock.at(max(at, self._clock.now + 0.001), self._woken, self._wakes)

    def _woken(self, number: int) -> None:
        if number == self._wakes:
            self._step()

    def _step(self) -> None:
        """As `Link.step`: send what is due, take in what is there."""
        session, plug, now = self.session, self.plug, self._clock.now
        if session is None or plug is None or now < self.stalled_until:
            return
        look = self._put(session, now)
        while True:
            session.tick(now)
            self._send(session, plug)
            parts = plug.receive()
            if parts is None:
                break
            session.receive([parts[0], parts[1]] if parts[1] else [parts[0]], now)
            session.collect()
        self._hand_over(session)
        if session.error is not None:
            self._lost(session)
        else:
            look = min(look, self._put(session, now))
            self._send(session, plug)
            self._wake(min(session.sleep_until(), look))

    def _put(self, session: Session, now: float) -> float:
        return min(self.wishes.put(session, now), self.doings.put(session, now))

    def _send(self, session: Session, plug: Plug) -> None:
        while session.outbox and plug.up:
            message, body = session.outbox.popleft()
            plug.send(codec.encode_checked(message, body), body)

    def _lost(self, session: Session) -> None:
        """The session has given up; the user starts the program again."""
        if not isinstance(session.error, Disconnected):
            raise Wrong(f"a client was turned away: {session.error}")
        self.vanish()
        self._clock.after(AGAIN_S, self.begin)

    # ------------------------------------------------------------------------------------------------ what it asks

    def ask(self, order: Order) -> None:
        """Ask for a job."""
        heard = Heard(order, self.uid, True, order.options["read"] == "whole", order.speed)
        self.jobs[order.name] = heard
        self._ask(heard)
        if order.cancel is not None:
            self._clock.after(order.cancel, self._cancel, heard)

    def _ask(self, heard: Heard) -> None:
        heard.asked = True
        if self.session is not None and not heard.over:
            self._read_on(heard)
            self._step()

    def want(self, wish: Wish) -> None:
        """Have something done with a job."""
        self.wishes.all.append(Wished(wish))
        self._step()

    def act(self, act: Act) -> None:
        """Have something done with a voice."""
        self.doings.all.append(Doing(act))
        self._step()

    def hear(self, heard: Heard) -> None:
        """Listen to somebody else's job."""
        if heard.order.name not in self.jobs:
            self.jobs[heard.order.name] = heard
            heard.accepted = True
            self._ask(heard)

    def _read_on(self, heard: Heard) -> None:
        """Begin a reading where what is here ends; or ask for the job where it is not known to be there."""
        assert self.session is not None
        order, now = heard.order, self._clock.now
        if heard.new and not heard.accepted:
            heard.rewound(0)
            reading = self._submit(order, now)
        else:
            heard.whole = heard.whole or heard.read == "none"
            take = heard.takes[-1][1] if heard.takes else ""
            reading = Reading(
                order.name,
                now=now,
                read=heard.read,  # type: ignore[arg-type]
                window_s=order.window_s,
                offset=len(heard.pcm) // 2,
                take=take,
            )
        heard.reading = reading
        heard.speech = SpeechBase(reading, lambda do: self._act(reading, do))
        heard.speech._told = len(heard.pcm) // 2
        self.session.add(reading)
        if heard.new and not reading.new and not heard.kept:
            heard.cancelled = True  # the rest of the text went with the program
        if heard.cancelled:
            reading.cancel(now)
        if not heard.new or len(order.pieces) == 1:
            return
        self._clock.after(order.gap, self._feed, heard, reading, 1)

    def _submit(self, order: Order, now: float) -> Reading:
        submit = Submit(job=order.name, chain=[Choice("a", order.voice), Choice("b", order.voice)], **order.options)
        text = order.pieces[0].encode()
        return Reading(
            order.name, now=now, read=order.options["read"], window_s=order.window_s, submit=submit, text=text
        )

    def _act(self, reading: Reading, do: Callable[[Reading, float], None]) -> None:
        do(reading, self._clock.now)

    def _feed(self, heard: Heard, reading: Reading, number: int) -> None:
        """The next piece of a text, from a program that gets it bit by bit."""
        if heard.reading is not reading or reading.over or reading.cancelled or not reading.new:
            return
        pieces = heard.order.pieces
        if number < len(pieces):
            reading.append(pieces[number].encode(), self._clock.now)
            self._clock.after(heard.order.gap, self._feed, heard, reading, number + 1)
        else:
            reading.end(self._clock.now)
        self._step()

    def _cancel(self, heard: Heard) -> None:
        heard.cancelled = True
        if heard.reading is not None and heard.speech is not None:
            heard.speech._silence()
            heard.reading.cancel(self._clock.now)
            self._step()

    def pause(self, seconds: float) -> None:
        """Nothing is played for so long, so credit runs out."""
        self.paused_until = max(self.paused_until, self._clock.now + seconds)

    # ---------------------------------------------------------------------------------------------- what it gets

    def _hand_over(self, session: Session) -> None:
        for heard in list(self.jobs.values()):
            speech = heard.speech
            if speech is None or heard.reading is None:
                continue
            if heard.read == "none" and heard.reading.new and heard.reading.text_kept and not heard.reading.over:
                self._note(heard, heard.reading)
                session.drop(heard.order.name)  # whoever asks and does not read is told nothing, and listens later
                heard.whole = True
                self._read_on(heard)
                continue
            speech._take_over()
            self._listen(heard, speech)
            if speech._over and heard.speech is speech and not speech._events:
                heard.speech = None
                self._ended(heard, heard.reading)
                session.drop(heard.order.name)

    def _listen(self, heard: Heard, speech: SpeechBase) -> None:
        """Take what may be taken now: all of it, or as much as is played."""
        if heard.speed and self._clock.now < self._retry_at.get(heard.order.name, 0.0) and not speech._over:
            self._play_later(heard)
            return
        budget = int(heard.speed * PLAY_S * RATE) if heard.speed and not speech._over else 1 << 60
        if self._clock.now < self.paused_until and not speech._over:
            budget = 0
            self._retry_at[heard.order.name] = self.paused_until
        while budget > 0 and (event := speech._next_ready()) is not None:
            if isinstance(event, Rewound):
                heard.rewound(event.offset)
            elif isinstance(event, About | Passage):
                budget -= RATE // 10
                speech._report(heard.row(event) + 1)
            elif isinstance(event, Frame):
                heard.frame(event, self._oracle)
                budget -= event.samples
                speech._report(event.end)
        if speech._events and not speech._over:
            self._retry_at[heard.order.name] = max(self._clock.now + PLAY_S, self._retry_at.get(heard.order.name, 0.0))
            self._play_later(heard)

    def _play_later(self, heard: Heard) -> None:
        if not heard.waits:
            heard.waits = True
            self._clock.at(self._retry_at[heard.order.name], self._play, heard)

    def _play(self, heard: Heard) -> None:
        heard.waits = False
        self._step()

    def _ended(self, heard: Heard, reading: Reading) -> None:
        heard.reading = None
        if reading.result is not None:
            heard.result = reading.result
            self.ends(heard)
            return
        error = reading.error
        self._note(heard, reading)
        if isinstance(error, Disconnected) and error is (self.session.error if self.session else None):
            return  # all of them are lost, and go on with the next program
        code, lost = getattr(error, "code", ""), heard.order.options["keep"] == "nothing"
        if lost and (code in ("not_found", "gone") or isinstance(error, Disconnected)):
            heard.lost = str(error)
        elif code in NO_VOICE and heard.order.voice and (not heard.accepted or lost):
            heard.refused += 1
            if heard.refused == PATIENCE:
                heard.lost = str(error)
            else:
                self._clock.after(AGAIN_S, self._again, heard)
        elif code == "ended" and heard.read == "none":
            heard.accepted = heard.kept = True  # its text can no longer be kept; how it ended can be asked
            self._clock.after(AGAIN_S, self._again, heard)
        elif code in PASSING and (code == "storage" or not heard.accepted or heard.order.options["keep"] == "nothing"):
            if code != "storage":  # kept of nothing, it died with its daemon, and the next would not have it
                heard.accepted = heard.kept = False
            self._clock.after(AGAIN_S, self._again, heard)
        elif isinstance(error, Disconnected):  # there is no such job any more, or none of its audio
            heard.lost = str(error)
        elif code in ("not_found", "deleted", "gone") and (not heard.new or heard.accepted or code == "deleted"):
            heard.lost = str(error)  # whether it should have been there the judge knows
        else:
            raise Wrong(f"client {self.number} could not hear {heard.order.name}: {error!r} ({code})")

    def _again(self, heard: Heard) -> None:
        if heard.reading is None and not heard.over and self.session is not None:
            self._read_on(heard)
            self._step()
