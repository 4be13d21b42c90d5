"""A client and a worker without anything between them and the socket, so that a figure shows the daemon alone.

Both block on their socket; neither repeats a request, since nothing gets lost here. The real `Client` is measured
beside them where that is what people use.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Any, Self

import zmq

from voicebus.bus import endpoints, sockets
from voicebus.bus import messages as m
from voicebus.bus.codec import decode_rows, decode_to_client, decode_to_worker, encode

_names = itertools.count()


GREET_S = 8.0


class Timeout(AssertionError):
    """Nothing came."""


class Peer:
    """A DEALER that is read and written by blocking calls."""

    def __init__(self, endpoint: str, context: zmq.Context[Any] | None = None) -> None:
        self.context = context or zmq.Context.instance()
        self.socket = sockets.dealer(self.context, endpoint)
        self.socket.setsockopt(zmq.RCVTIMEO, 20_000)
        self.socket.setsockopt(zmq.SNDTIMEO, 20_000)
        self.epoch = ""

    def send(self, message: m.Message, body: bytes | None = None) -> None:
        message.epoch = self.epoch
        header = encode(message)
        if body is None:
            self.socket.send(header)
        else:
            self.socket.send(header, zmq.SNDMORE)
            self.socket.send(body)

    def receive(self) -> tuple[bytes, bytes]:
        """Header and body of the next message. Raises Timeout."""
        try:
            header = self.socket.recv()
        except zmq.Again:
            raise Timeout("nothing for 20 s") from None
        return header, self.socket.recv() if self.socket.rcvmore else b""

    def waiting(self, timeout_ms: float = 0) -> bool:
        return bool(self.socket.poll(timeout_ms))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close(linger=0)


class RawClient(Peer):
    """A client. Waits until there is a daemon and it has answered."""

    def __init__(self, runtime: Path, context: zmq.Context[Any] | None = None) -> None:
        super().__init__(endpoints.endpoint(runtime / endpoints.CLIENT_SOCKET), context)
        self._greet()
        welcome, _ = self.expect(m.Welcome)
        self.epoch = welcome.epoch

    def _greet(self) -> None:
        self._greeted_at = time.monotonic()
        self.socket.send(encode(m.Hello(name="benchmark", pid=os.getpid())))

    def receive(self) -> tuple[bytes, bytes]:
        self._greet_if_due()
        return super().receive()

    def _greet_if_due(self) -> None:
        """A client that has nothing to say greets now and then, or it is forgotten."""
        if time.monotonic() - self._greeted_at > GREET_S:
            self._greet()

    def expect(self, *kinds: type[m.Message]) -> tuple[Any, bytes]:
        """The next message of these kinds; what comes before it is dropped. Raises what an ERROR says."""
        while True:
            header, body = self.receive()
            message = decode_to_client(header)
            if isinstance(message, kinds):
                return message, body
            if isinstance(message, m.Error):
                raise RuntimeError(f"{message.code}: {message.message}")

    def submit(self, text: str, provider: str = "", **fields: Any) -> str:
        """Send a job, asking for all its audio, live; returns its name."""
        message = self._job(provider, **fields)
        self.send(message, text.encode())
        return message.job

    def _job(self, provider: str, **fields: Any) -> m.Submit:
        self._greet_if_due()
        job = fields.pop("job", "") or f"bench-{os.getpid()}-{next(_names)}"
        fields = {"credit": m.UNLIMITED, "chain": [m.Choice(provider=provider)] if provider else []} | fields
        return m.Submit(job=job, **fields)

    def finish(self) -> m.Terminal:
        """Read on to the end of the job. Raises RuntimeError if that is not a good one."""
        end, _ = self.expect(m.Terminal)
        if end.state != "finished":
            raise RuntimeError(f"{end.state} {end.code}: {end.message}")
        return end

    def first_audio_s(self, text: str, provider: str = "", **fields: Any) -> float:
        """Seconds from sending SUBMIT to the first AUDIO; then reads the job to its end."""
        message, body = self._job(provider, **fields), text.encode()
        begin = time.perf_counter()
        self.send(message, body)
        while True:
            header, _ = self.receive()
            if header[1:7] == b"\xa5audio":
                break
        took = time.perf_counter() - begin
        self.finish()
        return took

    def rows(self, what: str, **where: str) -> list[dict[str, Any]]:
        """A whole list."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            self.send(m.Query(request="q", what=what, cursor=cursor, limit=1000, where=where))
            page, body = self.expect(m.Page)
            found += decode_rows(body)
            cursor = page.next
            if not cursor:
                return found


class RawWorker(Peer):
    """A worker that comes by itself, registers by its provider's key and claims one voice."""

    def __init__(self, runtime: Path, provider: str, key: str, *, rate: int = 24000, slots: int = 1) -> None:
        super().__init__(endpoints.endpoint(runtime / endpoints.WORKER_SOCKET))
        self.rate = rate
        self.beaten_at = time.monotonic()
        self.send(m.Register(ticket=key, provider=provider, version="1", pid=os.getpid()))
        welcome = self.next()
        if not isinstance(welcome, m.Welcome):
            raise RuntimeError(f"not let in: {welcome}")
        self.epoch, self.session, self.beat_s = welcome.epoch, welcome.session, welcome.beat_s
        capabilities = {"streams": True, "own_end": True, "default_voices": {"": "raw", "en": "raw"}}
        voices = [{"name": "raw", "languages": ["en"]}]
        ready = encode({"voices": voices, "capabilities": capabilities, "device": {"kind": "cpu"}})
        self.send(
            m.Ready(session=self.session, rate=rate, slots=slots, load_s=0.01, first_audio_s=0.01, factor=0.01), ready
        )

    def next(self) -> Any:
        """The next message; its body is in `body`."""
        header, self.body = self.receive()
        return decode_to_worker(header)

    def beat_if_due(self, now: float) -> None:
        if now - self.beaten_at >= self.beat_s / 2:
            self.beaten_at = now
            self.send(m.Beat(session=self.session, state="busy", rss=10_000_000))

    def begun(self, attempt: str) -> None:
        self.send(m.Begun(session=self.session, attempt=attempt))

    def chunk(self, attempt: str, seq: int, offset: int, pcm: bytes) -> None:
        """Send a chunk, waiting for room in the pipe."""
        header = encode(m.Chunk(1, self.epoch, self.session, attempt, seq, offset))
        self.socket.send(header, zmq.SNDMORE)
        self.socket.send(pcm)

    def done(self, attempt: str, samples: int) -> None:
        self.send(m.Done(session=self.session, attempt=attempt, samples=samples, peak=9000, rms=3000.0, work_s=0.01))
