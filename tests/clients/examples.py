"""The Python programs that documents show, and how they are run."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def shown_in(document: str) -> list[str]:
    """The Python blocks of a document, in order. document: its path in the repository."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run(code: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a program in a folder to its end, which must be a good and quiet one, and return what it printed."""
    (folder / "example.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=25
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
