"""The queue of helpers: one at a time, none for what is to be removed, and files that get their names last."""

from __future__ import annotations

import selectors
import time

import pytest

from voicebus.daemon.journal import Journals
from voicebus.daemon.packer import Packer
from voicebus.daemon.processes import Processes

from .test_packing_helper import tone


class World:
    """Journals, processes and a packer; `told` is what came of it."""

    def __init__(self, tmp_path):
        self.told = []
        self.selector = selectors.DefaultSelector()
        self.journals = Journals(tmp_path / "logs")
        self.processes = Processes(self.selector, "ipc:///w", lambda *end: pytest.fail(f"no worker: {end}"))
        self.packer = Packer(self.processes, self.journals, lambda *told, packed: self.told.append((*told, packed)))

    def fill(self, log, samples=5000):
        """A journal with a take."""
        self.journals.append(log, {"take": log, "rate": 8000}, b"\x90", [tone(samples)])
        return self.journals.path(log).read_bytes()

    def until(self, probe):
        """Serve the selector until that is true."""
        end = time.monotonic() + 20
        while not probe():
            assert time.monotonic() < end
            for key, _ in self.selector.select(1.0):
                key.data()

    def files(self):
        return sorted(path.name.rpartition(".")[2] for path in self.journals.path("x").parent.iterdir())


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.processes.kill_all()
    made.journals.close()
    made.selector.close()


def test_packed_and_unpacked(world):
    """A log is packed beside its journal, the journal goes, and comes back the same; each time the size is told."""
    before = world.fill("a")
    world.packer.begin("a", packed=True)
    world.until(lambda: world.told)
    assert world.told == [("a", world.journals.size("a", packed=True), "", True)]
    assert world.files() == ["flac", "takes"]
    world.journals.drop_file("a", packed=False)
    assert world.files() == ["flac"]
    world.packer.begin("a", packed=False)
    world.until(lambda: len(world.told) == 2)
    assert world.told[1] == ("a", len(before), "", False)
    assert world.journals.path("a").read_bytes() == before
    assert world.journals.read("a", 0, 4) == b"VBT1"


def test_one_after_the_other(world):
    """Of several that are to be packed one is worked on at a time, in order; unpacking does not wait for them."""
    for log in ("a", "b", "c"):
        world.fill(log)
        world.packer.begin(log, packed=True)
    assert len(world.processes) == 1
    world.packer.begin("x", packed=False)
    assert len(world.processes) == 2
    world.until(lambda: len(world.told) == 4)
    assert [told[0] for told in world.told if told[3]] == ["a", "b", "c"]
    assert ("x", 0, "the file is missing: " + world.journals.packed_path("x").name, False) in world.told


def test_what_is_stopped_leaves_nothing(world):
    """A log that is removed while it is packed, or while it waits, leaves no file, and nobody is told of it."""
    for log, samples in (("a", 400_000), ("b", 100), ("c", 100)):
        world.fill(log, samples)
        world.packer.begin(log, packed=True)
    for log in ("a", "b"):
        world.packer.stop(log)
        world.journals.drop(log)
    world.until(lambda: world.told)
    assert [told[0] for told in world.told] == ["c"]
    assert world.files() == ["flac", "takes"]
    assert len(world.processes) == 0


def test_a_daemon_that_leaves_while_something_is_packed(world):
    """Its helpers end with it, and what they had made so far goes; what waited for its turn had made nothing."""
    world.fill("a", 3_000_000)
    world.fill("b")
    world.packer.begin("a", packed=True)
    world.packer.begin("b", packed=True)
    world.processes.kill_all()
    world.journals.staging_path("a", packed=True).write_bytes(b"as far as it came")
    world.packer.close()
    assert world.files() == ["takes", "takes"] and world.told == []


def test_a_helper_that_is_killed(world):
    """That a helper was killed is told with the signal; what it had begun is gone, and the journal is there."""
    before = world.fill("a", 400_000)
    world.packer.begin("a", packed=True)
    world.processes.kill("pack a")
    world.until(lambda: world.told)
    assert world.told == [("a", 0, "the helper was killed by signal 9", True)]
    assert world.files() == ["takes"] and world.journals.path("a").read_bytes() == before


def test_a_helper_that_cannot_be_started(world, monkeypatch):
    """Where no process can be made, whoever begins it is told so, and so is whose turn comes; the next one is tried."""

    def refuse(*_):
        raise OSError(11, "Resource temporarily unavailable")

    for log in ("a", "b"):
        world.fill(log)
    world.packer.begin("a", packed=True)
    world.packer.begin("b", packed=True)
    monkeypatch.setattr(world.processes, "run", refuse)
    world.until(lambda: len(world.told) == 2)
    assert ("b", 0, "no helper could be started for it: Resource temporarily unavailable", True) in world.told
    with pytest.raises(OSError, match="temporarily"):
        world.packer.begin("b", packed=True)
    monkeypatch.undo()
    world.packer.begin("b", packed=True)
    world.until(lambda: len(world.told) == 3)
    assert world.told[2][2] == ""


def test_a_log_in_its_forms(world):
    """Dropping a log takes all its files; syncing one that was packed brings its name to the disk."""
    world.fill("a")
    world.packer.begin("a", packed=True)
    world.until(lambda: world.told)
    world.journals.staging_path("a", packed=True).touch()
    world.journals.sync("a")
    world.journals.drop_file("a", packed=False)
    world.journals.sync("a")
    assert world.journals.names() == {world.journals.packed_path("a").name}
    world.journals.drop("a")
    assert world.files() == []
    assert world.journals.size("a", packed=True) == 0
