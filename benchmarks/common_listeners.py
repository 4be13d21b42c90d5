"""The parts of figure 3: a worker that speaks in real time to many, and many who listen, in few processes.

A frame's first 8 bytes say when it was due (nanoseconds of the monotonic clock, which all processes share). What is
common to the real bus and to the floor is written once; the floor leaves out attempts, credit and checks.
"""

from __future__ import annotations

import heapq
import re
import resource
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from common import percentile
from common_daemon import key_of
from common_floors import dealer, router
from common_peers import RawClient, RawWorker

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_to_client, encode

RATE = 24_000
FRAME_S = 0.04
FRAME = int(RATE * FRAME_S)
SENTENCE_S = 4.0
FRAMES_PER_SENTENCE = int(SENTENCE_S / FRAME_S)
CREDIT_AHEAD = 2 * RATE
CREDIT_EVERY = 5
SWEEP_S = 0.01
HEAR_S = 0.005
TICK_S = 0.002
"""What is due within this is sent together: a worker that woke up for each frame would need a core for itself."""

_STAMP = struct.Struct("<q")
_REST = bytes(range(1, 241)) * 8


def body(due: float) -> bytes:
    """A frame that was due at this time."""
    return (_STAMP.pack(round(due * 1e9)) + _REST)[: 2 * FRAME]


def late_ms(frame: bytes, now: float) -> float:
    return now * 1000 - _STAMP.unpack_from(frame)[0] / 1e6


def many_descriptors() -> None:
    """A connection takes several."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def context(sockets: int) -> zmq.Context[Any]:
    made = zmq.Context()
    made.setsockopt(zmq.MAX_SOCKETS, sockets + 10)
    return made


# ---------------------------------------------------------------------------------------------------------- worker


SLOTS = 256
"""Most that one worker may have; there are as many workers as it takes, all in one process."""


@dataclass
class Sentence:
    """An attempt and the worker that it was given to."""

    worker: RawWorker
    attempt: str
    credit: int


@dataclass
class Stream:
    """What one listener is being told: his sentences by number, which may come in any order, and where he is."""

    sentences: dict[int, Sentence] = field(default_factory=dict)
    number: int = 0
    seq: int = 0
    due: float = 0.0


class Pacer:
    """Speaks to every listener in real time, one sentence after the other."""

    def __init__(self, runtime: Path, slots: int) -> None:
        count = -(-slots // SLOTS)
        self.workers = [RawWorker(runtime, "paced", key_of("paced"), rate=RATE, slots=SLOTS) for _ in range(count)]
        self.streams: dict[int, Stream] = {}
        self.attempts: dict[str, Sentence] = {}
        self.queue: list[tuple[float, int]] = []
        self.lags: list[float] = []
        self.poller = zmq.Poller()
        for worker in self.workers:
            self.poller.register(worker.socket, zmq.POLLIN)

    def hear(self, timeout_ms: float) -> None:
        """Take what has come for any worker."""
        came = dict(self.poller.poll(timeout_ms))
        for worker in self.workers:
            while worker.socket in came and worker.waiting():
                self.take(worker, worker.next())

    def take(self, worker: RawWorker, message: m.ToWorker) -> None:
        if isinstance(message, m.Work):
            listener, number = map(int, re.findall(rb"\d+", worker.body))
            sentence = self.attempts[message.attempt] = Sentence(worker, message.attempt, message.credit)
            stream = self.streams.setdefault(listener, Stream())
            stream.sentences[number] = sentence
            if number == stream.number:
                stream.due = max(time.monotonic(), stream.due)
                heapq.heappush(self.queue, (stream.due, listener))
        elif isinstance(message, m.Grant):
            self.attempts[message.attempt].credit = message.up_to
        elif isinstance(message, m.Stop):
            raise RuntimeError(f"told to stop: {message}")

    def speak(self, listener: int, now: float) -> None:
        """Send a listener's next frame."""
        stream = self.streams[listener]
        sentence = stream.sentences[stream.number]
        worker, attempt = sentence.worker, sentence.attempt
        if not stream.seq:
            worker.begun(attempt)
        if (stream.seq + 1) * FRAME > sentence.credit:
            raise RuntimeError(f"no credit for {listener} after {stream.seq * FRAME_S} s of a sentence")
        worker.chunk(attempt, stream.seq, stream.seq * FRAME, body(stream.due))
        self.lags.append((now - stream.due) * 1000)
        stream.seq += 1
        stream.due += FRAME_S
        if stream.seq == FRAMES_PER_SENTENCE:
            worker.done(attempt, stream.seq * FRAME)
            del self.attempts[attempt]
            stream.number, stream.seq = stream.number + 1, 0
        if stream.number in stream.sentences:
            heapq.heappush(self.queue, (stream.due, listener))

    def run(self, seconds: float) -> float:
        """Speak for so long; how late the frames were sent (p99, ms)."""
        begin = time.monotonic()
        heard = begin
        while (now := time.monotonic()) < begin + seconds:
            while self.queue and self.queue[0][0] <= now and now < heard + HEAR_S:
                self.speak(heapq.heappop(self.queue)[1], now)
                now = time.monotonic()
            if not self.queue or self.queue[0][0] > now:
                time.sleep(TICK_S)
            self.hear(0)
            heard = time.monotonic()
        return percentile(self.lags or [0.0], 0.99)


def paced_worker(runtime: Path, slots: int) -> Callable[[float], float]:
    """The process of all workers."""
    return Pacer(runtime, slots).run


def bare_source(folder: Path, count: int) -> Callable[[float], float]:
    """As `paced_worker`, for the floor: a frame for each listener every 40 ms, and nothing else."""
    socket = dealer(folder / "workers")
    heads = [f"{number:08}".encode() for number in range(count)]

    def run(seconds: float) -> float:
        begin = time.monotonic()
        end, lags = begin + seconds, []
        queue = [(begin + 1 + number * FRAME_S / count, number) for number in range(count)]
        while (now := time.monotonic()) < end:
            due, number = queue[0]
            if due > now:
                time.sleep(max(TICK_S, due - now))
                continue
            socket.send(heads[number], zmq.SNDMORE)
            socket.send(body(due))
            lags.append((now - due) * 1000)
            heapq.heapreplace(queue, (due + FRAME_S, number))
        return percentile(lags, 0.99)

    return run


def bare_switch(folder: Path, ready: Callable[[], None]) -> None:
    """The floor itself: forwards by the number in the header."""
    many_descriptors()
    workers, clients = router(folder / "workers"), router(folder / "clients")
    poller = zmq.Poller()
    poller.register(workers, zmq.POLLIN)
    poller.register(clients, zmq.POLLIN)
    peers: dict[bytes, bytes] = {}
    ready()
    while True:
        for socket, _ in poller.poll():
            try:
                while True:
                    peer, header = socket.recv(zmq.NOBLOCK), socket.recv()
                    if socket is clients:
                        peers[header] = peer
                        continue
                    frame = socket.recv()
                    if header in peers:
                        clients.send(peers[header], zmq.SNDMORE)
                        clients.send(header, zmq.SNDMORE)
                        clients.send(frame)
            except zmq.Again:
                pass


# --------------------------------------------------------------------------------------------------------- listeners


def sweep(sockets: list[Any], heard: Callable[[int, bytes, bytes, float], None], until: float) -> None:
    """Read all sockets every `SWEEP_S`, without waiting for any."""
    poller = zmq.Poller()
    numbers = {socket: number for number, socket in enumerate(sockets)}
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    at_once = int(zmq.NOBLOCK)
    while (now := time.monotonic()) < until:
        for socket, _ in poller.poll(0):
            number = numbers[socket]
            try:
                while True:
                    header = socket.recv(at_once, False)
                    frame = socket.recv() if header.more else b""
                    heard(number, header.bytes, frame, time.monotonic())
            except zmq.Again:
                pass
        time.sleep(max(0.0, now + SWEEP_S - time.monotonic()))


def bare_listeners(folder: Path, first: int, count: int) -> Callable[[float, float], list[float]]:
    """Listeners of the floor: how late each frame was."""
    many_descriptors()
    here = context(count)
    sockets = []
    for number in range(first, first + count):
        socket = here.socket(zmq.DEALER)
        socket.connect(f"ipc://{folder / 'clients'}")
        socket.send(f"{number:08}".encode())
        sockets.append(socket)

    def run(settle_s: float, seconds: float) -> list[float]:
        found: list[float] = []
        counted = time.monotonic() + settle_s

        def heard(_number: int, _header: bytes, frame: bytes, now: float) -> None:
            if counted <= now:
                found.append(late_ms(frame, now))

        sweep(sockets, heard, counted + seconds)
        return found

    return run


def real_listeners(runtime: Path, first: int, count: int) -> Callable[[float, float], list[float]]:
    """Clients of the daemon, which begin one after the other within the length of a sentence: people who know nothing
    of each other do not end their sentences together. Checks that no frame is missing or comes twice."""
    many_descriptors()
    here = context(count)
    clients = [RawClient(runtime, here) for _ in range(count)]

    def run(settle_s: float, seconds: float) -> list[float]:
        found: list[float] = []
        begin = time.monotonic()
        counted = begin + settle_s
        sentences = int((settle_s + seconds) / SENTENCE_S) + 2
        offsets = [0] * count
        jobs = []
        for number, client in enumerate(clients):
            time.sleep(max(0.0, begin + number / count * SENTENCE_S - time.monotonic()))
            name = first + number
            text = " ".join(f"Listener {name} hears sentence {s} now." for s in range(sentences))
            jobs.append(client.submit(text, "paced", rate=RATE, credit=CREDIT_AHEAD))

        def heard(number: int, header: bytes, frame: bytes, now: float) -> None:
            if header[1:7] != b"\xa5audio":
                return
            if counted <= now:
                found.append(late_ms(frame, now))
            at = decode_to_client(header).offset
            if at != offsets[number]:
                raise RuntimeError(f"frame at {at}, expected {offsets[number]}")
            offsets[number] = at + len(frame) // 2
            if not (offsets[number] // FRAME) % CREDIT_EVERY:
                credit = m.Credit(1, clients[number].epoch, jobs[number], offsets[number] + CREDIT_AHEAD, at)
                clients[number].socket.send(encode(credit))

        sweep([client.socket for client in clients], heard, counted + seconds)
        return found

    return run
