"""The thread that brings journals to the disk."""

from __future__ import annotations

import select

from voicebus.daemon.syncer import Syncer


def answers(syncer, count):
    found = []
    while len(found) < count:
        assert select.select([syncer.fileno()], [], [], 10)[0], "nothing came"
        found += syncer.done()
    return found


def test_each_is_answered_once_in_order() -> None:
    """What could not be synced says why; the thread goes on."""
    asked = []

    def sync(log):
        asked.append(log)
        if log == "bad":
            raise OSError(5, "Input/output error")

    syncer = Syncer(sync)
    try:
        for log in ("one", "bad", "two"):
            syncer.begin(log)
        assert answers(syncer, 3) == [("one", ""), ("bad", "Input/output error"), ("two", "")]
        assert asked == ["one", "bad", "two"] and syncer.done() == []
    finally:
        syncer.close()


def test_a_close_finishes_what_is_in_hand() -> None:
    """Nothing that was asked for is left undone; without any, there is no thread to end."""
    asked = []
    syncer = Syncer(asked.append)
    for number in range(20):
        syncer.begin(str(number))
    syncer.close()
    assert len(asked) == 20
    Syncer(asked.append).close()
