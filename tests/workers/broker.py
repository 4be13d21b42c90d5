"""A bare ROUTER that plays the daemon for one worker, and the worker's process beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import zmq

from voicebus.bus import messages as m
from voicebus.bus import sockets
from voicebus.bus.codec import decode_from_worker, encode

WAIT_S = 10.0


class Broker:
    """Listens at `endpoint`; answers nothing by itself but the registration, in `welcome`."""

    def __init__(self, folder: Path, epoch: str = "e1") -> None:
        self.endpoint = f"ipc://{folder}/w.sock"
        self.epoch = epoch
        self.session = ""
        self.peer = b""
        self.bodies: list[bytes] = []
        self._context = zmq.Context()
        self.router = sockets.router(self._context)
        self.router.bind(self.endpoint)
        self._sessions = 0

    def close(self) -> None:
        self.router.close(linger=0)
        self._context.term()

    def recv(self, timeout: float = WAIT_S) -> tuple[Any, bytes] | None:
        """The next message and its body, None where none comes in time."""
        if not self.router.poll(timeout * 1000):
            return None
        parts = sockets.receive(self.router)
        assert parts is not None
        self.peer = parts[0]
        return decode_from_worker(parts[1]), parts[2] if len(parts) > 2 else b""

    def wait(self, *kinds: type, timeout: float = WAIT_S, skip: tuple[type, ...] = (m.Beat,)) -> tuple[Any, bytes]:
        """The next message that is not one of `skip`; it must be one of `kinds`."""
        end = time.monotonic() + timeout
        while True:
            got = self.recv(max(0.0, end - time.monotonic()))
            assert got is not None, f"none of {kinds} came within {timeout} s"
            if isinstance(got[0], kinds):
                return got
            assert isinstance(got[0], skip), f"{got[0]} came instead of {kinds}"

    def say(self, message: m.Message, body: bytes = b"") -> None:
        message.epoch = message.epoch or self.epoch
        if hasattr(message, "session") and not message.session:
            message.session = self.session
        sockets.send(self.router, self.peer, encode(message), *([body] if body else []))

    def welcome(self, beat_s: float = 30.0, settings: dict[str, Any] | None = None) -> m.Register:
        """Let the worker in, under a session of its own."""
        register, _ = self.wait(m.Register)
        self._sessions += 1
        self.session = f"s{self._sessions}"
        self.say(m.Welcome(version="0", session=self.session, beat_s=beat_s, settings=settings or {}))
        return register

    def ready(self, beat_s: float = 30.0, settings: dict[str, Any] | None = None) -> tuple[m.Ready, bytes]:
        self.welcome(beat_s, settings)
        return self.wait(m.Ready, skip=(m.Beat, m.Register))

    def work(self, attempt: str, text: str, credit: int = m.UNLIMITED, **fields: Any) -> None:
        fields.setdefault("voice", "low")
        self.say(m.Work(attempt=attempt, credit=credit, **fields), text.encode())

    def take(self, attempt: str, timeout: float = WAIT_S) -> tuple[bytes, list[Any], Any]:
        """Everything of an attempt up to its end: PCM (checked to be in order), mark rows, and the last message."""
        from voicebus.bus.codec import decode_marks

        pcm, marks, seq = bytearray(), [], 0
        self.wait(m.Begun, timeout=timeout)
        while True:
            message, body = self.wait(m.Chunk, m.TakeMarks, m.Done, m.Failed, m.Stopped, timeout=timeout)
            assert (message.epoch, message.session, message.attempt) == (self.epoch, self.session, attempt)
            if isinstance(message, m.TakeMarks):
                marks += decode_marks(body)
            elif isinstance(message, m.Chunk):
                assert (message.seq, message.offset) == (seq, len(pcm) // 2)
                assert body and not len(body) % 2
                seq += 1
                pcm += body
            else:
                return bytes(pcm), marks, message


class Process:
    """A worker's process, as the daemon starts one."""

    def __init__(self, broker: Broker, *args: str, ticket: str = "t1", env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            env={
                "PATH": os.environ.get("PATH", ""),
                "VOICEBUS_WORKERS": broker.endpoint,
                "VOICEBUS_PROVIDER": "tone",
                **(env or {}),
            },
        )
        if ticket:
            self.process.stdin.write(f"{ticket}\n".encode())
            self.process.stdin.flush()

    def exit(self, timeout: float = WAIT_S) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        return self.process.wait(timeout)

    def words(self) -> str:
        """What it left on standard error (after its end)."""
        return self.process.stderr.read().decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        self.process.wait()
