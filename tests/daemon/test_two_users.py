"""One daemon for every user of a machine, with real users: this test is root and plays the service manager, the service
runs as a uid of its own, and two clients as two others."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from voicebus.clients.sync import Client

SERVICE, ANNA, BERT = 54320, 54321, 54322

CONFIG = """
[providers.espeak]
workers = 0
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
[defaults]
chain = ["tone"]
[limits]
jobs_per_user = 2
clients_per_user = 3
"""

EXEC = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="clients", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""

USER = """
import json, os, socket, sys, hashlib
from pathlib import Path
from voicebus.clients.sync import Client
from voicebus.clients import starting
from voicebus.workers.engine import hum
uid = int(sys.argv[1])
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)  # what was loaded stays
client = None

def heard(speech):
    return hashlib.sha256(b"".join(bytes(frame.pcm) for frame in speech.frames())).hexdigest()

def connect(path):
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(path)

for line in sys.stdin:
    try:
        if client is None:
            client = Client(start=False)
        answer = eval(line)
    except Exception as error:
        answer = type(error).__name__
    print(json.dumps(answer), flush=True)
"""


class User:
    """A process of another uid, with a client; called with an expression, it gives what came of it, or the name of the
    exception."""

    def __init__(self, uid, environ):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", USER, str(uid)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ, cwd="/",
        )  # fmt: skip

    def __call__(self, expression):
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Machine:
    """Root's view: the directories of a system service, its socket, its daemon, and its users."""

    def __init__(self, root):
        self.run, self.state, config = root / "run", root / "state", root / "voicebus.toml"
        root.chmod(0o755)
        self.run.mkdir()
        self.run.chmod(0o755)
        for private in (self.run / "workers", self.state):
            private.mkdir(mode=0o700)
            os.chown(private, SERVICE, SERVICE)
        config.write_text(CONFIG)
        config.chmod(0o644)
        self.path = self.run / "bus.sock"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen(100)
        self.path.chmod(0o666)
        os.chown(self.path, SERVICE, SERVICE)
        self.environ = os.environ | {"VOICEBUS_RUNTIME_DIR": str(self.run), "VOICEBUS_STATE_DIR": str(self.state)}
        self.environ["VOICEBUS_CONFIG"] = str(config)
        self.users = []
        self.output = root / "output"
        self.daemon = None

    def start(self):
        """Start the daemon as the service's user. It may read all files, since this interpreter may be root's own."""
        fd = os.dup2(self.socket.fileno(), 100, inheritable=True)
        with self.output.open("ab") as output:
            self.daemon = subprocess.Popen(
                [sys.executable, "-c", EXEC, str(fd), "setpriv", f"--reuid={SERVICE}", f"--regid={SERVICE}",
                 "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
                 sys.executable, "-W", "error", "-m", "voicebus.daemon", "run", "--system"],
                pass_fds=[fd], env=self.environ, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        os.close(fd)

    def user(self, uid):
        self.users.append(User(uid, self.environ))
        return self.users[-1]

    def client(self):
        """Root's own client."""
        return Client(endpoint=f"ipc://{self.path}", start=False)

    def close(self):
        for user in self.users:
            user.close()
        if self.daemon is not None:
            self.daemon.terminate()
            try:
                self.daemon.wait(15)
            finally:
                self.daemon.kill()
                self.daemon.wait()
        self.socket.close()


pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users"),
    pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) starts the service as its user"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def machine():
    root = Path(tempfile.mkdtemp(prefix="vb-"))
    made = Machine(root)
    try:
        made.start()
        yield made
        made.close()
        assert made.daemon.returncode == 0, made.output.read_text()
        assert "Traceback" not in made.output.read_text()
        assert [path.name for path in made.run.iterdir() if not path.is_dir()] == ["bus.sock"]
    finally:
        made.close()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def anna(machine):
    return machine.user(ANNA)


@pytest.fixture(scope="module")
def bert(machine):
    return machine.user(BERT)


def test_the_same_name_is_two_jobs(anna, bert):
    """Two users who call their jobs the same each hear their own text, live and again."""
    hers = anna("heard(client.speak('What Anna says.', job='same', seed=1))")
    his = bert("heard(client.speak('And now for Bert.', job='same', seed=1))")
    assert hers != his
    assert anna("heard(client.speak('What Anna says.', job='x1', seed=1))") == hers
    assert bert("heard(client.speak('And now for Bert.', job='x2', seed=1))") == his
    assert anna("heard(client.attach('same'))") == hers
    assert bert("heard(client.attach('same'))") == his


def test_jobs_of_others_are_not_there(anna, bert):
    """Nobody can list, hear, look into, cancel or add to another user's job: it is as if it did not exist."""
    assert anna("client.speak('A secret.', job='hers', keep='job').wait().state") == "finished"
    assert "hers" in anna("[row['job'] for row in client.jobs()]")
    assert "hers" not in bert("[row['job'] for row in client.jobs()]")
    assert bert("heard(client.attach('hers'))") == "NotFound"
    assert bert("client.segments('hers')") == "NotFound"
    assert bert("client.cancel('hers')") == "NotFound"
    assert anna("client.segments('hers')[0]['state']") == "whole"


def test_voices_are_ones_own(machine, anna, bert):
    """A cloned voice, its recordings and what is made of them belong to one user: another may use the same name for
    another voice, hears, lists, fetches and removes nothing of it, and what is sent is looked at by the service's
    user."""
    add = "client.add_voice('same', [(hum({}), 'Words.')], consent='It is mine.', chain=['tone']).voice"
    assert anna(add.format("3.0")) == "same"
    hers = anna("heard(client.speak('Hello.', voice='same', seed=1))")
    sample = anna("client.voice('same')['samples'][0]['sample']")
    assert bert("client.voices(kind='mine')") == []
    assert bert("client.speak('Hello.', provider='tone', voice='same')") == "InvalidRequest"
    assert bert(f"client.recording({sample!r})") == "NotFound"
    assert bert("client.remove_voice('same')") == "NotFound"
    assert bert(add.format("4.0")) == "same"
    assert bert("heard(client.speak('Hello.', voice='same', seed=1))") != hers
    assert {path.name for path in (machine.state / "voices").iterdir()} == {str(ANNA), str(BERT)}
    assert bert("client.remove_voice('same')") is None
    assert anna("heard(client.speak('Hello.', voice='same', seed=1))") == hers
    assert anna("client.remove_voice('same')") is None
    assert not (machine.state / "voices").exists()


def test_cancelling_all_means_all_of_ones_own(anna, bert):
    """`stop` of one user leaves the other's jobs alone."""
    assert anna("bool(client.speak('{{wait 20}} Slow.', job='slow', pace='render'))") is True
    assert bert("client.cancel_all()") == 0
    assert anna("client.jobs()[-1]['state']") in {"running", "queued"}
    assert anna("client.cancel_all()") == 1


def test_what_is_the_services_own_is_closed(machine, anna):
    """Another user can reach neither the workers' socket, nor the state, the log or the journals."""
    assert machine.run.joinpath("workers", "workers.sock").is_socket()
    assert anna(f"connect({str(machine.run / 'workers' / 'workers.sock')!r})") == "PermissionError"
    assert anna(f"[str(path) for path in Path({str(machine.state)!r}).iterdir()]") == "PermissionError"
    assert anna(f"Path({str(machine.state / 'daemon.log')!r}).read_text()") == "PermissionError"
    assert anna(f"Path({str(machine.path)!r}).unlink()") == "PermissionError"
    assert anna(f"connect({str(machine.path)!r})") is None


def test_each_user_sees_how_busy_it_is_and_no_more(machine, anna, bert):
    """Paths, faults and numbers of jobs are the service's and root's; whose daemon it is, everybody may know."""
    anna("client.speak('One.', job='seen').wait().state")
    row = bert("client.status()")
    assert (row["system"], row["uid"], row["socket"]) == (True, SERVICE, str(machine.path))
    assert (row["config"], row["log_file"], row["state_dir"], row["counters"]) == ("", "", "", {})
    assert row["jobs"]["finished"] == len(bert("client.jobs()"))
    with machine.client() as root:
        whole = root.status()
        assert whole["state_dir"] == str(machine.state)
        assert whole["jobs"]["finished"] > row["jobs"]["finished"]
        assert root.jobs() == []


def test_one_users_limit_is_not_the_others(machine, anna, bert):
    """A user at its limit of jobs or clients is refused, and the other goes on."""
    assert anna("[client.speak('{{wait 20}} Slow.', job=f'n{n}', pace='render').job for n in range(2)]") == ["n0", "n1"]
    assert anna("client.speak('One too many.')") == "QueueFull"
    assert bert("(mine := client.speak('Mine.', job='mine', pace='render')).job") == "mine"
    assert anna("client.cancel_all()") == 2
    assert bert("mine.wait().state") == "finished"
    assert anna("len(extra := [Client(start=False) for _ in range(2)])") == 2
    assert anna("Client(start=False)") == "DaemonError"
    assert bert("Client(start=False).close()") is None
    assert anna("[one.close() for one in extra]") == [None, None]


def test_a_killed_service_is_back_at_the_same_socket(machine, anna, bert):
    """After a crash both users are served by the next daemon over the connection they have, at the same socket."""
    inode = machine.path.stat().st_ino
    machine.daemon.kill()
    machine.daemon.wait()
    machine.start()
    assert anna("client.speak('Still there.', job='again').wait().state") == "finished"
    assert bert("client.speak('Still there.', job='again').wait().state") == "finished"
    assert machine.path.stat().st_ino == inode
