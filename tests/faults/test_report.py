"""The report of `voicebus doctor` on a real daemon in which texts and secrets were planted wherever they can get."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from voicebus.bus.errors import VoicebusError

from .listening import TONE
from .service import until

WORDS = ("Wolpertinger", "Rhabarberbarbara")
SECRETS = ("opensesame-in-the-file", "opensesame-in-the-environment", "opensesame-in-a-setting")

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 1
settings = {{ {TONE} }}
env = {{ PYTHONUNBUFFERED = "1", SOME_TOKEN = "{SECRETS[1]}" }}
[providers.tone.secrets]
salt = "file:@SALT@"
[providers.broken]
command = ["{sys.executable}", "@SCRIPT@"]
settings = {{ api_key = "{SECRETS[2]}" }}
[providers.espeak]
workers = 0
[restart]
base_s = 0.001
[defaults]
chain = ["tone"]
[pronunciations]
{WORDS[1]} = "rhubarb {WORDS[1]}"
"""


def doctor(service, *options):
    """Run the command against a service, as a person would."""
    environ = {
        "VOICEBUS_RUNTIME_DIR": str(service.run),
        "VOICEBUS_STATE_DIR": str(service.state),
        "VOICEBUS_CONFIG": str(service.config),
        "MY_API_KEY": "opensesame-of-mine",
    }
    return subprocess.run(
        [Path(sys.executable).with_name("voicebus"), "doctor", *options],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        cwd="/",
    )


@pytest.mark.slow
def test_nothing_private_gets_into_the_report(launch, tmp_path):
    """Words of jobs, of workers' output, of the dictionary, keys in files, settings and variables, the user's and the
    machine's name: all were there to be found, in the log and in what the daemon says, and none is in the report; what
    helps is."""
    (tmp_path / "salt").write_text(SECRETS[0])
    script = tmp_path / "engine.py"
    script.write_text(f"raise SystemExit('ValueError: {WORDS[0]} says {SECRETS[2]}')")
    service = launch(CONFIG.replace("@SALT@", str(tmp_path / "salt")).replace("@SCRIPT@", str(script)))
    client = service.client()
    service.ready(client, "tone")
    until(lambda: any(row["state"] == "fatal" for row in client.workers()), "giving up")
    for marker in ("{{raise}}", "{{error invalid_input}}", ""):
        try:
            client.speak(f"{WORDS[1]} {marker} and more.", job=f"for-{WORDS[0]}{len(marker)}").wait()
        except VoicebusError:
            continue
    planted = (service.state / "daemon.log").read_text() + json.dumps(client.workers()) + json.dumps(client.jobs())
    assert WORDS[0] in planted and SECRETS[2] in planted
    target = tmp_path / "report.md"
    done = doctor(service, "--report", str(target))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "provider broken" in done.stdout
    text = target.read_text()
    for private in (*WORDS, *SECRETS, "opensesame", socket.gethostname(), str(Path.home())):
        assert private not in text, private
    assert getpass.getuser() not in text
    for useful in ('"state": "fatal"', "exited with code 1", "pyzmq", "tone is ready after", '"api_key": "<secret>"',
                   "died too often"):  # fmt: skip
        assert useful in text, useful


def test_a_service_in_order_is_found_to_be(launch):
    """On a daemon that works, nothing is wrong: exit code 0, as a table and as JSON."""
    service = launch("")
    service.ready(service.client(), "espeak", 2)
    done = doctor(service)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing is wrong." in done.stdout
    found = json.loads(doctor(service, "--json").stdout)
    assert found["wrong"] == 0
    assert {row["check"]: row["level"] for row in found["findings"]}["provider espeak"] == "good"
