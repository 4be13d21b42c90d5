"""The rules of the house: what may import what, read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "voicebus"
PARTS = ("bus", "daemon", "workers", "clients")

# What would let the decisions in daemon/core see, touch or wait for the world outside.
IMPURE = {
    "asyncio",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
    "zmq",
}
HEAVY = {
    "_cffi_backend",
    "_miniaudio",
    "_soundfile",
    "av",
    "espeakng_loader",
    "miniaudio",
    "numpy",
    "soundfile",
    "soxr",
    "zmq",
}


def sources(folder: str) -> list[Path]:
    """List the source files of a part of the package."""
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """Give a source file the name it is imported by."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join([PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything imported, wherever in the file it stands.

    `from a import b` yields `a.b`: whether b is a module or a name in one does not matter here.
    """
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - (node.level - 1)]
                base = ".".join([*above, base] if base else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
                target = node.args[0].value
                dots = len(target) - len(target.lstrip("."))
                if dots:
                    above = package.split(".")[: len(package.split(".")) - (dots - 1)]
                    target = ".".join([*above, target[dots:]])
                yield node.lineno, target


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """Yield place and full dotted name of every import in a part of the package."""
    for path in sources(folder):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        found = imports(tree, module_name(path), is_package=path.name == "__init__.py")
        for line, name in found:
            yield f"{path.relative_to(ROOT)}:{line}", name


def within(name: str, *modules: str) -> bool:
    """Tell whether a dotted name is one of the modules, or in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def strays(folder: str, *allowed: str) -> list[str]:
    """List imports of voicebus from a part that is not allowed to it; its version is anyone's."""
    return [
        f"{place} imports {name}"
        for place, name in imported(folder)
        if within(name, PACKAGE) and name != f"{PACKAGE}.__version__" and not within(name, *allowed)
    ]


def run_elsewhere(code: str, folder: Path) -> str:
    """Run a line of Python in a fresh interpreter that does not stand in the repository."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("source", "module", "is_package", "expected"),
    [
        ("import os.path as p", "voicebus.bus.x", False, ["os.path"]),
        ("from time import sleep", "voicebus.bus.x", False, ["time.sleep"]),
        ("from . import y", "voicebus.bus.x", False, ["voicebus.bus.y"]),
        ("from . import y", "voicebus.bus", True, ["voicebus.bus.y"]),
        ("from .. import workers", "voicebus.bus.x", False, ["voicebus.workers"]),
        (
            "from ..daemon.core import a, b",
            "voicebus.bus.x",
            False,
            ["voicebus.daemon.core.a", "voicebus.daemon.core.b"],
        ),
        ("def f():\n    import zmq", "voicebus.bus.x", False, ["zmq"]),
        ("import_module('voicebus.daemon')", "voicebus.bus.x", False, ["voicebus.daemon"]),
        ("importlib.import_module('..daemon', __package__)", "voicebus.bus.x", False, ["voicebus.daemon"]),
        ("__import__('zmq')", "voicebus.bus.x", False, ["zmq"]),
        ("print('import zmq')", "voicebus.bus.x", False, []),
    ],
)
def test_every_way_to_import_is_seen(source: str, module: str, is_package: bool, expected: list[str]) -> None:
    """These checks see an import however it is written and wherever in a file it stands."""
    assert [name for _, name in imports(ast.parse(source), module, is_package=is_package)] == expected


@pytest.mark.parametrize("part", [*PARTS, "daemon/core"])
def test_every_part_is_there_to_be_checked(part: str) -> None:
    """Each part of the package has source files, so that no check here passes for want of any."""
    assert sources(part)


def test_bus_imports_no_other_part() -> None:
    """The bus stands alone: it imports nothing of the daemon, the workers or the clients."""
    assert strays("bus", f"{PACKAGE}.bus") == []


# Service units as text, for whoever installs them: data, and no part.
UNITS = (f"{PACKAGE}.systemd", f"{PACKAGE}.launchd")


@pytest.mark.parametrize("part", ["daemon", "workers", "clients"])
def test_parts_meet_only_on_the_bus(part: str) -> None:
    """The daemon, the workers and the clients import nothing of each other, only the bus; clients also the units."""
    units = UNITS if part == "clients" else ()
    assert strays(part, f"{PACKAGE}.bus", f"{PACKAGE}.{part}", *units) == []


def test_core_imports_nothing_of_the_rest_of_the_daemon() -> None:
    """The core of the daemon knows the bus's messages and itself, not the shell around it."""
    assert strays("daemon/core", f"{PACKAGE}.bus", f"{PACKAGE}.daemon.core") == []


def test_core_cannot_reach_the_world() -> None:
    """The core of the daemon has no clock, socket, file, process, thread, signal or randomness of its own."""
    reached = [f"{place} imports {name}" for place, name in imported("daemon/core") if within(name, *IMPURE)]
    assert reached == []


@pytest.mark.parametrize("part", PARTS)
def test_the_package_imports_itself_relatively(part: str) -> None:
    """No import statement in the package names `voicebus`, nor a part as if it were on its own."""
    found = []
    for path in sources(part):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            found += [f"{path.relative_to(ROOT)}: {name}" for name in names if within(name, PACKAGE, *PARTS)]
    assert found == []


def test_importing_voicebus_is_light(tmp_path: Path) -> None:
    """`import voicebus` loads neither ZeroMQ nor numpy nor any audio library."""
    loaded = run_elsewhere("import sys, voicebus; print(*sys.modules)", tmp_path).split()
    assert "voicebus" in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


def test_every_public_name_is_there() -> None:
    """Everything voicebus lists as public can be got from it, and it has no name it does not list."""
    import voicebus

    assert [name for name in voicebus.__all__ if not hasattr(voicebus, name)] == []
    assert set(voicebus.__all__) <= set(dir(voicebus))
    assert not hasattr(voicebus, "no_such_name")


def test_parts_are_not_importable_on_their_own(tmp_path: Path) -> None:
    """Outside the repository `bus`, `daemon`, `workers` and `clients` are no modules: only voicebus is."""
    code = f"from importlib.util import find_spec; print([n for n in {PARTS!r} if find_spec(n)])"
    assert run_elsewhere(code, tmp_path) == "[]"


def test_every_package_is_listed() -> None:
    """Each folder of the tree that is a package is in the list pyproject.toml gives, and no other is."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    there = {PACKAGE}
    for part in (*PARTS, "systemd", "launchd"):
        there |= {module_name(path) for path in (ROOT / part).rglob("__init__.py")}
    assert sorted(listed) == sorted(there)


def test_every_test_states_a_behaviour() -> None:
    """Every test has a docstring, which says what is true of the program."""
    silent = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test") and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert silent == []


def test_no_test_sleeps() -> None:
    """No test waits by the clock: a sleep other than of zero appears in none."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yields = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
            if name == "sleep" and not yields:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
