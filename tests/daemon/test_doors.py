"""The sockets' files and the lock: one daemon for a state directory, no path taken from anybody."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import stat
import subprocess
import sys

import pytest
import zmq

from voicebus.bus import endpoints, sockets
from voicebus.bus.endpoints import EndpointError
from voicebus.bus.places import Places
from voicebus.daemon import doors as module
from voicebus.daemon import lock as lock_module
from voicebus.daemon.doors import Door, Doors
from voicebus.daemon.lock import AlreadyRunning, Lock


@pytest.fixture
def context():
    with zmq.Context() as made:
        yield made


@pytest.fixture
def here(tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path / "run"


def places(directory, *, shared=False):
    workers = directory / "workers" if shared else directory
    return Places(directory, workers, directory, directory / "log", directory / "toml", shared)


def talks(context, path):
    """Whether a message gets from a new connection to whoever listens at `path`."""
    with sockets.dealer(context, endpoints.endpoint(path)) as client:
        return bool(client.poll(1000, zmq.POLLOUT))


def test_both_sockets_are_private_and_gone_afterwards(context, here):
    """Bound sockets can be entered by their owner only, and closing removes the files and nothing else."""
    (here / "other").touch()
    doors = Doors(context, places(here), 1000)
    assert {path.name for path in here.iterdir()} == {"bus.sock", "workers.sock", "other"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (doors.clients.path, doors.workers.path))
    assert talks(context, doors.clients.path)
    doors.close()
    assert [path.name for path in here.iterdir()] == ["other"]


def test_a_stale_socket_is_replaced(context, here):
    """A socket that nobody listens on is removed and bound anew."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(here / "bus.sock"))
    doors = Doors(context, places(here), 1000)
    assert endpoints.probe(doors.clients.path) == "alive"
    doors.close()


def test_a_living_path_is_never_taken_over(context, here):
    """A path that answers a connect is refused, the listener keeps it, and the other socket is let go
    again."""
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(here / "bus.sock"))
        living.listen()
        with pytest.raises(EndpointError, match="somebody already listens"):
            Doors(context, places(here), 1000)
        assert endpoints.probe(here / "bus.sock") == "alive"
    assert [path.name for path in here.iterdir()] == ["bus.sock"]


def test_something_else_at_the_path_is_left_alone(context, here):
    """A file that is no socket is not replaced, which libzmq would do."""
    (here / "workers.sock").write_text("mine")
    with pytest.raises(EndpointError, match="not a socket"):
        Doors(context, places(here), 1000)
    assert (here / "workers.sock").read_text() == "mine"


def test_a_path_too_long_is_an_error_and_leaves_nothing(context, tmp_path):
    """A directory whose name is too long for a socket is refused in a sentence."""
    with pytest.raises(EndpointError, match="VOICEBUS_RUNTIME_DIR"):
        Doors(context, places(tmp_path / ("x" * 120)), 1000)


def test_closing_leaves_a_file_that_is_not_ours_any_more(context, here):
    """If somebody replaced our socket, the new one stays when we close."""
    door = Door(context, here / "bus.sock", 100)
    door.path.unlink()
    assert not door.in_place()
    door.path.write_text("theirs")
    assert not door.in_place()
    door.close()
    assert door.path.read_text() == "theirs"


def test_a_shut_door_keeps_who_is_inside_and_opens_again(context, here):
    """When descriptors run short nobody new gets in, those inside go on talking, and later the door opens
    again."""
    door = Door(context, here / "bus.sock", keep_free=100)
    inside = sockets.dealer(context, endpoints.endpoint(door.path))
    inside.send(b"here")
    assert door.socket.poll(1000)
    door.socket.recv_multipart()
    assert not door.watch(used=900, limit=1000)
    assert door.watch(used=901, limit=1000)
    assert not door.watch(used=950, limit=1000)
    assert endpoints.probe(door.path) == "absent"
    assert door.in_place()
    inside.send(b"hello")
    assert door.socket.poll(1000)
    assert not door.watch(used=800, limit=1000)
    assert door.watch(used=700, limit=1000)
    assert talks(context, door.path)
    door.watch(used=999, limit=1000)
    inside.close()
    door.close()
    assert list(here.iterdir()) == []


def test_every_connection_is_announced(context, here):
    """The door's descriptor is readable after each connection, the first one included, until it was asked."""
    door = Door(context, here / "bus.sock", 100)
    with selectors.DefaultSelector() as announced:
        announced.register(door.watched, selectors.EVENT_READ)
        for _ in range(3):
            assert not announced.select(0)
            with socket.socket(socket.AF_UNIX) as plain:
                plain.connect(str(door.path))
                assert announced.select(5)
            door.somebody_came()
    door.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="a directory of root's is needed")
def test_a_systems_sockets_are_in_two_directories(context, tmp_path):
    """Where all users are served, the clients' socket is open to all in a directory of root's, the workers' one is in
    a directory that its owner alone may enter."""
    doors = Doors(context, places(tmp_path / "run", shared=True), 1000)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE(doors.clients.path.stat().st_mode) == 0o666
    assert doors.workers.path == tmp_path / "run" / "workers" / "workers.sock"
    assert stat.S_IMODE(doors.workers.path.parent.stat().st_mode) == 0o700
    assert talks(context, doors.clients.path)
    doors.close()
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(EndpointError, match="chmod 755"):
        Doors(context, places(tmp_path / "run", shared=True), 1000)


# ------------------------------------------------------------------------------------------- inherited sockets


@pytest.fixture
def activated(here):
    """A socket as a service manager has it: bound, listening, with a mode of its own."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(here / "bus.sock"))
        made.listen()
        (here / "bus.sock").chmod(0o640)
        yield made


def test_an_inherited_socket_serves_one_daemon_after_another(context, here, activated):
    """What is sent while nobody serves waits for the next daemon; socket, mode and inode outlive each of them."""
    before = (here / "bus.sock").stat()
    with sockets.dealer(context, endpoints.endpoint(here / "bus.sock")) as client:
        for generation in range(3):
            client.send(b"%d" % generation)
            with zmq.Context() as own:
                doors = Doors(own, places(here), 1000, activated)
                assert doors.clients.socket.poll(5000)
                assert doors.clients.socket.recv_multipart()[1] == b"%d" % generation
                assert doors.in_place()
                doors.close()
            after = (here / "bus.sock").stat()
            assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
            assert endpoints.probe(here / "bus.sock") == "alive"


def test_nobody_binds_where_an_activation_socket_listens(context, here, activated):
    """A daemon that was not handed the socket is told that voicebus already runs, and leaves the path alone."""
    with pytest.raises(module.SomebodyListens, match="already runs: somebody already listens"):
        Doors(context, places(here), 1000)
    assert endpoints.probe(here / "bus.sock") == "alive"


def test_an_inherited_door_is_shut_by_its_rights(context, here, activated):
    """It stays where it is, takes nobody new without rights to it, and has them again when it opens, when it is
    closed, and when its daemon was killed while it was shut."""
    door = Door(context, here / "bus.sock", keep_free=100, inherited=activated)
    assert door.watch(used=901, limit=1000)
    assert stat.S_IMODE(door.path.stat().st_mode) == 0
    assert door.in_place()
    assert door.watch(used=700, limit=1000)
    assert stat.S_IMODE(door.path.stat().st_mode) == 0o640
    door.watch(used=999, limit=1000)
    door.close()
    assert stat.S_IMODE((here / "bus.sock").stat().st_mode) == 0o640
    (here / "bus.sock").chmod(0)
    with zmq.Context() as another:
        Door(another, here / "bus.sock", keep_free=100, inherited=activated, open_to_all=True).close()
    assert stat.S_IMODE((here / "bus.sock").stat().st_mode) == 0o666


def test_a_door_of_another_user_stays_open(context, here, activated, monkeypatch):
    """Where the service manager's socket is not ours to shut, the door says so and is used as it is."""

    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(type(here), "chmod", refused)
    door = Door(context, here / "bus.sock", keep_free=100, inherited=activated)
    assert door.fixed
    assert not door.watch(used=999, limit=1000)
    assert talks(context, door.path)
    door.close()


def test_an_inherited_socket_without_its_file_is_an_error(context, here, activated):
    """Nobody could reach it: that is said, with what to do."""
    (here / "bus.sock").unlink()
    with pytest.raises(EndpointError, match="start its socket unit again"):
        Doors(context, places(here), 1000, activated)
    assert list(here.iterdir()) == []


def test_most_of_the_descriptors_can_be_clients():
    """Of many descriptors four fifths of the unreserved may be clients; with few there are still some."""
    assert module.most_clients(20000) == 15040
    assert module.most_clients(1024) > 500
    assert module.most_clients(module.LEAST) >= 8
    assert module.LEAST - module.reserve(module.LEAST) >= 64
    assert module.reserve(20000) > 1101


def test_descriptors_are_counted():
    """The count goes up with each descriptor that is opened."""
    before = module.descriptors_used()
    opened = [os.dup(0) for _ in range(10)]
    after = module.descriptors_used()
    for fd in opened:
        os.close(fd)
    assert after - before == 10


def test_the_lock_says_who_holds_it(tmp_path):
    """A second lock is refused with the pid and the socket of the first, and can be had once that is
    released."""
    first = Lock(tmp_path, socket="/s")
    with pytest.raises(AlreadyRunning, match=rf"already runs: process {os.getpid()}, at /s") as caught:
        Lock(tmp_path)
    assert caught.value.holder == {"pid": os.getpid(), "socket": "/s"}
    first.release()
    Lock(tmp_path).release()


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_lock_without_a_readable_word_is_still_a_lock(tmp_path, content):
    """Whatever the file says, the lock holds."""
    first = Lock(tmp_path)
    first.path.write_text(content)
    with pytest.raises(AlreadyRunning, match="another process"):
        Lock(tmp_path)
    first.release()


def test_the_lock_follows_no_link(tmp_path):
    """Whoever puts a link in its place does not get what it points at overwritten."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "daemon.lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        Lock(tmp_path)
    assert victim.read_text() == "precious"


def test_a_full_disk_does_not_keep_the_lock_from_being_held(tmp_path, monkeypatch):
    """Its words are for people; without room for them it holds as well, and the daemon can make room."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    first = Lock(tmp_path, socket="/s")
    with pytest.raises(AlreadyRunning, match="another process"):
        Lock(tmp_path)
    first.release()


HOLD = """
import sys
from pathlib import Path
from voicebus.daemon.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


BEQUEATH = """
import os, sys
from pathlib import Path
from voicebus.daemon.lock import Lock
lock = Lock(Path(sys.argv[1]))
if os.fork():
    os._exit(0)
sys.stdin.read()
"""


@pytest.mark.parametrize("patient", [True, False])
def test_a_lock_that_a_child_was_left_with_is_waited_for(tmp_path, monkeypatch, patient):
    """A daemon that was killed while it started a child: its child has the lock for a moment more. If it is not let go,
    that is told."""
    with subprocess.Popen([sys.executable, "-c", BEQUEATH, tmp_path], stdin=subprocess.PIPE) as holder:
        assert holder.wait(10) == 0
        if patient:
            pause = lock_module.time.sleep
            monkeypatch.setattr(lock_module.time, "sleep", lambda s: (holder.stdin.close(), pause(s)))
            Lock(tmp_path).release()
        else:
            monkeypatch.setattr(lock_module, "BEQUEATHED_S", 0.02)
            with pytest.raises(AlreadyRunning, match=f"process {holder.pid} "):
                Lock(tmp_path)


def test_a_killed_holder_lets_go(tmp_path):
    """The kernel gives the lock back however its holder ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning) as caught:
            Lock(tmp_path)
        assert caught.value.holder == {"pid": holder.pid}
        holder.kill()
    Lock(tmp_path).release()
