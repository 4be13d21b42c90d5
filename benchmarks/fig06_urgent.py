"""Figure 6: urgent speech while a book is being made on the only worker there is.

Measured: a book is rendered; another client asks for an important message at a random moment, at most twice in a
sentence of the book (the third would have to wait for the sentence's end, by design); from its SUBMIT to its first
AUDIO. With espeak, which is hard to meet at work, and with the scripted engine at real-time factor 0.5. The book of
the latter is compared sample by sample with what the engine makes of each of its segments when nobody interrupts.
Floor: the same engine's own time to its first chunk, in this process.
Aim: under 100 ms beyond that; after 100 interruptions the book is complete and exact.
"""

from __future__ import annotations

import random
import threading
import time

from common import Row, median, percentile, say
from common_daemon import Daemon, espeak, tone
from common_engines import first_chunk_s, loaded
from common_peers import RawClient

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_to_client

TITLE = "urgent speech in front of a book"
INTERRUPTIONS = 100
MESSAGE = "Somebody is at the door."
TONE = {"factor": 0.5, "seconds_per_char": 0.02}
SENTENCE = "Sentence number {} of this book is neither long nor short."


class Book:
    """A job that is rendered and heard by a thread, which keeps the audio and checks that it is one line."""

    def __init__(self, daemon: Daemon, provider: str, sentences: int) -> None:
        self.client = RawClient(daemon.runtime)
        self.text = " ".join(SENTENCE.format(number) for number in range(1000, 1000 + sentences))
        self.pcm = bytearray()
        self.segment = -1
        self.moved = threading.Event()
        self.end: m.Terminal | None = None
        self.error = ""
        self.job = self.client.submit(self.text, provider, priority="text", pace="render")
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        while self.end is None:
            header, body = self.client.receive()
            message = decode_to_client(header)
            if isinstance(message, m.Audio):
                if 2 * message.offset != len(self.pcm):
                    self.error = f"frame at {message.offset}, {len(self.pcm) // 2} samples are here"
                self.pcm += body
                if message.segment != self.segment:
                    self.segment = message.segment
                    self.moved.set()
            elif isinstance(message, m.Rewind):
                del self.pcm[2 * message.offset :]
            elif isinstance(message, m.Terminal):
                self.end = message
                self.moved.set()

    def next_segment(self) -> bool:
        """Wait until another sentence is heard; False at the end of the book."""
        self.moved.clear()
        self.moved.wait(20)
        return self.end is None

    def finish(self) -> m.Terminal:
        self._thread.join(300)
        if self.end is None or self.end.state != "finished":
            raise RuntimeError(f"the book: {self.end}")
        return self.end


def interrupt(daemon: Daemon, provider: str, sentences: int, times: int, longest_s: float) -> tuple[list[float], Book]:
    """Milliseconds to the first audio of each message, and the book."""
    chance = random.Random(6)  # a script that can be repeated
    took = []
    book = Book(daemon, provider, sentences)
    with RawClient(daemon.runtime) as client:
        while len(took) < times and book.next_segment():
            time.sleep(chance.uniform(0, longest_s))
            if book.end is None:
                took.append(client.first_audio_s(MESSAGE, provider, priority="important") * 1000)
    return took, book


def exact(daemon: Daemon, book: Book, rate: int) -> str:
    """What is wrong with the tone engine's book; "" if it is what the engine makes of its segments."""
    from voicebus.workers import tone as engine

    with RawClient(daemon.runtime) as client:
        rows = client.rows("segments", job=book.job)
    if book.error:
        return book.error
    at = 0
    for row in rows:
        text = book.text[row["start"] : row["start"] + row["length"]]
        wanted = engine.expected(
            text, sample_rate=rate, seconds_per_char=TONE["seconds_per_char"], seed=row["seed"], voice=row["voice"]
        )
        if book.pcm[at : at + len(wanted)] != wanted:
            return f"segment {row['segment']} is not what the engine makes of it"
        at += len(wanted)
    return "" if at == len(book.pcm) else f"{len(book.pcm) - at} bytes too many"


def measure(runs: int) -> list[Row]:
    from voicebus.workers.espeak import EspeakEngine
    from voicebus.workers.tone import ToneEngine

    rows = []
    each = INTERRUPTIONS // runs
    with Daemon(espeak(1), tone(1, TONE, chunk_s=5.0)) as daemon:
        for provider, make, settings, sentences, pause in (
            ("espeak", EspeakEngine, {}, 20 * each, 0.004),
            ("tone", ToneEngine, TONE, each + 5, 0.5),
        ):
            own_first = first_chunk_s(loaded(make(), settings), MESSAGE)
            own_first()
            values, floor, faults, every, stops = [], [], [], [], 0
            for run in range(runs):
                took, book = interrupt(daemon, provider, sentences, each, pause)
                book.finish()
                stops += sum(row["stops"] for row in book.client.rows("segments", job=book.job))
                every += took
                values.append(median(took))
                floor.append(median([own_first() * 1000 for _ in range(10)]))
                if provider == "tone":
                    faults.append(exact(daemon, book, 24000))
                elif book.error:
                    faults.append(book.error)
                say(f"  {provider}, round {run}: {len(took)} messages, p50 {values[-1]:.1f} ms {faults}")
            worst = percentile(every, 0.99) - median(floor)
            row = Row(6, f"{provider}: first audio", "ms", values, floor, "engine's own", aim="< engine + 100 ms")
            row.met = worst < 100 and not any(faults)
            wrong = next((fault for fault in faults if fault), "")
            state = f"WRONG: {wrong}" if wrong else "complete and exact" if provider == "tone" else "complete"
            row.note = f"{len(every)} messages, p99 {worst:.1f} ms beyond; {stops} stops; the book is {state}"
            rows.append(row)
    return rows
