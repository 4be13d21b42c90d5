"""`doctor`: what it finds on machines that are not in order, what it mends, and its report."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
from types import SimpleNamespace

import pytest

from voicebus import __version__
from voicebus.bus.errors import NotRunning, VersionMismatch
from voicebus.clients.cli import doctor_checks, doctor_service, manager, running, seam

from .conftest import DAEMON, PROVIDER, WORKER


@pytest.fixture
def machine(client, monkeypatch, tmp_path):
    """A machine in order, with no daemon: directories of its own, espeak that can be loaded, no service manager."""
    for name in ("run", "state"):
        (tmp_path / name).mkdir(mode=0o700)

    def watch():
        raise NotRunning("Nobody listens.")

    monkeypatch.setattr(seam, "watch", watch)
    monkeypatch.setattr(running, "holder", lambda: None)
    monkeypatch.setattr(doctor_service, "_import_error", lambda python, module: "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(manager, "for_this_machine", manager.Systemd)
    monkeypatch.setattr(manager, "ask", lambda *command: subprocess.CompletedProcess(command, 1, "", "no bus"))
    return tmp_path


@pytest.fixture
def alive(machine, client, monkeypatch):
    """The same with a daemon that answers."""
    about = {**DAEMON, "version": __version__, "problems": [], "config": str(machine / "voicebus.toml")}
    found = SimpleNamespace(daemon=about, workers=[dict(WORKER)], providers=[{**PROVIDER, "asleep": 0}])
    client.status, client.workers = lambda: found.daemon, lambda: found.workers
    client.providers = lambda: found.providers
    client.close = lambda: None
    monkeypatch.setattr(seam, "watch", lambda: client)
    monkeypatch.setattr(running, "holder", lambda: running.Holder(about["pid"], __version__))
    return found


def findings(run, *options, code=0):
    done = run("doctor", "--json", *options)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def bad(found):
    return [(row["check"], row["message"]) for row in found["findings"] if row["level"] == "bad"]


def test_a_machine_in_order_has_nothing_wrong(machine, run):
    """Each thing that was looked at is listed; no daemon is no fault; the exit code is 0."""
    found = findings(run)
    assert (found["wrong"], bad(found)) == (0, [])
    checks = {row["check"] for row in found["findings"]}
    assert checks >= {"versions", "descriptors", "runtime directory", "state directory", "disk space", "daemon",
                      "configuration", "provider espeak", "sound", "service"}  # fmt: skip
    done = run("doctor")
    assert "Nothing is wrong." in done.output and f"voicebus {__version__}" in done.output
    assert "ok" not in run("doctor", "-q").output


def test_looking_changes_nothing(machine, run):
    """Without --fix every file is as it was, whatever is wrong with it."""
    (machine / "state").chmod(0o755)
    (machine / "state" / "x.tmp").touch()
    before = sorted((path, path.lstat().st_mode) for path in machine.rglob("*"))
    findings(run, code=1)
    assert sorted((path, path.lstat().st_mode) for path in machine.rglob("*")) == before


def test_directories_that_others_can_enter_are_closed(machine, run):
    """A wrong mode of our own directories is wrong, says how to mend it, and is mended by --fix."""
    for name in ("run", "state"):
        (machine / name).chmod(0o755)
    found = findings(run, code=1)
    assert [check for check, _ in bad(found)] == ["runtime directory", "state directory"]
    assert "chmod 700" in found["findings"][2]["advice"]
    done = run("doctor", "--fix")
    assert done.exit_code == 0
    assert done.output.count("mended: ") == 2
    assert {stat.S_IMODE((machine / name).stat().st_mode) for name in ("run", "state")} == {0o700}


def test_what_is_no_directory_or_somebody_elses_is_named(machine, run, monkeypatch):
    """A file in the place of a directory, and a directory of another user, are for a person to mend."""
    (machine / "run").rmdir()
    (machine / "run").touch()
    assert bad(findings(run, code=1)) == [("runtime directory", f"{machine / 'run'} is no directory")]
    (machine / "run").unlink()
    (machine / "run").mkdir(mode=0o700)
    monkeypatch.setattr(doctor_checks.os, "geteuid", lambda: os.getuid() + 1)
    found = bad(findings(run, code=1))
    assert ("state directory", f"{machine / 'state'} belongs to user {os.getuid()}, not to you") in found


def test_a_path_too_long_for_a_socket_is_found(machine, run, monkeypatch):
    """The runtime directory's path is told to be too long, before a daemon fails on it."""
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(machine / ("long" * 30)))
    ((check, message),) = bad(findings(run, code=1))
    assert check == "runtime directory" and "may have" in message


def test_dead_sockets_are_found_and_removed(machine, run):
    """A socket that nobody listens on is noted and removed by --fix; one that is no socket is wrong and left alone."""
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(machine / "run" / "bus.sock"))
    one.close()
    (machine / "run" / "workers.sock").write_text("mine")
    found = findings(run, code=1)
    assert bad(found) == [("sockets", f"{machine / 'run' / 'workers.sock'} is no socket")]
    findings(run, "--fix", code=1)
    assert [path.name for path in (machine / "run").iterdir()] == ["workers.sock"]


def test_a_socket_that_came_to_life_is_not_removed(machine):
    """Between looking and mending a daemon may come: its socket stays."""
    path = machine / "run" / "bus.sock"
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(path))
    mend = doctor_checks._removing(path)
    one.listen()
    mend()
    assert path.exists()
    one.close()


def test_a_daemon_whose_socket_is_dead_is_wrong(machine, run, monkeypatch):
    """Somebody holds the lock and nobody listens: the daemon is to be started anew."""
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(machine / "run" / "bus.sock"))
    one.close()
    monkeypatch.setattr(running, "holder", lambda: running.Holder(4711))
    found = bad(findings(run, code=1))
    assert [check for check, _ in found] == ["sockets", "daemon"]
    assert "process 4711 holds the lock, but does not answer" in found[1][1]
    assert (machine / "run" / "bus.sock").exists()


def test_files_that_nobody_needs_are_removed(machine, run, monkeypatch):
    """Unfinished files and surplus logs go with --fix where no daemon runs; journals and the database never."""
    logs = machine / "state" / "logs"
    logs.mkdir()
    for path in (machine / "state" / "export.tmp", machine / "state" / "daemon.log.7", logs / "a.part"):
        path.touch()
    kept = {machine / "state" / "daemon.log.1", logs / "e-1-00000000.takes"}
    for path in kept:
        path.touch()
    monkeypatch.setattr(running, "holder", lambda: running.Holder(4711))
    assert not any(row["check"] == "files" for row in findings(run, code=1)["findings"])
    monkeypatch.setattr(running, "holder", lambda: None)
    assert findings(run, "--fix")["mended"] == ["removed 3 files that nobody needs"]
    assert {path for path in (machine / "state").rglob("*") if path.is_file()} == kept


def test_a_disk_that_is_full_is_wrong(machine, run, monkeypatch):
    """Too little space is wrong, little is noted, and what cannot be found out is said."""
    for free, level in ((10_000_000, "bad"), (500_000_000, "note"), (5_000_000_000, "good")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, free=free: SimpleNamespace(free=free))
        found = findings(run, code=int(level == "bad"))
        assert next(row["level"] for row in found["findings"] if row["check"] == "disk space") == level


def test_too_few_descriptors_are_wrong(machine, run, monkeypatch):
    """A hard limit below what a daemon needs is named with the number."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (100, 100))
    assert bad(findings(run, code=1)) == [("descriptors", "a process may open 100; the daemon needs 320")]


def test_an_sqlite_that_damages_its_database_is_refused(machine, run, monkeypatch):
    """A library from before the fix is named with the version that is needed."""
    found = {**doctor_checks.libraries(), "sqlite": "3.51.2"}
    monkeypatch.setattr(doctor_checks, "libraries", lambda: found)
    assert bad(findings(run, code=1)) == [("versions", "SQLite 3.51.2 can damage its database; 3.51.3 is needed")]
    found["msgspec"] = ""
    found["sqlite"] = "3.52.0"
    assert bad(findings(run, code=1)) == [("versions", "msgspec cannot be loaded")]


# -------------------------------------------------------------------------------------------------------- the daemon


def test_a_daemon_in_order(alive, run):
    """A daemon that answers, of our version, with a provider that is ready, is in order."""
    found = findings(run)
    assert found["wrong"] == 0
    assert "process 4700 answers, up 1 min" in {row["message"] for row in found["findings"]}
    assert "ready, 1 of 2 workers ready" in {row["message"] for row in found["findings"]}


def test_another_version_is_wrong(alive, machine, run, monkeypatch):
    """Whether it still talks to us or not, the advice is to restart it."""
    alive.daemon["version"] = "0.0.1"
    found = findings(run, code=1)
    assert bad(found) == [("daemon", f"version 0.0.1 runs, this is {__version__}")]

    def refuse():
        raise VersionMismatch("It speaks protocol 9.")

    monkeypatch.setattr(seam, "watch", refuse)
    assert ("daemon", "It speaks protocol 9.") in bad(findings(run, code=1))


def test_one_with_another_state_directory_is_noted(alive, run, monkeypatch):
    """A daemon that answers and holds no lock here was started with other directories."""
    monkeypatch.setattr(running, "holder", lambda: None)
    (row,) = [row for row in findings(run)["findings"] if row["check"] == "daemon"]
    assert row["level"] == "note" and "holds no lock" in row["message"]


def test_a_full_share_is_wrong(alive, run):
    """Rendered jobs wait then: it is told with what to do."""
    alive.daemon["crowded"] = True
    assert bad(findings(run, code=1)) == [("daemon", "the disk's share for audio is used up")]


def test_a_provider_that_does_not_speak_is_wrong(alive, run):
    """Its state, its last failure and its last words are shown; one that sleeps or starts is no fault."""
    alive.providers[0].update(state="out", ready=0, reason="died too often")
    alive.workers[0].update(state="fatal", last_failure="exited with code 1", stderr=["no model", "no model"])
    (row,) = [row for row in findings(run, code=1)["findings"] if row["check"] == "provider espeak"]
    assert row["said"] == ["died too often", "exited with code 1", "no model"]
    alive.providers[0]["retry_in_s"] = 9.0
    assert "tried again in 9.0 s" in run("doctor").output
    alive.providers[0].update(state="starting")
    alive.workers[0].update(state="backoff")
    assert findings(run, code=1)["wrong"] == 1
    for state, worker in (("asleep", "asleep"), ("starting", "connected")):
        alive.providers[0].update(state=state)
        alive.workers[0].update(state=worker)
        assert findings(run)["wrong"] == 0


def test_problems_of_the_configuration_are_listed(alive, machine, run):
    """What the daemon has not taken over is shown with file, line and reason."""
    (machine / "voicebus.toml").write_text("[limits]\njobs = 1.5\n")
    alive.daemon["problems"] = [{"where": "limits.jobs", "line": 2, "reason": "must be a whole number"}]
    (row,) = [row for row in findings(run, code=1)["findings"] if row["check"] == "configuration"]
    assert row["said"] == [f"{machine / 'voicebus.toml'}:2: limits.jobs: must be a whole number"]


# ------------------------------------------------------------------------------------- what could be started


def test_without_a_daemon_the_file_is_checked_by_the_daemons_own_program(machine, run):
    """A mistake in the file is found with its line, and a provider whose program is missing is as well."""
    (machine / "voicebus.toml").write_text(
        "[limits]\njobs = 1.5\n[providers.a]\ncommand = ['/no/such/program']\n"
        "[providers.b]\nmodule = 'm'\npython = '/no/such/python'\n[providers.off]\nworkers = 0\nkey = 'k'\n"
    )
    found = findings(run, code=1)
    assert bad(found) == [
        ("configuration", f"1 problem in {machine / 'voicebus.toml'}"),
        ("provider a", "its program /no/such/program is not there"),
        ("provider b", "its interpreter /no/such/python is not there"),
    ]


def test_a_module_that_cannot_be_loaded_says_why(machine, run, monkeypatch):
    """It is tried with the provider's own interpreter, and the last line of what that says is shown."""
    monkeypatch.undo()
    assert doctor_service._import_error(sys.executable, "voicebus.workers.tone") == ""
    said = doctor_service._import_error(sys.executable, "no_such_engine")
    assert said == "ModuleNotFoundError: No module named 'no_such_engine'"
    found = list(doctor_service._provider(doctor_checks.Patient(machine, machine, machine, None), "x", None,
                                          {"module": "no_such_engine"}))  # fmt: skip
    assert (found[0].level, found[0].said) == ("bad", (said,))


def test_a_database_is_read_and_nothing_else(machine, run, monkeypatch):
    """One in order is good, one that is damaged is wrong, one without a library to read it with is noted."""
    pytest.importorskip("apsw", reason="the store's library is not installed")
    import apsw

    path = machine / "state" / "voicebus.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t (x TEXT)")
    connection.executemany("INSERT INTO t VALUES (?)", [("words " * 50,)] * 400)
    connection.close()
    before = path.read_bytes()
    assert findings(run)["wrong"] == 0
    assert path.read_bytes() == before
    path.write_bytes(before[:8192] + b"\xff" * 4096 + before[12288:])
    ((check, message),) = bad(findings(run, code=1))
    assert (check, message) == ("database", f"{path} is damaged")
    path.write_bytes(b"no database at all" * 500)
    assert [check for check, _ in bad(findings(run, code=1))] == ["database"]


def test_a_database_without_its_library_is_noted(machine, run, monkeypatch):
    """Nothing is said of a database that cannot be read for want of a library."""
    (machine / "state" / "voicebus.db").touch()

    def missing(_name):
        raise ImportError

    monkeypatch.setattr(doctor_service, "import_module", missing)
    (row,) = [row for row in findings(run)["findings"] if row["check"] == "database"]
    assert row["level"] == "note"


def test_sound_that_does_not_answer_is_noted(machine, run, monkeypatch):
    """No device, and a sound system that fails, are no faults: files can be made."""

    def broken():
        raise RuntimeError("no server")

    for devices, words in ((list, "there is no device to play on"), (broken, "does not answer: no server")):
        monkeypatch.setattr(seam, "devices", devices)
        (row,) = [row for row in findings(run)["findings"] if row["check"] == "sound"]
        assert row["level"] == "note" and words in row["message"]


def test_an_outdated_unit_is_written_anew(machine, run, monkeypatch):
    """A unit that differs from what would be installed is wrong; --fix writes it and has the manager read it."""
    asked = []

    def ask(*command):
        asked.append(command[2])
        answer = {"is-enabled": "enabled\n", "show": "ActiveState=active\nMainPID=5\n"}.get(command[2], "")
        return subprocess.CompletedProcess(command, 0, answer, "")

    kind = manager.Systemd()
    kind.path.parent.mkdir(parents=True)
    kind.path.write_text("[Service]\nExecStart=/old\n")
    monkeypatch.setattr(manager, "ask", ask)
    monkeypatch.setattr(manager.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert bad(findings(run, code=1)) == [("service", f"{kind.path} is not what this installation would write")]
    found = findings(run, "--fix")
    assert {path: path.read_text() for path in kind.render()} == kind.render()
    assert "daemon-reload" in asked
    assert found["mended"] == [f"wrote {kind.path} anew; it is in force after: voicebus daemon restart"]


@pytest.mark.parametrize(
    ("enabled", "state", "words"), [("disabled", "active", "is not enabled"), ("enabled", "failed", "has failed")]
)
def test_a_unit_that_does_not_run_is_wrong(machine, run, monkeypatch, enabled, state, words):
    """Not enabled and failed are both wrong; a manager that does not answer is only noted."""
    kind = manager.Systemd()
    kind.path.parent.mkdir(parents=True)
    for path, text in kind.render().items():
        path.write_text(text)
    assert "does not answer" in run("doctor").output
    answers = {"is-enabled": enabled, "show": f"ActiveState={state}\nMainPID=0"}
    monkeypatch.setattr(manager, "ask", lambda *c: subprocess.CompletedProcess(c, 0, answers.get(c[2], ""), ""))
    monkeypatch.setattr(manager.shutil, "which", lambda name: f"/usr/bin/{name}")
    ((check, message),) = bad(findings(run, code=1))
    assert check == "service" and words in message


def test_what_cannot_be_mended_is_said(machine, run, monkeypatch):
    """A repair that fails is told with its reason, and what was wrong stays wrong."""
    (machine / "state").chmod(0o755)

    def refuse(_path):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(doctor_checks, "_close", refuse)
    found = findings(run, "--fix", code=1)
    assert found["mended"] == []
    assert "Operation not permitted" in found["not_mended"][0]


# -------------------------------------------------------------------------------------------------------- the report


def test_the_report_has_what_helps_and_nothing_private(alive, machine, run):
    """Versions, findings, daemon, configuration and log are in it; planted secrets, texts and names are not; it is
    its owner's alone."""
    alive.workers[0].update(stderr=["saying: Dear John"], last_failure="exited with code 1: Dear John", reason="")
    alive.providers[0].update(state="out", reason="Dear John")
    (machine / "voicebus.toml").write_text('[providers.espeak]\nsettings = { api_key = "plain-as-day-1" }\n')
    log = "2026-01-02 03:04:05,678 INFO    espeak/0: Dear John, plain-as-day-1\nDear John\n"
    (machine / "state" / "daemon.log").write_text(
        log + "2026-01-02 03:04:05,678 INFO    espeak is ready after 0.02 s\n"
    )
    target = machine / "report.md"
    found = findings(run, "--report", str(target), code=1)
    assert found["report"] == str(target)
    text = target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    useful = (
        "## Versions",
        "- python: ",
        "## Findings",
        "bad: provider espeak",
        '"jobs_done": 17',
        '"api_key": "<secret>"',
        "espeak is ready after 0.02 s",
        "exited with code 1: <9 characters>",
    )
    for words in useful:
        assert words in text
    for secret in ("Dear", "John", "plain-as-day-1", "kitchen"):
        assert secret not in text
    assert "Read it before you send it." in run("doctor", "--report", str(target)).output
