"""The lives of jobs, segments and workers, as tables.

Owns: which states there are and which event leads from which to which. Must not know: what is done on the way (the
modules that call `move`). Invariant: a transition that is not in a table does not happen; `move` raises instead, so a
wrong turn is found where it is made and not three messages later. The diagrams in ``docs/architecture.md`` are
generated from these tables.
"""

from __future__ import annotations

from typing import Protocol

Table = dict[tuple[str, str], str]
"""(state, event) to the next state."""

JOB: Table = {
    ("queued", "lease"): "running",
    ("queued", "starve"): "waiting",
    ("queued", "end"): "ended",
    ("running", "lease"): "running",
    ("running", "starve"): "waiting",
    ("running", "end"): "ended",
    ("waiting", "starve"): "waiting",
    ("waiting", "ask"): "queued",
    ("queued", "ask"): "queued",
    ("running", "ask"): "running",
    ("waiting", "end"): "ended",
}
"""A job that is not over. `ask`: it has a segment for a worker. `lease`: a worker took one. `starve`: it cannot go on
for want of text, of a listener or of room ahead of one. `end`: its end is decided; when that is committed it is
"finished", "failed" or "cancelled"."""

SEGMENT: Table = {
    ("waiting", "lease"): "leased",
    ("leased", "void"): "waiting",
    ("leased", "done"): "writing",
    ("writing", "written"): "whole",
    ("writing", "void"): "waiting",
    ("waiting", "skip"): "skipped",
    ("waiting", "quarantine"): "quarantined",
}
"""A segment. `void`: its attempt is lost, stopped or refused. `done`: the take is whole. `written`: and in its log.
`skip`: left out because nobody can say it. `quarantine`: it brought down two workers."""

WORKER: Table = {
    ("down", "spawn"): "spawned",
    ("backoff", "spawn"): "spawned",
    ("spawned", "register"): "connected",
    ("spawned", "exit"): "dead",
    ("spawned", "kill"): "stopping",
    ("connected", "register"): "connected",
    ("connected", "ready"): "ready",
    ("connected", "exit"): "dead",
    ("connected", "kill"): "stopping",
    ("connected", "quit"): "draining",
    ("ready", "ready"): "ready",
    ("ready", "register"): "connected",
    ("ready", "silent"): "suspect",
    ("ready", "exit"): "dead",
    ("ready", "kill"): "stopping",
    ("ready", "quit"): "draining",
    ("ready", "unreachable"): "suspect",
    ("suspect", "heard"): "ready",
    ("suspect", "unreachable"): "suspect",
    ("suspect", "register"): "connected",
    ("suspect", "ready"): "ready",
    ("suspect", "exit"): "dead",
    ("suspect", "kill"): "stopping",
    ("suspect", "quit"): "draining",
    ("connected", "unreachable"): "connected",
    ("draining", "unreachable"): "draining",
    ("draining", "register"): "draining",
    ("draining", "exit"): "dead",
    ("draining", "kill"): "stopping",
    ("draining", "quit"): "draining",
    ("stopping", "exit"): "dead",
    ("stopping", "kill"): "stopping",
    ("stopping", "unreachable"): "stopping",
    ("dead", "rest"): "backoff",
    ("dead", "give_up"): "fatal",
    ("dead", "leave"): "down",
    ("dead", "sleep"): "asleep",
    ("asleep", "spawn"): "spawned",
    ("fatal", "forgive"): "backoff",
    ("backoff", "forgive"): "backoff",
}
"""A worker. `busy` in a listing is "ready" with a slot in use. `silent`: beats or audio are missing. `unreachable`: its
connection is gone while the process lives. `rest`: it may be started again later. `give_up`: too many deaths before
it was ready. `forgive`: its configuration changed, or was read again. `sleep`: it had nothing to do for long, and is
started when it is wanted."""

AUDIO: Table = {
    ("plain", "pack"): "packed",
    ("plain", "pack_open"): "open",
    ("packed", "open"): "opening",
    ("opening", "opened"): "open",
    ("opening", "fail"): "packed",
    ("open", "close"): "packed",
}
"""The audio of a job that is over. "plain": as a journal; "packed": in a smaller file, and in no other; "open": in
both, so that it can be read. `pack_open`: somebody reads while that happens."""


class Living(Protocol):
    """Something with a state."""

    state: str


class Unforeseen(AssertionError):
    """An event that the table has no row for: a mistake in the core."""


def move(table: Table, thing: Living, event: str) -> str:
    """Let `event` happen to `thing`; its new state. Raises Unforeseen."""
    try:
        thing.state = table[thing.state, event]
    except KeyError:
        raise Unforeseen(f"{event!r} in state {thing.state!r}: {thing}") from None
    return thing.state
