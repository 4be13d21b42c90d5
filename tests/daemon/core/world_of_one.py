"""A whole world around one core, without sockets, processes or time: for tests that play scenes.

`Stage` carries out effects at once (journals in memory, commits done unless held), keeps what clients and workers were
sent, and offers a worker and a client to act with. Time passes only when a test says so.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from voicebus.bus import codec
from voicebus.bus.messages import (
    UNLIMITED,
    Accepted,
    Append,
    Attach,
    Attached,
    Audio,
    Begun,
    Cancel,
    Chunk,
    Credit,
    Done,
    End,
    Greet,
    Heard,
    HeardRow,
    Hello,
    Marks,
    Need,
    Quit,
    Ready,
    Register,
    Rewind,
    Stop,
    Stopped,
    Submit,
    Terminal,
    Transcript,
    Welcome,
    Work,
)
from voicebus.daemon.core.core import Core
from voicebus.daemon.core.effects import (
    Ask,
    CheckSample,
    Commit,
    DropFile,
    DropInput,
    DropLog,
    DropVoiceFiles,
    Expire,
    FeedWorker,
    Filed,
    Kill,
    Leave,
    Pack,
    Report,
    Spawn,
    Stored,
    StorePrompt,
    SyncLog,
    ToClient,
    ToWorker,
    Unpack,
    WriteNote,
    WriteSample,
    WriteTake,
)
from voicebus.daemon.core.feeding import WINDOW_BYTES
from voicebus.daemon.core.personal import voice_key
from voicebus.daemon.core.records import (
    Found,
    JobDeleted,
    JobEnded,
    JobImported,
    JobPacked,
    JobPinned,
    JobSaved,
    Outcome,
    SampleFacts,
    SavedJob,
    TakeFound,
    TextAdded,
    TextClosed,
    Unfinished,
    VoiceRemoved,
    VoiceRenamed,
    VoiceSaved,
    Wanted,
)
from voicebus.daemon.core.settings import Choice, Limits, Provider, Settings

DATE = 1_700_000_000.0
"""When everything is written down, seconds since 1970."""

GOOD = SampleFacts(5.0, 24_000, 1, "WAV", -3.0, -18.0, -60.0, 0.0, 0.2, 0.3)
"""Of a recording that nobody has anything to say against."""

READY_BODY = {
    "voices": [
        {"name": "en", "languages": ["en"], "gender": "", "description": "", "variants": ["f1"]},
        {"name": "de", "languages": ["de"], "gender": "", "description": "", "variants": []},
    ],
    "capabilities": {
        "streams": True,
        "marks": ["word"],
        "ssml": True,
        "rate": True,
        "pitch": True,
        "volume": True,
        "punctuation": True,
        "seed": False,
        "instruct": False,
        "own_end": True,
        "options": [],
        "default_voices": {"": "en", "de": "de"},
    },
    "device": {},
    "engine": {"name": "fake", "version": "1"},
}


HEARS = {
    "voices": [],
    "capabilities": {
        "speak": False,
        "transcribe": True,
        "models": ["small", "large"],
        "marks": ["word"],
        "options": ["depth"],
        "default_voices": {},
    },
}
"""What READY of a worker that transcribes says other than others."""


def settings(*names: str, workers: int = 1, limits: Limits | None = None, **changes: Any) -> Settings:
    """Settings with providers of these names, chained in this order."""
    names = names or ("a",)
    options = {"module": "m", "workers": workers, "rate": 1000, **changes.pop("provider", {})}
    providers = {name: Provider(name, **options) for name in names}
    chain = tuple(Choice(name) for name in names)
    return Settings(providers=providers, chain=chain, limits=limits or Limits(), **changes)


def samples(attempt: str, start: int, count: int) -> bytes:
    """PCM that tells which take, and which part of it, it is."""
    seed = sum(attempt.encode()) * 31
    return b"".join(((seed + i * 7) % 30000 + 1).to_bytes(2, "little") for i in range(start, start + count))


@dataclass(repr=False)
class FakeWorker:
    """A worker's process as the core sees it."""

    stage: Stage
    name: str
    ticket: str
    provider: str
    peer: bytes = b""
    session: str = ""
    inbox: list[tuple[Any, bytes]] = field(default_factory=list)
    work: dict[str, Work] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    quit: bool = False

    def say(self, message: Any, body: bytes = b"") -> None:
        """Send a message to the core."""
        message.epoch = self.stage.core.world.epoch
        if hasattr(message, "session"):
            message.session = self.session
        self.stage.core.worker_message(self.peer, 0, 0, message, body, self.stage.now)
        self.stage.run()

    def register(self) -> None:
        """Connect, anew each time."""
        self.stage.peers += 1
        self.peer = b"w%d" % self.stage.peers
        self.stage.worker_peers[self.peer] = self
        self.say(Register(ticket=self.ticket, provider=self.provider, version="1"))

    def ready(self, **changes: Any) -> None:
        """Be loaded."""
        more = {name: changes.pop(name) for name in ("voices", "prompts") if name in changes}
        body = {**READY_BODY, **more, "capabilities": {**READY_BODY["capabilities"], **changes.pop("capabilities", {})}}  # type: ignore[dict-item]
        if changes.pop("hears", False):
            body = {**body, **HEARS}
        told = {"rate": 1000, "load_s": 0.1, "first_audio_s": 0.01, "factor": 0.01, **changes}
        self.say(Ready(**told), codec.encode(body))

    def receive(self, message: Any, body: bytes) -> None:
        """The core sent something."""
        self.inbox.append((message, body))
        if isinstance(message, Welcome):
            self.session = message.session
            self.work.clear()
        elif isinstance(message, Work):
            self.work[message.attempt] = message
            self.texts[message.attempt] = body.decode("utf-8", "replace")
            self.bodies[message.attempt] = body
            self.sent[message.attempt] = (0, 0)
        elif isinstance(message, Stop):
            self.stops.append(message.attempt)
        elif isinstance(message, Quit):
            self.quit = True
        elif isinstance(message, Greet):
            self.session = ""

    def begin(self, attempt: str) -> None:
        """Start on an attempt."""
        self.say(Begun(attempt=attempt))

    def chunk(self, attempt: str, count: int = 100) -> None:
        """Send audio."""
        seq, at = self.sent[attempt]
        self.sent[attempt] = (seq + 1, at + count)
        self.say(Chunk(attempt=attempt, seq=seq, offset=at), samples(attempt, at, count))

    def done(self, attempt: str, **changes: Any) -> None:
        """Finish an attempt."""
        self.work.pop(attempt, None)
        self.say(
            Done(
                attempt=attempt,
                samples=self.sent[attempt][1],
                **{"peak": 9000, "rms": 900.0, "work_s": 0.01, **changes},
            )
        )

    def speak(self, attempt: str, chunks: int = 3) -> None:
        """Make an attempt from beginning to end."""
        self.begin(attempt)
        for _ in range(chunks):
            self.chunk(attempt)
        self.done(attempt)

    def about(self, attempt: str, seconds: float = 10.0, language: str = "en") -> None:
        """Say what a recording is."""
        self.row(attempt, HeardRow("about", end=seconds, language=language, confidence=0.9))

    def hear(self, attempt: str, start: float, end: float, text: str) -> None:
        """Hear a passage."""
        self.row(attempt, HeardRow("passage", start, end, text, "en", 0.8))

    def row(self, attempt: str, row: Any) -> None:
        """Send a row of a transcript."""
        n = self.rows.get(attempt, 0)
        self.rows[attempt] = n + 1
        self.say(Heard(attempt=attempt, n=n, at_s=row.end), codec.encode(row))

    def reach(self, attempt: str, at_s: float) -> None:
        """Say how far it has come."""
        self.say(Heard(attempt=attempt, n=self.rows.get(attempt, 0), at_s=at_s))

    def fetch(self, attempt: str) -> None:
        """Have all of a recording sent."""
        work = self.work.get(attempt)
        for at in range(0, work.size if work is not None else 0, WINDOW_BYTES):
            self.say(Need(key=f"input:{attempt}", offset=at, up_to=at + WINDOW_BYTES))

    def heard(self, attempt: str, **changes: Any) -> None:
        """All of a recording is dealt with."""
        self.fetch(attempt)
        self.work.pop(attempt, None)
        self.say(Done(attempt=attempt, **{"samples": self.rows.get(attempt, 0), "work_s": 0.5, **changes}))

    def answer_stops(self) -> None:
        """Say STOPPED to whatever was to be stopped."""
        stops, self.stops = self.stops, []
        for attempt in stops:
            self.work.pop(attempt, None)
            self.say(Stopped(attempt=attempt))

    @property
    def current(self) -> str:
        """The attempt in hand."""
        return next(iter(self.work), "")


@dataclass(repr=False)
class FakeClient:
    """A client that checks what every client may rely on."""

    stage: Stage
    peer: bytes
    uid: int = 1000
    pid: int = 1
    inbox: list[tuple[Any, bytes]] = field(default_factory=list)
    audio: dict[str, bytearray] = field(default_factory=dict)
    takes: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    segments: dict[str, dict[int, str]] = field(default_factory=dict)
    credit: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    terminals: dict[str, Terminal] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)

    def say(self, message: Any, body: bytes = b"") -> None:
        """Send a message to the core."""
        message.epoch = self.stage.core.world.epoch
        self.stage.core.client_message(self.peer, self.uid, self.pid, message, body, self.stage.now)
        self.stage.run()

    def hello(self) -> None:
        """Greet."""
        self.say(Hello(name="test", version="0"))

    def submit(self, job: str, text: str = "Hello there.", credit: int = UNLIMITED, **changes: Any) -> None:
        """Ask for a job and read it."""
        self.credit[job] = credit
        self.say(Submit(job=job, credit=credit, **changes), text.encode())

    def record(self, job: str, data: bytes = b"a recording", **changes: Any) -> None:
        """Ask for a recording to be transcribed, and read it."""
        self.credit[job] = UNLIMITED
        self.say(Submit(job=job, kind="transcribe", pace="render", credit=UNLIMITED, **changes), data)

    def piece(self, job: str, n: int, data: bytes) -> None:
        """Add to a recording."""
        self.say(Append(job=job, n=n), data)

    def text(self, job: str) -> str:
        """What was heard so far."""
        return "".join(row.text for _, row in self.rows.get(job, []))

    def grant(self, job: str, up_to: int, heard: int | None = None) -> None:
        """Consent to more."""
        self.credit[job] = max(up_to, self.credit.get(job, 0))
        self.say(Credit(job=job, up_to=up_to, heard=len(self.audio.get(job, b"")) // 2 if heard is None else heard))

    def attach(self, job: str, offset: int = 0, take: str = "", credit: int = UNLIMITED, read: str = "live") -> None:
        """Read from the middle."""
        self.credit[job] = max(credit, self.credit.get(job, 0))
        self.say(Attach(job=job, read=read, offset=offset, take=take, credit=credit))  # type: ignore[arg-type]

    def append(self, job: str, n: int, text: str) -> None:
        """Add text."""
        self.say(Append(job=job, n=n), text.encode())

    def end(self, job: str, n: int) -> None:
        """No more text."""
        self.say(End(job=job, n=n))

    def cancel(self, job: str) -> None:
        """Stop it."""
        self.say(Cancel(job=job))

    def receive(self, message: Any, body: bytes) -> None:
        """The core sent something; check it against what was promised."""
        self.inbox.append((message, body))
        if isinstance(message, Accepted):
            self.accepted.add(message.job)
        elif isinstance(message, Audio):
            self._audio(message, body)
        elif isinstance(message, Transcript):
            rows = self.rows.setdefault(message.job, [])
            assert message.n == len(rows), "a row is missing, or comes twice"
            rows.append((message.take, codec.decode_heard(body)))
        elif isinstance(message, Rewind) and message.job in self.rows:
            del self.rows[message.job][message.offset :]
        elif isinstance(message, Rewind):
            self._rewind(message)
        elif isinstance(message, Terminal):
            assert message.job not in self.terminals or self.terminals[message.job] == message
            self.terminals[message.job] = message

    def _audio(self, message: Audio, body: bytes) -> None:
        job = message.job
        have = self.audio.setdefault(job, bytearray())
        assert message.offset == len(have) // 2, "a gap or a repeat"
        assert len(body) % 2 == 0 and body
        assert message.offset + len(body) // 2 <= self.credit[job], "beyond the credit"
        takes = self.segments.setdefault(job, {})
        assert takes.setdefault(message.segment, message.take) == message.take, "two takes in one segment"
        have += body
        self.takes.setdefault(job, []).append((message.offset, len(body) // 2, message.take))

    def _rewind(self, message: Rewind) -> None:
        job = message.job
        have = self.audio.setdefault(job, bytearray())
        assert message.offset * 2 <= len(have)
        del have[message.offset * 2 :]
        takes = self.segments.setdefault(job, {})
        for number in [n for n in takes if n >= message.segment]:
            del takes[number]
        self.takes[job] = [t for t in self.takes.get(job, []) if t[0] < message.offset]

    def got(self, kind: type) -> list[Any]:
        """All messages of a kind so far."""
        return [message for message, _ in self.inbox if type(message) is kind]

    def last(self, kind: type) -> Any:
        """The newest message of a kind."""
        return self.got(kind)[-1]


class FakeStore:
    """What a store keeps, as the records say, and a journal's takes as they were written."""

    def __init__(self) -> None:
        self.jobs: dict[tuple[int, str], SavedJob] = {}
        self.deleted: set[tuple[int, str]] = set()
        self.takes: dict[str, list[TakeFound]] = {}
        self.voices: dict[tuple[int, str], VoiceSaved] = {}
        self.order = 0
        self.rows: tuple[dict[str, Any], ...] = ()
        self.past: set[tuple[int, str]] = set()
        self.now = 0.0

    def commit(self, record: Any) -> str:
        """Keep it; the state of its outcome."""
        if isinstance(record, JobSaved):
            key = (record.uid, record.id)
            if key in self.deleted:
                return "deleted"
            if key in self.jobs:
                return "exists"
            self.jobs[key] = SavedJob(record, (record.text,), record.submit.complete)
            self.order = max(self.order, record.order)
            return "done"
        if isinstance(record, VoiceSaved | VoiceRenamed | VoiceRemoved):
            return self._voice(record)
        if isinstance(record, JobImported):
            return self._import(record)
        key = self._key(record)
        if key not in self.jobs:
            return "missing"
        saved = self.jobs[key]
        if isinstance(record, TextAdded):
            self.jobs[key] = replace(saved, texts=(*saved.texts, record.text))
        elif isinstance(record, TextClosed):
            self.jobs[key] = replace(saved, complete=True)
        elif isinstance(record, JobEnded):
            texts = saved.texts if record.heard is None else (record.heard,)
            self.jobs[key] = replace(saved, ended=record, finished=self.now, texts=texts)
        elif isinstance(record, JobPinned):
            self.jobs[key] = replace(saved, pinned=record.pinned)
        elif isinstance(record, JobPacked):
            assert saved.ended is not None
            self.jobs[key] = replace(saved, audio="packed", ended=replace(saved.ended, disk=record.bytes))
        else:
            del self.jobs[key]
            self.deleted.add(key)
        return "done"

    def _voice(self, record: Any) -> str:
        if isinstance(record, VoiceSaved):
            self.voices[voice_key(record.uid, record.name)] = record.dated(DATE)
        elif isinstance(record, VoiceRenamed):
            del self.voices[voice_key(record.voice.uid, record.old)]
            self.voices[voice_key(record.voice.uid, record.voice.name)] = record.voice.dated(DATE)
        else:
            del self.voices[voice_key(record.uid, record.name)]
        return "done"

    def _import(self, record: JobImported) -> str:
        job = record.job
        key = (job.uid, job.id)
        if key in self.deleted or key in self.jobs:
            return "deleted" if key in self.deleted else "exists"
        self.jobs[key] = SavedJob(
            job, record.texts, True, record.ended, record.pinned, job.created, record.ended.finished, record.audio
        )
        self.order = max(self.order, job.order)
        return "done"

    def _key(self, record: Any) -> tuple[int, str]:
        if isinstance(record, JobDeleted | JobPinned):
            return record.uid, record.id
        return next((key for key, saved in self.jobs.items() if saved.job.order == record.order), (0, ""))

    def find(self, effect: Ask) -> Found:
        """Answer a question."""
        wanted = effect.wanted
        if wanted.what == "plain":
            return Found(effect.ticket, rows=tuple(self._plain(wanted))[: wanted.limit])
        if wanted.what != "job":
            return Found(effect.ticket, self.rows, "more" if self.rows else "")
        key = (wanted.uid, wanted.id)
        return Found(effect.ticket, saved=self.jobs.get(key), deleted=key in self.deleted)

    def _plain(self, wanted: Wanted) -> Iterator[dict[str, Any]]:
        for (uid, name), saved in self.jobs.items():
            over, job = saved.ended, saved.job
            old = self.now - saved.finished >= float(wanted.where["age_s"])
            if over is not None and over.samples and saved.audio == "kept" and job.order > int(wanted.cursor) and old:
                yield {"order": job.order, "uid": uid, "id": name, "log": job.log, "disk": over.disk}

    def expire(self, effect: Expire) -> Found:
        """Remove what is `past` its time."""
        rows = []
        for key in sorted(self.past & self.jobs.keys()):
            saved = self.jobs[key]
            assert saved.ended is not None
            if saved.job.order not in effect.policy.spared:
                del self.jobs[key]
                self.deleted.add(key)
                row = {"order": saved.job.order, "uid": key[0], "id": key[1], "log": saved.job.log}
                rows.append({**row, "disk": saved.ended.disk})
        return Found(effect.ticket, rows=tuple(rows))

    def unfinished(self, notes: list[tuple[str, dict[str, Any]]]) -> list[Unfinished]:
        """What the next daemon goes on with."""
        found = []
        for saved in self.jobs.values():
            if saved.ended is None:
                takes = self.takes.get(saved.job.log, [])
                written = [TakeFound(meta, 0, 0, 0) for log, meta in notes if log == saved.job.log]
                disk = sum(2 * take.meta["samples"] for take in takes)
                found.append(Unfinished(saved, (*takes, *written), disk))
        return found


class Stage:
    """A core with everything around it. held: commits and journal writes wait for `let_go` instead of being done."""

    def __init__(
        self,
        configuration: Settings | None = None,
        *,
        seed: int = 0,
        epoch: str = "e1",
        before: Stage | None = None,
        durable: bool = False,
    ) -> None:
        self.now = before.now if before else 100.0
        self.peers = before.peers if before else 0
        self.tickets = 0
        self.hold_commits = False
        self.hold_answers = False
        self.disk_full = False
        self.commits_fail = ""
        self.held: deque[Commit] = deque()
        self.asked: list[Ask | Expire] = []
        self.checking: list[CheckSample] = []
        self.facts: SampleFacts | None = GOOD
        self.files_stay = ""
        self.hold_syncs = False
        self.syncing: deque[str] = deque()
        self.hold_helpers = False
        self.helpers_fail = ""
        self.helping: list[Pack | Unpack] = []
        self.packs: dict[str, bytes] = before.packs if before else {}
        self.policies: list[Any] = []
        self.notes: list[tuple[str, dict[str, Any]]] = before.notes if before else []
        self.processes: dict[str, FakeWorker] = {}
        self.killed: list[str] = []
        self.worker_peers: dict[bytes, FakeWorker] = {}
        self.clients: dict[bytes, FakeClient] = {}
        self.unreachable: set[bytes] = set()
        self.full: set[bytes] = set()
        self.journals: dict[str, bytearray] = before.journals if before else {}
        self.files: dict[str, bytearray] = before.files if before else {}
        self.store = before.store if before else FakeStore()
        self.reports: list[str] = []
        self.left: int | None = None
        self.core = Core(
            configuration or settings(),
            epoch,
            random.Random(seed),
            self._ticket,
            {"version": "0", "pid": 1, "uid": 1000},
        )
        if before or durable:
            disk: Counter[int] = Counter()
            for saved in self.store.jobs.values():
                disk[saved.job.uid] += saved.ended.disk if saved.ended else 0
            self.core.restore_voices(list(self.store.voices.values()), self._voice_files(), self.now)
            self.core.restore(self.store.order + 1, self.store.unfinished(self.notes), disk)
        self.core.start(self.now)
        self.run()

    def _voice_files(self) -> dict[tuple[int, str], int]:
        return {
            (int(name.split("/")[1]), name.split("/")[2]): len(data)
            for name, data in self.files.items()
            if name.startswith("voices/") and not name.endswith(".part")
        }

    def _ticket(self) -> str:
        self.tickets += 1
        return f"t{self.tickets}"

    def worker(self, name: str = "a/0", **changes: Any) -> FakeWorker:
        """A spawned worker, made ready."""
        worker = self.processes[name]
        worker.register()
        worker.ready(**changes)
        return worker

    def external(self, provider: str, key: str) -> FakeWorker:
        """A worker that somebody else started, registered with a provider's key."""
        worker = FakeWorker(self, "", key, provider)
        worker.register()
        return worker

    def client(self, uid: int = 1000, pid: int = 0) -> FakeClient:
        """A client that has greeted."""
        self.peers += 1
        client = FakeClient(self, b"c%d" % self.peers, uid, pid or self.peers)
        self.clients[client.peer] = client
        client.hello()
        return client

    def run(self) -> None:
        """Carry out effects until there are none."""
        while True:
            effects, self.core.effects = self.core.effects, []
            for effect in effects:
                self._do(effect)
            if not self.core.effects:
                if not self.core.hungry:
                    return
                self.core.tick(self.now)

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, with a tick whenever the core wants one or `step` is over."""
        end = self.now + seconds
        while self.now < end:
            deadline = self.core.next_deadline(self.now)
            self.now = min(end, self.now + step, max(deadline or end, self.now + 0.001))
            self.core.tick(self.now)
            self.run()

    def let_go(self) -> None:
        """Do the commits that were held."""
        while self.held:
            self._commit(self.held.popleft())
            self.run()

    def exit(self, name: str, code: int | None = None, signal: int | None = None) -> None:
        """A worker's process ends."""
        worker = self.processes.pop(name)
        self.unreachable.add(worker.peer)
        self.core.exited(name, code, signal, ["last words"], self.now)
        self.run()

    def _do(self, effect: Any) -> None:
        if isinstance(effect, ToClient):
            self._to_client(effect)
        elif isinstance(effect, ToWorker):
            worker = self.worker_peers.get(effect.peer)
            if effect.peer in self.unreachable or worker is None:
                self.core.worker_gone(effect.peer, self.now)
            else:
                worker.receive(codec.decode_to_worker(effect.header), self._bytes(effect.body))
        elif isinstance(effect, FeedWorker):
            data = self.files.get(effect.file, b"")[effect.at : effect.at + effect.length]
            whole = len(data) == effect.length
            self._do(ToWorker(effect.peer, effect.header if whole else effect.missing, bytes(data) if whole else None))
        elif isinstance(effect, WriteSample):
            self._write_sample(effect)
        elif isinstance(effect, CheckSample):
            self.checking.append(effect)
            if self.facts is not None:
                self.check(self.facts)
        elif isinstance(effect, StorePrompt):
            if not self.disk_full:
                self.files[f"voices/{effect.uid}/{effect.name}"] = bytearray(effect.data)
            reason = "No space left on device" if self.disk_full else ""
            self.core.prompt_stored(effect.uid, effect.name, len(effect.data), reason, self.now)
        elif isinstance(effect, DropVoiceFiles):
            for name in effect.names:
                self.files.pop(f"voices/{effect.uid}/{name}", None)
                self.files.pop(f"voices/{effect.uid}/{name}.part", None)
            if effect.ticket:
                self.core.voice_files_dropped(effect.ticket, self.files_stay, self.now)
        elif isinstance(effect, Spawn):
            self.processes[effect.worker] = FakeWorker(self, effect.worker, effect.ticket, effect.provider.name)
            self.core.spawned(effect.worker, 1000 + len(self.processes), self.now)
        elif isinstance(effect, Kill):
            self.killed.append(effect.worker)
        elif isinstance(effect, WriteTake):
            self._write(effect)
        elif isinstance(effect, SyncLog):
            self.syncing.append(effect.log)
            if not self.hold_syncs:
                self.sync()
        elif isinstance(effect, DropLog):
            self.journals.pop(effect.log, None)
            self.packs.pop(effect.log, None)
            self.helping = [each for each in self.helping if each.log != effect.log]
        elif isinstance(effect, DropInput):
            self.files.pop(f"logs/{effect.log}.input", None)
        elif isinstance(effect, DropFile):
            (self.packs if effect.packed else self.journals).pop(effect.log)  # type: ignore[attr-defined]
        elif isinstance(effect, Pack | Unpack):
            self.helping.append(effect)
            if not self.hold_helpers:
                self.help()
        elif isinstance(effect, Commit):
            if self.hold_commits:
                self.held.append(effect)
            else:
                self._commit(effect)
        elif isinstance(effect, WriteNote):
            self.notes.append((effect.log, effect.meta))
        elif isinstance(effect, Ask | Expire):
            self.asked.append(effect)
            if isinstance(effect, Expire):
                self.policies.append(effect.policy)
            if not self.hold_answers:
                self.answer()
        elif isinstance(effect, Report):
            self.reports.append(effect.text)
        elif isinstance(effect, Leave):
            self.left = effect.code

    def _commit(self, effect: Commit) -> None:
        record = effect.record
        state, reason = "done", ""
        if record is not None and self.commits_fail:
            state, reason = "failed", self.commits_fail
        elif record is not None:
            self.store.now = self.now
            state = self.store.commit(record)
            if state == "done" and getattr(record, "recorded", None) is not None:
                file = self.files.setdefault(f"logs/{record.log}.input", bytearray())
                file[getattr(record, "at", 0) :] = record.recorded
        self.core.committed(Outcome(effect.ticket, state, reason, at=DATE), self.now)

    def _write_sample(self, effect: WriteSample) -> None:
        part = self.files.setdefault(f"voices/{effect.uid}/{effect.sample}.sample.part", bytearray())
        if effect.offset == len(part):
            part += effect.data
        reason = "No space left on device" if self.disk_full else ""
        self.core.sample_written(effect.uid, effect.sample, len(part), reason, self.now)

    def check(self, facts: SampleFacts | None, reason: str = "") -> None:
        """A helper has looked at the recordings that wait for one."""
        checking, self.checking = self.checking, []
        for effect in checking:
            name = f"voices/{effect.uid}/{effect.sample}.sample"
            if facts is not None:
                self.files[name] = self.files.pop(f"{name}.part")
            self.core.sample_checked(effect.uid, effect.sample, facts, reason, self.now)
            self.run()

    def sync(self, reason: str = "") -> None:
        """The disk has caught up with the journal that is being synced, or cannot."""
        self.core.synced(self.syncing.popleft(), reason, self.now)
        self.run()

    def answer(self) -> None:
        """Answer what the core has asked the store."""
        asked, self.asked = self.asked, []
        self.store.now = self.now
        for effect in asked:
            found = self.store.expire(effect) if isinstance(effect, Expire) else self.store.find(effect)
            self.core.found(found, self.now)
            self.run()

    def help(self) -> None:
        """Let helpers end that pack and unpack. A packed log is its journal backwards, and half as long for the sum."""
        helping, self.helping = self.helping, []
        for effect in helping:
            tell = self.core.packed if isinstance(effect, Pack) else self.core.unpacked
            if self.helpers_fail:
                tell(effect.log, 0, self.helpers_fail, self.now)
            elif isinstance(effect, Pack):
                self.packs[effect.log] = bytes(self.journals[effect.log])[::-1]
                tell(effect.log, len(self.packs[effect.log]) // 2, "", self.now)
            else:
                self.journals[effect.log] = bytearray(self.packs[effect.log][::-1])
                tell(effect.log, len(self.journals[effect.log]), "", self.now)
            self.run()

    def reborn(self, configuration: Settings | None = None) -> Stage:
        """The next daemon on the same disk, with whatever clients connect to it anew."""
        return Stage(configuration or self.core.world.settings, epoch=f"{self.core.world.epoch}x", before=self)

    def _to_client(self, effect: ToClient) -> None:
        client = self.clients.get(effect.peer)
        if client is None or effect.peer in self.unreachable:
            self.core.client_gone(effect.peer, self.now)
        else:
            client.receive(codec.decode_to_client(effect.header), self._bytes(effect.body))

    def _write(self, effect: WriteTake) -> None:
        if self.disk_full:
            self.core.take_lost(effect.log, effect.take, "No space left on device", self.now)
            return
        journal = self.journals.setdefault(effect.log, bytearray())
        marks_at = len(journal)
        journal += effect.marks
        pcm_at = len(journal)
        journal += b"".join(effect.pcm)
        found = TakeFound(effect.meta, pcm_at, marks_at, len(effect.marks))
        self.store.takes.setdefault(effect.log, []).append(found)
        self.core.take_written(effect.log, effect.take, pcm_at, marks_at, self.now)

    def _bytes(self, body: Any) -> bytes:
        if isinstance(body, Filed):
            return bytes(self.files[f"voices/{body.uid}/{body.name}"][body.at : body.at + body.length])
        if isinstance(body, Stored):
            return bytes(self.journals[body.log][body.at : body.at + body.length])
        return bytes(body) if body is not None else b""


__all__ = ["Attached", "FakeClient", "FakeWorker", "Marks", "Stage", "samples", "settings"]
