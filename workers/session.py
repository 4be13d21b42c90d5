"""A worker's side of the protocol, decided without a socket, a clock or a thread.

Owns: who we are to the daemon at this moment (registering, let in, ready, leaving) and which attempts we have. Must
not know: sockets, engines, how anything is done. Invariant: everything said bears the session it is said in; what
belongs to an earlier session, or to another epoch, has no effect; an attempt is answered with exactly one of DONE,
FAILED and STOPPED, once more STOPPED for each STOP that comes too late.

The caller hands in messages and the time, and carries out what comes back, in order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from ..bus import messages as m

REGISTER_S = 0.25
"""Between two REGISTERs, until one is answered."""

LEAVE_S = 10.0
"""How long a worker that was told to end by a signal finishes what it has."""

REFUSED_EXIT = 78
"""Exit code of a worker that is not let in (EX_CONFIG): starting it again is no use."""


@dataclass(slots=True)
class Say:
    """Send this to the daemon."""

    message: m.WorkerMessage
    body: bytes = b""


@dataclass(slots=True)
class Load:
    """Load the engine and test it."""

    settings: dict[str, Any]


@dataclass(slots=True)
class Begin:
    """Start on an attempt."""

    work: m.Work
    text: bytes


@dataclass(slots=True)
class Allow:
    """An attempt has credit up to here."""

    attempt: str
    up_to: int


@dataclass(slots=True)
class Halt:
    """Stop an attempt; its end is reported by `Session.ended`."""

    attempt: str


@dataclass(slots=True)
class Fed:
    """Bytes of something that an engine waits for."""

    message: m.Feed
    body: bytes


@dataclass(slots=True)
class Drop:
    """Keep nothing of this voice prompt any more; "" stands for all of them."""

    prompt: str


@dataclass(slots=True)
class Exit:
    """Leave the process. line: the last words, "" for none."""

    code: int
    line: str = ""


Action = Say | Load | Begin | Allow | Halt | Fed | Drop | Exit


@dataclass(frozen=True, slots=True)
class Identity:
    """Who registers."""

    ticket: str
    provider: str
    version: str
    pid: int


class Session:
    """The state of a worker's connection to its daemon, across daemons and connections."""

    def __init__(self, identity: Identity, now: float) -> None:
        self.epoch = ""
        self.session = ""
        self.next_at = now
        self.percent = -1.0
        self.note = ""
        self._identity = identity
        self._beat_s = 1.0
        self._welcomed = False
        self._loading = False
        self._ready: tuple[m.Ready, bytes] | None = None
        self._slots = 1
        self._rss = self._vram = 0
        self._running: set[str] = set()
        self._waiting: deque[Begin] = deque()
        self._leaving = False
        self._leave_at = 0.0

    def tick(self, now: float, rss: int, vram: int = 0) -> list[Action]:
        """To be called at `next_at`: register, or beat. rss, vram: bytes of memory in use now, of the machine's and of
        its device's own."""
        if self._leave_at and now >= self._leave_at:
            return [Exit(0, "what was running did not end in time")]
        if now < self.next_at:
            return []
        if not self._welcomed:
            self._schedule(now + REGISTER_S)
            me = self._identity
            register = m.Register(ticket=me.ticket, provider=me.provider, version=me.version, pid=me.pid)
            return [Say(register)]
        self._schedule(now + self._beat_s)
        self._rss, self._vram = rss, vram
        return [self._beat()]

    def current(self, message: m.WorkerMessage) -> bool:
        """Whether something that an attempt said belongs to this session still."""
        return self._welcomed and getattr(message, "session", "") == self.session

    def receive(self, message: m.ToWorker, body: bytes, now: float) -> list[Action]:
        """What the daemon said."""
        match message:
            case m.Welcome():
                return self._welcome(message, now)
            case m.Refused():
                if self._welcomed or message.code == "full":
                    return []
                return [Exit(REFUSED_EXIT, f"refused by the daemon ({message.code}): {message.message}")]
            case m.Greet():
                return self._greet(now)
        if not self._welcomed or message.epoch != self.epoch or message.session != self.session:
            return []
        match message:
            case m.Work():
                return self._work(message, body)
            case m.Grant():
                return [Allow(message.attempt, message.up_to)] if message.attempt in self._running else []
            case m.Stop():
                return self._stop(message.attempt)
            case m.Feed():
                return [Fed(message, body)]
            case m.Forget():
                kind, _, prompt = message.key.partition(":")
                return [Drop(prompt)] if kind == "prompt" and prompt else []
            case m.Quit():
                return self.leave()

    def leave(self, within: float = 0.0) -> list[Action]:
        """Take no more work, finish what is running, exit; where `within` is given, at that time at the latest."""
        again, self._leaving = self._leaving, True
        if within:
            if again and self._leave_at:
                return [Exit(0)]
            self._leave_at = within
            self.next_at = min(self.next_at, within)
        return self._left()

    def loaded(self, ready: m.Ready, body: bytes, rss: int, vram: int = 0) -> list[Action]:
        """The engine is loaded and has passed its test. `ready` lacks only the session. rss, vram: as in `tick`."""
        self._rss, self._vram = rss, vram
        self._ready = ready, body
        self._slots = ready.slots
        return self._say_ready() if self._welcomed else []

    def ended(self, message: m.Done | m.Failed | m.Stopped) -> list[Action]:
        """An attempt of this session has ended with this, which is said already: its slot is free."""
        self._running.discard(message.attempt)
        actions: list[Action] = []
        while self._waiting and len(self._running) < self._slots:
            actions += self._begin(self._waiting.popleft())
        return actions or self._left()

    # ------------------------------------------------------------------------------------------- the rest

    def _welcome(self, message: m.Welcome, now: float) -> list[Action]:
        if self._welcomed and (message.epoch, message.session) == (self.epoch, self.session):
            return []
        actions = self._void()
        self._welcomed = True
        self.epoch, self.session = message.epoch, message.session
        self._beat_s = max(0.01, message.beat_s)
        self.next_at = now
        if self._ready:
            return actions + self._say_ready()
        if not self._loading:
            self._loading = True
            actions.append(Load(message.settings))
        return actions

    def _greet(self, now: float) -> list[Action]:
        if not self._welcomed:
            return []
        actions = self._void()
        self._welcomed = False
        self.next_at = now
        return actions

    def _void(self) -> list[Action]:
        """Drop all attempts: nothing more is said of them, their session being over. Nor is what they were spoken with
        kept: a daemon that wants it forgotten does not know any more that it is here."""
        dropped: list[Action] = [Halt(attempt) for attempt in self._running]
        if self._welcomed:
            dropped.append(Drop(""))
        self._running.clear()
        self._waiting.clear()
        return dropped + self._left()

    def _work(self, work: m.Work, text: bytes) -> list[Action]:
        if work.attempt in self._running or any(begin.work.attempt == work.attempt for begin in self._waiting):
            return []
        if self._leaving or self._ready is None:
            why = "this worker is leaving" if self._leaving else "this worker is still loading"
            return [Say(m.Failed(m.PROTOCOL, self.epoch, self.session, work.attempt, "unavailable", why))]
        begin = Begin(work, text)
        if len(self._running) < self._slots:
            return self._begin(begin)
        self._waiting.append(begin)
        return []

    def _begin(self, begin: Begin) -> list[Action]:
        # BEGUN first: should the engine bring the process down at once, the text is to blame.
        self._running.add(begin.work.attempt)
        return [Say(m.Begun(m.PROTOCOL, self.epoch, self.session, begin.work.attempt)), begin]

    def _stop(self, attempt: str) -> list[Action]:
        if attempt in self._running:
            return [Halt(attempt)]
        self._waiting = deque(begin for begin in self._waiting if begin.work.attempt != attempt)
        stopped: list[Action] = [Say(m.Stopped(m.PROTOCOL, self.epoch, self.session, attempt))]
        return stopped + self._left()

    def _left(self) -> list[Action]:
        return [Exit(0)] if self._leaving and not self._running and not self._waiting else []

    def _say_ready(self) -> list[Action]:
        assert self._ready is not None
        ready, body = self._ready
        ready.epoch, ready.session = self.epoch, self.session
        # A beat right behind it, before any work: what is used beyond that is the work's doing, and is measured by it.
        return [Say(ready, body), self._beat()]

    def _beat(self) -> Say:
        state = "loading" if self._ready is None else "busy" if self._running else "ready"
        percent = min(max(self.percent, -1.0), 100.0) if state == "loading" else -1.0
        note = self.note[:200] if state == "loading" else ""
        return Say(m.Beat(m.PROTOCOL, self.epoch, self.session, state, percent, note, self._rss, self._vram))

    def _schedule(self, at: float) -> None:
        self.next_at = min(at, self._leave_at) if self._leave_at else at
