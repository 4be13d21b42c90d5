"""What a worker's READY tells of its engine."""

from __future__ import annotations

import pytest

from voicebus.bus.codec import decode_rows, encode
from voicebus.bus.messages import Query, Ready
from voicebus.daemon.core import engines

from .world_of_one import READY_BODY, Stage, settings

DEVICE = {"kind": "cuda", "id": "cuda:0", "dtype": "bfloat16", "attention": "sdpa", "free": 8 << 30, "graphs": True}


def test_the_device_is_told_in_the_list_of_workers() -> None:
    """Everybody can see what an engine runs on: device, number type, attention, free memory."""
    stage = Stage(settings("a"))
    worker, client = stage.worker("a/0"), stage.client()
    worker.say(Ready(rate=1000), encode({**READY_BODY, "device": DEVICE}))
    client.say(Query(request="q", what="workers"))
    (row,) = decode_rows(client.inbox[-1][1])
    assert row["device"] == DEVICE


def test_what_is_told_is_kept_short() -> None:
    """A list becomes a line, a long word a short one, and of many things the first are kept."""
    told = {
        "device": {"models": ["one", "two"], "name": "x" * 999, "more": {"a": 1}, **{f"n{n}": n for n in range(99)}}
    }
    found = engines.about(told)
    assert (found["models"], len(found["name"]), found["more"]) == ("one, two", 200, "{'a': 1}")
    assert len(found) == engines.DEVICE_WORDS


@pytest.mark.parametrize("device", ["a card", None, []])
def test_a_device_that_is_no_map_is_nothing(device: object) -> None:
    """What cannot be read is left out."""
    assert (engines.about({"device": device}), engines.device({"device": device})) == ({}, "")
