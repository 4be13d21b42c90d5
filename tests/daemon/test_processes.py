"""Worker processes: what they are given, what is kept of what they say, and how their end is heard of."""

from __future__ import annotations

import os
import select
import selectors
import signal
import sys
import time
from pathlib import Path

import pytest

from voicebus.daemon import processes as module
from voicebus.daemon.core.settings import Provider
from voicebus.daemon.processes import Processes, environment


class Fleet(Processes):
    """Processes with a selector of their own, and the ends that were reported."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.ends = []
        super().__init__(self.selector, "ipc:///w", lambda *end: self.ends.append(end))

    def python(self, worker, code, **env):
        provider = Provider("p", command=(sys.executable, "-c", code), env=env)
        return self.spawn(worker, provider, "the-ticket")

    def turn(self, until, limit=10):
        """Call what the selector says until a condition holds."""
        end = time.monotonic() + limit
        while not until():
            assert time.monotonic() < end, "nothing happened"
            for key, _ in self.selector.select(0.5):
                key.data()


@pytest.fixture(params=["pidfd", "thread"])
def fleet(request, monkeypatch):
    """Both ways to hear of an end."""
    if request.param == "thread":
        monkeypatch.setattr(module, "_exit_watch", module._watch_by_thread)
    made = Fleet()
    yield made
    made.kill_all()
    assert not made.selector.get_map()
    made.selector.close()


def test_the_ticket_comes_on_standard_input_which_stays_open(fleet):
    """A worker reads its ticket as one line, and the end of its input only when the daemon lets go of it."""
    fleet.python("w", "import sys; t = input(); print(repr(t), file=sys.stderr, flush=True); sys.stdin.read()")
    child = fleet._children["w"]
    fleet.turn(lambda: child.stderr.tail)
    assert list(child.stderr.tail) == ["'the-ticket'"]
    assert fleet.ends == []
    child.process.stdin.close()
    fleet.turn(lambda: fleet.ends)
    assert fleet.ends == [("w", 0, None, ["'the-ticket'"])]


def test_an_end_has_its_code_or_its_signal(fleet):
    """Exit codes and deadly signals are told apart, each end once, with the last lines of standard error."""
    fleet.python("code", "import sys; print('oh', file=sys.stderr); sys.exit(7)")
    fleet.python("signal", "import os; os.kill(os.getpid(), 11)")
    fleet.turn(lambda: len(fleet.ends) == 2)
    assert sorted(fleet.ends) == [("code", 7, None, ["oh"]), ("signal", None, signal.SIGSEGV, [])]
    assert len(fleet) == 0


def test_killing_takes_the_whole_group(fleet):
    """What a worker started itself dies with it, and its pipe is not waited for."""
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, file=sys.stderr, flush=True)\np.wait()"
    )
    fleet.python("w", code)
    child = fleet._children["w"]
    fleet.turn(lambda: child.stderr.tail)
    grandchild = os.pidfd_open(int(child.stderr.tail[0])) if hasattr(os, "pidfd_open") else None
    fleet.kill("w")
    fleet.kill("nobody")
    fleet.turn(lambda: fleet.ends)
    assert fleet.ends[0][:3] == ("w", None, signal.SIGKILL)
    if grandchild is not None:
        with selectors.DefaultSelector() as ended:
            ended.register(grandchild, selectors.EVENT_READ)
            assert ended.select(5)
        os.close(grandchild)


def test_a_worker_that_leaves_children_behind_leaves_none(fleet):
    """When a worker ends by itself, its group is killed before it is reaped."""
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, file=sys.stderr)"
    )
    fleet.python("w", code)
    fleet.turn(lambda: fleet.ends)
    left = int(fleet.ends[0][3][0])
    end = time.monotonic() + 5
    while alive(left):
        assert time.monotonic() < end
        os.sched_yield()


def alive(pid):
    """Whether a process runs; one that is dead and not reaped by whoever inherited it counts as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_ten_megabytes_of_complaints_block_nobody(fleet):
    """A worker that floods standard error is not blocked by it, and the last lines are kept, cut to a
    length."""
    fleet.python("w", "import sys\nfor n in range(1000): print(n, 'x' * 10000, file=sys.stderr)\n")
    fleet.turn(lambda: fleet.ends)
    [(_, code, _, tail)] = fleet.ends
    assert code == 0
    assert len(tail) == module.TAIL_LINES
    assert max(map(len, tail)) <= module.LINE_CHARS
    assert any(line.startswith("999 x") for line in tail)


def test_an_end_may_be_noticed_before_the_last_words(fleet):
    """When the end and the last words are found together, in whichever order, both are taken once."""
    for first in (False, True):
        fleet.python("w", "import sys; print('bye', file=sys.stderr)")
        child = fleet._children["w"]
        assert select.select([child.watch], [], [], 5)[0]
        for key, _ in sorted(fleet.selector.select(5), key=lambda found: (found[0].fd == child.watch) != first):
            key.data()
        fleet.turn(lambda: fleet.ends)
        assert fleet.ends.pop() == ("w", 0, None, ["bye"])


def test_a_worker_that_closes_its_standard_error_is_still_seen_to_end(fleet):
    """Without standard error there is nothing to read, but the end is reported as ever."""
    fleet.python("w", "import os, sys; os.close(2); sys.stdin.readline(); os._exit(3)")
    fleet.turn(lambda: fleet.ends)
    assert fleet.ends == [("w", 3, None, [])]


def test_what_cannot_be_started_is_an_error(fleet):
    """A command that is not there raises, and nothing is left of it."""
    with pytest.raises(OSError, match="no-such-engine"):
        fleet.spawn("w", Provider("p", command=("/no-such-engine",)), "t")
    assert len(fleet) == 0


def test_a_worker_sees_a_built_environment(fleet, monkeypatch):
    """A worker sees where to register, what its provider's table says and the basics of the session: no key,
    nothing of the service manager, and no descriptor of the daemon but its three own."""
    for name in ("OPENAI_API_KEY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LD_PRELOAD_X"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LC_TIME", "C")
    code = (
        "import os, sys\n"
        "fds = [n for n in range(3, 200) if os.path.exists(f'/dev/fd/{n}')]\n"
        "print(*sorted(os.environ), os.environ['MODELS'], os.environ['VOICEBUS_WORKERS'], os.getcwd(), "
        "os.getpgid(0) == os.getpid(), fds, file=sys.stderr)"
    )
    fleet.python("w", code, MODELS="/m")
    fleet.turn(lambda: fleet.ends)
    assert fleet.ends[0][1] == 0, fleet.ends
    *names, models, endpoint, where, leads, fds = fleet.ends[0][3][0].split()
    assert (models, endpoint, where, leads, fds) == ("/m", "ipc:///w", "/", "True", "[]")
    assert {"MODELS", "VOICEBUS_WORKERS", "VOICEBUS_PROVIDER", "PATH", "LC_TIME"} <= set(names)
    allowed = module._PASSED_ON | {"MODELS", "VOICEBUS_WORKERS", "VOICEBUS_PROVIDER", "PYTHONSAFEPATH"}
    assert {n for n in names if not n.startswith(("LC_", "XDG_"))} <= allowed


def test_a_provider_cannot_change_where_its_worker_registers():
    """The endpoint and the provider's name are the daemon's word, whatever the environment says."""
    own = {"VOICEBUS_WORKERS": "elsewhere", "PATH": "/bin"}
    provider = Provider("p", module="m", env={"PATH": "/opt/bin"})
    assert environment(provider, "ipc:///w", own) == {
        "PATH": "/opt/bin",
        "VOICEBUS_WORKERS": "ipc:///w",
        "VOICEBUS_PROVIDER": "p",
        "PYTHONSAFEPATH": "1",
    }
    assert module.command(provider) == [sys.executable, "-m", "m"]


DYING = "import os, sys; n = os.open(sys.argv[1], os.O_CREAT | os.O_APPEND | os.O_WRONLY); os.write(n, b'x'); "
"""A helper that leaves a mark in a file each time it is started."""


@pytest.mark.parametrize(
    ("fate", "runs", "end"),
    [
        ("os.path.getsize(sys.argv[1]) < 3 and os.kill(os.getpid(), 9)", 3, (0, None)),
        ("os.kill(os.getpid(), 15)", 3, (None, 15)),
        ("os.kill(os.getpid(), 11)", 1, (None, 11)),
        ("sys.exit(1)", 1, (1, None)),
    ],
)
def test_a_helper_that_somebody_kills_is_started_again(fleet, tmp_path, fate, runs, end):
    """Twice at most, and its end is told once; one that ends by itself, or crashes, is not tried again."""
    marks, ends = tmp_path / "marks", []
    fleet.run("help", [sys.executable, "-c", DYING + fate, str(marks)], lambda *told: ends.append(told))
    fleet.turn(lambda: ends)
    assert ends == [("help", *end, [])]
    assert (marks.stat().st_size, len(fleet), fleet.ends) == (runs, 0, [])


def test_a_helper_that_we_kill_stays_dead(fleet):
    """What the daemon itself ends is over at once."""
    ends = []
    fleet.run("help", [sys.executable, "-c", "input()"], lambda *told: ends.append(told))
    fleet.kill("help")
    fleet.turn(lambda: ends)
    assert ends == [("help", None, 9, [])]
    assert len(fleet) == 0


def test_a_helper_that_cannot_be_started_again(fleet, monkeypatch):
    """Where there is no room for another process, its end is told as it was."""
    ends = []
    fleet.run("help", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], lambda *told: ends.append(told))

    def refuse(*_, **__):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(module.subprocess, "Popen", refuse)
    fleet.turn(lambda: ends)
    assert ends == [("help", None, 9, [])]
