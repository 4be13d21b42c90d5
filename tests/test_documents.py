"""What the documents say of the code is what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_diagrams_are_the_tables() -> None:
    """docs/architecture.md draws the state tables as they are."""
    done = subprocess.run([sys.executable, "docs/state_diagrams.py", "--check"], cwd=ROOT, check=False)

    assert done.returncode == 0, "run: python docs/state_diagrams.py"


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link in the README and the documents names a file that is there."""
    missing = [
        f"{document.name}: {target}"
        for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]

    assert missing == []


def test_every_module_of_the_core_is_in_the_architecture() -> None:
    """The table of the core's modules leaves none of the rules out."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    plumbing = {"__init__", "effects", "lifecycle", "settings", "state", "world"}
    names = {path.stem for path in (ROOT / "daemon" / "core").glob("*.py")} - plumbing

    assert {name for name in names if f"`{name}.py`" not in text} == set()
