"""The paths that all parts agree on, and the question whether somebody listens."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from voicebus.bus import endpoints
from voicebus.bus.endpoints import EndpointError


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No variable of the machine that runs the test has a say."""
    for name in list(os.environ):
        if name.startswith(("VOICEBUS_", "XDG_")):
            monkeypatch.delenv(name)


def test_the_own_variable_names_the_runtime_directory(monkeypatch):
    """VOICEBUS_RUNTIME_DIR goes before XDG_RUNTIME_DIR."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert endpoints.runtime_dir() == Path("/run/user/7/voicebus")
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", "/somewhere/else")
    assert endpoints.runtime_dir() == Path("/somewhere/else")


@pytest.mark.skipif(sys.platform == "darwin", reason="the fallback of other systems")
def test_without_any_variable_the_sockets_are_in_a_directory_of_the_user(monkeypatch, tmp_path):
    """Without XDG_RUNTIME_DIR the directory is the login's, or one of the user's own among temporary
    files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 987654)
    assert endpoints.runtime_dir() == tmp_path / "voicebus-987654"


def test_a_relative_xdg_path_is_ignored(monkeypatch):
    """XDG variables that are not absolute count for nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    assert endpoints.config_path() == Path.home() / ".config" / "voicebus" / "voicebus.toml"


def test_state_and_config_follow_their_variables(monkeypatch, tmp_path):
    """State, log and configuration are where XDG says, unless their own variable says otherwise."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    assert endpoints.log_path() == tmp_path / "s" / "voicebus" / "daemon.log"
    assert endpoints.config_path() == tmp_path / "c" / "voicebus" / "voicebus.toml"
    monkeypatch.setenv("VOICEBUS_STATE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("VOICEBUS_CONFIG", str(tmp_path / "own.toml"))
    assert endpoints.state_dir() == tmp_path / "own"
    assert endpoints.config_path() == tmp_path / "own.toml"


def test_a_long_path_on_a_mac_is_hashed(monkeypatch):
    """Where the per-user temporary directory of macOS is too long for a socket, a short hashed name stands
    for it."""
    monkeypatch.setattr(endpoints, "_is_mac", lambda: True)
    monkeypatch.setattr(os, "confstr", lambda _: "/var/folders/" + "x" * 90)
    directory = endpoints.runtime_dir()
    assert str(directory).startswith(f"/tmp/voicebus-{os.geteuid()}-")
    assert len(str(directory / "workers.sock")) <= 103
    monkeypatch.setattr(os, "confstr", lambda _: "/var/folders/ab/T/")
    assert endpoints.runtime_dir() == Path("/var/folders/ab/T/voicebus")


def test_a_mac_keeps_its_state_in_the_library(monkeypatch):
    """On macOS the state is where applications keep theirs."""
    monkeypatch.setattr(endpoints, "_is_mac", lambda: True)
    assert endpoints.state_dir() == Path.home() / "Library" / "Application Support" / "voicebus"


def test_the_runtime_directory_is_made_private(tmp_path, monkeypatch):
    """The directory is created with mode 0700, whatever the umask, and its parents with it."""
    monkeypatch.setenv("VOICEBUS_RUNTIME_DIR", str(tmp_path / "a" / "b"))
    before = os.umask(0)
    try:
        directory = endpoints.make_runtime_dir()
    finally:
        os.umask(before)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert endpoints.client_endpoint() == f"ipc://{directory}/bus.sock"
    assert endpoints.worker_endpoint() == f"ipc://{directory}/workers.sock"


def test_a_directory_open_to_others_is_refused(tmp_path):
    """A directory that others can enter is not used, by neither end, and the error says what to do."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o750)
    with pytest.raises(EndpointError, match=r"open to others \(mode 0750\); run: chmod 700"):
        endpoints.make_private(tmp_path / "open")
    with pytest.raises(EndpointError, match="open to others"):
        endpoints.client_endpoint(tmp_path / "open")


def test_a_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    """A directory that belongs to somebody else is not used."""
    (tmp_path / "theirs").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 987654)
    with pytest.raises(EndpointError, match="belongs to user"):
        endpoints.check_private(tmp_path / "theirs")


def test_a_link_or_a_file_is_no_runtime_directory(tmp_path):
    """A link is refused even if it leads to a fine directory, since its owner can change where it leads."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(EndpointError, match="not a directory"):
            endpoints.make_private(tmp_path / name)


def test_a_directory_that_cannot_be_made_is_a_plain_error(tmp_path):
    """A path below a file cannot be a directory; that is said in a sentence, not in a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(EndpointError, match="cannot be"):
        endpoints.make_private(tmp_path / "file" / "below")


def test_a_path_too_long_for_a_socket_is_a_plain_error(tmp_path):
    """Paths are counted in bytes, up to what the system can hold, and the error names the way out."""
    limit = endpoints.path_limit()
    just = Path("/" + "é" * ((limit - 1) // 2) + "x" * ((limit - 1) % 2))
    assert endpoints.endpoint(just) == f"ipc://{just}"
    with pytest.raises(EndpointError, match="VOICEBUS_RUNTIME_DIR"):
        endpoints.endpoint(Path(f"{just}x"))


def test_a_plain_connect_tells_absent_stale_and_alive_apart(tmp_path):
    """No file is absent; a file nobody listens on, of whatever kind, is stale; a listener is alive."""
    path = tmp_path / "s"
    assert endpoints.probe(path) == "absent"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert endpoints.probe(path) == "stale"
        listener.listen(0)
        assert [endpoints.probe(f"ipc://{path}") for _ in range(5)] == ["alive"] * 5
    assert endpoints.probe(path) == "stale"
    path.unlink()
    path.touch()
    assert endpoints.probe(path) == "stale"
    with pytest.raises(EndpointError):
        endpoints.probe("/" + "x" * 200)
