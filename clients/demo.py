"""A demonstration: `python -m voicebus.clients.demo demo.wav` speaks a paragraph into a file.

Owns: the paragraph and what is shown. Must not know: anything that another program could not know. Invariant: it uses
a daemon, state and sockets of its own in a temporary directory, and leaves nothing of them behind: that is checked,
and decides the exit code (0 all well, 1 not).
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from ..bus import endpoints
from ..bus.errors import VoicebusError
from ..bus.pids import exists
from . import starting
from .events import Result
from .sync import Client

TEXT = """\
Hello. What you hear was made on this machine, and nothing of it was sent anywhere.
Behind this voice stands a small daemon that any program can talk to, and any speech engine can join.
Each engine runs in a process of its own, so one that crashes costs a moment and not the sentence.
Audio arrives while it is still being made, and every sample of it can be accounted for.
If an engine dies in the middle of a word, the next one says the sentence again from its beginning.
You never hear half of two. Now give it something of your own to say.
"""

STOP_S = 20.0


def main(arguments: list[str]) -> int:
    """Speak into the file that is named, "demo.wav" if none is. Returns the exit code."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("usage: python -m voicebus.clients.demo [FILE.wav]", file=sys.stderr)
        return 2
    target = Path(arguments[0] if arguments else "demo.wav")
    # Short, since the path of a socket may have about a hundred bytes.
    home = Path(tempfile.mkdtemp(prefix="voicebus-"))
    os.environ[endpoints.RUNTIME_VARIABLE] = str(home / "run")
    os.environ[endpoints.STATE_VARIABLE] = str(home / "state")
    os.environ[endpoints.CONFIG_VARIABLE] = str(home / "voicebus.toml")
    pids: list[int] = []
    try:
        speak(target, pids)
        good = True
    except (VoicebusError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        good = False
    left = stop(pids)
    for line in left:
        print(f"demo: left behind: {line}", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    return 0 if good and not left and not home.exists() else 1


def speak(target: Path, pids: list[int]) -> None:
    """Start a daemon, speak, and show what came of it. Notes the processes that were started in `pids`."""
    began = time.monotonic()
    with Client(name="demo") as client:
        started = time.monotonic() - began
        pids.append(int(client.status()["pid"]))
        cold = client.speak("Ready.", keep="nothing").wait()
        pids += [int(row["pid"]) for row in client.workers() if row.get("pid")]
        result = client.save(TEXT, target)
        show(target, started, cold, result)


def show(target: Path, started: float, cold: Result, result: Result) -> None:
    """Print the figures."""
    speakers = ", ".join(f"{row['provider']} {row.get('version', '')}".strip() for row in result.speakers)
    voices = ", ".join(str(row["voice"]) for row in result.speakers)
    factor = result.realtime_factor
    rows = {
        "provider": speakers,
        "voice": voices,
        "daemon started in": f"{started:.2f} s",
        "first audio, cold": f"{cold.first_audio_s or 0.0:.3f} s after the request, engine loading included",
        "first audio, warm": f"{1000 * (result.first_audio_s or 0.0):.1f} ms after the request",
        "real-time factor": f"{factor:.4f} ({1 / factor:.0f} times as fast as it sounds)" if factor else "none",
        "audio": f"{result.seconds:.2f} s, {result.segments} segments, {result.rate} samples a second",
        "file": f"{target} ({target.stat().st_size} bytes)",
    }
    for name, value in rows.items():
        print(f"{name:>18}  {value}")


def stop(pids: list[int]) -> list[str]:
    """End the daemon that was started and say what is left of it."""
    endpoint = endpoints.client_endpoint()
    if endpoints.probe(endpoint) == "alive":
        pid = starting.daemon_pid(endpoint) or (pids[0] if pids else 0)
        if pid > 1:
            pids = [*pids, pid]
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    left = [pid for pid in pids if exists(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [pid for pid in pids if exists(pid)]
    found = [f"process {pid}" for pid in left]
    if endpoints.probe(endpoint) != "absent":
        found.append(f"socket {endpoint}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
