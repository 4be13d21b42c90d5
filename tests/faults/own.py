"""A person's own engine in a few lines, and a second Python environment, for the tests of both."""

from __future__ import annotations

import re
import shutil
import sysconfig
import venv
from pathlib import Path

import voicebus

ENGINE = """
from voicebus import Engine
from voicebus.workers.engine import Capabilities, Chunk, EngineError, Voice

class Flat(Engine):
    sample_rate = 16000
    def load(self, settings, progress):
        print("printed while loading")
    def voices(self):
        return [Voice("one", ("en",))]
    def capabilities(self):
        return Capabilities(own_end=True)
    def synthesize(self, request):
        if request.voice != "one":
            raise EngineError("invalid_input", "no such voice")
        for _ in request.text:
            print("printed while speaking")
            yield Chunk(b"\\x10\\x10" * 800)
"""


def environment(
    folder: Path,
    *,
    runtime: bool = True,
    libraries: bool = True,
    version: str = "",
    protocol: int = 0,
    oldest_python: str = "",
) -> str:
    """A real environment without anything of the network: its interpreter. runtime: with a copy of what a worker needs
    of voicebus, of that version and protocol, for that Python; libraries: and with what that needs in turn."""
    venv.create(folder, symlinks=True, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    if libraries:
        # Only what stands in it as folders: our own voicebus, which is editable, is not found by this.
        (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if runtime:
        _copy(Path(voicebus.__file__).parent, packages / "voicebus", version, protocol, oldest_python)
    return str(folder / "bin" / "python")


def _copy(source: Path, target: Path, version: str, protocol: int, oldest_python: str) -> None:
    target.mkdir()
    shutil.copy(source / "__init__.py", target)
    for part in ("bus", "workers"):
        shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    if version:
        _change(target / "__init__.py", r'^__version__ = ".*"', f'__version__ = "{version}"')
    if oldest_python:
        _change(target / "__init__.py", r"^OLDEST_PYTHON = .*", f"OLDEST_PYTHON = {oldest_python}")
    if protocol:
        _change(target / "bus" / "fields.py", r"^(PROTOCOL|PROTOCOL_LOW) = \d+", rf"\1 = {protocol}")


def _change(file: Path, pattern: str, to: str) -> None:
    text, count = re.subn(pattern, to, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count, f"{file} has no line {pattern}"
    file.write_text(text, encoding="utf-8")
