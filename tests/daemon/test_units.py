"""What the service managers are given."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys

import pytest

from voicebus import launchd, systemd


def directives(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    """The unit passes systemd's own check, with awkward values in its environment too."""
    (tmp_path / systemd.UNIT).write_text(systemd.unit(sys.executable, {"A": 'b "c" 100% $d', "E": "f"}))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", tmp_path / systemd.UNIT],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_unit_leaves_devices_network_and_compilers_to_the_engines():
    """The unit's hardening takes away nothing that a speech engine needs."""
    found = directives(systemd.unit("/usr/bin/python3"))
    too_much = {"PrivateDevices", "PrivateNetwork", "MemoryDenyWriteExecute", "ProtectHome", "DeviceAllow"}
    assert too_much.isdisjoint(found)
    assert found["ExecStart"].startswith("/usr/bin/python3 -m voicebus.daemon run")
    assert (found["Type"], found["KillMode"], found["RestartSec"]) == ("notify", "mixed", "1")


def test_a_python_with_blanks_in_its_path_is_quoted():
    """Blanks, percent and dollar signs in a path are taken literally by systemd."""
    assert 'ExecStart="/a b/100%%/$$x" -m' in systemd.unit("/a b/100%/$x")


def test_the_agent_is_a_property_list(tmp_path):
    """The launchd agent parses, keeps the daemon in the foreground and starts it again only after a
    failure."""
    agent = plistlib.loads(launchd.agent("/a b/<python>", "/tmp/e & f", {"K": "<v>"}).encode())
    assert agent["Label"] == launchd.LABEL
    assert agent["ProgramArguments"] == [
        "/a b/<python>", "-m", "voicebus.daemon", "run", "--started-by", "service"
    ]  # fmt: skip
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["EnvironmentVariables"] == {"K": "<v>", "PYTHONSAFEPATH": "1"}
    assert agent["StandardErrorPath"] == "/tmp/e & f"
