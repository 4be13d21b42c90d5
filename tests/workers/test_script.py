"""A person's own engine: one file with one class, and everything that can be wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from voicebus.bus import messages as m
from voicebus.workers.registry import from_file
from voicebus.workers.session import REFUSED_EXIT

from ..faults.own import ENGINE as GOOD

BROKEN = {
    "def (": ":1: invalid syntax",
    "\n\nraise ValueError('no luck')": ":3: ValueError: no luck",
    "import nosuch.part": "the module nosuch is missing; install it: ",
    "import sys; sys.exit('bye')": "ends the program when it is read: sys.exit('bye')",
    "x = 1": "has no class derived from voicebus.Engine",
    GOOD + "class Other(Flat): pass": "has 2 engines (Flat, Other); leave one, or say which: engine = Flat",
    "from voicebus import Engine\nclass E(Engine): pass": "E has no capabilities, load, synthesize, voices",
    "engine = 7": "calls engine is no class",
    "engine = dict": "makes dict, which is no Engine",
    "\0": "null bytes",
}


@pytest.fixture
def file(tmp_path):
    """Writes an engine's file."""

    def write(text, name="flat.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_its_one_class_is_the_engine(file):
    """No registration and no further word is needed; its name and version come from the file where it has none."""
    one, other = from_file(file(GOOD))(), from_file(file(GOOD + "\n", "other.py"))()
    assert (type(one).__name__, one.name, other.name) == ("Flat", "flat", "other")
    assert one.version != other.version


def test_of_several_it_says_which(file):
    """`engine = ...` chooses, and a module of that name that was imported does not."""
    text = GOOD + "class Other(Flat): name = 'mine'\nengine = Other"
    assert from_file(file(text))().name == "mine"
    assert from_file(file("from voicebus.workers import engine\n" + GOOD))().name == "flat"


@pytest.mark.parametrize("text", BROKEN, ids=BROKEN.values())
def test_what_is_wrong_is_said_in_one_line(file, text):
    """Every way a file can be no engine is a LookupError that names the file, the place and what to do."""
    path = file(text)
    with pytest.raises(LookupError) as found:
        from_file(path)()
    assert BROKEN[text] in str(found.value)
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    """So is one that cannot be read."""
    with pytest.raises(LookupError, match="cannot be read: No such file"):
        from_file(tmp_path / "none.py")


def test_it_runs_as_a_worker(broker, start, file):
    """It registers, is ready and speaks, and what it prints disturbs nobody."""
    start("voicebus.workers.script", str(file(GOOD)))
    ready, body = broker.ready()
    assert ready.rate == 16000
    broker.work("a", "abc", voice="one")
    assert len(broker.take("a")[0]) == 2 * 3 * 800
    assert b"flat" in body


@pytest.mark.parametrize("text", ["def (", "import sys; sys.exit(3)", "x = 1"])
def test_a_broken_one_ends_with_its_reason(broker, start, file, text):
    """It is let in, then ends with one line that says why, and with the code for what only a person can mend."""
    worker = start("voicebus.workers.script", str(file("print('garbage', flush=True)\n" + text)))
    broker.welcome()
    assert worker.exit() == REFUSED_EXIT
    assert worker.words().splitlines()[-1].startswith("cannot load: load_failed: ")


def test_a_module_missing_while_loading_is_not_tried_again(broker, start, file):
    """An engine that imports late, as heavy ones do, ends with the command that installs what is missing."""
    text = GOOD.replace('print("printed while loading")', "import nosuch_torch")
    worker = start("voicebus.workers.script", str(file(text)))
    broker.welcome()
    assert worker.exit() == REFUSED_EXIT
    assert f"the module nosuch_torch is missing; install it: {sys.executable} -m pip" in worker.words()


def test_each_check_is_told_as_it_begins_and_ends(file):
    """With --lines standard output has JSON only, whatever the engine prints, and settings come on standard input."""
    command = [sys.executable, "-m", "voicebus.workers.conformance", str(file(GOOD)), "--settings", "-", "--lines"]
    done = subprocess.run(command, input="{}", capture_output=True, text=True, timeout=25)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert rows[0] == {"begins": "load"}
    assert [row["begins"] for row in rows[::2]] == [row["name"] for row in rows[1::2]]
    assert "printed while speaking" in done.stderr


def test_the_welcome_comes_before_a_line_of_it_runs(broker, start, file, tmp_path):
    """A worker that is not let in never runs the file."""
    mark = tmp_path / "ran"
    worker = start("voicebus.workers.script", str(file(f"open({str(mark)!r}, 'w')")))
    broker.wait(m.Register)
    broker.say(m.Refused(code="ticket", message="not you"))
    assert worker.exit() == REFUSED_EXIT
    assert not mark.exists()
