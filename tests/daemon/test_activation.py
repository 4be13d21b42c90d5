"""Sockets from the service manager: which descriptor is taken, and what is refused. The manager is a fork of ours."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from voicebus.bus import endpoints
from voicebus.bus.messages import Welcome
from voicebus.daemon import activation
from voicebus.daemon.main import EXIT_ALREADY_RUNS, EXIT_ERROR

from .test_daemon import FAKE, Place

EXEC = """
import os, sys
for to, fd in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(fd, to, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does in the child before the exec: descriptors from 3 on, and the pid to which they are handed."""


class Manager:
    """A service manager with one socket for clients, that starts daemons with it."""

    def __init__(self, place):
        self.place = place
        place.run.mkdir(mode=0o700)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(place.run / "bus.sock"))
        self.socket.listen(4096)

    def start(self, *arguments, sockets=None, names="clients", program=FAKE, **options):
        handed = sockets or [self.socket]
        # Put where they cannot be in the way of 3, 4 ...
        high = [os.dup2(one.fileno(), 100 + number, inheritable=True) for number, one in enumerate(handed)]
        wrapper = [sys.executable, "-c", EXEC, ",".join(map(str, high)), *map(str, program)]
        real = subprocess.Popen

        def popen(command, *, pass_fds, **more):
            return real(command, pass_fds=[*pass_fds, *high], **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subprocess, "Popen", popen)
            daemon = self.place.start(
                *arguments, program=wrapper, LISTEN_FDS=str(len(handed)), LISTEN_FDNAMES=names, **options
            )
        for fd in high:
            os.close(fd)
        return daemon


@pytest.fixture
def manager(tmp_path):
    place = Place(tmp_path)
    made = Manager(place)
    yield made
    place.close()
    made.socket.close()


def test_two_daemons_after_one_another_serve_the_same_socket(manager):
    """A client that connects while no daemon runs is served by the first one, and by the next when that has left: its
    socket, inode and all, is the one that the manager made."""
    place = manager.place
    inode = (place.run / "bus.sock").stat().st_ino
    client = place.client()  # connected: the manager's queue has it
    for _ in range(2):
        daemon = manager.start("--started-by", "service")
        assert place.welcomed(client).version == f"{os.geteuid()}:{os.getpid()}"
        assert daemon.end(signal.SIGTERM) == 0
        assert [path.name for path in place.run.iterdir()] == ["bus.sock"]
        assert (place.run / "bus.sock").stat().st_ino == inode
        assert endpoints.probe(place.run / "bus.sock") == "alive"
    client.close()


def test_a_killed_daemon_leaves_the_socket_to_the_next(manager):
    """The manager's copy of the socket outlives a crash, and whoever connects meanwhile waits."""
    manager.start("--started-by", "service").end(signal.SIGKILL)
    client = manager.place.client()
    manager.start("--started-by", "service")
    assert type(manager.place.welcomed(client)) is Welcome
    client.close()


def test_a_daemon_started_by_hand_leaves_the_managers_path_alone(manager):
    """Beside an activation socket, with or without a daemon behind it, another one says that voicebus already runs,
    exits with 100 and changes nothing."""
    place = manager.place
    inode = (place.run / "bus.sock").stat().st_ino
    by_hand = place.start(ready=False)
    assert by_hand.end() == EXIT_ALREADY_RUNS
    assert "voicebus already runs: somebody already listens" in "".join(by_hand.said)
    daemon = manager.start("--started-by", "service")
    by_hand = place.start(ready=False)
    assert by_hand.end() == EXIT_ALREADY_RUNS
    assert f"process {daemon.process.pid}" in "".join(by_hand.said)
    assert (place.run / "bus.sock").stat().st_ino == inode
    with place.client() as client:
        assert type(place.welcomed(client)) is Welcome


def test_of_several_sockets_the_one_named_clients_is_taken(manager, tmp_path):
    """More than one descriptor is told apart by name; without such a name the daemon says what is missing."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen()
        daemon = manager.start(sockets=[other, manager.socket], names="x:clients")
        with manager.place.client() as client:
            assert type(manager.place.welcomed(client)) is Welcome
        daemon.end(signal.SIGTERM)
        failed = manager.start(sockets=[other, manager.socket], names="x:y", ready=False)
        assert failed.end() == EXIT_ERROR
        assert "exactly one must have the name clients" in "".join(failed.said)


def taken(code, *, listen_fds="1"):
    """What `take` gives in a process that has descriptor 3 made by `code`."""
    program = (
        "import os, socket, tempfile\n"
        f"{code}\n"
        "os.dup2(s, 3) if s != 3 else None\n"
        "from voicebus.bus.endpoints import EndpointError\n"
        "from voicebus.daemon import activation\n"
        f"environ = {{'LISTEN_FDS': '{listen_fds}', 'LISTEN_PID': str(os.getpid()), 'KEPT': '1'}}\n"
        "try: print(activation.take(environ), os.get_inheritable(3))\n"
        "except EndpointError as error: print('refused:', error)\n"
        "assert environ == {'KEPT': '1'}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd="/", check=True)
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "s = os.open('/dev/null', os.O_RDONLY)",
        "s = socket.socket(socket.AF_UNIX).detach()",
        "k = socket.socket(); k.bind(('127.0.0.1', 0)); k.listen(); s = k.detach()",
        "k = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); k.bind(tempfile.mkdtemp() + '/s'); s = k.detach()",
        "k = socket.socket(socket.AF_UNIX); k.bind(b'\\0voicebus-test-%d' % os.getpid()); k.listen(); s = k.detach()",
    ],
    ids=["a file", "not bound", "tcp", "datagrams", "abstract"],
)
def test_what_is_no_listening_unix_socket_is_refused(code):
    """A descriptor on which no client could be accepted is an error that names it, and its variables are gone."""
    assert taken(code).startswith("refused: descriptor 3")


def test_the_descriptor_is_kept_from_children():
    """The socket is taken with close-on-exec set."""
    said = taken("k = socket.socket(socket.AF_UNIX); k.bind(tempfile.mkdtemp() + '/s'); k.listen(); s = k.detach()")
    assert said.startswith("<socket.socket fd=3") and said.endswith("False\n")


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
     {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())}],
)  # fmt: skip
def test_what_is_for_somebody_else_is_not_taken(environ):
    """Variables that name another process, or no descriptor, mean that there is no socket; they are not passed on."""
    assert activation.take(environ) is None
    assert environ == {}
