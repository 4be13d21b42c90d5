"""Nonsense for a daemon: proper messages, damaged, shuffled, replayed and invented, on both its sockets.

``python -m`` will not find this; run it as ``python tests/protocol/fuzz.py [SECONDS] [SEED]``: it starts a daemon of
its own, throws nonsense at it for so long while an honest client goes on being served, and ends with an error if that
fails.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import zmq

if __package__:
    from .rawpeer import EVERYTHING, FIELDS, SUBMIT_DEFAULTS, Peer, Stage, Worker
else:  # Run as a script.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from protocol.rawpeer import EVERYTHING, FIELDS, SUBMIT_DEFAULTS, Peer, Stage, Worker

JOBS = [f"fuzz-{n}" for n in range(8)]
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64 - 1, -(2**63), 0.0, -1.5, 1e308, float("nan"),
    float("inf"), "", "x", "x" * 300, "ä" * 70, b"", b"\xff", [], {}, [[]], {"a": {}}, [1, "a"], {"provider": "espeak"},
    "live", "whole", "none", "finished", "speak", *JOBS,
]  # fmt: skip


def client_messages(chance: random.Random, epoch: str) -> list[Any]:
    """A proper message of a client, with a job that may or may not be there."""
    job = chance.choice(JOBS)
    submit = SUBMIT_DEFAULTS | {
        "job": job,
        "chain": chance.choice([[], [{"provider": "espeak"}], [{"provider": "raw39"}]]),
        "complete": chance.random() < 0.7,
        "keep": chance.choice(["nothing", "job"]),
        "pace": chance.choice(["listen", "render"]),
        "read": chance.choice(["none", "live", "whole"]),
        "credit": chance.choice([0, 1000, EVERYTHING]),
        "priority": chance.choice(["important", "message", "text", "notification", "progress"]),
        "patience_s": 1.0,
        "skip_bad": chance.random() < 0.5,
    }
    offset = chance.choice([0, 1, 5000, 10**9])
    head = [1, epoch]
    return chance.choice(
        [
            ["hello", 1, "", 1, 1, "fuzz", "1", 1],
            ["submit", *head, *submit.values()],
            ["submit", *head, *submit.values()],
            ["append", *head, job, chance.randint(0, 4)],
            ["end", *head, job, chance.randint(0, 4)],
            ["attach", *head, job, chance.choice(["live", "whole", "none"]), offset, "", EVERYTHING],
            ["attach", *head, job, "live", offset, "some-take", 100],
            ["detach", *head, job],
            ["credit", *head, job, chance.choice([0, 500, EVERYTHING]), offset],
            ["cancel", *head, job],
            ["query", *head, "r", chance.choice(["status", "jobs", "voices", "segments", "x"]), "", 5, {"job": job}],
        ]
    )


def worker_messages(chance: random.Random, worker: Worker) -> list[Any]:
    """A proper message of a worker, about an attempt that may or may not be its own."""
    attempt = chance.choice([work["attempt"] for work in worker.works[-3:]] or ["x"])
    head = [1, worker.epoch, worker.session]
    return chance.choice(
        [
            ["register", 1, "", 1, 1, worker.ticket, worker.provider, "1", 1],
            ["beat", *head, "ready", -1.0, "", 1000, 0],
            ["begun", *head, attempt],
            ["chunk", *head, attempt, 0, 0],
            ["chunk", *head, attempt, chance.randint(0, 3), chance.randint(0, 2000)],
            ["take_marks", *head, attempt],
            ["done", *head, attempt, chance.choice([0, 100, 5000]), 1000, 500.0, 0.1],
            ["failed", *head, attempt, chance.choice(["crash", "hang", "invalid_input", "?"]), "no", 0.0],
            ["stopped", *head, attempt],
        ]
    )


def damaged(chance: random.Random, message: list[Any]) -> bytes:
    """A message as it is, or with fields or bytes that are not as they should be."""
    way = chance.random()
    if way < 0.35:
        return msgpack.packb(message)
    if way < 0.7:
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(message))
            message = [*message[:place], chance.choice(ODD), *message[place + chance.randint(0, 1) :]]
        return msgpack.packb(message)
    data = bytearray(msgpack.packb(message))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        data[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
    return bytes(data)


def body(chance: random.Random) -> list[bytes]:
    """No body, or one, or too many."""
    text = chance.choice(
        [b"", b"One. Two. Three.", "Äpfel. ".encode() * 20, b"\xff\xfe", b"\x00" * 1601, b"\x01\x02" * 800]
    )
    return chance.choice([[], [text], [text], [text], [text], [text, b"x"]])


def throw(peer: Peer, parts: list[bytes]) -> None:
    """Send if that can be done at once; a cut connection is no news here."""
    if peer.socket.poll(200, zmq.POLLOUT):
        peer.socket.send_multipart(parts, zmq.NOBLOCK)


def nonsense(
    stage: Stage, keyed: tuple[str, str], *, seed: int, rounds: int, check: Callable[[], None] | None = None
) -> None:
    """So many rounds of nonsense from a client and a worker; `check` is called now and then."""
    chance = random.Random(seed)
    client = stage.client()
    worker = stage.worker(*keyed, by_hand=True)
    recorded: list[list[bytes]] = []
    for number in range(rounds):
        for peer in (client, worker):
            if chance.random() < 0.1 and recorded:
                throw(peer, chance.choice(recorded))
                continue
            message = client_messages(chance, client.epoch) if peer is client else worker_messages(chance, worker)
            parts = [damaged(chance, message), *body(chance)]
            recorded.append(parts)
            throw(peer, parts)
        stage.pump(0)
        if client.take("greet"):
            client.greet()
        if worker.take("greet") or chance.random() < 0.05:
            worker.close()
            worker = stage.worker(*keyed, by_hand=True)
        client.inbox.clear()
        worker.inbox.clear()
        if check is not None and number % 200 == 199:
            check()
    client.close()
    worker.close()


def main() -> int:
    """Fuzz a daemon of our own for a while."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    from protocol.conftest import Daemon, config

    daemon = Daemon(config())
    daemon.start()
    stage = Stage(daemon.runtime_dir)
    honest = stage.client()
    served = 0

    def check() -> None:
        nonlocal served
        name = f"honest-{served}"
        honest.submit(name, "This is said all the same.", chain=[{"provider": "espeak"}], priority="important")
        assert honest.finish(name)["state"] == "finished"
        served += 1

    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            nonsense(stage, ("raw0", "key-0-of-this-test"), seed=seed, rounds=400, check=check)
            seed += 1
        counters = honest.status()["counters"]
        assert daemon.process is not None
        assert daemon.process.poll() is None
        print(f"{served} jobs served beside the nonsense; last seed {seed - 1}; counted: {counters}")
    except BaseException:
        print(f"failed with seed {seed}\n{daemon.output()[-4000:]}", file=sys.stderr)
        raise
    finally:
        stage.close()
        daemon.stop()
    return 0


if __name__ == "__main__":
    assert FIELDS
    sys.exit(main())
