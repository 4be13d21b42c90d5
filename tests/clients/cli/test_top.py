"""`top`: what it shows, how it fits, and what becomes of the terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest

from voicebus.bus.errors import Disconnected, NotRunning
from voicebus.clients.cli import output, seam, top, top_screen

from .conftest import DAEMON, JOB, WORKER

FOUND = {
    "daemon": {
        **DAEMON,
        "rss": 26_000_000,
        "takes_bytes": 38_000_000,
        "takes_limit": 4_000_000_000,
        "memory_bytes": 2_000_000,
    },
    "workers": [{**WORKER, "recycled": 2, "vram": 0, "running": 0, "slots": 1}],
    "jobs": [{**JOB, "made": 66150, "heard": 22050, "listeners": 1}],
}


class Away:
    """Clients that come and go."""

    def __init__(self, client, monkeypatch):
        self.client, self.up, self.made, self.holder = client, True, 0, 0
        monkeypatch.setattr(seam, "watch", self.watch)
        monkeypatch.setattr(top, "_holder", lambda: self.holder)
        client.jobs = lambda state=None: [row for row in client.rows["jobs"] if row["state"] == state]
        client.close = lambda: client.calls.append(("closed",))
        client.status = self.status

    def watch(self):
        self.made += 1
        if not self.up:
            raise NotRunning("Nobody listens.")
        return self.client

    def status(self):
        if not self.up:
            raise Disconnected("The daemon went away.")
        return DAEMON


@pytest.fixture
def service(client, monkeypatch):
    return Away(client, monkeypatch)


def test_everything_is_on_the_screen():
    """Daemon, workers and jobs are shown with what is of interest: memory, factor, seconds ahead of the listener."""
    shown = "\n".join(top_screen.lines(FOUND, None, None))
    for words in ("voicebus 0.1.0, serving, up 1 min, process 4700, memory 26 MB, clients 1", "1 running, 0 over",
                  "audio: 38 MB of 4.0 GB on disk, 2 MB in memory", "1 of the configuration not in force"):  # fmt: skip
        assert words in shown
    assert re.search(r"^espeak-0 +ready +4711 +38 MB +0\.004 +3 ms +17 +3 +2$", shown, re.MULTILINE)
    assert re.search(r"^kitchen-1 +running +2/4\+ +2\.0 s +2\.0 s +12 s +text +espeak +en-us$", shown, re.MULTILINE)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 10), (20, 5)])
@pytest.mark.parametrize(("workers", "jobs"), [(0, 0), (2, 3), (64, 200), (2, 200), (64, 0)])
def test_it_fits_any_terminal(width, height, workers, jobs):
    """Whatever there is, no line is too long and there are not too many; what is left out is counted."""
    found = {**FOUND, "workers": FOUND["workers"] * workers, "jobs": FOUND["jobs"] * jobs}
    shown = top_screen.lines(found, width, height)
    assert len(shown) <= height
    assert all(output.width(line) <= width for line in shown)
    if height >= 24:
        rows = sum(line.startswith(("espeak-0", "kitchen-1")) for line in shown)
        more = sum(int(line.split()[2]) for line in shown if line.startswith("... and"))
        assert rows + more == workers + jobs


def test_trouble_is_named():
    """A worker that is down says why, a crowded disk and a daemon that is away are said in words."""
    worker = {**FOUND["workers"][0], "state": "fatal", "reason": "died too often"}
    shown = top_screen.lines({**FOUND, "workers": [worker], "daemon": {**FOUND["daemon"], "crowded": True}}, None, None)
    assert any(line.endswith("died too often") for line in shown)
    assert "The disk's share for audio is used up (limits.disk_bytes)." in shown
    away = top_screen.lines({"away": "Nobody listens."}, 80, 24)
    assert away[0] == "voicebus: away"
    assert "Nobody listens." in away


def test_without_a_terminal_it_is_shown_once(service, run):
    """Into a pipe goes one look, plain; with --once as well; jobs that are over are not asked for."""
    service.client.rows["jobs"] = [JOB, {**JOB, "job": "old", "state": "finished"}]
    for options in ((), ("--once",)):
        done = run("top", *options)
        assert done.exit_code == 0
        assert "espeak-0" in done.output and "kitchen-1" in done.output and "old" not in done.output
        assert "\x1b" not in done.output


def test_json_once_is_one_object(service, run):
    """--json --once prints what the daemon said, as one object."""
    found = json.loads(run("top", "--json", "--once").stdout)
    assert sorted(found) == ["daemon", "jobs", "workers"]
    assert found["workers"][0]["pid"] == 4711


def test_json_goes_on_line_by_line(service, run, monkeypatch):
    """--json alone prints one object a line, says when the daemon is away, and goes on when it is back."""
    seconds = iter([lambda: setattr(service, "up", False), lambda: setattr(service, "up", True), pytest.fail])

    def second(_seconds):
        if service.made and service.up and service.client.calls.count(("closed",)) and service.made > 1:
            raise KeyboardInterrupt
        next(seconds)()

    monkeypatch.setattr(time, "sleep", second)
    done = run("top", "--json")
    assert done.exit_code == 130
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [sorted(line) for line in lines] == [["daemon", "jobs", "workers"], ["away"], ["daemon", "jobs", "workers"]]


def test_one_look_at_a_daemon_that_has_just_gone_fails(service, run):
    """With --once there is nothing to wait for: exit code 69."""

    def gone():
        raise Disconnected("The daemon went away.")

    service.client.status = gone
    for options in (("--once",), ("--once", "--json")):
        done = run("top", *options)
        assert (done.exit_code, done.stdout) == (69, "")


def test_where_no_daemon_runs_it_says_so(service, run):
    """At the start a daemon must be there: exit code 3."""
    service.up = False
    done = run("top", "--once")
    assert done.exit_code == 3
    assert "Nobody listens." in done.stderr


def test_a_daemon_that_left_its_lock_is_away_at_once(service):
    """Who ended is not asked any more; the next one is found by a new connection."""
    service.holder = DAEMON["pid"]
    watched = top._Watched()
    assert "daemon" in watched.look()
    service.holder, service.up = 0, False
    assert watched.look() == {"away": "Nobody listens."}
    service.up = True
    assert "daemon" in watched.look()
    watched.close()


def test_memory_is_that_of_the_process():
    """The daemon's memory is read from the system; of a process that is not there it is unknown."""
    assert top._rss(os.getpid()) > 1_000_000
    assert top._rss(2**22 + 1) == 0


# --------------------------------------------------------------------------------------------------- a real terminal

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from voicebus.clients.cli import seam
from cli_top_fakes import Fake
seam.watch = Fake
sys.argv = ["voicebus", "top"]
from voicebus.clients.cli.app import main
main()
"""

FAKES = """
FOUND = {found!r}
class Fake:
    def status(self): return dict(FOUND["daemon"])
    def workers(self): return FOUND["workers"]
    def jobs(self, state): return FOUND["jobs"] if state == "running" else []
    def close(self): pass
"""


class Terminal:
    """A terminal of 80 columns with `top` in it."""

    def __init__(self, folder):
        (folder / "cli_top_fakes.py").write_text(FAKES.format(found=FOUND))
        self.ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "VOICEBUS_STATE_DIR": str(folder)},
        )
        self.theirs, self.shown = theirs, b""

    def until(self, words: bytes, within: float = 15.0) -> None:
        end = time.monotonic() + within
        while words not in self.shown:
            assert select.select([self.ours], [], [], max(0.0, end - time.monotonic()))[0], self.shown
            self.shown += os.read(self.ours, 65536)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal(tmp_path):
    one = Terminal(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda one: os.write(one.ours, b"q"), 0),
        (lambda one: one.process.send_signal(signal.SIGINT), 130),
        (lambda one: one.process.send_signal(signal.SIGTERM), 143),
    ],
    ids=["q", "INT", "TERM"],
)
def test_the_terminal_is_as_before(terminal, leave, code):
    """It draws on a screen of its own, every second; however it is left, screen, cursor and keys are back."""
    terminal.until(b"\x1b[?1049h")
    terminal.until(b"espeak-0")
    assert termios.tcgetattr(terminal.theirs) != terminal.before
    leave(terminal)
    assert terminal.process.wait(10) == code
    terminal.until(b"\x1b[?1049l")
    assert b"\x1b[?25h" in terminal.shown
    assert termios.tcgetattr(terminal.theirs) == terminal.before
