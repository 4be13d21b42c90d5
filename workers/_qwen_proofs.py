"""What is shown of a loaded model before anybody relies on it: that rows do not disturb each other, and that what a
device has recorded is what it would have done.

Owns: the two trials. Must not know: requests, audio, the bus. Invariant: a trial compares results to the last bit or
code by code, on the device and with the weights that will be used; it leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ._qwen_graphs import Record, Recorded
from ._qwen_talker import STEP, Talker

PLACE = 40
"""Where the row under trial stands: behind a prompt of ordinary length."""

FRAMES = 3
RECORDED = (PLACE, 300, 600)
"""Where rows stand when frames are recorded at the start: lengths that a sentence reaches. Longer ones are recorded
when an utterance reaches them."""

_SAMPLING = {
    "do_sample": True, "temperature": 0.9, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.05,
    "subtalker_dosample": True, "subtalker_temperature": 0.9, "subtalker_top_k": 50, "subtalker_top_p": 1.0,
    "suppress_tokens": [],
}  # fmt: skip
"""How the published models are drawn."""


def alike(talker: Talker) -> bool:
    """Whether a row has the same scores, to the last bit, whichever of the rows it is, whatever is in the other ones,
    and however long they are. A product of several rows may be summed in another order than that of one; whether it is
    depends on the library, the device and the sizes."""
    with _trial(talker):
        _fill(talker, 0, 1, PLACE)
        expected = _scores(talker, 0)
        return all(_in_company(talker, number, expected) for number in range(talker.rows))


def _in_company(talker: Talker, number: int, expected: list[Any]) -> bool:
    for other in range(talker.rows):
        _fill(talker, other, 2 + other, PLACE + other * STEP % (talker.length - 2 * PLACE))
    _fill(talker, number, 1, PLACE)
    made = _scores(talker, number)
    return all(torch.equal(one, two) for one, two in zip(made, expected, strict=True))


def recorded(talker: Talker, record: Record) -> tuple[Recorded | None, str]:
    """The device's recordings for this talker; where frames that are played are not those that are made, None and
    why."""
    with _trial(talker):
        plain = _frames(talker)
        talker.recorded = found = Recorded(record, talker.still)
        try:
            played = _frames(talker)
        except RuntimeError as error:
            # What cannot be recorded is no reason not to speak; nothing of a broken recording is used.
            return None, (str(error).splitlines() or ["no reason given"])[0]
        finally:
            talker.recorded = None
        return (found, "") if torch.equal(played, plain) else (None, "the frames that it plays are others")


def _frames(talker: Talker) -> Any:
    """The codes of some frames in all rows, from the same starts."""
    codes, numbers = [], list(range(talker.rows))
    for place in RECORDED:
        for number in numbers:
            _fill(talker, number, number, min(place, talker.length - PLACE) + number)
        for _ in range(FRAMES):
            talker.together(numbers, talker.rows)
            codes.append(talker.codes.clone())
    return torch.stack(codes)


def _scores(talker: Talker, number: int) -> list[Any]:
    talker.together([], talker.rows)
    return [scores[number].clone() for scores in talker.scores]


def _fill(talker: Talker, number: int, seed: int, place: int) -> None:
    """Put a row into a state that depends on a seed."""
    random = torch.Generator(talker.device).manual_seed(seed)
    talker.describe(number, _SAMPLING)
    # As large as embeddings and what becomes of them; what matters is only that it is always the same.
    for there, by in (
        (talker.said[number], 0.05),
        (talker.text[number], 0.05),
        (talker.memory[:, :, number, :, :place], 1.0),
    ):
        there.copy_(torch.randn(there.shape, generator=random, device=talker.device).mul_(by))
    talker.chance(number, random)
    talker.stand(number, place)


@contextmanager
def _trial(talker: Talker) -> Iterator[None]:
    with torch.inference_mode():
        try:
            yield
        finally:
            talker.clear()
