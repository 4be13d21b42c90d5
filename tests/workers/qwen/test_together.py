"""Several utterances in one step: each says what it says alone, whoever comes and goes beside it."""

from __future__ import annotations

import pytest

from voicebus.workers.engine import EngineError, Request

from .tiny import END

TEXTS = [
    "Hello world, this is a test.",
    "Hello.",
    "A sentence that is a good deal longer than the other ones are, and has a comma in it.",
    "One, two, three.",
]
NEVER = {"odds": {END: -100.0}, "books": 16}
SOON = {"odds": {END: 3.0}}


def requests(**fields):
    voices = ["ryan", "vivian", "eric", "ryan"]
    return [Request(text, voices[n], "en", seed=20 + n, **fields) for n, text in enumerate(TEXTS)]


def alone(engine, request, most=1000):
    """Codes of an utterance for itself."""
    utterance = engine._models.default.utterance(request, most)
    found = []
    while len(found) < most and (codes := utterance.frame()) is not None:
        found.append(codes.tolist())
    utterance.close()
    return found


def together(engine, asked, most=1000, each=3):
    """Codes of several, of which one joins every `each` frames, and which leave at their end."""
    model = engine._models.default
    waiting = [model.utterance(request, most) for request in asked]
    found = {id(utterance): [] for utterance in waiting}
    order, going, step = list(waiting), [], 0
    while waiting or going:
        if waiting and step % each == 0:
            going.append(waiting.pop(0))
            going[-1].begin()
        for utterance, codes in zip(list(going), model.rows.frames(going), strict=True):
            if codes is None:
                going.remove(utterance)
                utterance.close()
            else:
                found[id(utterance)].append(codes.tolist())
            if len(found[id(utterance)]) == most:
                going.remove(utterance)
                utterance.close()
        step += 1
    return [found[id(utterance)] for utterance in order]


@pytest.mark.parametrize("seeded", [True, False])
def test_a_batch_says_what_each_says_alone(engine, seeded):
    """Four utterances of different lengths, voices and seeds, each joining a few frames after the one before, have the
    codes that each has in an engine of one slot: in float32, also where a step is not the same to the last bit."""
    one, four = engine(options=NEVER), engine(options=NEVER, slots=4)
    asked = requests(seeded=seeded)
    assert together(four, asked, 40) == [alone(one, request, 40) for request in asked]


def test_rows_are_taken_again(engine):
    """An utterance that takes the row of one that has ended says what it says in a fresh engine."""
    two, one = engine(options=SOON, slots=2), engine(options=SOON)
    asked = requests() + requests()[::-1]
    made, expected = [], [alone(one, request, 60) for request in asked]
    for first, second in zip(asked[::2], asked[1::2], strict=True):
        made += together(two, [first, second], 60, each=1)
    assert made == expected


def test_options_differ_by_row(engine):
    """Each row is drawn in its own manner: likeliest codes beside unlikely ones."""
    four, one = engine(options=NEVER, slots=4), engine(options=NEVER)
    manners = [{"temperature": 0.3, "top_k": 5}, {"top_p": 0.7}, {"top_k": 1}, {"temperature": 1.5, "top_p": 0.9}]
    asked = [Request(TEXTS[0], "ryan", "en", seed=3, options=options) for options in manners]
    assert together(four, asked, 20, each=1) == [alone(one, request, 20) for request in asked]


def widths(engine, monkeypatch):
    """How many rows each frame is made in."""
    talker, found = engine._models.default.rows.talker, []
    frame = talker.frame

    def counting(rows, *rest):
        found.append(rows.stop - rows.start)
        return frame(rows, *rest)

    monkeypatch.setattr(talker, "frame", counting)
    return found


@pytest.mark.parametrize(("alike", "seeded", "expected"), [
    (True, True, [4, 4, 4, 4]),
    (True, False, [1, 2, 3, 4]),
    (False, True, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    (False, False, [1, 2, 3, 4]),
])  # fmt: skip
def test_a_seed_is_batched_where_that_is_proven(engine, monkeypatch, alike, seeded, expected):
    """Where a row does not say the same to the last bit in any company, whoever has a seed of his own is made by
    himself; where it does, at one width always. Who has none is made at the width that fits."""
    one = engine(options=NEVER, slots=4)
    monkeypatch.setattr(one._models.default.rows.talker, "alike", alike)
    found = widths(one, monkeypatch)
    together(one, requests(seeded=seeded), 4, each=1)
    assert found[: len(expected)] == expected


def test_company_is_found_out(engine, monkeypatch):
    """The proof compares bits: rows that disturb each other in the last of them are not alike."""
    import torch

    from voicebus.workers import _qwen_proofs

    talker = engine(options=NEVER, slots=3)._models.default.rows.talker
    head = type(talker._model.codec_head)

    class Leaky(head):
        def forward(self, hidden):
            made = super().forward(hidden)
            return made + made.mean(0, keepdim=True) * 1e-6

    honest = _qwen_proofs.alike(talker)
    monkeypatch.setattr(talker._model.codec_head, "__class__", Leaky)
    assert not _qwen_proofs.alike(talker)
    monkeypatch.undo()
    assert _qwen_proofs.alike(talker) is honest
    assert isinstance(talker.codes, torch.Tensor)


def test_a_proof_leaves_no_trace(engine):
    """After the trials an engine says what it said before them."""
    from voicebus.workers import _qwen_proofs

    one = engine(options=NEVER, slots=2)
    before = together(one, requests()[:2], 10)
    _qwen_proofs.alike(one._models.default.rows.talker)
    assert together(one, requests()[:2], 10) == before


def steps(engine, spoken):
    """What each of these has made when all are at their end: PCM, or the failure's class."""
    made = [b"" for _ in spoken]
    going = dict(enumerate(spoken))
    while going:
        for number, items in zip(list(going), engine.advance(list(going.values())), strict=True):
            if items is None or isinstance(items, EngineError):
                going.pop(number).close()
                made[number] = items.code if items else made[number]
            else:
                made[number] += b"".join(item.pcm for item in items)
    return made


def test_one_that_fails_leaves_the_others_whole(engine):
    """An utterance that its guard ends in the middle of a batch ends by that name; the others are whole, and a text
    with nothing to say ends at once."""
    four, one = engine(options=NEVER, slots=4, max_frames=30), engine(options=NEVER, max_frames=30)
    test = one.self_test()
    whole = b"".join(chunk.pcm for chunk in one.synthesize(test))
    asked = [Request("Hi.", "ryan", "en", seed=1), test, Request(" ... ", "ryan")]
    assert steps(four, [four.open(request) for request in asked]) == ["truncated", whole, b""]


def test_one_that_waits_goes_on_where_it_was(engine):
    """An utterance that is left out of some steps, as one without credit is, says the same afterwards."""
    two, one = engine(options=NEVER, slots=2), engine(options=NEVER)
    first, second = requests()[:2]
    model = two._models.default
    pair = [model.utterance(request, 20) for request in (first, second)]
    for utterance in pair:
        utterance.begin()
    made = [[], []]
    for step in range(24):
        asked = [n for n in (0, 1) if n == 0 or step % 3]
        for n, codes in zip(asked, model.rows.frames([pair[n] for n in asked]), strict=True):
            made[n].append(codes.tolist())
    for utterance in pair:
        utterance.close()
    assert made[0] == alone(one, first, 24)
    assert made[1] == alone(one, second, 16)


def test_no_more_than_there_is_room_for(engine):
    """Who begins more utterances than there are slots is told so, and those under way are not disturbed."""
    model = engine(options=NEVER, slots=2)._models.default
    three = [model.utterance(request, 20) for request in requests()[:3]]
    first = three[0].frame()
    three[1].begin()
    with pytest.raises(RuntimeError, match="all 2 rows are taken"):
        three[2].begin()
    assert first is not None
    assert three[0].frame() is not None
    for utterance in three:
        utterance.close()
    assert three[2].frame() is not None
    three[2].close()


def test_room_grows_and_goes(engine):
    """A long utterance makes more room, in the middle of a short one that is not disturbed by it, and the room is given
    back when nobody speaks."""
    two, one = engine(options=NEVER, slots=2), engine(options=NEVER)
    talker = two._models.default.rows.talker
    usual, request = talker.length, requests()[0]
    short = two._models.default.utterance(request, 20)
    made = [short.frame().tolist() for _ in range(5)]
    long = two._models.default.utterance(Request("So. " * 300, "ryan", "en", seed=1), 1500)
    long.frame()
    assert talker.length > usual + 1000
    made += [short.frame().tolist() for _ in range(5)]
    long.close()
    assert talker.length > usual
    short.close()
    assert talker.length == usual
    assert made == alone(one, request, 10)
