"""What the service managers are given."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from voicebus import launchd, systemd
from voicebus.bus import endpoints, places
from voicebus.daemon import activation, doors


def directives(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
@pytest.mark.parametrize("manager", ["user", "system"])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path, manager):
    """Service and socket pass systemd's own check, with awkward values in the environment and the path too."""
    if manager == "user":
        service = systemd.unit(sys.executable, {"A": 'b "c" 100% $d', "E": "f"})
        socket = systemd.socket_unit(systemd.literal("/run/user/1/100% é/bus.sock"))
    else:
        service, socket = systemd.system_unit(sys.executable), systemd.system_socket_unit()
    (tmp_path / systemd.UNIT).write_text(service)
    (tmp_path / systemd.SOCKET).write_text(socket)
    checked = subprocess.run(
        ["systemd-analyze", "verify", f"--{manager}", tmp_path / systemd.UNIT, tmp_path / systemd.SOCKET],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="no systemd here")
def test_the_system_services_user_can_be_made(tmp_path):
    """The user is made by systemd, with a home that is the service's state directory and no login."""
    (tmp_path / "voicebus.conf").write_text(systemd.sysusers())
    (tmp_path / "etc").mkdir()
    made = ["systemd-sysusers", f"--root={tmp_path}", tmp_path / "voicebus.conf"]
    subprocess.run(made, check=True, capture_output=True)
    (line,) = [line for line in (tmp_path / "etc" / "passwd").read_text().splitlines() if line.startswith(systemd.USER)]
    assert line.split(":")[5] == "/var/lib/voicebus"
    assert line.endswith("nologin")


def test_the_units_agree_with_where_the_daemon_looks():
    """The system's directories are those that its daemon uses, the workers' one is closed, and the sockets have the
    name by which the daemon knows them."""
    service, socket = directives(systemd.system_unit("/python")), directives(systemd.system_socket_unit())
    where = places.SYSTEM_RUNTIME
    assert socket["ListenStream"] == str(where / endpoints.CLIENT_SOCKET)
    assert socket["SocketUser"] == service["User"] == systemd.USER
    assert service["RuntimeDirectory"] == f"{where.name}/{places.PRIVATE_FOLDER}"
    assert Path("/var/lib", service["StateDirectory"]) == places.SYSTEM_STATE
    assert Path("/var/log", service["LogsDirectory"]) == places.SYSTEM_LOGS
    assert Path("/etc", service["ConfigurationDirectory"]) == places.SYSTEM_CONFIG.parent
    assert {service[f"{what}DirectoryMode"] for what in ("State", "Cache", "Logs", "Runtime")} == {"0700"}
    assert "--system" in service["ExecStart"]
    own = directives(systemd.socket_unit())
    assert own["ListenStream"] == f"%t/voicebus/{endpoints.CLIENT_SOCKET}"
    for found in (own, socket):
        assert found["FileDescriptorName"] == activation.NAME
        assert int(found["Backlog"]) == doors.BACKLOG


def test_the_unit_leaves_devices_network_and_compilers_to_the_engines():
    """The unit's hardening takes away nothing that a speech engine needs."""
    too_much = {"PrivateDevices", "PrivateNetwork", "MemoryDenyWriteExecute", "DeviceAllow", "ProtectClock"}
    assert too_much.isdisjoint(directives(systemd.system_unit("/usr/bin/python3")))
    found = directives(systemd.unit("/usr/bin/python3"))
    assert (too_much | {"ProtectHome"}).isdisjoint(found)
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
