"""The wall clock is set while the daemon works: to another year, and back."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
beat_s = 0.2
chunk_s = 1.0
settings = {{ {TONE}, factor = 0.2 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
YEAR = 365.0 * 86400
TEXT = sentences(6)
JUMPING = Path(__file__).with_name("jumping.py")


@pytest.fixture
def clock():
    """What is added to the daemon's wall clock."""
    fd, name = tempfile.mkstemp(prefix="vb-clock-")
    os.close(fd)
    yield Path(name)
    Path(name).unlink()


def jump(clock, seconds):
    """At once, and never half written."""
    new = clock.with_name(clock.name + ".new")
    new.write_text(str(seconds))
    new.replace(clock)


@pytest.mark.parametrize("by", [YEAR, -YEAR, 3600.0, -3600.0])
def test_nobody_is_judged_by_it(launch, clock, by):
    """A job in the middle goes on with the same takes; no worker is suspected or killed, no deadline passes, and jobs
    before, during and after the jump are found in the order of their acceptance."""
    service = launch(CONFIG, wrapper=[sys.executable, str(JUMPING), str(clock)])
    client = service.client()
    before = {row["pid"] for row in service.ready(client, "tone", 2)}
    first = Heard(client.speak(sentences(1, start=50))).listen()
    heard = Heard(client.speak(TEXT))
    jumped = []

    def on_event(event):
        if isinstance(event, Frame) and event.segment in (1, 3) and event.segment not in jumped:
            jumped.append(event.segment)
            jump(clock, by if event.segment == 1 else 0.0)

    heard.listen(on_event)
    assert jumped == [1, 3]
    rows = exact(client, heard, TEXT)
    assert [row["tries"] for row in rows] == [1] * len(rows)
    assert {row["pid"] for row in service.ready(client, "tone", 2)} == before
    jump(clock, -by)
    last = Heard(client.speak(sentences(1, start=60))).listen()
    order = [row["job"] for row in client.jobs()]
    assert sorted([first.speech.job, heard.speech.job, last.speech.job], key=order.index) in (
        [first.speech.job, heard.speech.job, last.speech.job],
        [last.speech.job, heard.speech.job, first.speech.job],
    )


def test_jobs_go_on_in_another_year(launch, clock):
    """A daemon that is started when the clock is wrong goes on with what is there, throws nothing away for its age, and
    so does the next, when the clock is right again."""
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone", 2)
    done = Heard(client.speak(sentences(2, start=50), keep="history")).listen()
    heard = Heard(client.speak(TEXT))
    killed = []

    def on_event(event):
        if isinstance(event, Frame) and event.segment in (1, 3) and event.segment not in killed:
            killed.append(event.segment)
            service.kill()
            if event.segment == 1:
                jump(clock, -YEAR)
                service.start_again([sys.executable, str(JUMPING), str(clock)])
            else:
                service.start_again()

    heard.listen(on_event)
    exact(client, heard, TEXT)
    assert Heard(client.attach(done.speech.job)).listen().pcm == done.pcm
