"""The power goes: every process dies at once, and of what had not reached the disk a part is gone."""

from __future__ import annotations

import os
import random

import pytest

from voicebus.clients.events import Frame
from voicebus.daemon.journal import scan

from .listening import TONE, Heard, exact, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.1 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TEXT = sentences(12)


def cut(service, client, segment):
    """Let a job come to a segment, then kill everything; returns its journal and what had been heard."""
    heard = Heard(client.speak(TEXT, job="j", pace="render"))
    for event in heard.speech:
        heard.take(event)
        if isinstance(event, Frame) and event.segment == segment:
            break
    service.kill()
    service.close_clients()
    (journal,) = (service.state / "logs").glob("*.takes")
    return journal, heard


@pytest.mark.parametrize("seed", range(6))
def test_it_goes_on_from_the_last_whole_take(launch, seed):
    """A journal that is cut off at any byte costs what stood behind its last whole take: what is whole in it is not
    made again, the rest is, and each sentence is heard once, whole."""
    chance = random.Random(seed)
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone", 2)
    journal, before = cut(service, client, 5)
    os.truncate(journal, chance.randrange(journal.stat().st_size))
    left = {record.meta["take"] for record in scan(journal) if "take" in record.meta}
    service.start_again()
    later = service.client()
    heard = Heard(later.attach("j")).listen()
    rows = exact(later, heard, TEXT)
    assert heard.speech.result.complete
    made = sum(row["jobs_done"] for row in later.workers())
    # By their number: one behind a gap has another name since.
    assert made == len(rows) - len(left)
    assert not (set(before.takes.values()) - left) & {row["attempt"] for row in rows}


def test_bytes_that_came_out_wrong_are_no_take(launch):
    """A block that a power cut left as zeros, in the middle, ends the journal there."""
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone", 2)
    journal, before = cut(service, client, 5)
    with journal.open("r+b") as file:
        file.seek(journal.stat().st_size // 2)
        file.write(bytes(512))
    service.start_again()
    later = service.client()
    heard = Heard(later.attach("j")).listen()
    rows = exact(later, heard, TEXT)
    same = [rows[number]["attempt"] == take for number, take in before.takes.items()]
    assert any(same)
    assert not all(same)


def test_what_was_over_stays_over(launch):
    """A job that had ended was on the disk before anybody was told so; a torn tail behind the journals of others
    changes nothing about it."""
    service = launch(CONFIG)
    client = service.client()
    service.ready(client, "tone", 2)
    done = Heard(client.speak(sentences(2, start=50), job="done")).listen()
    (first,) = (service.state / "logs").glob("*.takes")
    heard = Heard(client.speak(TEXT, job="j", pace="render"))
    next(event for event in heard.speech if isinstance(event, Frame))
    service.kill()
    service.close_clients()
    for journal in set((service.state / "logs").glob("*.takes")) - {first}:
        os.truncate(journal, journal.stat().st_size // 3)
    service.start_again()
    later = service.client()
    again = Heard(later.attach("done")).listen()
    assert again.pcm == done.pcm
    assert again.takes == done.takes
    exact(later, Heard(later.attach("j")).listen(), TEXT)
