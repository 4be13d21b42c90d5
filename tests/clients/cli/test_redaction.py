"""What must not stand in a report does not, and what helps still does."""

from __future__ import annotations

import getpass
import json
import os
import socket
import tomllib
from pathlib import Path

import pytest

from voicebus.clients.cli import redaction
from voicebus.clients.cli.redaction import Redaction, blanked, secrets_of

CONFIG = """
[providers.cloud]
module = "voicebus.workers.cloud"
key = "let-me-in-7"
secrets = { api_key = "env:CLOUD_KEY", other = "file:secret.txt" }
key_env = "JOIN_KEY"
command = ["serve", "--api-token", "tok-in-argv", "--port", "80"]
env = { MODELS = "/srv/models", LANG = "de" }
[providers.cloud.settings]
endpoint = "https://speech.example"
api_key = "inline-key-9"
depth = { password = "deep-9" }
token_limit = 5
[pronunciations]
Wieslawa = "vyeswava"
"""


@pytest.fixture
def secrets(tmp_path):
    """Every secret that the configuration has or names."""
    (tmp_path / "secret.txt").write_text("from-a-file-8\n")
    environ = {
        "CLOUD_KEY": "from-the-environment",
        "JOIN_KEY": "join-key-8",
        "MY_PASSWORD": "mine-alone",
        "SHELL": "sh",
    }
    return secrets_of(tomllib.loads(CONFIG), environ, tmp_path)


def test_all_secrets_of_a_configuration_are_known(secrets):
    """Keys, tokens in command lines, passwords at any depth, variables and files that are named, the environment's."""
    assert set(secrets) == {
        "let-me-in-7", "tok-in-argv", "inline-key-9", "deep-9", "from-the-environment", "from-a-file-8", "join-key-8",
        "mine-alone", "/srv/models",
    }  # fmt: skip


def test_a_configuration_is_shown_without_them(secrets):
    """Its keys are all there; secret values, a worker's environment and the words of a user's dictionary are not."""
    shown = blanked(tomllib.loads(CONFIG))
    text = json.dumps(shown)
    assert [secret for secret in secrets if secret in text] == []
    assert "Wieslawa" not in text and "vyeswava" not in text and "CLOUD_KEY" not in text
    cloud = shown["providers"]["cloud"]
    assert cloud["settings"] == {
        "endpoint": "https://speech.example", "api_key": "<secret>", "depth": {"password": "<secret>"}, "token_limit": 5
    }  # fmt: skip
    assert cloud["command"] == ["serve", "--api-token", "<secret>", "--port", "80"]
    assert cloud["env"] == {"MODELS": "<value>", "LANG": "<value>"}
    assert shown["pronunciations"] == "<1 word>"


def test_secrets_go_wherever_they_stand(secrets):
    """A known secret goes out of any line, also where JSON has written it in its own way."""
    quoted = 'a"quoted\\secret'
    clean = Redaction([*secrets, quoted]).clean
    assert clean("at let-me-in-7, then") == "at <secret>, then"
    assert quoted not in clean(json.dumps({"x": quoted})) and "secret>" in clean(json.dumps({"x": quoted}))


@pytest.mark.parametrize(
    "line",
    [
        "sk-proj-abcdefghijklmnop1234",
        "hf_abcdefghijklmnopqrst",
        "ghp_0123456789abcdefghij0123456789abcdef",
        "Authorization: Bearer abc.def-ghi",
        "GET https://user:hunter22@host/x",
        "api_key=abcdef12",
        '"access_token": "abcdef12"',
        "AKIAIOSFODNN7EXAMPLE",
        "0123456789abcdef0123456789abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
    ],
)
def test_what_looks_like_a_secret_is_one(line):
    """Keys of the usual forms go, though nobody told of them."""
    found = Redaction().clean(f"before {line} after")
    assert "<secret>" in found
    for word in ("abcdef", "hunter", "AKIA", "0123456789", "eyJz"):
        assert word not in found


def test_people_and_machines_have_no_names(monkeypatch):
    """Home directories, users, hosts and mail addresses are replaced, as whole words only."""
    monkeypatch.setenv("HOME", "/home/wanda")
    monkeypatch.setattr(getpass, "getuser", lambda: "wanda")
    monkeypatch.setattr(socket, "gethostname", lambda: "turing.example.org")
    clean = Redaction().clean
    assert clean("/home/wanda/.config, /home/wandas/x") == "~/.config, /home/<user>/x"
    assert clean("wanda@turing: Wanda on turing.example.org; wandalism") == "<user>@<host>: <user> on <host>; wandalism"
    assert clean("/Users/zoe/x /run/user/1000/voicebus") == "/Users/<user>/x /run/user/<uid>/voicebus"
    assert clean("write to a.b@c.org") == "write to <mail>"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('  File "/opt/e/lib/x.py", line 12, in load', '  File "/opt/e/lib/x.py", line 12, in load'),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("ModuleNotFoundError: No module named 'torch'", "ModuleNotFoundError: No module named 'torch'"),
        ("ValueError: Dear John", "ValueError: <9 characters>"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory", "torch.cuda.OutOfMemoryError: CUDA out of memory"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("saying: Dear John", "<17 characters>"),
        ("cannot load: load_failed: no model in /opt/m", "cannot load: load_failed: no model in /opt/m"),
        ("saying: cannot load: load_failed: Dear John", "<43 characters>"),
        ("    text = 'Dear John'", "<22 characters>"),
    ],
)
def test_a_workers_output_loses_its_words(line, shown):
    """Where in which program, and which kind of error, stays; any words are replaced by their length."""
    assert Redaction().output(line) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("exited with code 1: Dear John", "exited with code 1: <9 characters>"),
        ("exited with code 1: cannot load: load_failed: no model",) * 2,
        (
            "crash: Dear (cannot load: load_failed: John)",
            "crash: <4 characters> (<11 characters>: load_failed: <4 characters>)",
        ),
        ("hang: made no progress for 1.5 s", "hang: made no progress for 1.5 s"),
        ("tone: silent (4 characters gave 0.10 s of silence)", "tone: silent (4 characters gave 0.10 s of silence)"),
        ("tone: invalid_input (no voice 'Dear John')", "tone: invalid_input (<20 characters>)"),
        ("", ""),
    ],
)
def test_a_failure_keeps_the_daemons_own_words(line, shown):
    """What the daemon says of a failure is known and stays; what an engine said goes."""
    assert Redaction(names=["tone"]).failure(line) == shown


STAMP = "2026-01-02 03:04:05,678 INFO    "


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("voicebus 0.1.0 starts as process 12", "voicebus 0.1.0 starts as process 12"),
        ("tone is ready after 0.02 s", "tone is ready after 0.02 s"),
        ("tone/0: saying Dear John", "tone/0: <16 characters>"),
        ("tone/0 (pid 12) was ended by signal 11", "tone/0 (pid 12) was ended by signal 11"),
        ("tone/0 (pid 12) exited with code 1: Dear John", "tone/0 (pid 12) exited with code 1: <9 characters>"),
        ("tone/0 has made 5 takes; tone/1 is made ready to take its place",) * 2,
        (
            "failed attempts: tone: crash (Dear John) (further ones are only counted)",
            "failed attempts: tone: crash (<9 characters>) (further ones are only counted)",
        ),
        ("something new: Dear John", "<13 characters>: <9 characters>"),
    ],
)
def test_the_log_keeps_what_the_daemon_says(line, shown):
    """Lines of the daemon stay, with their time; workers' output in them goes, and so does a line nobody knows."""
    assert Redaction(names=["tone"]).log_line(STAMP + line) == STAMP + shown


def test_every_plain_report_of_the_daemon_is_recognised():
    """The words that the daemon's sources log, as far as they are constant, are not taken for somebody's text."""
    root = Path(redaction.__file__).parents[2] / "daemon"
    sources = "".join(path.read_text() for path in [*root.glob("*.py"), *root.glob("core/*.py")])
    reports = (
        "stopping: takes in hand are finished, readers may fetch what is made",
        "the configuration was read again",
        "the daemon stops on an error of its own",
        "configuration read again",
    )
    for words in reports:
        assert words in sources
        assert Redaction().log_line(STAMP + words) == STAMP + words


def test_the_report_is_not_full_of_holes():
    """Short values are not taken for secrets, so ordinary words stay."""
    assert Redaction(["", "on", "abc"]).clean("on abc") == "on abc"
    assert os.sep in Redaction().clean("/usr/lib/python3.11/site-packages/voicebus/workers/espeak.py")
