"""What the README shows is what happens: its examples run against a daemon and an engine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def environment(short_dir):
    """Directories of our own; the daemon that an example starts is stopped."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VOICEBUS_", "XDG_"))}
    environment |= {
        "VOICEBUS_RUNTIME_DIR": str(short_dir / "run"),
        "VOICEBUS_STATE_DIR": str(short_dir / "state"),
        "VOICEBUS_CONFIG": str(short_dir / "voicebus.toml"),
    }
    yield environment
    stop = "from voicebus.clients.cli import main; main()"
    subprocess.run([sys.executable, "-c", stop, "daemon", "stop", "--now"], env=environment, timeout=20)


def test_there_are_examples() -> None:
    """The README shows at least one program."""
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES, ids=range(1, len(EXAMPLES) + 1))
def test_an_example_of_the_readme_runs(code, environment, short_dir) -> None:
    """As it stands, and with something in the place of its dots, it runs to its end and brings audio."""
    (short_dir / "example.py").write_text(code.replace("...", "print(frame.samples, frame.rate)"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=short_dir, env=environment, capture_output=True, text=True, timeout=25
    )
    assert done.returncode == 0, done.stderr
    frames = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert sum(samples / rate for samples, rate in frames) > 1.0
