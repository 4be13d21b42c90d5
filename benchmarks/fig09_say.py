"""Figure 9: `voicebus say` from the shell, until its first byte of audio.

Measured: from starting the program to the first byte behind the header of what it writes to a pipe (`-o -`), with a
daemon that runs, and without one, so that `say` starts it. A pipe gets finished sentences only, so this is the first
sentence whole; the text is short.
Floor: a Python process that loads the same engine and speaks itself; also shown: `espeak-ng --stdout` and `spd-say`
where they are installed, and a Python that does nothing.
Aim: none; it is what a person waits for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import Row, rounds, say
from common_daemon import Daemon, espeak

TITLE = "`voicebus say` from the shell"
TEXT = "Somebody is at the door."
WAV_HEADER = 44
TRIALS = 3
ITSELF = f"""
import os
from voicebus.workers.engine import Chunk, Request
from voicebus.workers.espeak import EspeakEngine
engine = EspeakEngine()
engine.load({{}}, lambda percent, note: None)
voice = engine.capabilities().default_voices.get("en", engine.voices()[0].name)
def emit(item):
    if isinstance(item, Chunk):
        os.write(1, bytes({WAV_HEADER}) + bytes(item.pcm))
    return True
engine.speak(Request(text={TEXT!r}, voice=voice, language="en"), emit)
"""


def first_byte_ms(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Milliseconds from starting a program to its first byte behind a WAV header."""
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        got = 0
        while got <= WAV_HEADER:
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                raise RuntimeError(f"{command[:2]}: {process.stderr.read().decode()[-500:]}")
            got += len(data)
        took = time.perf_counter() - begin
        process.stdout.read()
    return took * 1000


def ended_ms(command: list[str]) -> float:
    """Milliseconds that a program takes."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - begin) * 1000


def command() -> list[str]:
    return [str(Path(sys.executable).with_name("voicebus")), "say", "-p", "espeak", "-o", "-", TEXT]


def cold_ms() -> float:
    """With directories of its own and no daemon in them; the one that is started is stopped."""
    with tempfile.TemporaryDirectory(prefix="vb-bench-") as name:
        folder = Path(name)
        environment = os.environ | {
            "VOICEBUS_STATE_DIR": str(folder / "s"),
            "VOICEBUS_RUNTIME_DIR": str(folder / "r"),
            "VOICEBUS_CONFIG": str(folder / "voicebus.toml"),
        }
        try:
            return first_byte_ms(command(), environment)
        finally:
            stop = [str(Path(sys.executable).with_name("voicebus")), "daemon", "stop"]
            subprocess.run(stop, env=environment, check=False, capture_output=True)


def measure(runs: int) -> list[Row]:
    with Daemon(espeak(2)) as daemon:
        parts: dict[str, Callable[[], float]] = {
            "warm": lambda: first_byte_ms(command(), daemon.environment),
            "cold": cold_ms,
            "itself": lambda: first_byte_ms([sys.executable, "-c", ITSELF]),
            "python": lambda: ended_ms([sys.executable, "-c", "pass"]),
        }
        if shutil.which("espeak-ng"):
            parts["espeak-ng"] = lambda: first_byte_ms(["espeak-ng", "--stdout", TEXT])
        if shutil.which("spd-say"):
            parts["spd-say"] = lambda: ended_ms(["spd-say", "-w", TEXT])
        for part in ("warm", "itself"):
            parts[part]()
        found = rounds(runs, **parts)
    say(f"  not installed: {[name for name in ('espeak-ng', 'spd-say') if name not in found]}")
    floor, name = found["itself"], "one Python with the engine"
    rows = [
        Row(9, "say, daemon running: first audio", "ms", found["warm"], floor, name),
        Row(9, "say, no daemon: first audio", "ms", found["cold"], floor, name),
        Row(9, "a Python that does nothing", "ms", found["python"]),
    ]
    others = [
        Row(9, f"say, daemon running, against {other}", "ms", found["warm"], found[other], other)
        for other in ("espeak-ng", "spd-say")
        if other in found
    ]
    return rows + others
