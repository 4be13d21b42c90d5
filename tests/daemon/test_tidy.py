"""Files that an earlier daemon left, on a real disk."""

from __future__ import annotations

import os
import socket

import pytest

from voicebus.daemon.core.orphans import GRACE_S
from voicebus.daemon.journal import Journals
from voicebus.daemon.tidy import tidy

NOW = 2_000_000_000.0


@pytest.fixture
def left(tmp_path):
    """What a daemon left long ago: the directories of state and sockets."""
    state, run = tmp_path / "state", tmp_path / "run"
    run.mkdir()
    journals = Journals(state / "logs")
    for name in ("mine", "nobodys"):
        journals.append(name, {"take": "1"}, b"", [b"x"])
    journals.close()
    for name in ("voicebus.db", "daemon.log", "daemon.log.1", "daemon.log.9", "export.tmp", "logs/notes"):
        (state / name).touch()
    (state / "logs" / "link.takes").symlink_to(state / "voicebus.db")
    (state / "logs" / "folder.takes").mkdir()
    for path in [*state.iterdir(), *(state / "logs").iterdir()]:
        os.utime(path, (NOW - GRACE_S, NOW - GRACE_S), follow_symlinks=False)
    return state, run, journals


def test_what_belongs_to_nobody_is_removed(left):
    """A journal without a job, an unfinished file and a surplus log go; all else stays, links and folders too."""
    state, run, journals = left
    mine, nobodys = journals.path("mine").name, journals.path("nobodys").name
    gone = tidy(state, run, {f"logs/{mine}"}, NOW)
    assert sorted(gone) == sorted(["daemon.log.9", "export.tmp", f"logs/{nobodys}"])
    assert sorted(path.name for path in state.iterdir()) == ["daemon.log", "daemon.log.1", "logs", "voicebus.db"]
    assert sorted(path.name for path in (state / "logs").iterdir()) == ["folder.takes", "link.takes", mine, "notes"]
    assert tidy(state, run, {f"logs/{mine}"}, NOW) == []


def test_what_was_written_a_moment_ago_is_left_for_the_next_time(left):
    """Within the grace nothing goes, unless there is none."""
    state, run, _ = left
    assert tidy(state, run, (), NOW - 1) == []
    assert len(tidy(state, run, (), NOW - 1, grace_s=0.0)) == 4


def test_sockets_that_nobody_listens_on_are_removed(left):
    """A dead socket goes; one that somebody listens on, one of our own and a plain file of such a name stay."""
    state, run, _ = left
    listening = []
    for name in ("alive.sock", "dead.sock", "bus.sock"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(run / name))
        os.utime(run / name, (NOW - GRACE_S, NOW - GRACE_S))
        if name == "alive.sock":
            one.listen()
            listening.append(one)
        else:
            one.close()
    (run / "plain.sock").touch()
    assert [name for name in tidy(state, run, (), NOW, live=["bus.sock"]) if name.startswith("run/")] == [
        "run/dead.sock"
    ]
    assert sorted(path.name for path in run.iterdir()) == ["alive.sock", "bus.sock", "plain.sock"]
    for one in listening:
        one.close()


def test_without_directories_there_is_nothing_to_do(tmp_path):
    """A first start has nothing to tidy."""
    assert tidy(tmp_path / "state", tmp_path / "run", (), NOW) == []
