"""Figure 14: what a cloned voice costs before its first audio.

Measured: from `speak` to the first frame at a `Client`, with keep=nothing and the scripted engine, which makes a voice
prompt of 20 KB in no time, so that what is measured is ours: a voice whose prompt the worker has at hand; one whose
prompt the daemon has and feeds to the worker (five voices in turns, of which a worker keeps four); one whose prompt has
to be made first from a recording of 200 KB (its transcript is another each time).
Floor: the same sentence in a preset of the same engine.
Aim: at hand as fast as a preset (within a tenth); fed within 20 ms of it.
"""

from __future__ import annotations

import itertools
import time

from common import Row, rounds
from common_daemon import Daemon, tone

from voicebus.clients.events import Frame
from voicebus.clients.sync import Client
from voicebus.workers.engine import hum

TITLE = "cloned voices: prompt at hand, fed, and made"
TURNS = 30
TEXT = "Good morning."
CONSENT = "It is nobody's."


def first_audio_s(client: Client, voice: str) -> float:
    """Seconds to the first frame of a short sentence."""
    begin = time.perf_counter()
    speech = client.speak(TEXT, provider="tone", voice=voice, keep="nothing")
    for event in speech:
        if isinstance(event, Frame):
            took = time.perf_counter() - begin
            break
    speech.cancel()
    speech.close()
    return took


def usual(client: Client, voices: itertools.cycle[str]) -> float:
    """The median of several, in milliseconds, of these voices in turns."""
    return sorted(first_audio_s(client, next(voices)) for _ in range(TURNS))[TURNS // 2] * 1000


def measure(runs: int) -> list[Row]:
    with Daemon(tone(1, {"prompt_kb": 20})) as daemon, Client(endpoint=f"ipc://{daemon.runtime}/bus.sock") as client:
        recording = hum(4.0, 24_000)
        names = [f"voice-{number}" for number in range(5)]
        for name in names:
            client.add_voice(name, [(recording, name)], consent=CONSENT)
            first_audio_s(client, name)
        sample = client.voice(names[0])["samples"][0]["sample"]
        counter = itertools.count()

        def made() -> float:
            took = []
            for _ in range(TURNS):
                client.change_voice(names[0], texts={sample: f"another {next(counter)}"})
                took.append(first_audio_s(client, names[0]))
            return sorted(took)[TURNS // 2] * 1000

        found = rounds(
            runs,
            preset=lambda: usual(client, itertools.cycle(["low"])),
            hand=lambda: usual(client, itertools.cycle(names[1:2])),
            fed=lambda: usual(client, itertools.cycle(names)),
            made=made,
        )
    floor = found["preset"]
    hand = Row(14, "prompt at hand", "ms", found["hand"], floor, "preset", aim="(<= 1.1)")
    fed = Row(14, "prompt fed to the worker", "ms", found["fed"], floor, "preset", aim="20 ms more")
    miss = Row(14, "prompt made first", "ms", found["made"], floor, "preset")
    hand.met, fed.met = hand.ratio <= 1.1, fed.value <= sorted(floor)[len(floor) // 2] + 20
    return [hand, fed, miss]
