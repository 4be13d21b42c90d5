"""Engines dropped into the folder beside the configuration, good and broken ones, under a running service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from voicebus.clients.sync import Client

from .listening import Heard
from .own import ENGINE
from .service import Service, until

BROKEN = {
    "syntax": ("def (", "syntax.py:1: invalid syntax"),
    "zeros": ("\0", "zeros.py: source code string cannot contain null bytes"),
    "empty": ("", "has no class derived from voicebus.Engine"),
    "two": (ENGINE + "class Other(Flat): pass", "has 2 engines (Flat, Other)"),
    "raises": (ENGINE.replace('print("printed while loading")', "raise OSError('no sound font')"), "no sound font"),
    "leaves": ("import sys; sys.exit(3)", "ends the program when it is read: sys.exit(3)"),
    "needs": ("import nosuch", "the module nosuch is missing; install it: "),
    "mute": (ENGINE.replace("x10", "x00"), "the self-test made no sound"),
}
CONFIG = """
[providers.espeak]
workers = 1
[restart]
intensity = 1
base_s = 0.02
max_s = 0.1
"""


@pytest.fixture(scope="module")
def service():
    """A service whose configuration has all of these engines beside it."""
    found = Service("")
    try:
        engines = found.root / "engines"
        engines.mkdir()
        for name, (text, _) in BROKEN.items():
            (engines / f"{name}.py").write_text("print('garbage')\n" * (name != "syntax") + text)
        (engines / "flat.py").write_text(ENGINE)
        (engines / "Not A Name.py").write_text(ENGINE)
        found.write(CONFIG)
        found.signal(signal.SIGHUP)
        found.says("configuration read again")
        yield found
        found.stop()
    finally:
        found.give_up()


@pytest.fixture
def client(service):
    with Client(endpoint=service.endpoint, start=False) as found:
        yield found


def row(client, name):
    return next((row for row in client.providers() if row["provider"] == name), None)


def run(service, *arguments):
    environ = {"VOICEBUS_RUNTIME_DIR": service.run, "VOICEBUS_STATE_DIR": service.state}
    return subprocess.run(
        [sys.executable, "-c", "from voicebus.clients.cli import main; main()", *arguments],
        env=os.environ | {name: str(path) for name, path in environ.items()} | {"VOICEBUS_CONFIG": str(service.config)},
        capture_output=True,
        text=True,
        timeout=25,
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_engine_costs_its_provider_only(service, client, name):
    """Whatever is wrong with a file, its provider is out and says what; the daemon goes on."""
    until(lambda: (row(client, name) or {}).get("state") == "out", f"the end of {name}", 20)
    assert BROKEN[name][1] in row(client, name)["reason"]


def test_a_good_one_speaks_beside_them(service, client):
    """A file with one class is a provider, whatever it prints and whoever stands beside it."""
    service.ready(client, "flat")
    heard = Heard(client.speak("Hello there.", provider="flat")).listen()
    assert len(heard.pcm) > 2 * 800
    assert row(client, "flat")["rate"] == 16000
    service.ready(client, "espeak")


def test_a_file_that_is_no_provider_is_told_among_the_problems(service, client):
    """A name that cannot be a provider's is in the status with its reason."""
    (problem,) = client.status()["problems"]
    assert problem["where"] == "engines/Not A Name.py"
    assert "rename it" in problem["reason"]


def test_the_command_shows_the_reasons(service, client):
    """`voicebus providers` has the whole reason and the doctor finds the provider wrong, with what mends it."""
    until(lambda: (row(client, "needs") or {}).get("state") == "out", "the end of needs", 20)
    assert f"install it: {sys.executable} -m pip install nosuch" in run(service, "providers").stderr
    findings = json.loads(run(service, "doctor", "--json").stdout)["findings"]
    (found,) = [finding for finding in findings if finding["check"] == "provider needs"]
    assert found["level"] == "bad"
    assert any("the module nosuch is missing" in line for line in found["said"])


def test_files_come_change_and_go_on_reload(service, client):
    """On HUP a new file is started, a changed one anew, that of a removed one ends, and the others stay as they are."""
    path = service.root / "engines" / "fresh.py"
    (flat,) = service.ready(client, "flat")
    path.write_text(ENGINE)
    service.signal(signal.SIGHUP)
    (first,) = service.ready(client, "fresh")
    path.write_text(ENGINE.replace("16000", "8000"))
    service.signal(signal.SIGHUP)
    until(lambda: first["pid"] not in {one["pid"] for one in client.workers()}, "the end of the old one")
    service.ready(client, "fresh")
    path.unlink()
    service.signal(signal.SIGHUP)
    until(lambda: row(client, "fresh") is None, "the end of fresh")
    assert service.ready(client, "flat")[0]["pid"] == flat["pid"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("flat", 0, "0 failed"),
        ("syntax", 1, "syntax.py:1: invalid syntax"),
        ("raises", 1, "OSError: no sound font"),
        ("mute", 1, "FAILED"),
        ("nobody", 2, "There is no provider 'nobody'"),
        ("whisper", 2, "whisper is not set up; see how with: voicebus providers show whisper"),
        ("Not A Name", 2, "rename it"),
    ],
)
def test_the_suite_is_run_on_a_provider(service, name, code, says):
    """`voicebus providers test NAME` gives a verdict on each check, and its exit code, without asking the daemon."""
    done = run(service, "providers", "test", name)
    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import os; os._exit(4)", "its process ended with exit code 4"),
        ("import os; os.kill(os.getpid(), 11)", "its process was ended by signal 11"),
        ("import threading; threading.Event().wait()", "it was not done with it after 1 s"),
    ],
)
def test_an_engine_that_takes_its_process_with_it_is_told_with_the_check(service, body, says):
    """A crash, an exit and a hang in the middle of the suite are told as the failure of the check that was on."""
    path = service.root / "engines" / "dies.py"
    path.write_text(ENGINE.replace('print("printed while loading")', body))
    done = run(service, "providers", "test", "dies", "--patience", "1", "--json")
    path.unlink()
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"]) == (1, False)
    assert told["checks"][-1]["name"] == "load"
    assert says in told["checks"][-1]["problem"]
