"""What must hold of workers at every step.

Owns: which slots are taken, how far each attempt was let, and who may be killed. Must not know: clients, how the core
keeps any of it. Invariant: as of `judge`, of which this is a part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_to_worker

from .oracle import RATE, Wrong
from .voice_judge import VoiceJudge

WINDOW = 8 * RATE
"""Samples that a worker may be ahead of the daemon's consent."""


@dataclass(slots=True)
class Lease:
    """A slot that is taken. samples: that have come; allowed: how far it was let."""

    session: str
    samples: int
    allowed: int


class WorkerJudge:
    """sick, idle, alive: what is known of a process, by its worker's name. leaving: whether the daemon is."""

    def __init__(self, voices: VoiceJudge, slots: int) -> None:
        self.voices = voices
        self.leaving: Callable[[], bool] = lambda: False
        self.sick: Callable[[str], str] = lambda name: ""
        self.idle: Callable[[str], bool] = lambda name: False
        self.alive: Callable[[str], bool] = lambda name: False
        self._slots = slots
        self._leases: dict[str, Lease] = {}
        self._sessions: dict[bytes, str] = {}
        self._worked: set[str] = set()
        self._before_reload: set[str] = set()

    def gone(self) -> None:
        """The daemon is gone, and with it all sessions."""
        self._leases.clear()
        self._sessions.clear()

    def reloaded(self) -> None:
        """It is about to take over another configuration; whoever works for it now may have to leave for that."""
        self._before_reload.update(self._sessions.values())

    def to_worker(self, peer: bytes, header: bytes, body: bytes) -> object:
        """The daemon says something to a worker: this."""
        message = decode_to_worker(header)
        if isinstance(message, m.Welcome):
            if self._sessions.get(peer) != message.session:
                self._over(peer)
            self._sessions[peer] = message.session
        elif isinstance(message, m.Work):
            self._given_out(message)
            self.voices.given_out(message)
        elif isinstance(message, m.Feed):
            self.voices.fed(message, body)
        elif isinstance(message, m.Grant):
            lease = self._leases.get(message.attempt)
            if lease is not None:
                lease.allowed = message.up_to
                if message.up_to > lease.samples + WINDOW:
                    raise Wrong(f"{message.attempt} may send {message.up_to - lease.samples} samples ahead")
        elif isinstance(message, m.Quit):
            busy = any(lease.session == message.session for lease in self._leases.values())
            if busy and not self.leaving() and message.session not in self._before_reload:
                raise Wrong(f"{peer!r} is told to leave, with work in hand")
        return message

    def _given_out(self, work: m.Work) -> None:
        if work.attempt in self._worked:
            raise Wrong(f"the attempt {work.attempt} was given out twice")
        self._worked.add(work.attempt)
        if work.credit > WINDOW:
            raise Wrong(f"{work.attempt} may send {work.credit} samples ahead")
        taken = sum(lease.session == work.session for lease in self._leases.values())
        if taken >= self._slots:
            raise Wrong(f"session {work.session} has {taken} attempts for {self._slots} slots and gets {work.attempt}")
        self._leases[work.attempt] = Lease(work.session, 0, work.credit)

    def _over(self, peer: bytes) -> None:
        session = self._sessions.pop(peer, None)
        attempts = [name for name, lease in self._leases.items() if lease.session == session]
        for attempt in attempts:
            del self._leases[attempt]
        self.voices.over(session or "", attempts)

    def from_worker(self, peer: bytes, message: Any, body: bytes) -> None:
        """A worker said something, and the daemon is about to hear it."""
        if self._sessions.get(peer) == getattr(message, "session", None):
            self.voices.from_worker(message)
        lease = self._leases.get(getattr(message, "attempt", ""))
        if lease is None or self._sessions.get(peer) != message.session:
            return
        if isinstance(message, m.Chunk):
            lease.samples += len(body) >> 1
            if lease.samples > lease.allowed:
                raise Wrong(f"{message.attempt} sent more than it was allowed: the simulation is wrong")
        elif isinstance(message, m.Done | m.Failed | m.Stopped):
            del self._leases[message.attempt]

    def spawned(self, name: str) -> None:
        """A process is about to be started."""
        if self.alive(name):
            raise Wrong(f"there is a process in {name} already")

    def kills(self, name: str, why: str) -> None:
        """A process is about to be killed."""
        excess = why == "it is not needed any more" and self.idle(name)
        if not self.sick(name) and not self.leaving() and self.alive(name) and not excess:
            raise Wrong(f"{name} is well, and was killed: {why}")
