"""The daemon as a process: starting, being the only one, signals, leaving, and dying."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq

from voicebus.bus import endpoints, sockets
from voicebus.bus.codec import decode_to_client, encode
from voicebus.bus.messages import Hello, Welcome
from voicebus.daemon.main import EXIT_ALREADY_RUNS, EXIT_CONFIG, EXIT_ERROR

from ..faults.leaks import Gate

FAKE = [sys.executable, "-W", "error", Path(__file__).with_name("fakes.py")]
REAL = [sys.executable, "-W", "error", "-m", "voicebus.daemon"]
TONES = """
[providers.espeak]
workers = 0
[providers.tone]
module = "voicebus.workers.tone"
workers = 3
[defaults]
chain = ["tone"]
"""


class Daemon:
    """A daemon's process and what it says on standard error."""

    def __init__(self, place, program, *arguments, descriptors=None, **environ):
        self.place = place
        self.said = []
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [*program, *arguments, "--ready-fd", str(writing)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[writing],
            env={**os.environ, **place.environ, **environ},
            cwd="/",
            text=True,
        )
        if descriptors:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        os.close(writing)
        self._ready = os.fdopen(reading)

    def until_ready(self):
        """Wait until it is ready; False if it ends instead."""
        with self._ready:
            return self._ready.read() == "ready\n"

    def until_it_says(self, words):
        """Read what it says up to a line with these words, and return that line."""
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"never said {words!r}, but: {''.join(self.said)}")

    def end(self, number=None):
        """Send a signal, wait, and return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        self.said += self.process.stderr.read()
        self.process.wait(10)
        self._ready.close()
        return self.process.returncode


class Place:
    """Directories for a daemon, and everything that was started there."""

    def __init__(self, path):
        self.run, self.state, self.config = path / "run", path / "state", path / "voicebus.toml"
        self.environ = {
            "VOICEBUS_RUNTIME_DIR": str(self.run),
            "VOICEBUS_STATE_DIR": str(self.state),
            "VOICEBUS_CONFIG": str(self.config),
        }
        self.daemons = []
        self.context = zmq.Context()

    def start(self, *arguments, program=FAKE, ready=True, before=(), **options):
        daemon = Daemon(self, [*program, *before], "run", *arguments, **options)
        self.daemons.append(daemon)
        if ready:
            assert daemon.until_ready(), daemon.process.stderr.read()
        return daemon

    def client(self):
        made = sockets.dealer(self.context, f"ipc://{self.run}/bus.sock")
        assert made.poll(5000, zmq.POLLOUT)
        return made

    def welcomed(self, client):
        client.send(encode(Hello()))
        assert client.poll(5000)
        return decode_to_client(sockets.receive(client)[0])

    def close(self):
        for daemon in self.daemons:
            daemon.process.kill()
            daemon.process.wait()
            daemon.process.stderr.close()
            daemon._ready.close()
        self.context.destroy(linger=0)


@pytest.fixture
def place(tmp_path):
    gate = Gate(tmp_path)
    made = Place(tmp_path)
    yield made
    made.close()
    gate.shut()


# -------------------------------------------------------------------------------------- starting and leaving


def test_a_daemon_starts_serves_and_leaves_nothing_behind(place):
    """Ready means that clients are answered; on TERM it leaves with 0, its sockets gone, its log private."""
    daemon = place.start()
    with place.client() as client:
        assert place.welcomed(client).version == f"{os.geteuid()}:{os.getpid()}"
    assert daemon.end(signal.SIGTERM) == 0
    assert list(place.run.iterdir()) == []
    assert {path.name for path in place.state.iterdir()} == {
        "daemon.lock",
        "daemon.log",
        "logs",
        "voicebus.db",
        "voicebus.db-reserve",
    }
    for path in (place.run, place.state, *place.state.iterdir()):
        assert path.stat().st_mode & 0o077 == 0


def test_a_second_daemon_goes_away_and_the_first_does_not_notice(place):
    """Whoever finds the lock held exits with 100, says who holds it, and touches nothing."""
    first = place.start()
    second = place.start(ready=False)
    assert not second.until_ready()
    assert second.end() == EXIT_ALREADY_RUNS
    assert f"already runs: process {first.process.pid}, at {place.run}/bus.sock" in "".join(second.said)
    with place.client() as client:
        assert type(place.welcomed(client)) is Welcome


def test_of_daemons_started_together_exactly_one_stays(place):
    """However the race goes, one serves and the others exit with 100."""
    racers = [place.start(ready=False) for _ in range(3)]
    stayed = [racer for racer in racers if racer.until_ready()]
    assert len(stayed) == 1
    assert [racer.end() for racer in racers if racer not in stayed] == [EXIT_ALREADY_RUNS] * 2


def test_another_state_directory_does_not_give_another_daemon_the_sockets(place, tmp_path):
    """The lock is beside the data; a daemon with other data but the same sockets is refused by the living
    path, and leaves as one that came second."""
    place.start()
    other = place.start(ready=False, VOICEBUS_STATE_DIR=str(tmp_path / "other"))
    assert not other.until_ready()
    assert other.end() == EXIT_ALREADY_RUNS
    assert "somebody already listens" in "".join(other.said)
    with place.client() as client:
        assert type(place.welcomed(client)) is Welcome


def test_a_killed_daemons_sockets_are_replaced(place):
    """What a killed daemon left is stale, and the next one takes its place."""
    place.start().end(signal.SIGKILL)
    assert endpoints.probe(place.run / "bus.sock") == "stale"
    place.start()
    assert endpoints.probe(place.run / "bus.sock") == "alive"


def test_a_runtime_directory_open_to_others_is_refused(place):
    """The daemon does not put its sockets where others could reach them, and gives the lock back."""
    place.run.mkdir()
    place.run.chmod(0o755)
    daemon = place.start(ready=False)
    assert daemon.end() == EXIT_ERROR
    assert "chmod 700" in "".join(daemon.said)
    place.run.chmod(0o700)
    place.start()


def test_a_vanished_runtime_directory_means_leave(place):
    """A daemon that nobody can reach any more goes, with an error, so that a service manager starts another."""
    daemon = place.start()
    (place.run / "bus.sock").unlink()
    assert daemon.end() == EXIT_ERROR
    assert "nobody can reach" in "".join(daemon.said)


def test_too_few_descriptors_are_told_at_the_start(place):
    """Where no door could ever open there is no daemon, and the error says what to do."""
    daemon = place.start(program=["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *REAL], ready=False)
    assert not daemon.until_ready()
    assert daemon.end() == EXIT_ERROR
    assert "256 descriptors are too few" in "".join(daemon.said)


def test_a_mistake_in_the_core_ends_the_daemon_with_a_traceback_in_the_log(place):
    """An error of our own that no message brought is an exit with 1, which the service manager answers with a start."""
    daemon = place.start(before=["broken"])
    with place.client() as client:
        client.send(encode(Hello()))
        assert daemon.end() == EXIT_ERROR
    assert "RuntimeError: a mistake in the core" in (place.state / "daemon.log").read_text()
    assert list(place.run.iterdir()) == []


def test_a_third_signal_ends_what_two_did_not(place):
    """Two requests to leave are the core's matter; the third does not ask."""
    daemon = place.start(before=["stubborn"])
    with place.client() as client:
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon.process.send_signal(number)
            assert type(place.welcomed(client)) is Welcome
        assert daemon.end(signal.SIGTERM) == 0


# ---------------------------------------------------------------------------------------------- configuration


def test_a_named_configuration_that_is_not_there_is_an_error(place):
    """`--config` with a wrong path is 78, before anything is touched; the usual place may be empty."""
    daemon = place.start("--config", "/none.toml", ready=False)
    assert daemon.end() == EXIT_CONFIG
    assert not place.state.exists()


def test_check_says_what_is_wrong(place):
    """`check` lists the mistakes and exits with 78; with none it is silent."""
    place.config.write_text("[limits]\njobs = 0\n")
    checked = [*REAL, "check"]
    wrong = subprocess.run(checked, env={**os.environ, **place.environ}, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr) == (
        EXIT_CONFIG,
        f"{place.config}:2: limits.jobs: must be at least 1\n",
    )
    place.config.write_text("")
    right = subprocess.run(checked, env={**os.environ, **place.environ}, capture_output=True, text=True)
    assert (right.returncode, right.stderr) == (0, "")


def test_a_bad_file_does_not_keep_the_daemon_from_starting(place):
    """At start the mistakes are logged with their lines, and the daemon serves."""
    place.config.write_text("[limits]\njobs = 0\n")
    daemon = place.start()
    assert "voicebus.toml:2: limits.jobs" in daemon.until_it_says("limits.jobs")


def test_hup_takes_over_a_good_file_and_refuses_a_bad_one(place):
    """On HUP a file with a mistake is refused with its line and the old one stays; a good one is taken
    over."""
    daemon = place.start()
    place.config.write_text('[defaults]\nlanguage = "de"\nchian = 7\n')
    daemon.process.send_signal(signal.SIGHUP)
    assert "voicebus.toml:3: defaults.chian" in daemon.until_it_says("defaults.chian")
    place.config.write_text('[defaults]\nlanguage = "fr"\n')
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until_it_says("reloaded: fr")
    assert not any("reloaded: de" in line for line in daemon.said)


# ------------------------------------------------------------------------------------------- time and service


def test_the_service_manager_hears_of_readiness_life_and_end(place, tmp_path):
    """READY comes once the daemon serves, WATCHDOG from its loop while that turns, STOPPING at TERM."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        daemon = place.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000")
        told = [manager.recv(1000).decode() for _ in range(4)]
        assert told[0].startswith("READY=1")
        assert told[1:] == ["WATCHDOG=1"] * 3
        assert daemon.end(signal.SIGTERM) == 0
        while told[-1] != "STOPPING=1":
            told.append(manager.recv(1000).decode())


def test_a_stopped_daemon_knows_how_late_it_is(place):
    """After a stop the core is told for how long, before it judges anything."""
    daemon = place.start()
    daemon.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED)
    with selectors.DefaultSelector() as nothing:
        nothing.select(0.5)  # the length of the stop is what is measured
    daemon.process.send_signal(signal.SIGCONT)
    assert 0.3 < float(daemon.until_it_says("late:").rpartition(" ")[2]) < 5


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are set")
def test_running_out_of_descriptors_does_not_kill_the_daemon(place):
    """More connections than there are descriptors shut the door, not the daemon: who is inside is served, and
    once the others are gone new ones get in."""
    daemon = place.start(descriptors=1600)
    with place.client() as inside, contextlib.ExitStack() as flood:
        place.welcomed(inside)
        for _ in range(2000):
            one = flood.enter_context(socket.socket(socket.AF_UNIX))
            # As long as the backlog is full the kernel waits, but not for ever: a shut door takes nobody in.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 5_000))
            with contextlib.suppress(OSError):
                one.connect(str(place.run / "bus.sock"))
        daemon.until_it_says("bus.sock shut")
        assert type(place.welcomed(inside)) is Welcome
        flood.close()
        daemon.until_it_says("bus.sock open again")
        with place.client() as late:
            assert type(place.welcomed(late)) is Welcome
    assert daemon.end(signal.SIGTERM) == 0


# ----------------------------------------------------------------------------------------- with the real core


def workers_of(daemon):
    """The pids of a daemon's children, once there are three that have become workers."""
    listing = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pids = [int(pid) for pid in listing.read_text().split()]
        if len(pids) == 3:
            return pids
    raise AssertionError("no workers came")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfds and /proc")
@pytest.mark.parametrize("ready", [False, True])
def test_a_killed_daemon_leaves_no_worker(place, ready):
    """When the daemon is killed, its workers end by themselves, whether they were loading or ready."""
    place.config.write_text(TONES)
    daemon = place.start(program=REAL)
    if ready:
        daemon.until_it_says("tone is ready")
    with selectors.DefaultSelector() as ends:
        for pid in workers_of(daemon):
            ends.register(os.pidfd_open(pid), selectors.EVENT_READ)
        daemon.process.kill()
        limit = time.monotonic() + 10
        while ends.get_map():
            assert time.monotonic() < limit
            for key, _ in ends.select(1):
                ends.unregister(key.fd)
                os.close(key.fd)


def test_a_daemon_that_is_told_to_leave_takes_its_workers_with_it(place):
    """After TERM the daemon has reaped all its workers before it is gone, and leaves with 0."""
    place.config.write_text(TONES)
    daemon = place.start(program=REAL)
    daemon.until_it_says("tone is ready")
    pids = workers_of(daemon)
    assert daemon.end(signal.SIGTERM) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
