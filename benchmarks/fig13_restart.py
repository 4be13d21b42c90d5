"""Figure 13: what keeping jobs costs the daemon as a whole, and how soon it is back.

Measured: SUBMIT to ACCEPTED of a job that is kept; the daemon's CPU for a second of audio that is kept; from the start
of a daemon with 100 000 jobs of history until it answers; from SIGKILL of the daemon in mid-sentence, another one being
started at once, until its client, which is told nothing, has audio that it had not. And for a planned restart (TERM,
then a start) three sentences into a long text: for how long a listener who plays in real time would hear nothing, with
engines that load at once and in three and twenty seconds; what was made ahead by then bridges it.
Floors: the same with keep=nothing; the start of a daemon without any history; from the start of a daemon until a
client has the first audio from it.
"""

from __future__ import annotations

import select
import time
from itertools import count
from typing import Any

from common import Row, median, rounds, say
from common_daemon import Daemon, cpu_s, espeak, tone
from common_peers import RawClient

from voicebus.bus import messages as m

TITLE = "keeping jobs, and coming back"
JOBS = 100_000
TRIALS = 40
SENTENCE = "This is one more sentence of which something is to be kept."
LONG = " ".join(f"Sentence number {number} is one of many that are rendered." for number in range(60))
"""Of what is not kept, no more than fits into memory is made before it is heard."""


def accepted_ms(client: RawClient, keep: str) -> float:
    """SUBMIT to ACCEPTED, a little rested; the job is read to its end."""
    time.sleep(0.01)
    begin = time.perf_counter()
    client.submit(SENTENCE, "espeak", keep=keep)
    client.expect(m.Accepted)
    took = (time.perf_counter() - begin) * 1000
    client.finish()
    return took


def cpu_ms_a_second(daemon: Daemon, client: RawClient, keep: str) -> float:
    """Milliseconds of CPU of the daemon for a second of audio."""
    begin = cpu_s(daemon.pid)
    client.submit(LONG, "espeak", keep=keep, pace="render")
    end = client.finish()
    return (cpu_s(daemon.pid) - begin) * 1000 / (end.samples / 22050)


def _kept(runs: int) -> list[Row]:
    with Daemon(espeak(2)) as daemon, RawClient(daemon.runtime) as client:
        for keep in ("nothing", "job"):
            accepted_ms(client, keep)
        blocks = [
            rounds(TRIALS, ours=lambda: accepted_ms(client, "job"), floor=lambda: accepted_ms(client, "nothing"))
            for _ in range(runs)
        ]
        cpu = rounds(
            runs,
            ours=lambda: cpu_ms_a_second(daemon, client, "job"),
            floor=lambda: cpu_ms_a_second(daemon, client, "nothing"),
        )
    ours, floor = ([median(block[name]) for block in blocks] for name in ("ours", "floor"))
    return [
        Row(13, "SUBMIT to ACCEPTED, kept", "ms", ours, floor, "keep=nothing"),
        Row(13, "daemon's CPU for a second of audio, kept", "ms", cpu["ours"], cpu["floor"], "keep=nothing"),
    ]


# ------------------------------------------------------------------------------------------------ with a history


def fill(daemon: Daemon) -> None:
    """Give a daemon that does not run a history of `JOBS` jobs."""
    from voicebus.daemon.core.records import JobEnded, JobSaved, SegmentSaved
    from voicebus.daemon.store import open_store

    store = open_store(daemon.state / "voicebus.db", lambda _name: None)
    order, _ = store.load()
    segment = SegmentSaved(0, 0, len(SENTENCE), "whole", "e.1", "espeak", "1.52", "en-us", 7, 60_000, 500, 400, 100)
    left = 0
    for number in range(order, order + JOBS):
        submit = m.Submit(job=f"h{number}", keep="history")
        log, text = f"log-{number}", f"{SENTENCE} Its number is {number}.".encode()
        store.commit(2 * number, JobSaved(number, 0, submit.job, log, "en", 22050, submit, text))
        end = JobEnded(
            number, log, "finished", "", "", 22050, 60_000, 0, 120_500, ({"provider": "espeak"},), (segment,)
        )
        store.commit(2 * number + 1, end)
        left += 2
    while left:
        select.select([store.fileno()], [], [])
        left -= len(store.completed())
    store.close()


def start_ms(daemon: Daemon) -> float:
    """From the start of the process until a client has an answer."""
    begin = time.perf_counter()
    daemon.start()
    with RawClient(daemon.runtime):
        took = (time.perf_counter() - begin) * 1000
    daemon.end()
    return took


def _history(runs: int) -> list[Row]:
    with Daemon(espeak(0)) as old, Daemon(espeak(0)) as fresh:
        old.end()
        fresh.end()
        say(f"  {JOBS} jobs of history are made")
        fill(old)
        found = rounds(runs, ours=lambda: start_ms(old), floor=lambda: start_ms(fresh))
    row = Row(13, f"start to serving with {JOBS} jobs of history", "ms", found["ours"], found["floor"], "no history")
    return [row]


# ------------------------------------------------------------------------------------------------------- recovery


def _first_audio_ms(daemon: Daemon, client: Any, text: str, names: Any) -> float:
    """From the start of the daemon to the first audio at a client that looks for it."""
    daemon.end()
    begin = time.perf_counter()
    daemon.start()
    with RawClient(daemon.runtime) as raw:
        raw.submit(text, "tone", job=f"first-{next(names)}")
        while raw.receive()[0][1:7] != b"\xa5audio":
            pass
        took = (time.perf_counter() - begin) * 1000
        raw.send(m.CancelAll(request="r"))
        raw.expect(m.CancelledAll)
    return took


def _recovered_ms(daemon: Daemon, client: Any, text: str, names: Any) -> float:
    """From SIGKILL in the middle of a sentence to audio that the client had not had."""
    speech = client.speak(text, provider="tone", job=f"again-{next(names)}")
    had = 0
    killed = 0.0
    for frame in speech.frames():
        end = frame.offset + frame.samples
        if killed and end > had:
            took = (time.perf_counter() - killed) * 1000
            speech.cancel()
            return took
        had = max(had, end)
        if not killed and frame.segment == 1:
            killed = time.perf_counter()
            daemon.kill()
            daemon.start()
    raise RuntimeError("the text was over before anything new came")


def _recovery(runs: int) -> list[Row]:
    from voicebus import Client

    text, names = LONG[:2000], count()
    with Daemon(tone(2, {"factor": 0.02})) as daemon:
        endpoint = f"ipc://{daemon.runtime / 'bus.sock'}"
        with Client(endpoint=endpoint, start=False) as client:
            found = rounds(
                runs,
                ours=lambda: _recovered_ms(daemon, client, text, names),
                floor=lambda: _first_audio_ms(daemon, client, text, names),
            )
    return [
        Row(13, "SIGKILL of the daemon to new audio", "ms", found["ours"], found["floor"], "a start, to first audio")
    ]


def _silence_s(daemon: Daemon, client: Any, text: str, names: Any) -> float:
    """The longest time that somebody who plays what comes in real time waits for more, across a planned restart."""
    speech = client.speak(text, provider="tone", job=f"planned-{next(names)}")
    begun = time.perf_counter()
    silence = 0.0
    asked = False
    for frame in speech.frames():
        now = time.perf_counter()
        # What came too late is not played faster: everything behind it is late as well.
        silence = max(silence, now - begun - frame.offset / frame.rate)
        if not asked and frame.segment == 3:
            asked = True
            daemon.end()
            daemon.start()
    return silence


def _planned(runs: int) -> list[Row]:
    from voicebus import Client

    rows, names = [], count()
    for load_s in (0.0, 3.0, 20.0):
        # Ten times faster than it is heard, and thirty seconds may be ahead of the listener.
        settings = {"factor": 0.1, "load_s": load_s, "sample_rate": 8000, "seconds_per_char": 0.06}
        with (
            Daemon(tone(2, settings, load_s=60.0)) as daemon,
            Client(endpoint=f"ipc://{daemon.runtime / 'bus.sock'}", start=False, reconnect_s=60.0) as client,
        ):
            silent = [_silence_s(daemon, client, LONG[:1200], names) for _ in range(max(1, runs // 2))]
        row = Row(13, f"planned restart, an engine that loads in {load_s:g} s: silence", "s", silent)
        row.met = row.value < 0.1
        row.aim = "none"
        rows.append(row)
    return rows


def measure(runs: int) -> list[Row]:
    return [*_kept(runs), *_history(runs), *_recovery(runs), *_planned(runs)]
