"""The configuration changes under a running service."""

from __future__ import annotations

import signal

from voicebus.clients.events import Frame

from .listening import TONE, Heard, exact, sentences
from .service import until

CONFIG = f"""
[providers.espeak]
workers = 1
[providers.tone]
module = "voicebus.workers.tone"
workers = @N@
settings = {{ {TONE}, factor = @F@ }}
[defaults]
chain = ["tone"]
"""
TEXT = sentences(12)


def configuration(count, factor=0.02):
    return CONFIG.replace("@N@", str(count)).replace("@F@", str(factor))


def pids(client, provider):
    return {row["pid"] for row in client.workers() if row["provider"] == provider and row["pid"]}


def test_more_and_fewer_workers(launch):
    """A changed number of workers is made so while a text is being said, which is exact all the same; those of other
    providers, and those that need not change, are left alone."""
    service = launch(configuration(1))
    client = service.client()
    (first,) = service.ready(client, "tone")
    espeak = pids(client, "espeak")
    done = []

    def change(event):
        if isinstance(event, Frame) and event.segment >= 2 and not done:
            done.append(True)
            service.write(configuration(3))
            service.signal(signal.SIGHUP)

    heard = Heard(client.speak(TEXT)).listen(change)
    exact(client, heard, TEXT)
    assert first["pid"] in {row["pid"] for row in service.ready(client, "tone", 3)}
    service.write(configuration(1))
    service.signal(signal.SIGHUP)
    until(lambda: len(pids(client, "tone")) == 1, "fewer workers")
    assert pids(client, "espeak") == espeak
    exact(client, Heard(client.speak(TEXT)).listen(), TEXT)


def test_changed_settings_let_the_sentence_in_hand_finish(launch):
    """Workers whose settings changed finish what they have and are started anew: nothing is rewound or said twice."""
    service = launch(configuration(1, 0.1))
    client = service.client()
    (first,) = service.ready(client, "tone")
    done = []

    def change(event):
        if isinstance(event, Frame) and event.segment >= 2 and not done:
            done.append(True)
            service.write(configuration(1, 0))
            service.signal(signal.SIGHUP)

    heard = Heard(client.speak(TEXT)).listen(change)
    rows = exact(client, heard, TEXT)
    assert not heard.rewinds
    assert [row["tries"] for row in rows] == [1] * len(rows)
    (second,) = service.ready(client, "tone")
    assert second["pid"] != first["pid"]
    assert not second["last_failure"]


def test_a_bad_file_changes_nothing(launch):
    """A file with a mistake is refused with the line and the reason; the old one stays in force to the last key."""
    service = launch(configuration(2))
    client = service.client()
    before = {row["pid"] for row in service.ready(client, "tone", 2)}
    service.write(configuration(1) + "\n[limits]\njobs = 0\n")
    service.signal(signal.SIGHUP)
    service.says("voicebus.toml:12: limits.jobs: must be at least 1")
    assert {row["pid"] for row in service.ready(client, "tone", 2)} == before
    exact(client, Heard(client.speak(TEXT)).listen(), TEXT)
