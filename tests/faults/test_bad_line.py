"""Between clients and daemon, and between a worker and daemon, messages are dropped, doubled, delayed and held."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voicebus.bus.errors import Disconnected, JobFailed, VoicebusError
from voicebus.clients.line import Protocol
from voicebus.clients.sync import Client

from .listening import RATE, TONE, Heard, placed, sentences, sounds

PROXY = Path(__file__).with_name("proxy.py")
RULES = {
    "drop": {"drop": 0.02},
    "duplicate": {"duplicate": 0.2},
    "delay": {"delay": 0.3, "delay_s": 0.1},
    "hold": {"hold": 0.02, "hold_s": 1.0},
    "all": {"drop": 0.01, "duplicate": 0.05, "delay": 0.1, "delay_s": 0.1, "hold": 0.01, "hold_s": 1.0},
}
CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE} }}
[providers.far]
command = ["sh", "-c", "VOICEBUS_WORKERS=ipc://@ROOT@/far exec {sys.executable} -m voicebus.workers.tone"]
rate = {RATE}
workers = @FAR@
load_s = 5.0
first_chunk_s = 2.0
chunk_s = 2.0
beat_s = 0.3
settings = {{ {TONE}, factor = 0.02 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["far", "tone"]
[restart]
base_s = 0.05
max_s = 0.2
intensity = 1000
[breaking]
failures = 1000
"""
TRIES = 60


@contextlib.contextmanager
def bad_line(listen: Path, target: Path, seed: int, rules: dict[str, float]) -> Iterator[dict[str, int]]:
    """A proxy. What it yields is filled in when it has ended: what it did."""
    done: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-W", "error", PROXY, f"ipc://{listen}", f"ipc://{target}", str(seed), json.dumps(rules)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as proxy:
        assert proxy.stdout is not None and proxy.stdin is not None
        assert proxy.stdout.readline() == b"ready\n"
        try:
            yield done
        finally:
            proxy.stdin.close()
        done.update(json.loads(proxy.stdout.read()))
    assert proxy.returncode == 0


def heard_at_last(client: Client, text: str, job: str) -> tuple[Heard, list[VoicebusError]]:
    """What a patient caller hears: where a reading ends with an error he says so, and goes on where it broke off."""
    errors: list[VoicebusError] = []
    heard = None
    for _ in range(TRIES):
        try:
            if heard is None:
                heard = Heard(client.speak(text, job=job, pace="render", patience=60.0), announced=False)
            else:
                last = heard.takes[max(heard.takes)] if heard.samples else ""
                heard.speech = client.attach(job, heard.samples, take=last)
            heard.listen()
        except VoicebusError as error:
            errors.append(error)
        else:
            return heard, errors
    raise AssertionError(f"{job} did not end: {errors[-3:]}")


def right(client: Client, heard: Heard, text: str) -> None:
    """Every sample is what an oracle makes of the text, whichever of them it was."""
    for row, sound in placed(client, heard.speech.job, heard.pcm, text):
        assert sound in sounds(row, text, [""], RATE, 1.0), row


def beginning(client: Client, heard: Heard, text: str) -> None:
    """As far as a job came, every sample is right."""
    rows = [row for row in client.segments(heard.speech.job) if row["state"] == "whole"]
    must = b"".join(next(iter(sounds(row, text, [""], RATE, 1.0))) for row in rows)
    assert heard.pcm == must[: len(heard.pcm)]
    assert heard.samples == heard.speech.result.samples


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_clients_hear_the_right_thing_or_an_error_by_name(launch, kind):
    """Whatever becomes of single messages on their way, nobody ever hears a wrong sample: a reading goes on by itself,
    or ends with an error that has a name, and can be taken up where it broke off. What is only late ends nothing."""
    service = launch(CONFIG.replace("@FAR@", "0").replace('"far", ', ""))
    near = service.client()
    service.ready(near, "tone", 2)
    with (
        bad_line(service.root / "line", service.run / "bus.sock", 1, RULES[kind]) as done,
        Client(endpoint=f"ipc://{service.root / 'line'}", start=False, reconnect_s=20.0) as client,
    ):
        for number in range(4):
            text = sentences(10, start=10 * number)
            heard, errors = heard_at_last(client, text, f"job-{number}")
            right(near, heard, text)
            assert all(isinstance(error, (Protocol, Disconnected)) for error in errors), errors
            assert not (errors and kind in ("delay", "hold"))
    assert all(done[what] for what in RULES[kind] if not what.endswith("_s"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_a_worker_at_the_end_of_a_bad_line(launch, kind):
    """What comes of a worker is right or is not taken: where messages are missing, doubled or late, its sentence is
    made again, by it or by the next in the chain. A job ends well, or with the reason behind the last right sample."""
    with contextlib.ExitStack() as stack:
        service = launch(CONFIG.replace("@FAR@", "1"))
        done = stack.enter_context(bad_line(service.root / "far", service.run / "workers.sock", 2, RULES[kind]))
        client = service.client()
        service.ready(client, "tone", 2)
        service.ready(client, "far")
        failed = 0
        for number in range(6):
            text = sentences(8, start=10 * number)
            heard = Heard(client.speak(text, patience=60.0))
            with contextlib.suppress(JobFailed):
                heard.listen()
            if heard.speech.result.complete:
                right(client, heard, text)
            else:
                assert heard.speech.result.code == "quarantined"
                failed += 1
                beginning(client, heard, text)
        # Two lost messages in one sentence look like a text that silences every engine.
        assert failed <= (3 if kind in ("drop", "all") else 0)
        service.write(CONFIG.replace("@FAR@", "0").replace('"far", ', ""))
        service.signal(signal.SIGHUP)
    assert all(done[what] for what in RULES[kind] if not what.endswith("_s"))
