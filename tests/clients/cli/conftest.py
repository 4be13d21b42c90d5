"""A scripted client in the place of the real one, and a runner for the command."""

from __future__ import annotations

import signal
from typing import Any, Self

import pytest
from click.testing import CliRunner

from voicebus.bus.errors import NotFound
from voicebus.clients.cli import seam
from voicebus.clients.cli.app import cli
from voicebus.clients.events import Frame, Result, Segment
from voicebus.clients.importing import Tally

VOICE = {
    "provider": "espeak",
    "voice": "en-us",
    "languages": ["en-US", "en"],
    "gender": "male",
    "description": "American",
    "variants": ["f3", "m1"],
}
PROVIDER = {
    "provider": "espeak",
    "state": "ready",
    "workers": 2,
    "ready": 1,
    "version": "1.52",
    "voices": 1,
    "rate": 22050,
    "breaker": "closed",
    "retry_in_s": 0.0,
    "capabilities": {},
    "reason": "",
}
WORKER = {
    "worker": "espeak-0",
    "provider": "espeak",
    "pid": 4711,
    "state": "ready",
    "reason": "",
    "restarts": 3,
    "last_failure": "crash: exit code 11",
    "jobs_done": 17,
    "rss": 38_000_000,
    "factor": 0.004,
    "first_audio_s": 0.0031,
    "stderr": [],
}
DAEMON = {
    "pid": 4700,
    "version": "0.1.0",
    "state": "serving",
    "started_by": "client",
    "uptime_s": 75.0,
    "clients": 1,
    "jobs": {"running": 1, "finished": 0},
    "problems": [{"where": "limits.jobs", "line": 7, "reason": "must be a whole number"}],
    "config": "/etc/voicebus.toml",
}
JOB = {
    "job": "kitchen-1",
    "state": "running",
    "code": "",
    "message": "",
    "priority": "text",
    "language": "en",
    "rate": 22050,
    "segments": 4,
    "done": 2,
    "samples": 44100,
    "complete": False,
    "provider": "espeak",
    "voice": "en-us",
    "age_s": 12.0,
}
SEGMENT = {
    "segment": 0,
    "start": 0,
    "length": 12,
    "state": "whole",
    "provider": "espeak",
    "version": "1.52",
    "voice": "en-us",
    "attempt": "e.1",
    "seed": 7,
    "first_audio_s": 0.003,
    "made_s": 0.02,
    "tries": 2,
    "offset": 0,
    "samples": 22050,
    "trail": ["crash: exit code 11"],
}


KEPT = {
    "job": "kitchen-1",
    "state": "finished",
    "code": "",
    "created": 1769860800.0,
    "finished": 1769860805.0,
    "samples": 44100,
    "rate": 22050,
    "segments": 1,
    "skipped": 0,
    "speakers": [{"provider": "espeak", "version": "1.52", "voice": "en-us", "segments": 1}],
    "language": "en",
    "keep": "history",
    "pinned": False,
    "audio": "kept",
    "bytes": 88200,
    "text": "Good morning.",
}
REQUEST = {
    "chain": [],
    "language": "en",
    "ssml": False,
    "rate": 0,
    "style": {"rate": 1.5, "pitch": 1.0, "volume": 1.0, "punctuation": "", "instruct": "", "options": {}},
    "priority": "text",
    "pace": "listen",
    "keep": "history",
    "patience_s": 20.0,
    "seed": None,
    "skip_bad": False,
}


class Speech:
    """What the fake client speaks: some events, then an end."""

    def __init__(self, client: Client, text: Any) -> None:
        self.client = client
        self.job = "kitchen-1"
        self.keep = client.keep
        self.text = text if isinstance(text, str) else "".join(text)
        self.result: Result | None = None
        self.cancelled = False

    def _run(self, on_event):
        for event in self.client.events:
            if on_event is not None:
                on_event(event)
        self.result = self.client.result
        if isinstance(self.client.failure, BaseException):
            raise self.client.failure

        return self.result

    def save(self, target, format=None, *, on_event=None, partial=False):  # noqa: A002 - the name of the real one
        self.client.calls.append(("save", target if isinstance(target, str) else "stream", format))
        result = self._run(on_event)
        if hasattr(target, "write"):
            target.write(b"RIFFsound")
        return result

    def wait_kept(self) -> None:
        self.client.calls.append(("kept",))

    def cancel(self) -> None:
        self.cancelled = True
        self.client.calls.append(("cancelled",))


class Player:
    """Plays a fake speech to nobody."""

    def __init__(self, speech, *, device, on_event):
        self.speech, self.device, self.on_event = speech, device, on_event

    def run(self):
        self.speech.client.calls.append(("play", self.device))
        if self.speech.client.signalled:
            signal.raise_signal(self.speech.client.signalled)
        return self.speech._run(self.on_event)

    def stop(self):
        self.speech.client.calls.append(("silence",))


class Client:
    """Answers from what a test puts into its attributes, and notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.asked: dict[str, Any] = {}
        self.refusal: Exception | None = None
        self.failure: BaseException | None = None
        self.signalled = 0
        self.keep = "history"
        self.events = [
            Segment(0, "e.1", 0, 0, 5, "espeak", "en-us"),
            Frame(memoryview(bytes(8820)), 0, 22050, 0, "e.1"),
        ]
        speakers = [{"provider": "espeak", "version": "1", "voice": "en-us", "segments": 1}]
        self.result = Result("kitchen-1", "finished", samples=4410, rate=22050, segments=1, speakers=speakers)
        self.rows = {
            "voices": [VOICE],
            "providers": [PROVIDER],
            "jobs": [JOB],
            "segments": [SEGMENT],
            "history": [KEPT],
        }
        self.speech: Speech | None = None
        self.imports: list[str] = []
        self.tally = Tally()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append(("closed",))

    def interrupt(self, check):
        self.calls.append(("woken",))

    def speak(self, text, **how):
        self.asked = how
        if self.refusal is not None:
            raise self.refusal
        self.speech = Speech(self, text)
        return self.speech

    def attach(self, job, *, offset=0, whole=False):
        self.asked = {"job": job, "offset": offset, "whole": whole}
        if self.refusal is not None:
            raise self.refusal
        return Speech(self, "")

    def cancel(self, job):
        self.calls.append(("cancel", job))
        if self.refusal is not None:
            raise self.refusal
        return {"job": job, "state": "cancelled", "code": "cancelled", "message": "", "samples": 0}

    def history(self, *, limit=None, **filters):
        self.calls.append(("history", limit, filters))
        return iter(self.rows["history"][:limit])

    def kept(self, job):
        for row in self.rows["history"]:
            if row["job"] == job:
                return row | {"message": "", "trail": [], "seed": 7, "request": REQUEST}
        raise NotFound(f"There is no job {job!r} in the history.")

    def text(self, job):
        return "Good morning."

    def say_again(self, job, **changes):
        return self.speak(self.text(job), again=job, **changes)

    def import_history(self, path, *, on_job=None):
        self.calls.append(("import", path))
        for job in self.imports:
            on_job(job, self.tally)
            self.tally.imported += 1
        if self.failure is not None:
            raise self.failure
        return self.tally

    def delete(self, job):
        self.calls.append(("delete", job))
        self.kept(job)

    def pin(self, job, pinned):
        self.calls.append(("pin", job, pinned))
        self.kept(job)

    def cancel_all(self) -> int:
        return 2

    def voices(self, *, provider="", language="", kind=None):
        rows = self.rows["voices"]
        return [row for row in rows if row["provider"] == (provider or row["provider"])
                and (not language or language in row["languages"])]  # fmt: skip

    def providers(self):
        return self.rows["providers"]

    def jobs(self):
        return self.rows["jobs"]

    def segments(self, job):
        if self.refusal is not None:
            raise self.refusal
        return self.rows["segments"]

    def status(self):
        return DAEMON

    def workers(self):
        return [WORKER]


@pytest.fixture
def client(monkeypatch, tmp_path):
    """The fake client, found by every command; sound devices and directories are made up too."""
    fake = Client()

    def connect(*, start=False):
        fake.calls.append(("connect", start))
        return fake

    monkeypatch.setattr(seam, "connect", connect)
    monkeypatch.setattr(seam, "player", Player)
    monkeypatch.setattr(seam, "devices", lambda: [{"name": "Speakers", "default": True}])
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("VOICEBUS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("VOICEBUS_CONFIG", str(tmp_path / "voicebus.toml"))
    return fake


@pytest.fixture
def run():
    """Run the command: `run("say", "hello")`, `input=` for standard input."""

    def invoke(*arguments, input=None, **environment):  # noqa: A002 - as click calls it
        return CliRunner().invoke(cli, list(arguments), input=input, prog_name="voicebus", env=environment)

    return invoke
