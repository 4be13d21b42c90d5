"""Stages with what single scenes need: a journal that takes its time, the order in which things were said, and time
that passes while everybody shows signs of life."""

from __future__ import annotations

from typing import Any

from voicebus.bus import codec
from voicebus.bus.messages import UNLIMITED, Audio, Beat, Failed, Marks, Query
from voicebus.daemon.core.settings import Settings
from voicebus.daemon.core.state import Job

from .world_of_one import FakeClient, FakeWorker, Stage

THREE = "One. Two. Three."
"""Three segments."""


class Scene(Stage):
    """said: to whom what was said, in order. hold_writes: whole takes wait for `write` to get into their journals."""

    def __init__(self, configuration: Settings | None = None) -> None:
        self.said: list[tuple[bytes, Any]] = []
        self.hold_writes = False
        self.unwritten: list[Any] = []
        super().__init__(configuration)

    def _to_client(self, effect: Any) -> None:
        self.said.append((effect.peer, codec.decode_to_client(effect.header)))
        super()._to_client(effect)

    def _write(self, effect: Any) -> None:
        if self.hold_writes:
            self.unwritten.append(effect)
        else:
            super()._write(effect)

    def write(self) -> None:
        """The journal catches up."""
        self.hold_writes = False
        for effect in self.unwritten:
            self._write(effect)
        self.unwritten = []
        self.run()

    def live(self, seconds: float) -> None:
        """Time passes, and whoever is connected goes on saying so."""
        for _ in range(int(seconds)):
            for worker in list(self.processes.values()):
                if worker.session:
                    worker.say(Beat(state="ready"))
            for client in list(self.clients.values()):
                if client.peer in self.core.world.clients:
                    client.hello()
            self.pass_time(1.0, step=1.0)

    def job(self, name: str = "j", uid: int = 1000) -> Job:
        """A job as the core holds it."""
        return self.core.world.jobs[uid, name]

    def leave(self, client: FakeClient) -> None:
        """A client's connection breaks."""
        del self.clients[client.peer]
        self.core.client_gone(client.peer, self.now)
        self.run()

    def like(self, client: FakeClient, job: str = "j", upto: int | None = None) -> FakeClient:
        """Another connection of a client, that holds what the first one got, or as much of it."""
        other = self.client(client.uid)
        have = client.audio.get(job, bytearray())
        end = len(have) // 2 if upto is None else upto
        other.audio[job] = bytearray(have[: 2 * end])
        other.takes[job] = [t for t in client.takes.get(job, []) if t[0] < end]
        return other


def scene(
    text: str = THREE, *, configuration: Settings | None = None, credit: int = UNLIMITED, **options: Any
) -> tuple[Scene, FakeWorker, FakeClient]:
    """A worker that is ready, and a client that has submitted the job "j"."""
    stage = Scene(configuration)
    worker = stage.worker()
    client = stage.client()
    client.submit("j", text, credit, **options)
    return stage, worker, client


def speak_all(worker: FakeWorker, chunks: int = 3) -> None:
    """Make all that is asked for."""
    while worker.current:
        worker.speak(worker.current, chunks)


def lose(worker: FakeWorker, code: str = "killed", message: str = "gone") -> str:
    """The take in hand breaks off; its name."""
    attempt = worker.current
    del worker.work[attempt]
    worker.say(Failed(attempt=attempt, code=code, message=message))
    return attempt


def heard(client: FakeClient, job: str = "j") -> int:
    """How many samples a client has."""
    return len(client.audio.get(job, b"")) // 2


def take_at(client: FakeClient, offset: int, job: str = "j") -> str:
    """The take of the sample before an offset, "" for none."""
    return next((take for at, count, take in client.takes.get(job, []) if at < offset <= at + count), "")


def catch_up(client: FakeClient, job: str = "j", read: str = "live", credit: int = UNLIMITED) -> list[int]:
    """Attach as every client does: from what it holds, back as far as it is told. Returns the offsets tried."""
    tried: list[int] = []
    while len(tried) < 20:
        tried.append(heard(client, job))
        before = len(client.inbox)
        client.attach(job, tried[-1], take_at(client, tried[-1], job), credit, read)
        if not any(type(m).__name__ == "Rewind" for m, _ in client.inbox[before:]):
            return tried
    raise AssertionError("reader and log never agree")


def rows(client: FakeClient, segment: int | None = None) -> list[Any]:
    """All mark rows that a client was sent, of one segment or of all, in order."""
    return [
        row
        for message, body in client.inbox
        if type(message) is Marks and segment in (None, message.segment)
        for row in codec.decode_marks(body)
    ]


def kinds(client: FakeClient) -> list[str]:
    """What a client was sent, by name, with runs of AUDIO as one."""
    names: list[str] = []
    for message, _ in client.inbox:
        name = type(message).__name__
        if not (type(message) is Audio and names and names[-1] == name):
            names.append(name)
    return names


def query(client: FakeClient, what: str, **options: Any) -> tuple[list[dict[str, Any]], str]:
    """One page: its rows and the cursor of the next."""
    client.say(Query(request="q", what=what, **options))
    message, body = client.inbox[-1]
    assert type(message).__name__ == "Page", message
    return codec.decode_rows(body), message.next
