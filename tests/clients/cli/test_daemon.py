"""The daemon's process, the configuration, the service, the log, completion: what needs no daemon to be tested."""

from __future__ import annotations

import json
import os
import plistlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from voicebus.clients.cli import app, exits, logs, manager, running
from voicebus.daemon import lock

HOLDER = """
import signal, sys, time
from pathlib import Path
from voicebus.daemon.lock import Lock
stubborn = int(sys.argv[2])
def leave(*_):
    global stubborn
    stubborn -= 1
    if stubborn < 0:
        sys.exit()
signal.signal(signal.SIGTERM, leave)
kept = Lock(Path(sys.argv[1]), version="0.0.9", socket="/x")
print("held", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def hold(tmp_path):
    """Start a process that holds the daemon's lock, and leaves at the n-th TERM."""
    (tmp_path / "state").mkdir()
    started = []

    def start(stubborn=0):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / "state"), str(stubborn)], stdout=subprocess.PIPE, cwd=tmp_path
        )
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_lock_is_the_one_that_the_daemon_takes():
    """Client and daemon mean the same file by the lock."""
    assert running.LOCK_FILE == lock.LOCK_FILE


def test_the_holder_of_the_lock_is_found(client, hold):
    """Pid and version of a daemon are read from its lock, without asking the daemon."""
    assert running.holder() is None
    process = hold()
    assert running.holder() == running.Holder(process.pid, "0.0.9", "/x")


def test_a_lock_file_left_behind_is_nobody(client, tmp_path):
    """A lock file that nobody has locked, broken or naming a living process, means that no daemon runs."""
    (tmp_path / "state").mkdir()
    file = tmp_path / "state" / "daemon.lock"
    for left in (b"", b"[]", b"{", b'{"pid": 4194399}', json.dumps({"pid": os.getpid()}).encode()):
        file.write_bytes(left)
        assert running.holder() is None


def test_stop_ends_the_daemon_of_any_version(client, run, hold):
    """`daemon stop` sends TERM to whoever holds the lock, and comes back when that process is gone."""
    process = hold()
    done = run("daemon", "stop")
    assert (done.exit_code, done.stdout) == (0, f"stopped process {process.pid}\n")
    assert process.wait(5) == 0


def test_stop_says_twice_to_one_that_takes_its_time(client, run, hold):
    """After the timeout a second TERM says: at once."""
    process = hold(stubborn=1)
    assert run("daemon", "stop", "--now").exit_code == 0
    assert process.wait(5) == 0


def test_stop_without_a_daemon_is_no_error(client, run):
    """Stopping what does not run is a success."""
    done = run("daemon", "stop")
    assert (done.exit_code, done.stdout) == (0, "no daemon runs\n")


def test_running_a_second_one_is_told(client, run, hold):
    """`daemon run` beside a daemon is exit 100, with that one's process, and nothing is started."""
    process = hold()
    done = run("daemon", "run")
    assert done.exit_code == 100
    assert done.stderr.startswith(f"voicebus: a daemon runs already, process {process.pid}\n")


@pytest.fixture
def reloading(client, hold, monkeypatch, tmp_path):
    """A daemon that notes its HUP, and uses `voicebus.toml` here; its problems are a list that can be changed."""
    process = hold()
    where = tmp_path / "voicebus.toml"
    problems = []
    sent = []
    monkeypatch.setattr(client, "status", lambda: {"config": str(where), "problems": problems})
    monkeypatch.setattr(running.Watched, "send", lambda self, number: sent.append((self.pid, number)))
    return process, where, problems, sent


def test_reload_sends_a_hup_and_says_that_it_was_taken(run, reloading):
    """`daemon reload` sends HUP to whoever holds the lock, and says which configuration is in force."""
    process, where, _, sent = reloading
    where.write_text("[limits]\n")
    done = run("daemon", "reload")
    assert (done.exit_code, done.stdout) == (0, f"process {process.pid} has taken over {where}\n")
    assert sent == [(process.pid, signal.SIGHUP)]


def test_reload_refuses_a_configuration_with_problems(run, reloading):
    """A configuration with a mistake is refused with its lines, exit 1, and the daemon is sent nothing."""
    _, where, _, sent = reloading
    where.write_text("[limits]\njobs = 'many'\n")
    done = run("daemon", "reload")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{where}:2: ")
    assert "not taken over: 1 problem" in done.stderr
    assert sent == []


def test_an_engine_that_is_left_out_does_not_stop_a_reload(run, reloading):
    """A file in the folder of engines that cannot be run is named, and exit 9; all else is taken over, as the daemon
    does it."""
    process, where, problems, sent = reloading
    (where.parent / "engines").mkdir()
    (where.parent / "engines" / "Bad Name.py").write_text("")
    problems.append({"where": "engines/Bad Name.py", "line": 0, "reason": "rename it (it is left out)"})
    done = run("daemon", "reload")
    assert done.exit_code == 9
    assert done.stdout.startswith(f"{where}: engines/Bad Name.py: ")
    assert f"process {process.pid} has taken over" in done.stdout
    assert "left out: engines/Bad Name.py" in done.stderr
    assert sent == [(process.pid, signal.SIGHUP)]


def test_reload_tells_where_the_daemon_did_not_take_it(run, reloading, monkeypatch):
    """Where the daemon still has problems afterwards, that is exit 1 and names the log."""
    _, where, problems, _ = reloading
    monkeypatch.setattr("voicebus.clients.cli.daemon.RELOAD_S", 0.0)
    where.write_text("")
    problems.append({"where": "limits", "line": 1, "reason": "no"})
    done = run("daemon", "reload")
    assert (done.exit_code, "voicebus logs" in done.stderr) == (1, True)


def test_reload_without_a_daemon(client, run):
    """Without a daemon there is nothing to reload: exit 3."""
    assert run("daemon", "reload").exit_code == 3


def test_problems_of_a_configuration_have_lines(client, run, tmp_path):
    """`config check` prints FILE:LINE: reason for each problem and exits with 1; a good file is said to be good."""
    file = tmp_path / "voicebus.toml"
    file.write_text('[limits]\njobs = "many"\n')
    done = run("config", "check")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{file}:2: limits.jobs: ")
    found = run("config", "check", "--json", str(file))
    assert found.exit_code == 1
    assert json.loads(found.stdout)["problems"][0]["line"] == 2
    file.write_text("[limits]\njobs = 7\n")
    assert run("config", "check").output == f"{file}: good\n"


def test_a_configuration_that_is_not_there(client, run, tmp_path):
    """Without the usual file the defaults hold; a file that was named must be there."""
    assert "defaults hold" in run("config", "check").stdout
    assert run("config", "check", "nowhere.toml").exit_code == 2
    assert run("config", "path").stdout == f"{tmp_path / 'voicebus.toml'}\n"


def test_the_end_of_the_log(client, run, tmp_path):
    """`logs -n` prints the last lines, `--path` where they are; without a log it is exit 3 and says so."""
    assert run("logs").exit_code == 3
    (tmp_path / "state").mkdir()
    file = tmp_path / "state" / "daemon.log"
    file.write_text("one\ntwo\nthree\n")
    assert run("logs", "-n", "2").stdout == "two\nthree\n"
    assert run("logs", "--path").stdout == f"{file}\n"


def test_a_followed_log_goes_on_in_the_next_file(tmp_path):
    """Following gives what is added, and after a rotation the new file from its beginning."""
    path = tmp_path / "daemon.log"
    path.write_text("old\n")
    with path.open() as file:
        file.read()
        lines = logs.followed(path, file, wait_s=0)
        with path.open("a") as more:
            more.write("added\n")
        assert next(lines) == "added\n"
        path.rename(tmp_path / "daemon.log.1")
        path.write_text("new file\n")
        assert next(lines) == "new file\n"
        lines.close()


def test_the_unit_is_printed_without_installing(client, run, monkeypatch, tmp_path):
    """`service install --print` shows a unit that runs this interpreter and finds the same files; nothing is
    written."""
    monkeypatch.setattr(manager.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    done = run("service", "install", "--print")
    assert f"ListenStream={tmp_path}/run/bus.sock" in done.stdout
    assert f"ExecStart={sys.executable} -m voicebus.daemon run --started-by service" in done.stdout
    assert f"VOICEBUS_STATE_DIR={tmp_path}/state" in done.stdout
    assert not (tmp_path / "systemd").exists()


def test_the_agent_of_macos_is_a_property_list(monkeypatch, run, client):
    """On macOS the agent is a valid property list that runs this interpreter."""
    monkeypatch.setattr(manager, "for_this_machine", lambda **_: manager.Launchd())
    agent = plistlib.loads(run("service", "install", "--print").stdout.encode())
    assert agent["ProgramArguments"][0] == sys.executable


def test_without_a_service_manager_it_is_said(client, run, monkeypatch):
    """Where no user service manager answers, install is exit 69 and says what to do instead; status says it too."""
    monkeypatch.setattr(manager.sys, "platform", "linux")
    monkeypatch.setattr(manager, "ask", lambda *command: subprocess.CompletedProcess(command, 1, "", "no bus"))
    done = run("service", "install")
    assert done.exit_code == 69
    assert "voicebus daemon run" in done.stderr
    found = run("service", "status", "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["state"] == "no service manager"


@pytest.fixture
def systemctl(monkeypatch, tmp_path):
    """A systemd that says yes to everything and notes what it was asked; the socket unit is not active yet."""
    asked = []

    def ask(*command):
        asked.append(" ".join(command))
        return subprocess.CompletedProcess(command, "is-active" in command, "ActiveState=active\nMainPID=7\n", "")

    monkeypatch.setattr(manager.sys, "platform", "linux")
    monkeypatch.setattr(manager, "ask", ask)
    monkeypatch.setattr(manager.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(manager.SystemdForAll, "_units", tmp_path / "system")
    monkeypatch.setattr(manager.SystemdForAll, "_users", tmp_path / "sysusers.d")
    return asked


def test_install_and_uninstall_with_systemd(client, run, systemctl, tmp_path):
    """Installing writes service and socket and enables both at once, the socket before the service runs; uninstalling
    stops and disables them and removes the files."""
    units = [tmp_path / "systemd" / "user" / name for name in ("voicebus.service", "voicebus.socket")]
    assert run("service", "install").exit_code == 0
    assert all(unit.exists() for unit in units)
    assert systemctl[-4:] == [
        "systemctl --user daemon-reload",
        "systemctl --user is-active --quiet voicebus.socket",
        "systemctl --user stop voicebus.service",
        "systemctl --user enable --now voicebus.socket voicebus.service",
    ]
    assert json.loads(run("service", "status", "--json").stdout)["pid"] == 7
    assert run("service", "uninstall").exit_code == 0
    assert not any(unit.exists() for unit in units)
    assert "systemctl --user disable --now voicebus.socket voicebus.service" in systemctl


@pytest.fixture
def as_root(monkeypatch):
    """We are root, and this installation can be read by all."""
    monkeypatch.setattr(manager.os, "geteuid", lambda: 0)
    monkeypatch.setattr(manager, "closed_to_others", lambda path: None)


def test_the_service_for_all_users(client, run, systemctl, as_root, tmp_path):
    """With --system the service's user is made first, then both units are enabled in the system's manager; status and
    uninstall go there too."""
    assert "not installed" in run("service", "uninstall", "--system").stdout
    done = run("service", "install", "--system")
    assert done.exit_code == 0, done.output
    assert "--system --started-by service" in (tmp_path / "system" / "voicebus.service").read_text()
    assert f"systemd-sysusers {tmp_path}/sysusers.d/voicebus.conf" in systemctl
    assert systemctl[-1] == "systemctl enable --now voicebus.socket voicebus.service"
    assert not any("--user" in command for command in systemctl)
    assert (
        json.loads(run("service", "status", "--system", "--json").stdout)["path"]
        == f"{tmp_path}/system/voicebus.service"
    )
    assert run("service", "uninstall", "--system").exit_code == 0
    assert not [path for folder in ("system", "sysusers.d") for path in (tmp_path / folder).iterdir()]


def test_only_root_installs_for_all(client, run, systemctl, monkeypatch, tmp_path):
    """Without being root, and where the service's user could not read this installation, nothing is written and it is
    said what to do."""
    monkeypatch.setattr(manager.os, "geteuid", lambda: 1000)
    assert "sudo" in run("service", "install", "--system").stderr
    monkeypatch.setattr(manager.os, "geteuid", lambda: 0)
    monkeypatch.setattr(manager, "closed_to_others", lambda path: Path("/root"))
    done = run("service", "install", "--system")
    assert (done.exit_code, "/root is not open to others" in done.stderr, "/opt" in done.stderr) == (1, True, True)
    assert not (tmp_path / "system").exists()


def test_what_others_cannot_read_is_found(tmp_path):
    """The first closed step on the way to a file, or to what it links to, is named."""
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir(mode=0o700)
    file = tmp_path / "closed" / "python"
    file.touch()
    (tmp_path / "open" / "python").symlink_to(file)
    closed = manager.closed_to_others(tmp_path / "open" / "python")
    assert closed in {tmp_path / "closed", *(tmp_path / "closed").parents}
    assert manager.closed_to_others(Path("/bin/sh")) is None


def test_there_is_no_service_for_all_on_macos(client, run, monkeypatch):
    """Where that does not exist it is said, and what does."""
    monkeypatch.setattr(manager.sys, "platform", "darwin")
    done = run("service", "install", "--system")
    assert (done.exit_code, "Each user can have one" in done.stderr) == (69, True)


def test_stop_does_not_wake_what_it_stopped(client, run, systemctl, monkeypatch):
    """Where the service manager listens for clients, `daemon stop` does not look at its socket, which would start a
    daemon, and says that the next client does."""
    run("service", "install")
    for name in ("VOICEBUS_RUNTIME_DIR", "VOICEBUS_CONFIG"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("voicebus.clients.cli.running.holder", lambda: None)
    monkeypatch.setattr("voicebus.bus.places.told", lambda: False)
    monkeypatch.setattr("voicebus.bus.endpoints.probe", lambda path: pytest.fail("it looked"))
    done = run("daemon", "stop")
    assert done.exit_code == 0
    assert "next client starts it again" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(client, run, shell):
    """A script is printed for each shell; a shell that is not known gets the near one."""
    assert "_VOICEBUS_COMPLETE" in run("completion", shell).stdout
    assert f"Did you mean {shell}?" in run("completion", shell[:-1] + "x").stderr


def test_names_are_completed_by_the_running_daemon(client, run, monkeypatch):
    """A shell gets voices, providers, jobs and commands; without a daemon nothing, and none is started."""

    def complete(words):
        answer = run(_VOICEBUS_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
        return answer.stdout.split()

    assert complete("voicebus say -v en") == ["plain,en-us"]
    assert complete("voicebus say -v en-us+f") == ["plain,en-us+f3"]
    assert complete("voicebus attach k") == ["plain,kitchen-1"]
    assert complete("voicebus say -p e") == ["plain,espeak"]
    assert complete("voicebus sta") == ["plain,status"]
    assert ("connect", True) not in client.calls

    def nobody(*, start=False):
        raise OSError("no daemon")

    monkeypatch.setattr("voicebus.clients.cli.seam.connect", nobody)
    assert complete("voicebus say -v en") == []


def test_help_imports_no_command_and_nothing_heavy(tmp_path):
    """`voicebus --help` loads no module of a command, and neither ZeroMQ nor any audio library."""
    code = (
        "import sys; from voicebus.clients.cli import app\n"
        "try: app.cli(['--help'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not {"zmq", "numpy", "soundfile", "miniaudio", "asyncio", "voicebus.clients.sync"} & loaded
    assert not {f"voicebus.clients.cli.{name}" for name in ("say", "jobs", "status", "daemon", "service")} & loaded
    assert "Exit codes" in done.stdout


def test_a_wrong_command_suggests_the_near_one(run):
    """An unknown command is exit 2 and names the near one."""
    done = run("sya", "hello")
    assert done.exit_code == 2
    assert "Did you mean say?" in done.stderr


def test_the_document_has_every_exit_code_and_command():
    """docs/cli.md lists each exit code with the words that --help has, and each command."""
    text = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert [f"| {code} | {what} |" for code, what in exits.CODES.items() if f"| {code} | {what} |" not in text] == []
    assert [name for name in app.COMMANDS if f"`{name}" not in text] == []
