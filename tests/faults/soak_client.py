"""A client of a soak: a process that asks for one job after the other, checks what it heard, and may be killed.

Owns: its ledger, a file of lines in JSON, which is all that it remembers when it comes back. Must not know: faults.
Invariant: a job that was begun is seen to its end, by this process or by the one that comes after it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if not __package__:  # Run as a script.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    __package__ = "faults"

from voicebus.bus.errors import DaemonError, Disconnected, JobCancelled, NotFound, VoicebusError
from voicebus.clients.events import Event, Frame
from voicebus.clients.sync import Client, Speech

from . import soak_check
from .listening import RATE, Heard
from .soak_check import Tally
from .soak_plan import Plan, plan_for

RECONNECT_S = 60.0
"""Longer than any daemon of a soak is away."""


REPLAYED = 0.25
"""After so many jobs an older one is heard again."""

FORGOTTEN = frozenset({"not_found", "gone", "deleted"})
"""What is said of a job that was the oldest when there was no more room."""


class Ledger:
    """What this client has begun and finished, across its deaths. One write a line, so that a kill tears none."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, **fields: Any) -> None:
        """Add a line."""
        os.write(self._fd, json.dumps(fields).encode() + b"\n")

    @staticmethod
    def read(path: Path) -> list[dict[str, Any]]:
        """All lines."""
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


class Customer:
    """The client's life. again: the job was begun by a process before this one, which was killed."""

    def __init__(self, endpoint: str, seed: int, name: str, folder: Path) -> None:
        self.endpoint, self.seed, self.name, self.folder = endpoint, seed, name, folder
        self.ledger = Ledger(folder / f"{name}.ledger")
        self.pause = threading.Event()
        self.finished: list[int] = []

    def run(self) -> None:
        """One job after the other until told to stop."""
        lines = Ledger.read(self.folder / f"{self.name}.ledger")
        begun = {line["n"] for line in lines if line["what"] == "begun"}
        done = {line["n"] for line in lines if line["what"] == "done"}
        number = max(begun, default=-1) + 1
        with self._client() as client:
            for left in sorted(begun - done):
                self._one(client, left, again=True)
            while not (self.folder / "stop").exists():
                self.ledger.write(n=number, what="begun")
                self._one(client, number, again=False)
                number += 1
            self.ledger.write(n=-1, what="left")

    def _client(self) -> Client:
        return Client(endpoint=self.endpoint, start=False, name=self.name, reconnect_s=RECONNECT_S)

    def _one(self, client: Client, number: int, *, again: bool) -> None:
        plan = plan_for(self.seed, self.name, number)
        state, code, tally = "?", "", Tally()
        try:
            state, code = self._ended(client, plan, tally, again=again)
            if state == "finished":
                self._replay(client, plan.at, tally)
                self.finished.append(number)
        except VoicebusError as error:
            state, code = "failed", error.code
            tally.why.append(f"{type(error).__name__}: {error}")
        except Exception:  # noqa: BLE001 - the report is how anybody hears of it
            state = "broken"
            tally.why.append(traceback.format_exc())
        self.ledger.write(
            n=number, what="done", job=plan.job, way=plan.way, state=state, code=code, again=again, **vars(tally)
        )

    def _ended(self, client: Client, plan: Plan, tally: Tally, *, again: bool) -> tuple[str, str]:
        """See a job to its end, and judge it."""
        heard = Heard(self._speech(client, plan, again=again))
        try:
            getattr(self, f"_{plan.way}", self._live)(client, plan, heard, tally)
        except JobCancelled:
            pass
        except VoicebusError as error:
            result = heard.speech.result
            if result is None or result.state != "failed":
                raise
            tally.why.append(f"{error}")
        result = heard.speech.result
        assert result is not None, "there is no result"
        with contextlib.suppress(NotFound):
            rows = client.segments(plan.job)
            if result.complete and plan.way != "cancel":
                tally.add(soak_check.whole(plan, rows, bytes(heard.pcm)))
            elif plan.way != "words":
                rows = [row for row in rows if row["provider"] in soak_check.SALTS]
                tally.add(soak_check.beginning(plan, rows, bytes(heard.pcm)))
        return result.state, result.code

    def _speech(self, client: Client, plan: Plan, *, again: bool) -> Speech:
        whole = plan.way in ("whole", "flac", "opus")
        if again:
            with contextlib.suppress(NotFound):
                return client.attach(plan.job, whole=whole)
        text = plan.text if plan.way != "pieces" or again else self._in_pieces(plan)
        while True:
            try:
                return client.speak(text, job=plan.job, whole=whole, **plan.options)
            except Disconnected:
                raise
            except DaemonError as error:  # not taken on, by name: too much to do, no space, about to leave
                self.pause.wait(max(0.2, min(error.retry_after, 1.0)))

    def _in_pieces(self, plan: Plan) -> Iterator[str]:
        for start, end in zip((0, *plan.cuts), (*plan.cuts, len(plan.text)), strict=True):
            yield plan.text[start:end]
            self.pause.wait(0.01)

    def _replay(self, client: Client, at: float, tally: Tally) -> None:
        """Now and then, what was said a while ago is heard again, if it is still kept."""
        if at > REPLAYED or not self.finished:
            return
        plan = plan_for(self.seed, self.name, self.finished[int(at / REPLAYED * len(self.finished))])
        if plan.way == "nothing":
            return
        try:
            heard = Heard(client.attach(plan.job)).listen()
            tally.add(soak_check.whole(plan, client.segments(plan.job), bytes(heard.pcm)))
        except VoicebusError as error:
            if error.code not in FORGOTTEN:
                raise

    # ------------------------------------------------------------------------------------------- ways of reading

    def _live(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        heard.listen()

    def _slow(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        heard.listen(lambda event: self.pause.wait(0.03) if isinstance(event, Frame) else None)

    def _cancel(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        enough = plan.at * len(plan.text) * 100
        for event in heard.speech:
            heard.take(event)
            if heard.samples > enough:
                break
        client.cancel(plan.job)
        heard.speech = client.attach(plan.job) if heard.speech.result is None else heard.speech
        with contextlib.suppress(JobCancelled):
            heard.speech.wait()

    def _two(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        self._beside(plan, heard, tally, start=0)

    def _middle(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        self._beside(plan, heard, tally, start=int(plan.at * len(plan.text) * 60))

    def _beside(self, plan: Plan, heard: Heard, tally: Tally, start: int) -> None:
        """Another listener comes in at a sample that the first has heard, and hears the same from there."""
        others: list[_Other] = []

        def on_event(_event: Event) -> None:
            if heard.samples > start and not others:
                others.append(_Other(self._client, plan.job, start))

        try:
            heard.listen(on_event)
        finally:
            for other in others:
                other.join()
        for other in others:
            if bytes(other.pcm) != bytes(heard.pcm[2 * other.since :]):
                tally.wrong += 1
                tally.why.append(f"a listener from sample {other.since} on heard something else: {other.error}")
            tally.compared += len(other.pcm) // 2

    def _wav(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        self._file(plan, heard, tally, "wav")

    def _flac(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        self._file(plan, heard, tally, "flac")

    def _opus(self, client: Client, plan: Plan, heard: Heard, tally: Tally) -> None:
        self._file(plan, heard, tally, "opus")

    def _file(self, plan: Plan, heard: Heard, tally: Tally, form: str) -> None:
        """What is in the file is what was heard; of a form that loses something, as much of it."""
        import soundfile

        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = Path(folder) / f"a.{form}"
            heard.speech.save(path, form, on_event=heard.take)
            samples, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="int16")
        if form != "opus" and samples.tobytes() != bytes(heard.pcm):
            tally.wrong += 1
            tally.why.append(f"the {form} file has {len(samples)} samples and is not what was heard")
        if abs(len(samples) * RATE / rate - heard.samples) > 0:
            tally.lost += 1
            tally.why.append(f"the {form} file has {len(samples)} samples at {rate}, {heard.samples} were heard")


class _Other(threading.Thread):
    """A listener with a connection of his own, from a sample on. In the end: what he heard, from sample `since` on."""

    def __init__(self, connect: Callable[[], Client], job: str, since: int) -> None:
        super().__init__()
        self._connect, self._job, self._first = connect, job, since
        self.since, self.pcm, self.error = since, bytearray(), ""
        self.start()

    def run(self) -> None:
        try:
            with self._connect() as client:
                heard = Heard(client.attach(self._job, self._first))
                heard.pcm = bytearray(2 * self._first)
                with contextlib.suppress(JobCancelled):
                    heard.listen()
                # Where a sentence was made anew of which he had some, he heard it from its start.
                self.since = min([self._first, *(rewind.offset for rewind in heard.rewinds)])
                self.pcm = heard.pcm[2 * self.since :]
        except Exception as error:  # noqa: BLE001 - told where it is compared
            self.error = f"{type(error).__name__}: {error}"


def main() -> int:
    """``soak_client.py ENDPOINT SEED NAME FOLDER``."""
    endpoint, seed, name, folder = sys.argv[1:]
    Customer(endpoint, int(seed), name, Path(folder)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
