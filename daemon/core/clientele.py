"""Clients: let in, listened to, forgotten.

Owns: the sessions of clients, and which rule answers which message. Must not know: what the rules do. Invariant: only
a client that has greeted in this run of the daemon is listened to, and nobody hears of another uid's jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...bus.messages import (
    PROTOCOL,
    PROTOCOL_LOW,
    Append,
    Attach,
    Bye,
    Cancel,
    CancelAll,
    ClientMessage,
    Credit,
    Delete,
    Deposit,
    Detach,
    End,
    Fetch,
    Greet,
    Hello,
    Import,
    Pin,
    Query,
    Refused,
    Sample,
    Submit,
    Voice,
    Welcome,
)
from ...bus.wording import counted
from . import asking, deleting, importing, jobs, queries, quotas, readers, samples, voices
from .state import Client
from .world import World

Handler = Callable[..., None]

GREET_S = 10.0
"""How often a quiet client should greet."""


def message(world: World, peer: bytes, uid: int, pid: int, said: ClientMessage, body: bytes, now: float) -> None:
    """A client said something."""
    client = world.clients.get(peer)
    if type(said) is Hello:
        _hello(world, client, peer, uid, pid, said, now)
    elif client is None or said.epoch != world.epoch:
        world.to_client(peer, Greet())
    else:
        client.heard_at = now
        _ANSWERS[type(said)](world, client, said, body, now)


def _hello(world: World, client: Client | None, peer: bytes, uid: int, pid: int, said: Hello, now: float) -> None:
    version = str(world.info.get("version", ""))
    if said.low > PROTOCOL or said.high < PROTOCOL_LOW:
        text = (
            f"This daemon ({version}) speaks protocol {PROTOCOL_LOW} to {PROTOCOL}, the client ({said.version}) "
            f"{said.low} to {said.high}. After an update, `voicebus daemon restart` makes them meet."
        )
        world.to_client(peer, Refused(code="version", message=text, version=version))
        return
    if client is not None:
        client.heard_at = now
    elif len(world.clients) >= world.settings.limits.clients:
        world.count("clients over the limit")
        there = counted(len(world.clients), "client is", "clients are")
        text = f"{there} connected, which is the limit; try again later."
        world.to_client(peer, Refused(code="full", message=text, version=version))
        return
    elif why := quotas.client_refusal(world, uid):
        world.counters["clients over the limit of a user"] += 1
        world.to_client(peer, Refused(code="full", message=why, version=version))
        return
    else:
        world.clients[peer] = Client(peer, uid, pid, said.name[:100], said.version[:100], now)
    started_by = str(world.info.get("started_by", ""))
    world.to_client(peer, Welcome(version=version, beat_s=GREET_S, started_by=started_by))


def forget(world: World, client: Client, now: float) -> None:
    """A client is gone; its jobs are not."""
    importing.drop(world, client.peer)
    world.clients.pop(client.peer, None)
    jobs.client_left(world, client.jobs.copy(), client.peer, now)


def sweep(world: World, now: float) -> None:
    """Forget the clients that have been silent for too long."""
    for client in list(world.clients.values()):
        if now - client.heard_at > world.settings.limits.client_quiet_s:
            forget(world, client, now)


def drained(world: World, client: Client) -> None:
    """A client's pipe is open again: on with all that it reads, a few at a time."""
    client.full = False
    for key in sorted(client.jobs):
        world.hungry[client.peer, key] = None


def pump_one(world: World, peer: bytes, key: tuple[int, str]) -> None:
    """Go on with one reading, if it is still there."""
    job = world.jobs.get(key)
    reader = job.readers.get(peer) if job is not None else None
    if job is not None and reader is not None:
        readers.pump(world, job, reader)


def _bye(world: World, client: Client, said: Bye, body: bytes, now: float) -> None:
    forget(world, client, now)


def _query(world: World, client: Client, said: Query, body: bytes, now: float) -> None:
    key = (client.uid, said.where.get("job", ""))
    if said.what in queries.OF_STORE:
        asking.ask_list(world, client, said)
    elif said.what == "segments" and world.durable and key not in world.jobs:
        asking.look_up(world, key, client.peer, said, body)
    else:
        queries.answer(world, client, said, now)


def _own(rule: Handler) -> Handler:
    """A rule for a job of the client's own; anybody else's job is as if it were not there."""

    def handle(world: World, client: Client, said: Any, body: bytes, now: float) -> None:
        key = (client.uid, said.job)
        job = world.jobs.get(key)
        if job is not None:
            rule(world, client, job, said, body, now)
        elif world.durable:
            asking.look_up(world, key, client.peer, said, body)
        else:
            _not_found(world, client, said)

    return handle


def _not_found(world: World, client: Client, said: Any) -> None:
    world.error(client.peer, "not_found", f"There is no job {said.job!r}.", job=said.job, answers=said)


def _detach(world: World, client: Client, said: Detach, body: bytes, now: float) -> None:
    job = world.jobs.get((client.uid, said.job))
    if job is not None:
        jobs.detach(world, client, job, said, body, now)
    elif not world.durable:  # else it may be in the store; read by nobody, so that it need not be asked
        _not_found(world, client, said)


def again(world: World, client: Client, said: Any, body: bytes, now: float) -> None:
    """Answer a message that had to wait for its job to be found."""
    _ANSWERS[type(said)](world, client, said, body, now)


_ANSWERS: dict[type, Handler] = {
    Submit: jobs.submit,
    Append: _own(jobs.append),
    End: _own(jobs.end_text),
    Attach: _own(jobs.attach),
    Detach: _detach,
    Credit: jobs.credit,
    Cancel: _own(jobs.cancel),
    Delete: _own(deleting.delete),
    Pin: _own(deleting.pin),
    Import: importing.begin,
    Deposit: importing.deposit,
    CancelAll: jobs.cancel_all,
    Query: _query,
    Sample: samples.piece,
    Voice: voices.do,
    Fetch: samples.fetch,
    Bye: _bye,
}
