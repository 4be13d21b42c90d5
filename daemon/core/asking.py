"""Questions to the store: jobs of earlier daemons, and lists of what is kept.

Owns: who waits for which answer. Must not know: how the store finds it. Invariant: what a client said about a job that
is not in memory waits, in order, until the store has said whether there is one; each is then answered as if the job had
been there all along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...bus.messages import Page, Query
from . import restoring
from .records import Found, Wanted
from .state import Client, JobKey
from .world import Question, World

QUESTIONS = 500
"""Most questions that wait for the store at a time; each is a read of a millisecond."""

WAITING = 64
"""Most messages that wait for the same job."""

BUSY_S = 1.0

Again = Callable[[World, Client, Any, bytes, float], None]
"""Answers a message once its job is there."""


def look_up(world: World, key: JobKey, peer: bytes, said: Any, body: bytes) -> None:
    """Let a message wait until the store has said whether there is such a job."""
    question = world.lookups.get(key)
    if question is None:
        if _busy(world):
            _refuse(world, peer, key, said)
            return
        question = world.lookups[key] = Question("job", key)
        world.ask(question, Wanted("job", *key))
    if len(question.waiting) >= WAITING:
        _refuse(world, peer, key, said)
    else:
        question.waiting.append((peer, said, body))


def ask_list(world: World, client: Client, message: Query) -> None:
    """Ask the store for a page of a list."""
    key = (client.uid, message.where.get("job", ""))
    if _busy(world):
        _refuse(world, client.peer, key, message)
        return
    question = Question("list", key, client.peer, message.request, message.what)
    wanted = Wanted(message.what, *key, dict(message.where), message.cursor, max(1, message.limit))
    world.ask(question, wanted)


def _busy(world: World) -> bool:
    return len(world.questions) >= QUESTIONS


def _refuse(world: World, peer: bytes, key: JobKey, said: Any) -> None:
    text = "Too many questions wait for the store; try again in a moment."
    world.error(peer, "queue_full", text, job=key[1], request=_request(said), retry_after=BUSY_S, answers=said)


def _request(said: Any) -> str:
    return said.request if isinstance(said, Query) else ""


def found(world: World, found: Found, now: float, again: Again) -> None:
    """The store has answered. again: answers a message that waited for a job."""
    question = world.questions.pop(found.ticket, None)
    if question is None:
        return
    if question.kind == "list":
        _page(world, question, found)
        return
    del world.lookups[question.job]
    saved = found.saved
    if saved is not None and saved.ended is not None and question.job not in world.jobs:
        restoring.revive(world, saved, now)
    for peer, said, body in question.waiting:
        client = world.clients.get(peer)
        if client is None:
            continue
        if question.job in world.jobs:
            again(world, client, said, body, now)
        else:
            _not_there(world, peer, question.job, said, found)


def _not_there(world: World, peer: bytes, key: JobKey, said: Any, found: Found) -> None:
    if found.reason:
        code, text = "storage", f"The store could not be asked for {key[1]}: {found.reason}"
    elif found.deleted:
        code, text = "deleted", f"The job {key[1]} was deleted."
    else:
        code, text = "not_found", f"There is no job {key[1]!r}."
    world.error(peer, code, text, job=key[1], request=_request(said), answers=said)


def _page(world: World, question: Question, found: Found) -> None:
    if question.peer not in world.clients:
        return
    if found.deleted or found.reason:
        text = found.reason or f"The job {question.job[1]} was deleted."
        code = "deleted" if found.deleted else found.code
        world.error(question.peer, code, text, job=question.job[1], request=question.request)
        return
    page = Page(request=question.request, what=question.what, next=found.following)
    world.to_client(question.peer, page, restoring.rows(found))
