"""docs/protocol.md agrees with the code."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from voicebus.bus import codec, endpoints, errors, sockets

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "protocol.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("protocol_tables", DOCS / "protocol_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_code(tables) -> None:
    """Making the tables of messages anew changes nothing in the document."""
    assert tables.renewed(TEXT) == TEXT


def test_every_message_is_in_the_document(tables) -> None:
    """Each message of the code has its section."""
    names = {cls.__struct_config__.tag.upper() for union in tables.GROUPS.values() for cls in union.__args__}
    assert names == set(re.findall(r"^#### (\w+)$", TEXT, re.MULTILINE))


def test_every_code_is_in_the_document() -> None:
    """Each code of an error and each class of failure stands in a table."""
    listed = set(re.findall(r"`(\w+)`", "\n".join(line for line in TEXT.splitlines() if line.startswith("|"))))
    assert listed >= errors.CALLER_CODES
    assert set(errors.FAILURES) <= listed


def test_the_limits_are_those_of_the_code() -> None:
    """The figures that the document gives for limits and options are in force."""
    for figure in (codec.HEADER_BYTES, codec.BODY_BYTES, codec.MARKS):
        assert f"{figure:,}".replace(",", " ") in TEXT
    assert f"| rows in one page | {codec.PAGE_ROWS} |" in TEXT
    assert f"`ZMQ_RCVHWM` | {sockets.HWM} |" in TEXT
    assert f"| `ZMQ_LINGER` | {sockets.LINGER_MS} ms |" in TEXT
    assert f"| {sockets.RECONNECT_MS}, {sockets.RECONNECT_MAX_MS} ms |" in TEXT


def test_the_names_of_the_world_are_those_of_the_code() -> None:
    """Sockets and environment variables are called what the document calls them."""
    for name in (
        endpoints.CLIENT_SOCKET,
        endpoints.WORKER_SOCKET,
        endpoints.RUNTIME_VARIABLE,
        endpoints.WORKERS_VARIABLE,
        endpoints.PROVIDER_VARIABLE,
    ):
        assert name in TEXT


@pytest.mark.parametrize(("name", "checks"), [("beeper", 15), ("tapper", 10), ("echo", 21)])
def test_the_examples_of_workers_conform(tmp_path, monkeypatch, name, checks) -> None:
    """The engines in docs/writing-a-worker.md, one that speaks, one that hears and one that clones, dropped into the
    folder as the page says, pass the checks that every engine passes, by the command that the page names."""
    page = (DOCS / "writing-a-worker.md").read_text(encoding="utf-8")
    (tmp_path / "engines").mkdir()
    code = re.search(rf"```python\n(# {name}\.py\n.*?)```", page, re.DOTALL)[1]
    (tmp_path / "engines" / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("VOICEBUS_CONFIG", str(tmp_path / "voicebus.toml"))
    command = re.search(r"^\$ voicebus (providers test beeper)", page, re.MULTILINE)[1]
    start = [sys.executable, "-c", "from voicebus.clients.cli import main; main()"]
    done = subprocess.run(
        [*start, *command.replace("beeper", name).split()], capture_output=True, text=True, timeout=25
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{checks} checks, 0 failed" in done.stdout


def test_the_example_of_a_configuration_is_one(tmp_path) -> None:
    """The configuration in docs/writing-a-worker.md has no problems."""
    from voicebus.daemon.config import parse

    page = (DOCS / "writing-a-worker.md").read_text(encoding="utf-8")
    text = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]
    settings = parse(text, base=tmp_path, environ={"BEEPER_KEY": "x"})
    assert settings.problems == ()
    assert settings.providers["beeper"].settings == {"pitch": 330, "api_key": "x"}
