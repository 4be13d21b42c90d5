"""The tables of lives, and the slots of workers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from voicebus.bus.messages import Beat, Chunk, Grant, Stop, Stopped
from voicebus.daemon.core import leases
from voicebus.daemon.core.lifecycle import AUDIO, JOB, SEGMENT, WORKER, Table, Unforeseen, move

from .world_of_one import Stage, settings

TABLES = {
    "job": (JOB, "queued"),
    "segment": (SEGMENT, "waiting"),
    "worker": (WORKER, "down"),
    "audio": (AUDIO, "plain"),
}


@dataclass
class Thing:
    state: str


def states(table: Table) -> set[str]:
    return {state for state, _ in table} | set(table.values())


@pytest.mark.parametrize("name", TABLES)
def test_every_pair_is_listed_or_refused(name: str) -> None:
    """`move` follows the table where it has a row, and elsewhere raises and changes nothing."""
    table, _ = TABLES[name]
    for state in states(table):
        for event in {event for _, event in table}:
            thing = Thing(state)
            if (state, event) in table:
                assert move(table, thing, event) == thing.state == table[state, event]
            else:
                with pytest.raises(Unforeseen, match=event):
                    move(table, thing, event)
                assert thing.state == state


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_be_reached(name: str) -> None:
    """No table has a state that nothing leads to."""
    table, first = TABLES[name]
    seen, new = {first}, {first}
    while new:
        new = {following for (state, _), following in table.items() if state in new} - seen
        seen |= new
    assert seen == states(table)


@pytest.mark.parametrize(("name", "last"), [("job", {"ended"}), ("segment", {"whole", "skipped", "quarantined"})])
def test_what_is_final_is_final(name: str, last: set[str]) -> None:
    """Nothing leads out of the end of a job or of a segment; everything else leads on."""
    table, _ = TABLES[name]
    assert states(table) - {state for state, _ in table} == last


def test_a_slot_is_held_until_the_attempt_is_over() -> None:
    """A worker with two slots gets two attempts and not a third before one of them is done."""
    stage = Stage()
    worker, client = stage.worker(slots=2), stage.client()
    client.submit("j", "One here. Two here. Three here.")
    assert len(worker.work) == 2
    worker.speak(worker.current)
    assert len(worker.work) == 2
    assert len(stage.core.world.workers["a/0"].leases) == 2


def test_a_stopped_attempt_holds_its_slot_until_the_worker_says_so() -> None:
    """After a cancel the next job waits for STOPPED, and gets the slot then."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j")
    client.submit("k")
    first = worker.current
    worker.begin(first)
    client.cancel("j")
    assert worker.stops == [first]
    assert list(worker.work) == [first]
    worker.answer_stops()
    assert len(worker.work) == 1
    assert worker.current != first


def test_stop_is_sent_once() -> None:
    """However many reasons there are to stop an attempt, its worker is told once."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j")
    attempt = stage.core.world.workers["a/0"].leases[worker.current]
    leases.stop(stage.core.world, attempt, "once", stage.now)
    leases.stop(stage.core.world, attempt, "twice", stage.now)
    stage.run()
    assert [type(message) for message, _ in worker.inbox].count(Stop) == 1
    assert attempt.why == "once"


def test_stopped_without_stop_frees_nothing() -> None:
    """A worker that says STOPPED without having been asked, or of an attempt it never had, changes nothing."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j")
    worker.say(Stopped(attempt=worker.current))
    worker.say(Stopped(attempt="e1.999"))
    assert len(stage.core.world.workers["a/0"].leases) == 1
    worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_credit_is_renewed_as_audio_comes() -> None:
    """A worker may send eight seconds ahead; when half of that is used, it may send more."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "A sentence that goes on.")
    attempt = worker.current
    assert worker.work[attempt].credit == 8000
    worker.begin(attempt)
    worker.chunk(attempt, 3000)
    assert not [m for m, _ in worker.inbox if type(m) is Grant]
    worker.chunk(attempt, 1500)
    assert [m.up_to for m, _ in worker.inbox if type(m) is Grant] == [12500]


def test_an_external_worker_has_no_process_to_kill() -> None:
    """Killing an external worker ends its session and touches no process."""
    stage = Stage(settings(provider={"key": "secret", "module": ""}))
    assert stage.processes == {}
    external, client = stage.external("a", "secret"), stage.client()
    external.ready()
    client.submit("j")
    external.say(Chunk(attempt=external.current, seq=7, offset=0), b"00")
    assert stage.killed == []
    assert stage.core.world.workers == {}
    external.say(Beat())
    assert external.session == ""
