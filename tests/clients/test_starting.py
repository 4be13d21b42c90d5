"""Finding and starting the daemon, with programs in its place that do one thing each."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from voicebus.bus import endpoints, places
from voicebus.bus.errors import NotRunning, VersionMismatch
from voicebus.clients import starting


@pytest.fixture(autouse=True)
def own_place(short_dir, monkeypatch):
    (short_dir / "run").mkdir(mode=0o700)
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(short_dir / "run"))
    monkeypatch.setenv("VOICEBUS_STATE_DIR", str(short_dir / "state"))
    return short_dir


@pytest.fixture
def instead(monkeypatch, own_place):
    """Have a little program run in place of the daemon. It knows `path`, `ready` (the descriptor). What is left of it
    in the end, and of what it forked, is killed: each has a session of its own."""
    started = []
    sessions = []
    real = subprocess.Popen

    def use(program):
        code = "import sys, os, socket; ready = int(sys.argv[-1]); path = sys.argv[1]\n" + textwrap.dedent(program)
        path = str(own_place / "run" / endpoints.CLIENT_SOCKET)

        def popen(command, **options):
            started.append((command, options))
            process = real([sys.executable, "-c", code, path, command[-1]], **options)
            sessions.append(process.pid)
            return process

        monkeypatch.setattr(starting.subprocess, "Popen", popen)
        return started

    yield use
    for session in sessions:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)


SERVE = """
s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen()
os.write(ready, b"ready\\n"); os.close(ready)
s.accept(); s.accept()
"""


def test_who_is_not_there() -> None:
    """Without a daemon `require_daemon` says how to start one."""
    assert not starting.running()
    with pytest.raises(NotRunning, match="voicebus daemon start"):
        starting.require_daemon()


def test_starting_one(instead) -> None:
    """A daemon is started in a session of its own, as a client's, and is there when it says so."""
    started = instead(SERVE)
    endpoint = starting.ensure_daemon()
    assert endpoint == starting.require_daemon()
    command, options = started[0]
    assert command[1:7] == ["-m", "voicebus.daemon", "run", "--started-by", "client", "--idle-exit"]
    assert options["start_new_session"]


def test_one_that_runs_is_left_alone(instead, own_place) -> None:
    """Nothing is started where somebody listens."""
    started = instead("")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(own_place / "run" / endpoints.CLIENT_SOCKET))
        listener.listen()
        starting.ensure_daemon()
    assert started == []


def test_losing_the_race(instead, own_place) -> None:
    """A daemon that leaves because another already runs is success, once that one listens."""
    instead(
        """
        s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen()
        if os.fork():
            os._exit(100)
        os.close(ready); s.accept()
        """
    )
    assert starting.ensure_daemon().endswith(endpoints.CLIENT_SOCKET)


def test_one_that_fails(instead, own_place) -> None:
    """A daemon that ends while starting is an error with its exit code, its log and the last lines of it."""
    (own_place / "state").mkdir()
    (own_place / "state" / "daemon.log").write_text("one\ntwo\nthe disk is full\n")
    instead("sys.exit(3)")
    with pytest.raises(starting.StartFailed, match="exit code 3") as caught:
        starting.ensure_daemon()
    assert "the disk is full" in str(caught.value)
    assert "daemon.log" in str(caught.value)


def test_one_that_never_comes(instead) -> None:
    """A daemon that says nothing within the time is ended, and the error names the log."""
    instead("import signal; signal.pause()")
    with pytest.raises(starting.StartFailed, match="in time"):
        starting.ensure_daemon(0.3)


def test_no_program_at_all(monkeypatch) -> None:
    """An interpreter that cannot be run is an error of ours and no traceback."""
    monkeypatch.setattr(starting.sys, "executable", "/nowhere/python")
    with pytest.raises(starting.StartFailed, match="could not be started"):
        starting.ensure_daemon()


def test_what_the_daemon_inherits(monkeypatch) -> None:
    """Keys and everything of the terminal stay here; paths, language and our own variables go along."""
    monkeypatch.setattr(
        os,
        "environ",
        {
            "PATH": "/bin",
            "OPENAI_API_KEY": "secret",
            "TERM": "xterm",
            "LC_ALL": "C",
            "VOICEBUS_CONFIG": "x",
            "PYTHONPATH": ".",
        },
    )
    assert starting.clean_environment() == {"PATH": "/bin", "LC_ALL": "C", "VOICEBUS_CONFIG": "x"}


def test_a_unit_is_asked_first(monkeypatch, own_place) -> None:
    """Where a unit is installed and the directories are the usual ones, the service manager is asked."""
    unit = own_place / "systemd/user/voicebus.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    asked = []
    monkeypatch.setenv("XDG_CONFIG_HOME", str(own_place))
    monkeypatch.setattr(starting.sys, "platform", "linux")
    monkeypatch.setattr(starting.shutil, "which", lambda name: name)
    monkeypatch.setattr(starting, "_worked", lambda command: bool(asked.append(command) or True))
    assert not starting._ask_service_manager()
    monkeypatch.delenv("VOICEBUS_RUNTIME_DIR")
    monkeypatch.delenv("VOICEBUS_STATE_DIR")
    assert starting._ask_service_manager()
    assert asked == [["systemctl", "--user", "start", "--no-block", "voicebus.service"]]
    unit.unlink()


def test_a_manager_that_does_not_work() -> None:
    """A service manager that is missing or fails is no daemon."""
    assert not starting._worked(["/nowhere/systemctl"])
    assert not starting._worked(["false"])


def test_who_listens(own_place) -> None:
    """The kernel tells which process listens; nobody is 0."""
    path = own_place / "run" / endpoints.CLIENT_SOCKET
    assert starting.daemon_pid(f"ipc://{path}") == 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert starting.daemon_pid(f"ipc://{path}") == os.getpid()
        with pytest.raises(VersionMismatch, match="voicebus daemon restart"):
            starting.restart_daemon(f"ipc://{path}")


def test_restarting_one_of_another_version(instead) -> None:
    """An idle daemon is ended, and another one started in its place."""
    started = instead(SERVE.replace("s.accept(); s.accept()", "import signal; signal.pause()"))
    endpoint = starting.ensure_daemon()
    before = starting.daemon_pid(endpoint)
    instead("os.unlink(path)\n" + SERVE)
    starting.restart_daemon(endpoint)
    assert len(started) == 2
    assert starting.daemon_pid(endpoint) != before
    deadline = time.monotonic() + 5
    while starting.running() and time.monotonic() < deadline:
        pass


# ---------------------------------------------------------------------------------------------- which daemon it is


@pytest.fixture
def machine(own_place, monkeypatch):
    """A machine of which nothing was told: our own place, and the system's, at each of which somebody can listen."""
    for name in ("VOICEBUS_RUNTIME_DIR", "VOICEBUS_STATE_DIR", "VOICEBUS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    system = own_place / "system"
    system.mkdir()
    system.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own_place))
    monkeypatch.setenv("XDG_STATE_HOME", str(own_place))
    monkeypatch.setattr(places, "SYSTEM_RUNTIME", system)
    own = own_place / "voicebus"
    own.mkdir(mode=0o700)
    with contextlib.ExitStack() as listeners:

        def listen(directory):
            one = listeners.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(str(directory / endpoints.CLIENT_SOCKET))
            one.listen()
            return f"ipc://{directory / endpoints.CLIENT_SOCKET}"

        yield own, system, listen


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="a directory of root's is needed")


@root_only
def test_the_systems_daemon_is_found_where_there_is_no_own(machine, instead) -> None:
    """Without a daemon of our own the system's is used, and none is started; once there is one of our own, that is."""
    own, system, listen = machine
    started = instead("")
    at = listen(system)
    assert starting.require_daemon() == starting.ensure_daemon() == at
    assert not starting.running()
    own_at = listen(own)
    assert starting.require_daemon() == starting.ensure_daemon() == own_at
    assert started == []


@root_only
def test_who_was_told_looks_nowhere_else(machine, own_place, monkeypatch) -> None:
    """With a directory in the environment, neither our usual daemon nor the system's is used."""
    own, system, listen = machine
    listen(own)
    listen(system)
    (own_place / "told").mkdir(mode=0o700)
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(own_place / "told"))
    with pytest.raises(NotRunning, match="told"):
        starting.require_daemon()
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(system))
    assert starting.require_daemon() == f"ipc://{system}/bus.sock"


@root_only
@pytest.mark.parametrize("spoiled", ["mode", "owner", "gone", "link"])
def test_a_system_place_that_is_not_roots_is_nobodys(machine, spoiled) -> None:
    """A socket that anybody but root could have put there is not spoken to."""
    _, system, listen = machine
    listen(system)
    if spoiled == "mode":
        system.chmod(0o777)
    elif spoiled == "owner":
        os.chown(system, 12345, 12345)
    else:
        system.rename(system.with_name("elsewhere"))
        if spoiled == "link":
            system.symlink_to(system.with_name("elsewhere"))
    with pytest.raises(NotRunning):
        starting.require_daemon()


@root_only
def test_only_our_own_daemon_is_brought_back(machine, instead) -> None:
    """When the system's daemon goes away none of our own is started in its place; when our own does, the system's is
    no substitute: it has not our jobs."""
    own, system, listen = machine
    own_at = f"ipc://{own / endpoints.CLIENT_SOCKET}"
    started = instead(SERVE.replace("(path)", f"({str(own / endpoints.CLIENT_SOCKET)!r})"))
    starting.bring_back(f"ipc://{system / endpoints.CLIENT_SOCKET}")
    assert started == []
    listen(system)
    starting.bring_back(own_at)
    assert len(started) == 1
    assert starting.require_daemon() == own_at
