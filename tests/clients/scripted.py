"""A daemon for tests: a real ROUTER, whose answers a test writes.

By itself it greets, accepts jobs and speaks them in takes whose every sample can be told: `sample(segment, take)`. A
test replaces the answer to any message (`daemon.on[Submit] = ...`) and waits for what comes (`daemon.expect(Submit)`).
"""

import collections
import queue
import struct
import threading

import zmq

from voicebus.bus import codec, sockets
from voicebus.bus.messages import (
    Accepted,
    Appended,
    Attached,
    Audio,
    CancelledAll,
    Greet,
    Hello,
    MarkRow,
    Marks,
    Page,
    Terminal,
    Welcome,
)

RATE = 16000
FRAME = 1600


def pcm(value, samples):
    """So many samples of one value."""
    return struct.pack("<h", value) * samples


class Job:
    """A job whose segments are (samples, take); credit is kept to."""

    def __init__(self, name, submit, segments):
        self.name = name
        self.submit = submit
        self.segments = segments
        self.sent = 0
        self.credit = submit.credit if submit else 0
        self.over = False

    @property
    def samples(self):
        return sum(samples for samples, _ in self.segments)

    def frames(self):
        """What may be sent now: (segment, take, offset, samples), cut at the credit."""
        begin = 0
        for number, (samples, take) in enumerate(self.segments):
            while begin <= self.sent < begin + samples and self.sent < self.credit:
                count = min(FRAME, begin + samples - self.sent, self.credit - self.sent)
                yield number, take, begin, self.sent, count
                self.sent += count
            begin += samples


class Daemon(threading.Thread):
    """The ROUTER and its thread. segments: what each job consists of."""

    def __init__(self, path, segments=((4000, "t1"), (3000, "t2")), epoch="e1"):
        super().__init__(daemon=True)
        self.endpoint = f"ipc://{path}"
        self.segments = list(segments)
        self.epoch = epoch
        self.jobs = {}
        self.known = set()
        self.lanes = {}
        self.full = set()
        self.received = queue.Queue()
        self.on = {}
        self.deaf = set()
        self._tasks = queue.Queue()
        self._context = zmq.Context()
        self.router = sockets.router(self._context)
        self.router.bind(self.endpoint)
        self._wake = self._context.socket(zmq.PAIR)
        self._wake.bind("inproc://wake")
        self._bell = self._context.socket(zmq.PAIR)
        self._bell.connect("inproc://wake")
        self.stopped = False
        self.failure = None
        self.start()

    # ----------------------------------------------------------------------------------- called by tests

    def expect(self, kind, timeout=5.0):
        """The next message of a type, skipping others: the message and its body."""
        while True:
            message, body = self.received.get(timeout=timeout)
            if isinstance(message, kind):
                return message, body

    def do(self, function):
        """Run a function in the daemon's thread and wait for it."""
        done = threading.Event()
        self._tasks.put((function, done))
        self._bell.send(b"")
        assert done.wait(5.0)

    def restart(self, epoch):
        """From now on it is another run, which knows nobody and no jobs."""

        def forget():
            self.epoch = epoch
            self.known.clear()
            self.jobs.clear()

        self.do(forget)

    def stop(self):
        if not self.stopped:
            self.stopped = True
            self._bell.send(b"")
            self.join(5.0)
            self.router.close(0)
            self._wake.close(0)
            self._bell.close(0)
            self._context.term()
        if self.failure is not None:
            raise self.failure

    # ------------------------------------------------------------------------------------ its own thread

    def run(self):
        poller = zmq.Poller()
        poller.register(self.router, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        try:
            while not self.stopped:
                poller.poll(2 if self.full else 5000)
                full, self.full = self.full, set()
                for peer in full:
                    self._flush(peer)
                while self._wake.poll(0):
                    self._wake.recv()
                while not self._tasks.empty():
                    function, done = self._tasks.get()
                    function()
                    done.set()
                self._drain()
        except Exception as error:  # noqa: BLE001 - shown by the test, when it stops the daemon
            self.failure = error

    def _drain(self):
        while (parts := sockets.receive(self.router)) is not None:
            peer, header, *rest = parts
            message = codec.decode_from_client(header)
            body = rest[0] if rest else b""
            self.received.put((message, body))
            self._handle(peer, message, body)

    def _handle(self, peer, message, body):
        if type(message) in self.deaf:
            return
        if isinstance(message, Hello):
            self.known.add(peer)
        elif peer not in self.known or message.epoch != self.epoch:
            self.send(peer, Greet())
            return
        answer = self.on.get(type(message)) or getattr(self, f"on_{type(message).__name__.lower()}")
        answer(peer, message, body)

    def send(self, peer, message, body=b""):
        message.epoch = self.epoch
        parts = [peer, codec.encode(message)] + ([body] if body or isinstance(message, (Audio, Marks, Page)) else [])
        lane = self.lanes.setdefault(peer, collections.deque())
        lane.append(parts)
        self._flush(peer)

    def _flush(self, peer):
        """A full pipe keeps what is for it, in order; who is gone gets nothing."""
        lane = self.lanes[peer]
        try:
            while lane:
                sockets.send(self.router, *lane[0])
                lane.popleft()
        except zmq.Again:
            self.full.add(peer)
        except zmq.ZMQError:
            lane.clear()

    def on_hello(self, peer, message, body):
        self.send(peer, Welcome(version="0.1.0", beat_s=10.0, started_by="hand"))

    def on_submit(self, peer, message, body):
        existing = message.job in self.jobs
        job = self.jobs.setdefault(message.job, Job(message.job, message, self.segments))
        job.text = body
        job.pieces = {0: body}
        self.send(
            peer, Accepted(job=message.job, existing=existing, state="running", rate=message.rate or RATE, pieces=1)
        )
        if message.complete:
            self.pump(peer, job)

    def on_append(self, peer, message, body):
        self.jobs[message.job].pieces[message.n] = body
        self.send(peer, Appended(job=message.job, n=message.n))

    def on_end(self, peer, message, body):
        job = self.jobs[message.job]
        self.send(peer, Appended(job=message.job, n=message.n - 1, ended=True))
        self.pump(peer, job)

    def on_credit(self, peer, message, body):
        job = self.jobs.get(message.job)
        if job is not None:
            job.credit = message.up_to
            self.pump(peer, job)

    def on_attach(self, peer, message, body):
        job = self.jobs.setdefault(message.job, Job(message.job, None, self.segments))
        job.sent, job.credit, job.over = message.offset, message.credit, False
        self.send(peer, Attached(job=message.job, offset=message.offset, rate=RATE, state="running"))
        self.pump(peer, job)

    def on_detach(self, peer, message, body):
        pass

    def on_bye(self, peer, message, body):
        self.known.discard(peer)

    def on_cancel(self, peer, message, body):
        if message.job in self.jobs:
            self.jobs[message.job].over = True
        self.send(peer, Terminal(job=message.job, state="cancelled", code="cancelled", message="Cancelled."))

    def on_cancelall(self, peer, message, body):
        self.send(peer, CancelledAll(request=message.request, count=3))

    def on_query(self, peer, message, body):
        rows = [{"what": message.what, "cursor": message.cursor, "where": message.where}]
        more = "" if message.cursor else "2"
        self.send(peer, Page(request=message.request, what=message.what, next=more), codec.encode(rows))

    def pump(self, peer, job):
        """Send what credit allows, and the end behind it."""
        if job.over:
            return
        name = job.name
        for number, take, begin, offset, count in job.frames():
            if offset == begin:
                rows = codec.encode([MarkRow("word", 10, 1, 4)])
                self.send(
                    peer,
                    Marks(job=name, segment=number, take=take, offset=begin, start=100 * number, length=100,
                          provider="tone", voice="a"),
                    rows,
                )  # fmt: skip
            self.send(peer, Audio(job=name, segment=number, take=take, offset=offset), pcm(number + 1, count))
        if job.sent >= job.samples:
            job.over = True
            speakers = [{"provider": "tone", "version": "1", "voice": "a", "segments": len(job.segments)}]
            self.send(
                peer,
                Terminal(job=name, samples=job.samples, segments=len(job.segments), speakers=speakers),
            )


def expected_pcm(segments):
    """What a job of such segments sounds like."""
    return b"".join(pcm(number + 1, samples) for number, (samples, _) in enumerate(segments))
