"""What an interpreter's last words mean where a worker could not even begin."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import Refused, Register
from voicebus.daemon.core import diagnosis
from voicebus.daemon.core.settings import Provider

from .scenes import query, scene
from .world_of_one import Stage, settings

PYTHON = "/opt/env/bin/python"
OURS = Provider("a", module="voicebus.workers.tone", python=PYTHON)
SCRIPT = Provider("a", script="/x.py", python=PYTHON)
THEIRS = Provider("a", module="my_voices.beeper", python=PYTHON)


def die(stage: Stage, *stderr: str, code: int | None = 1) -> None:
    stage.processes.pop("a/0")
    stage.core.exited("a/0", code, None, list(stderr), stage.now)
    stage.run()


@pytest.mark.parametrize(
    ("provider", "line", "says"),
    [
        (OURS, "ModuleNotFoundError: No module named 'voicebus'", f"{PYTHON} -m pip install voicebus==1.2"),
        (OURS, f"{PYTHON}: No module named voicebus", f"{PYTHON} has no voicebus"),
        (Provider("a", script="/x.py"), "No module named 'voicebus'", "the daemon's Python has no voicebus"),
        (SCRIPT, "No module named voicebus.workers.script", "so it is older"),
        (OURS, "No module named voicebus.workers.tone", "finds no module voicebus.workers.tone"),
        (THEIRS, "(ModuleNotFoundError: No module named 'my_voices')", "PYTHONPATH"),
        (THEIRS, "ModuleNotFoundError: No module named 'torch.nn'", f"{PYTHON} -m pip install torch"),
        (
            THEIRS,
            "x (ImportError: voicebus 1.2 needs Python 3.11 or newer, and this is 3.9 (/usr/bin/python3))",
            "voicebus 1.2 needs Python 3.11 or newer, and this is 3.9 (/usr/bin/python3); make",
        ),
    ],
)
def test_a_broken_environment_is_said_plainly(provider, line, says) -> None:
    """Each way an environment can be unfit has its own reason, with the interpreter and what mends it."""
    assert says in diagnosis.of(provider, ["before", line], "1.2")


def test_other_last_words_mean_nothing() -> None:
    """What an engine says, what other programs say, and silence are not taken for a broken environment."""
    assert diagnosis.of(THEIRS, [], "1.2") == ""
    assert diagnosis.of(THEIRS, ["No module named 'x'", "cannot load: no model"], "1.2") == ""
    assert diagnosis.of(Provider("a", command=("/opt/x",)), ["No module named 'x'"], "1.2") == ""


def test_a_broken_environment_is_not_tried_again() -> None:
    """A worker whose interpreter lacks what it needs is left alone at once, and its provider says why."""
    stage = Stage(settings("a", provider={"python": PYTHON}))
    die(stage, "ModuleNotFoundError: No module named 'voicebus'")
    worker = stage.core.world.workers["a/0"]
    assert worker.state == "fatal"
    assert worker.reason.startswith(f"a/0 cannot work as it is: {PYTHON} has no voicebus")
    assert stage.core.world.providers["a"].reason == worker.reason


def test_a_worker_that_was_ready_has_a_good_environment() -> None:
    """The same last words of a worker that had been ready are those of a crash."""
    stage = Stage()
    stage.worker()
    die(stage, "No module named 'x'")
    assert stage.core.world.workers["a/0"].state == "backoff"


def test_while_it_is_tried_again_its_provider_says_what_went_wrong() -> None:
    """Nobody has to wait for the last try to see the reason."""
    stage, _, client = scene()
    die(stage, "no such library", code=1)
    stage.pass_time(2.0)
    die(stage, "no such library", code=1)
    (row,), _ = query(client, "providers")
    assert row["state"] == "starting"
    assert row["reason"] == "a is not ready yet; the last time: exited with code 1: no such library"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"python": PYTHON}, f"{PYTHON} -m pip install voicebus==1.2"),
        ({}, "voicebus daemon restart"),
        ({"module": "", "command": ("/opt/x",)}, "bring its voicebus to 1.2"),
    ],
)
def test_a_worker_of_another_protocol_is_refused_with_both_ranges(options, says) -> None:
    """REFUSED says what each side speaks and what mends it; whatever the worker exits with, its place is fatal with
    that reason."""
    stage = Stage(settings("a", provider=options))
    stage.core.world.info["version"] = "1.2"
    worker = stage.processes["a/0"]
    worker.peer = b"w9"
    stage.worker_peers[worker.peer] = worker
    worker.say(Register(low=7, high=9, ticket=worker.ticket, provider="a", version="9.0"))
    refused = worker.inbox[-1][0]
    assert isinstance(refused, Refused)
    assert "voicebus 9.0 speaks protocol 7 to 9, this daemon (1.2) 1 to 1" in refused.message
    assert says in refused.message
    die(stage)
    assert stage.core.world.workers["a/0"].state == "fatal"
    assert refused.message in stage.core.world.workers["a/0"].reason


def test_a_stranger_of_another_protocol_is_told_the_ranges() -> None:
    """Whoever's worker it is, it learns what is spoken here, and nobody of ours is the worse for it."""
    stage = Stage()
    worker = stage.processes["a/0"]
    worker.peer = b"w9"
    stage.worker_peers[worker.peer] = worker
    worker.say(Register(low=7, high=9, ticket="somebody else's", provider="a"))
    assert worker.inbox[-1][0].code == "version"
    assert not stage.core.world.workers["a/0"].refusal
    said = diagnosis.disjoint(None, ("", 2, 3), ("1.2", 1, 1))
    assert said.startswith("the worker's voicebus (it does not say which) speaks protocol 2 to 3")
    assert said.endswith("bring its voicebus to 1.2")
